"""Out-of-distribution samples: how they are made, measured and used as outliers in training."""

import numpy as np
import pytest
import torch

from mnistlib.data.datasets import DIGITS
from mnistlib.data.loading import obtain
from mnistlib.data.outlier_exposure import NO_CLASS, make_outliers
from mnistlib.data.pen_strokes import letter_templates
from mnistlib.evaluation import ood_data
from mnistlib.evaluation.calibration import calibrate, ood_score
from mnistlib.evaluation.metrics import predict_logits
from mnistlib.evaluation.ood_data import LETTERS, LOOKALIKES, make_ood_data
from mnistlib.evaluation.ood_detection import auroc, false_positive_rate, ood_metrics, ood_rows
from mnistlib.imaging.framing import barycentre
from mnistlib.inference.predictor import Prediction, Predictor
from mnistlib.reporting.plots.evaluation import plot_ood_detection
from mnistlib.training.loop import Recipe, fit
from mnistlib.training.model import Architecture, build
from mnistlib.training.tensor_dataset import TensorDataset
from mnistlib.training.trainer import soft_targets

KINDS = ["letters", "lookalikes", "scribbles", "overlaid", "blobs", "noise", "blank"]
CPU = torch.device("cpu")


@pytest.fixture(scope="module")
def raw():
    return obtain("digits")


@pytest.fixture(scope="module")
def odd(raw):
    return make_ood_data(60, raw.test_images, raw.test_labels, DIGITS, 0)


def scores(kind):
    noise = np.random.default_rng(0)
    inliers, outliers = noise.normal(1, 1, 301), noise.normal(0, 1, 200)
    return (inliers.round(1), outliers.round(1)) if kind == "ties" else (inliers, outliers)


@pytest.mark.parametrize("kind", ["plain", "ties"])
def test_auroc_and_fpr_are_counts_of_pairs_and_of_scores(kind):
    inliers, outliers = scores(kind)
    gaps = inliers[:, None] - outliers
    assert auroc(inliers, outliers) == pytest.approx((gaps > 0).mean() + (gaps == 0).mean() / 2)
    for recall in (0.5, 0.95, 1.0):
        threshold = max(score for score in inliers if (inliers >= score).mean() >= recall)
        assert false_positive_rate(inliers, outliers, recall) == pytest.approx((outliers >= threshold).mean())


def test_auroc_and_fpr_at_their_ends():
    low, high = np.zeros(20), np.ones(20)
    assert (auroc(high, low), auroc(low, high), auroc(low, low)) == (1, 0, 0.5)
    assert (false_positive_rate(high, low), false_positive_rate(low, high)) == (0, 1)


def test_every_kind_is_there_and_the_seed_alone_makes_it(raw, odd):
    assert list(odd)[: len(KINDS)] == KINDS
    assert {(v.shape, v.dtype.name) for v in odd.values()} == {((60, 28, 28), "uint8")}
    again, other = (make_ood_data(60, raw.test_images, raw.test_labels, DIGITS, seed) for seed in (0, 1))
    assert all(np.array_equal(odd[kind], again[kind]) for kind in odd)
    assert not any(np.array_equal(odd[kind], other[kind]) for kind in KINDS[:-1])


@pytest.mark.parametrize("kind", KINDS[:3])
def test_ink_is_framed_as_mnist_and_no_two_are_alike(odd, kind):
    images = odd[kind]
    assert len(np.unique(images, axis=0)) == 60
    assert all(13.5 <= b < 15.5 for image in images for b in barycentre(image))


def test_the_blank_is_blank_and_noise_is_everywhere(odd):
    assert not odd["blank"].any()
    assert odd["noise"].mean() == pytest.approx(127.5, abs=2)


def test_overlaid_are_two_digits_of_different_classes():
    images = np.zeros((4, 28, 28), np.uint8)
    for i in range(4):
        images[i, i] = 255
    labels = np.array([0, 0, 1, 2])
    for image in ood_data.overlaid(50, np.random.default_rng(0), images, labels):
        first, second = np.flatnonzero(image.any(1))
        assert labels[first] != labels[second]


def test_all_letters_but_the_lookalikes_are_drawn_and_none_is_both():
    left_out = "".join(LOOKALIKES.values())
    assert sorted(LETTERS + left_out) == sorted("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz")
    assert set(LOOKALIKES) <= set(DIGITS)
    assert {name[0] for name in letter_templates()} <= set(LETTERS)


def test_a_slanted_letter_leans_to_the_right_and_a_turned_one_turns():
    font = ood_data.some_fonts(1, np.random.default_rng(0))[0]
    plain, slanted = ood_data.glyph(font, "H"), ood_data.glyph(font, "H", slant=0.5)
    shift = [barycentre(image[:10])[1] - barycentre(image[18:])[1] for image in (plain, slanted)]
    assert shift[1] > shift[0] + 3
    assert not np.array_equal(plain, ood_data.glyph(font, "H", turn=0.3))


def test_fonts_hold_letters_and_symbols_are_no_letters():
    from matplotlib import get_data_path

    shipped = f"{get_data_path()}/fonts/ttf"
    assert ood_data.has_letters(f"{shipped}/DejaVuSerif.ttf")
    assert not ood_data.has_letters(f"{shipped}/cmsy10.ttf")
    assert not ood_data.has_letters(f"{shipped}/STIXSizOneSymReg.ttf")
    assert not ood_data.has_letters(__file__)


def test_other_classes_than_digits_or_a_count_of_none_make_none(raw):
    assert make_ood_data(5, raw.test_images, raw.test_labels, ["shirt", "bag"], 0) == {}
    assert make_ood_data(0, raw.test_images, raw.test_labels, DIGITS, 0) == {}
    assert len(make_outliers(40, ["shirt", "bag"], 0)[1]) == 0
    assert ood_metrics([]) == {}


def test_another_dataset_on_the_machine_is_a_kind_of_outlier(raw, monkeypatch):
    monkeypatch.setattr(ood_data, "complete", lambda folder: folder.name in ("kmnist", "mnist"))
    monkeypatch.setattr(ood_data, "obtain", lambda name, source: {"kmnist": raw}[name])
    made = make_ood_data(7, raw.test_images, raw.test_labels, DIGITS, 0)
    assert [*made] == [*KINDS, "kmnist"]
    assert made["kmnist"].shape == (7, 28, 28)


def test_what_is_learnt_from_repeats_itself_and_has_no_class():
    images, labels = make_outliers(40, DIGITS, 1)
    assert (images.shape, images.dtype, set(labels.tolist())) == ((40, 28, 28), np.uint8, {NO_CLASS})
    assert np.array_equal(images, make_outliers(40, DIGITS, 1)[0])
    assert not np.array_equal(images, make_outliers(40, DIGITS, 2)[0])


def test_targets_are_torchs_smoothed_labels_and_even_without_a_class():
    logits, labels = torch.randn(6, 10), torch.tensor([3, 0, 9, 1, 1, 5])
    expected = torch.nn.functional.cross_entropy(logits, labels, label_smoothing=0.1)
    ours = torch.nn.functional.cross_entropy(logits, soft_targets(labels, 10, 0.1))
    assert float(ours) == pytest.approx(float(expected), abs=1e-6)
    assert torch.allclose(soft_targets(torch.tensor([NO_CLASS]), 10, 0.1), torch.full((1, 10), 0.1))


def predictor(raw, *more, epochs=8):
    train = TensorDataset.of(CPU, (raw.train_images, raw.train_labels), *more)
    val = TensorDataset.of(CPU, (raw.test_images, raw.test_labels))
    recipe = Recipe(epochs=epochs, batch_size=64, label_smoothing=0.03)
    network, history = fit(build(Architecture((8, 16, 32), 64), 0), train, val, recipe, seed=0)
    found = calibrate(predict_logits(network, raw.test_images), raw.test_labels, 0.01)
    return Predictor(network, found, "r", "", "digits"), history


@pytest.mark.slow
def test_outlier_exposure_improves_ood_detection_and_keeps_the_digits(raw, odd):
    rows_by_kind = {}
    for name, more in (("plain", []), ("exposed", [make_outliers(150, DIGITS, 0)])):
        model, history = predictor(raw, *more)
        rows = ood_rows(model.network, model.calibration, predict_logits(model.network, raw.test_images), odd)
        rows_by_kind[name] = {row["kind"]: row for row in rows}
        assert history[-1].val_accuracy > 0.95
        assert history[-1].train_accuracy > 0.93  # of what has a class alone
        assert rows_by_kind[name]["blank"]["accepted"] == 0
    assert rows_by_kind["exposed"]["letters"]["AUROC"] > max(0.93, rows_by_kind["plain"]["letters"]["AUROC"] + 0.01)
    assert rows_by_kind["exposed"]["noise"]["AUROC"] > 0.99


def test_rows_and_metrics_by_hand(raw, odd):
    model, _ = predictor(raw, epochs=1)
    logits = predict_logits(model.network, raw.test_images)
    (row,) = ood_rows(model.network, model.calibration, logits, {"letters": odd["letters"]})
    others = ood_score(predict_logits(model.network, odd["letters"]))
    accepted = sum(answer.accepted for answer in model.images(odd["letters"])) / 60
    assert ood_metrics([row]) == {
        "ood_auroc_letters": auroc(ood_score(logits), others),
        "ood_fpr_letters": false_positive_rate(ood_score(logits), others),
        "ood_accepted_letters": accepted,
    }


def test_the_figure_names_the_digit_of_those_let_in_alone_and_may_be_empty():
    image, even = np.ones((28, 28), np.uint8), np.full(10, 0.1)
    given = [Prediction(7, even, True, image), Prediction(3, even, False, image, "not sure enough")]
    shown = plot_ood_detection({"letters": given}).axes
    assert [axes.get_title() for axes in shown[:2]] == ["7", ""]
    assert [text.get_text() for text in shown[0].texts] == ["letters"]
    assert plot_ood_detection({}).axes
