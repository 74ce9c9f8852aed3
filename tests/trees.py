"""Files of any content for tests that read them: trees as JSON and YAML, SET, arrays, and real files a bit changed.

Strategies of hypothesis, which cuts what fails down to the least of it.
"""

import io
import json
import math
from collections.abc import Callable
from copy import deepcopy
from typing import Any

import numpy as np
import yaml
from hypothesis import strategies as some
from hypothesis.extra import numpy as some_numpy

from mnistlib.core import config
from mnistlib.runs.model_store import with_digest

LONG = 10**4000  # of fewer digits than Python writes
NUMBERS = (
    0, -1, 2**31, 2**63, 2**64, 10**18, 10**19, LONG, -LONG, 1e308, -1e308, 5e-324, math.nan, math.inf, -math.inf,
)  # fmt: skip
TEXTS = ("", "\ud800", "\0", "nan", "x" * 2000, "a" * 64, "../../../etc/passwd", "$(id)", "2026-01-01 00:00:00", "…")
scalars = (
    some.none() | some.booleans() | some.integers() | some.floats() | some.text(max_size=8)
    | some.sampled_from(NUMBERS) | some.sampled_from(TEXTS)
)  # fmt: skip
names = some.text(max_size=8) | some.sampled_from(("format", "stage", "training", "seed", "files", "__class__"))
trees = some.recursive(
    scalars, lambda inner: some.lists(inner, max_size=3) | some.dictionaries(names, inner, max_size=3), max_leaves=8
)
WAYS = ("replace", "replace", "drop", "add", "wrap", "text", "nest", "exchange")


def walk(draw: Any, tree: Any) -> tuple[Any, Any]:
    """A place in a tree: what holds it, and its key there."""
    holder = key = None
    while isinstance(tree, dict | list) and tree:
        holder, key = tree, draw(some.sampled_from([*tree] if isinstance(tree, dict) else range(len(tree))))
        tree = holder[key]
        if not draw(some.integers(0, 3)):
            break
    return holder, key


@some.composite
def mutated(draw: Any, sound: Any) -> Any:
    """A sound tree with one to three of its values replaced, dropped, added to, or put in each other's place."""
    tree = deepcopy(sound)
    for _ in range(draw(some.integers(1, 3))):
        holder, key = walk(draw, tree)
        way = draw(some.sampled_from(WAYS))
        if holder is None:
            break
        if way == "drop":
            del holder[key]
        elif way == "add" and isinstance(holder, dict):
            holder[draw(names)] = draw(trees)
        elif way == "exchange":
            other, name = walk(draw, tree)
            holder[key] = deepcopy(other[name])
        else:
            was = holder[key]
            changed = {"wrap": [was], "text": f"{was:.2000}" if isinstance(was, str) else str(was), "nest": {"a": was}}
            holder[key] = changed[way] if way in changed else draw(trees)
    return tree


def as_bytes(tree: Any) -> bytes:
    return json.dumps(tree).encode()


def json_files(sound: bytes) -> some.SearchStrategy[bytes]:
    """JSON with any content, more often a real file's with a few changes."""
    return some.one_of(trees, mutated(json.loads(sound)), mutated(json.loads(sound))).map(as_bytes)


def sealed_files(sound: bytes) -> some.SearchStrategy[bytes]:
    """A description of a model that somebody changed and sealed again, so that its own digest holds."""
    changed = mutated(json.loads(sound)).filter(lambda tree: isinstance(tree, dict))
    return changed.map(
        lambda tree: as_bytes(with_digest({name: value for name, value in tree.items() if name != "digest"}))
    )


def as_yaml(tree: Any) -> bytes:
    return yaml.safe_dump(tree, allow_unicode=True).encode(errors="surrogatepass")


def yaml_files(sound: bytes) -> some.SearchStrategy[bytes]:
    """YAML with any content, more often a run's parameters with a few changes, written in either style."""
    tree = yaml.safe_load(sound)
    written = some.sampled_from((as_yaml, as_bytes))
    return some.builds(lambda write, made: write(made), written, some.one_of(trees, mutated(tree), mutated(tree)))


WORDS = (
    "*a", "&a [*a]", "!!python/object:os.system {}", "!!set {1}", "{", "[[[", "1e999", "0x", "~", ".nan", "'", "- ",
)  # fmt: skip


def set_texts(sound: bytes) -> some.SearchStrategy[bytes]:
    """What somebody types as SET: names of parameters and others, values of all kinds, and what is no word of SET."""
    known = [*config.flatten(config.load_file(config.profile_path(config.DEFAULT)))]
    name = (
        some.sampled_from(known) | some.sampled_from(("seed", "train", "train.", ".", "a.b.c")) | some.text(max_size=8)
    )
    value = trees.map(json.dumps) | some.sampled_from(WORDS) | some.text(max_size=12)
    word = some.builds("{}={}".format, name, value) | value
    return some.lists(word, max_size=4).map(lambda words: " ".join(words).encode(errors="surrogatepass"))


arrays = some_numpy.arrays(
    some_numpy.scalar_dtypes(), some_numpy.array_shapes(min_dims=0, max_dims=4, min_side=0, max_side=4)
)
KINDS: dict[str, Callable[[np.ndarray], np.ndarray]] = {
    "short": lambda a: a[:-1],
    "empty": lambda a: a[:0],
    "flat": lambda a: a.ravel(),
    "deeper": lambda a: a[..., None],
    "text": lambda a: a.astype(str),
    "complex": lambda a: a.astype(complex),
    "far": lambda a: a.astype(np.int64) + 10**9,
    "negative": lambda a: -1 - a.astype(np.int64),
    "double": lambda a: a.astype(np.float64) * 1e300,
    "NaN": lambda a: a * np.nan,
    "others": lambda a: a[::-1],
}


@some.composite
def array_files(draw: Any, sound: bytes) -> dict[str, np.ndarray]:
    """The arrays of an `.npz`, some of them dropped, of another kind, or anything."""
    with np.load(io.BytesIO(sound)) as kept:
        found = dict(kept)
    most = draw(some.sampled_from((1, 1, 2)))
    for name in draw(some.lists(some.sampled_from(sorted(found)), min_size=1, max_size=most, unique=True)):
        way = draw(some.sampled_from(("anything", "drop", "NaN", "NaN", "negative", *KINDS)))
        if way == "drop":
            del found[name]
        else:
            found[name] = draw(arrays) if way == "anything" else KINDS[way](found[name])
    return found


def npz_files(sound: bytes) -> some.SearchStrategy[bytes]:
    """A real `.npz` with other arrays."""

    def packed(found: dict[str, np.ndarray]) -> bytes:
        buffer = io.BytesIO()
        np.savez(buffer, allow_pickle=True, **found)
        return buffer.getvalue()

    return array_files(sound).map(packed)
