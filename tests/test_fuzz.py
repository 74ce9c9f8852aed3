"""Anything at all is fed in: parameters, raw files, pictures, strokes. It is taken as it is, or refused in words.

FUZZ_CASES is how many pictures are tried, 500 here and 10,000 in `make soak`; a failure prints what repeats it.
"""

import dataclasses
import gzip
import io
import os
import random
from functools import reduce
from typing import Annotated, Literal, get_args, get_origin

import annotated_types as limits
import numpy as np
import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as some
from PIL import Image

from mnistlib.core import config
from mnistlib.core.config import ParamsError
from mnistlib.core.config_schema import Params
from mnistlib.core.errors import RunError
from mnistlib.core.files import bytes_digest
from mnistlib.data.datasets import DATASETS
from mnistlib.data.loading import obtain, read_file
from mnistlib.imaging.framing import rasterize
from mnistlib.imaging.image_files import read_batches
from mnistlib.runs import fingerprint
from mnistlib.runs.stages import STAGES

CASES = int(os.environ.get("FUZZ_CASES", "500"))
SLOW = settings(
    max_examples=max(60, CASES // 20),
    deadline=None,
    suppress_health_check=list(HealthCheck),
    derandomize=CASES == 500,
    database=None,
)
SECTIONS = [name for name in Params.model_fields if name != "seed"]


def leaf(annotation, bounds):
    """Values of one parameter, as its type and bounds in the schema say."""
    if get_origin(annotation) is Literal:
        return some.sampled_from(get_args(annotation))
    if get_origin(annotation) is list:
        inner = get_args(annotation)[0]
        kind, bounds = (inner.__origin__, inner.__metadata__) if get_origin(inner) is Annotated else (inner, ())
        return some.lists(leaf(kind, bounds), min_size=3, max_size=3)
    known = {type(b): b for bound in bounds for b in getattr(bound, "metadata", [bound])}
    low, high = known.get(limits.Ge) or known.get(limits.Gt), known.get(limits.Le) or known.get(limits.Lt)
    least, most = (getattr(b, n, None) for b, n in ((low, "ge"), (high, "le")))
    if annotation is int:
        return some.integers(least, most if most is not None else 10**9)
    if annotation is float:
        open_low, open_high = limits.Gt in known, limits.Lt in known
        return some.floats(
            known[limits.Gt].gt if open_low else least, known[limits.Lt].lt if open_high else most,
            exclude_min=open_low, exclude_max=open_high, allow_nan=False,
        )  # fmt: skip
    return some.text(max_size=40)


def section(name):
    fields = Params.model_fields[name].annotation.model_fields
    return some.fixed_dictionaries({key: leaf(field.annotation, field.metadata) for key, field in fields.items()})


VALID = some.fixed_dictionaries({"seed": some.integers(0, 2**31 - 1)} | {name: section(name) for name in SECTIONS})
WRONG = some.sampled_from(
    [None, True, "12", "no", [], {}, [1, 2], -1, float("nan"), float("inf"), -float("inf"), 10**30]
)


@SLOW
@given(VALID)
def test_parameters_that_fit_the_schema_reach_the_notebooks(content):
    taken = config.check(config.parse_yaml(config.dump_yaml(content), "here"), "here")
    assert taken.model_dump() == content
    for stage in STAGES:
        given_to_it = config.notebook_parameters(taken, stage.section, "run")
        assert set(given_to_it) == fingerprint.parameter_names(stage.notebook)


@SLOW
@given(some.sampled_from(SECTIONS), some.data(), WRONG)
def test_parameters_that_do_not_fit_are_refused_by_name(name, data, value):
    content = config.load().model_dump()
    key = data.draw(some.sampled_from(sorted(content[name])))
    kind = type(content[name][key])
    fits = isinstance(value, str) and kind is str
    fits = fits or (kind in (int, float) and type(value) in (int, float) and value == content[name][key])
    content[name][key] = value
    if fits:
        return
    try:
        taken = config.check(content, "here").model_dump()[name][key]
    except ParamsError as error:
        assert f"{name}.{key}" in str(error)
    else:
        assert taken == value
        assert value == 0 or abs(value) < 10**31


@SLOW
@given(some.one_of(some.binary(max_size=200), some.text(max_size=200).map(str.encode)))
def test_any_bytes_as_a_parameter_file_are_a_mapping_or_refused_by_name(tmp_path_factory, content):
    path = tmp_path_factory.mktemp("params") / "odd.yaml"
    path.write_bytes(content)
    try:
        assert isinstance(config.load_file(path), dict)
    except ParamsError as error:
        assert "odd.yaml" in str(error)


@SLOW
@given(some.text(max_size=60))
def test_any_text_in_set_is_parameters_or_refused(text):
    try:
        config.load(overrides=text)
    except ParamsError as error:
        assert str(error)


@pytest.fixture(scope="module")
def labels(tmp_path_factory):
    """An IDX file of 300 labels, the dataset that it belongs to, and its values."""
    values = np.random.default_rng(0).integers(0, 10, 300, dtype=np.uint8)
    content = bytes([0, 0, 8, 1]) + (300).to_bytes(4, "big") + values.tobytes()
    dataset = dataclasses.replace(DATASETS["mnist"], sha256=("", bytes_digest(content), "", ""))
    return tmp_path_factory.mktemp("idx") / "train-labels-idx1-ubyte", dataset, content, values


def is_caught(labels, content):
    """Whether a file with that content is refused, by name; else it must be the original."""
    path, dataset, _, values = labels
    path.write_bytes(content)
    try:
        array, _ = read_file(path, dataset, 1)
    except RunError as error:
        assert path.name in str(error)
        return True
    assert np.array_equal(array, values)
    return False


def test_every_flipped_bit_of_header_and_body_is_caught(labels):
    content = labels[2]
    chance = random.Random(0)
    bits = [*range(8 * 8), *(chance.randrange(8 * 8, 8 * len(content)) for _ in range(200))]
    flipped = [bytearray(content) for _ in bits]
    for bit, copy in zip(bits, flipped, strict=True):
        copy[bit // 8] ^= 1 << bit % 8
    assert all(is_caught(labels, bytes(copy)) for copy in flipped)
    assert not is_caught(labels, content)


def test_a_gzip_cut_anywhere_is_caught_and_a_flipped_bit_never_changes_what_is_read(labels):
    packed = gzip.compress(labels[2], mtime=0)
    assert all(is_caught(labels, packed[:length]) for length in range(len(packed)))
    for bit in range(8 * len(packed)):
        copy = bytearray(packed)
        copy[bit // 8] ^= 1 << bit % 8
        is_caught(labels, bytes(copy))
    assert not is_caught(labels, packed)


def test_a_folder_a_loop_and_another_file_in_a_files_place_are_refused(labels, tmp_path):
    _, dataset, content, _ = labels
    (tmp_path / "folder").mkdir()
    (tmp_path / "loop").symlink_to(tmp_path / "loop")
    (tmp_path / "other").write_bytes(content[:8] + bytes(300))
    (tmp_path / "same").write_bytes(content)
    (tmp_path / "link").symlink_to(tmp_path / "same")
    for name in ("folder", "loop", "other"):
        with pytest.raises(RunError, match=name):
            read_file(tmp_path / name, dataset, 1)
    assert len(read_file(tmp_path / "link", dataset, 1)[0]) == 300


def pictures() -> list[bytes]:
    """Small pictures of several kinds, to be spoilt."""
    digit = Image.fromarray(obtain("digits").test_images[7]).resize((60, 50))
    kinds = [("L", "PNG"), ("RGB", "JPEG"), ("RGBA", "PNG"), ("P", "PNG"), ("1", "BMP"), ("L", "GIF"), ("L", "TIFF")]
    found = []
    for mode, kind in kinds:
        buffer = io.BytesIO()
        digit.convert(mode).save(buffer, kind)
        found.append(buffer.getvalue())
    return found


def spoil(content: bytes, chance: random.Random) -> bytes:
    """Bits flipped, a piece cut out, doubled or replaced."""

    def once(content: bytes, _: int) -> bytes:
        start = chance.randrange(len(content) + 1)
        end = min(len(content), start + chance.choice([0, 1, 4, 50]))
        piece = chance.choice([b"", chance.randbytes(end - start), content[start:end] * 2, b"\xff\xff\xff\xff"])
        return content[:start] + piece + content[end:]

    return reduce(once, range(chance.randrange(1, 6)), content)


@pytest.mark.filterwarnings("ignore::UserWarning:PIL")
def test_corrupted_pictures_are_read_or_refused_in_words(tmp_path):
    sound, read = pictures(), 0
    for case in range(CASES):
        chance = random.Random(case)
        path = tmp_path / "spoilt.png"
        path.write_bytes(spoil(chance.choice(sound), chance) if case % 10 else chance.randbytes(300))
        ((images, (reason,)),) = read_batches([path], 1)
        read += not reason
        assert images.shape == (1, 28, 28), case
        assert images.dtype == np.uint8, case
        assert images.any() or reason, case
    assert read > CASES / 20


@SLOW
@example([[(0.0, 0.0), (0.0, 2.2250738585e-313)]])
@example([[(1.7134171722612858e308, 0.0), (-1.6855192520205998e307, 0.0)]])
@given(some.lists(some.lists(some.tuples(some.floats(), some.floats()), max_size=6), max_size=4))
def test_any_strokes_are_a_picture_or_refused(strokes):
    finite = all(np.isfinite(stroke).all() for stroke in strokes)
    if not finite:
        with pytest.raises(ValueError, match="finite"):
            rasterize(strokes)
        return
    image = rasterize(strokes)
    assert image.shape == (28, 28)
    assert bool(image.any()) == any(map(len, strokes))
