"""Parameters: what is taken, what is refused and how that is said."""

from dataclasses import asdict

import pytest
import yaml

from mnistlib.core import config
from mnistlib.core.config import ParamsError, check, load, load_file, parse_overrides, parse_yaml
from mnistlib.training.model import Architecture
from mnistlib.training.trainer import Recipe


def test_default_profile_is_complete_and_valid():
    content = load_file(config.profile_path("default"))
    assert load().model_dump() == content


def test_our_yaml_agrees_with_a_standard_loader_on_the_default_profile():
    path = config.profile_path("default")
    assert load_file(path) == yaml.safe_load(path.read_text())


@pytest.mark.parametrize("profile", sorted(f.stem for f in config.PROFILES.glob("*.yaml")))
def test_every_profile_is_valid(profile):
    assert load(profile).seed >= 0


def test_what_is_built_by_hand_is_the_default_profiles():
    known, train = {**asdict(Architecture()), **asdict(Recipe())}, load().train.model_dump()
    shared = known.keys() & train.keys()
    assert len(shared) == 14
    assert {name: known[name] for name in shared} == {
        name: tuple(value) if isinstance(value, list) else value for name, value in train.items() if name in shared
    }


def test_every_default_line_is_commented():
    lines = config.profile_path("default").read_text().splitlines()
    assert all("#" in line for line in lines if ":" in line and not line.rstrip().endswith(":"))


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("1e-3", 0.001),
        ("012", 12),
        ("no", "no"),
        ("on", "on"),
        ("true", True),
        ("0x10", 16),
        ("1.5E+2", 150.0),
        ("~", None),
    ],
)
def test_numbers_and_booleans_are_those_of_yaml_1_2(text, value):
    parsed = parse_yaml(text, "here")
    assert parsed == value
    assert type(parsed) is type(value)


@pytest.mark.parametrize("text", ["0E0", "1e-3", "012", "0o7", "0x10", "no", "true", "~", "1:30", ".5", ".inf", ""])
def test_text_that_looks_like_something_else_stays_text_in_the_yaml_written(text):
    written = config.dump_yaml({"data": {"local_dir": text}})
    assert parse_yaml(written, "here") == yaml.safe_load(written) == {"data": {"local_dir": text}}


def test_overrides_nest_and_keep_spaces_and_lists():
    text = "train.epochs=3 train.learning_rate=1e-3 data.local_dir=my data/here train.widths=[4, 8, 16] seed=5"
    assert parse_overrides(text) == {
        "train": {"epochs": 3, "learning_rate": 0.001, "widths": [4, 8, 16]},
        "data": {"local_dir": "my data/here"},
        "seed": 5,
    }


def test_nothing_after_the_sign_is_the_empty_text():
    assert parse_overrides("infer.input= train.epochs=3") == {"infer": {"input": ""}, "train": {"epochs": 3}}
    assert load(overrides="infer.input=").infer.input == ""


@pytest.mark.parametrize("text", ["epochs", "=3", "train.=3", "a.b.c=1", "train.epochs=[1", "train.epochs=*a"])
def test_broken_overrides_are_refused(text):
    with pytest.raises(ParamsError, match="SET"):
        load(overrides=text)


@pytest.mark.parametrize(
    ("override", "words"),
    [
        ("train.epoch=3", "unknown parameter train.epoch; did you mean train.epochs"),
        ("trian.epochs=3", "unknown parameter trian; did you mean train"),
        ("epochs=3", "unknown parameter epochs; did you mean train.epochs?"),
        ("outliers=3", "unknown parameter outliers; did you mean train.outliers or evaluate.outliers?"),
        ("train.optimiser=adamw", "train.optimiser was renamed to train.optimizer"),
        ('train.epochs="3"', "train.epochs"),
        ("train.epochs=0", "greater than or equal to 1"),
        ("train.learning_rate=.nan", "train.learning_rate"),
        ("train.learning_rate=.inf", "train.learning_rate"),
        ("train.device=gpu", "'auto', 'cpu'"),
        ("train.widths=[1, 2]", "train.widths"),
        ("train.epochs=true", "train.epochs"),
    ],
)
def test_what_does_not_fit_the_schema_is_named(override, words):
    with pytest.raises(ParamsError, match="PARAMS=default") as caught:
        load(overrides=override)
    assert words in str(caught.value)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("!!bool x", "'x' is not a valid bool"),
        ("!!timestamp x", "'x' is not a valid timestamp"),
        ("!!float ''", "'' is not a valid float"),
        ("!!int [a]", "a sequence is not a valid int"),
        ("!!map [a]", "expected a mapping node"),
        ("!!set x", "expected a mapping node"),
        ("{a: [!!bool x]}", "'x' is not a valid bool"),
        ("{!!bool x: 1}", "'x' is not a valid bool"),
    ],
)
def test_a_value_that_does_not_fit_its_tag_is_refused(text, words):
    with pytest.raises(ParamsError, match=f"SET seed: line 1: not valid YAML: {words}"):
        parse_overrides(f"seed={text}")


def test_every_fault_gets_its_line():
    with pytest.raises(ParamsError) as caught:
        load(overrides="train.epochs=0 train.batch_size=x")
    assert len(str(caught.value).splitlines()) == 2


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"train: [1", "not valid YAML"),
        (b"- a\n- b\n", "holds a list"),
        (b"train:\n  epochs: 1\n  epochs: 2\n", "epochs is defined twice"),
        (b"a: &x 1\nb: *x\n", "aliases"),
        (b"\xff\xfe\x00", "UTF-8"),
        (b"x: !!python/object/apply:os.system ['true']\n", "not valid YAML"),
        (b"train:\n  epochs: !!bool x\n", "line 2: not valid YAML: 'x' is not a valid bool"),
        (b"#" * 2_000_000, "larger than"),
    ],
)
def test_broken_files_are_refused_by_name(tmp_path, content, words):
    path = tmp_path / "mine.yaml"
    path.write_bytes(content)
    with pytest.raises(ParamsError, match=r"mine\.yaml") as caught:
        load_file(path)
    assert words in str(caught.value)


def test_a_missing_profile_names_the_nearest():
    with pytest.raises(ParamsError, match="did you mean smoke"):
        load("smok")


def test_check_says_what_is_missing():
    with pytest.raises(ParamsError, match="mine: train is missing"):
        check({k: v for k, v in load().model_dump().items() if k != "train"}, "mine")


def test_set_lies_over_the_profile_and_the_profile_over_the_default():
    smoke, default = (load_file(config.profile_path(name)) for name in ("smoke", "default"))
    assert smoke["data"]["dataset"] != default["data"]["dataset"]
    assert load("smoke").data.dataset == smoke["data"]["dataset"]
    assert load("smoke", "data.dataset=kmnist").data.dataset == "kmnist"
