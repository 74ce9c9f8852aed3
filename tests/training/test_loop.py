"""The loop: it learns, it repeats itself, and it stops when it should."""

import copy

import pytest
import torch

from mnistlib.core.errors import RunError
from mnistlib.data.augmentation import Distortion, distort
from mnistlib.data.loading import obtain
from mnistlib.training.loop import Recipe, fit, run_epoch, score
from mnistlib.training.model import Architecture, build
from mnistlib.training.tensor_dataset import TensorDataset, effective_batch_size
from mnistlib.training.trainer import Trainer

CPU = torch.device("cpu")
SMALL = Architecture(widths=(8, 16, 32), hidden=32)
BOTH = pytest.mark.parametrize("optimizer", ["muon", "adamw"])


@pytest.fixture(scope="module")
def digits() -> tuple[TensorDataset, TensorDataset]:
    raw = obtain("digits")
    return (
        TensorDataset.of(CPU, (raw.train_images[:1000], raw.train_labels[:1000])),
        TensorDataset.of(CPU, (raw.train_images[1000:], raw.train_labels[1000:])),
    )


def trained(digits, seed=0, **changes):
    distortion = Distortion(5, 0.05, 0.05, 0.05)
    recipe = Recipe(**{"epochs": 4, "batch_size": 50, "label_smoothing": 0.0, "distortion": distortion, **changes})
    return fit(build(SMALL, seed), *digits, recipe, seed=seed)


@BOTH
def test_it_learns(digits, optimizer):
    network, history = trained(digits, optimizer=optimizer)
    assert [e.epoch for e in history] == [1, 2, 3, 4]
    assert history[-1].val_accuracy > 0.95
    assert history[-1].train_loss < history[0].train_loss / 2
    assert score(network, digits[1])[1] == history[-1].val_accuracy


@BOTH
def test_the_same_seed_gives_the_same_weights_and_another_does_not(digits, optimizer):
    def weights(seed):
        torch.rand(seed + 1)
        network, _ = trained(digits, seed, epochs=1, optimizer=optimizer)
        return torch.cat([v.flatten().float() for v in network.state_dict().values()])

    assert torch.equal(weights(1), weights(1))
    assert not torch.equal(weights(1), weights(2))


def test_score_counts_every_example(digits):
    network = build(SMALL, 0)
    _, val = digits
    loss, accuracy = score(network, val)
    with torch.no_grad():
        logits = network.eval()(val.images[0].float() / 255)
    assert accuracy == pytest.approx(float((logits.argmax(1) == val.labels).float().mean()))
    assert loss == pytest.approx(float(torch.nn.functional.cross_entropy(logits, val.labels)), abs=1e-5)


def test_average_follows_the_weights_by_its_decay(digits):
    trainer = Trainer(build(SMALL, 0), Recipe(ema_decay=0.75), steps=10, seed=0)
    before = trainer.average.head[1].weight.clone()
    with torch.no_grad():
        trainer.network.head[1].weight.add_(1)
    trainer.step = 1000
    trainer.update_average()
    assert torch.allclose(trainer.average.head[1].weight, before + 0.25)


def test_learning_rate_rises_to_its_peak_and_falls(digits):
    _, history = trained(digits, learning_rate=0.01, warmup=0.25)
    rates = [e.learning_rate for e in history]
    assert rates[0] == pytest.approx(0.01, rel=0.05)
    assert rates == sorted(rates, reverse=True)
    assert rates[-1] < 0.0002


def test_a_loss_that_is_not_finite_stops_the_run(digits):
    with pytest.raises(RunError, match=r"lower train\.learning_rate"):
        trained(digits, optimizer="adamw", learning_rate=1e30)


def test_it_names_the_rate_that_moves_the_kernels(digits):
    with pytest.raises(RunError, match=r"train\.muon_rate \(1e\+30\).* or train\.learning_rate"):
        trained(digits, optimizer="muon", muon_rate=1e30)


def test_steps_are_reported_one_by_one(digits):
    seen = []
    fit(build(SMALL, 0), *digits, Recipe(epochs=2, batch_size=250), seed=0, on_step=lambda *at: seen.append(at))
    assert seen == [(n, 8) for n in range(1, 9)]


def test_a_small_dataset_has_twenty_steps_or_more():
    assert effective_batch_size(57_000, 512) == 512
    assert effective_batch_size(1_530, 512) == 76
    assert effective_batch_size(1_530, 64) == 64
    assert effective_batch_size(10, 512) == 2


def test_bf16_trains_too(digits):
    recipe = Recipe(epochs=3, batch_size=50)
    _, history = fit(build(SMALL, 0), *digits, recipe, seed=0, precision="bf16")
    assert history[-1].val_accuracy > 0.9


@pytest.mark.parametrize(("change", "words"), [({"epochs": 0}, "train.epochs is 0"), ({"optimizer": "x"}, "optimizer")])
def test_an_impossible_recipe_is_refused(digits, change, words):
    with pytest.raises(RunError, match=words):
        trained(digits, **change)


def test_a_batch_has_two_pictures_at_least():
    with pytest.raises(RunError, match=r"train\.batch_size is 0"):
        effective_batch_size(1000, 0)
    with pytest.raises(RunError, match="the training set has 1 picture: at least 2"):
        effective_batch_size(1, 512)


def test_augmentation_and_label_smoothing_are_the_recipes(digits):
    images, labels = digits[0].batch(torch.arange(50))
    labels[:10] = -1
    network, distortion = build(SMALL, 0).train(), Distortion(20, 0.2, 0.2, 0.1)
    augmented = distort(images, distortion, torch.Generator().manual_seed(3))
    wanted = torch.nn.functional.one_hot(labels.clamp(min=0), 10) * 0.7 + 0.03
    wanted[:10] = 0.1
    with torch.no_grad():
        expected = -(wanted * copy.deepcopy(network)(augmented).log_softmax(1)).sum(1).mean()
    recipe = Recipe(batch_size=50, label_smoothing=0.3, weight_decay=0.02, distortion=distortion)
    trainer = Trainer(network, recipe, 20, seed=3)
    assert float(trainer.learn(images, labels, "fp32")[0]) == pytest.approx(float(expected), rel=1e-5)
    groups = [group for optimizer in trainer.optimizers for group in optimizer.param_groups]
    assert [group["weight_decay"] for group in groups] == [0.02, 0.0, 0.02]


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
def test_rates_peak_after_the_warmup_and_the_average_follows_by_hand():
    trainer = Trainer(build(SMALL, 0), Recipe(warmup=0.4, ema_decay=0.5), 100, seed=0)
    first = trainer.averaged[0].clone()
    rates = []
    for step in range(1, 101):
        rates.append(trainer.schedules[0].get_last_lr()[0])
        trainer.moving[0].detach().add_(1)
        trainer.advance()
        if step == 2:  # 10/11 of the way, then 10/12
            assert torch.allclose(trainer.averaged[0], first + 10 / 11 + (2 - 10 / 11) * 10 / 12, atol=1e-5)
    assert max(range(100), key=rates.__getitem__) in (39, 40)
    assert torch.allclose(trainer.averaged[0], first + 99, atol=1e-3)  # half of the way each step: one behind


@pytest.mark.filterwarnings("ignore:Detected call of `lr_scheduler")
def test_accuracy_leaves_outliers_out(digits):
    images, labels = digits[0].images, digits[0].labels.clone()
    labels[::2] = -1
    train, trainer = TensorDataset(images, labels), Trainer(build(SMALL, 0), Recipe(batch_size=50), 20, seed=0)
    found = run_epoch(trainer, lambda chosen: (torch.tensor(2.0), (labels[chosen] >= 0).sum()), train, 20, print)
    assert found == (2.0, 1.0)
