"""Real files damaged in odd ways, and a watch over who reads them, for tests that feed a reader anything at all."""

import faulthandler
import io
import json
import os
import random
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np

SECONDS = 5
ODD = (
    *(None, True, "", "\ud800", "../../../etc/passwd", [], {}, [[]], {"": {}}, [None], -1, 0, 2**31, 2**63, 2**64),
    *(10**400, 1.5, 1e308, -0.0, float("nan"), float("inf"), "x" * 100_000, "$(id)", "nan", "\0"),
)
STARTS = ("subprocess.Popen", "os.exec", "os.posix_spawn", "os.system", "os.fork")
CHANGES = ("os.remove", "os.rename", "os.mkdir", "os.rmdir", "os.link", "os.symlink", "os.chmod", "os.truncate")


class TooSlowError(BaseException):
    """A reader ran past its time: no `except Exception` may swallow it."""


class Watch:
    """Notes what is done while it is armed: processes started, files written or changed outside of `allowed`."""

    def __init__(self) -> None:
        self.allowed, self.armed, self.seen = Path(), False, list[str]()
        sys.addaudithook(self.note)

    def note(self, event: str, given: tuple[Any, ...]) -> None:
        if not self.armed:
            return
        writes = event == "open" and isinstance(given[0], str | bytes) and given[2] & (os.O_WRONLY | os.O_RDWR)
        if event in STARTS or ((writes or event in CHANGES) and not self.is_inside(given[0])):
            self.seen.append(f"{event} {given[0]!s:.200}")

    def is_inside(self, path: Any) -> bool:
        return Path(os.fsdecode(path)).absolute().is_relative_to(self.allowed)

    @contextmanager
    def over(self, folder: Path) -> Iterator[None]:
        """Watch a block, which may write in the folder alone and has its seconds."""
        self.allowed, self.armed = folder, True
        signal.setitimer(signal.ITIMER_PROF, SECONDS)
        signal.setitimer(signal.ITIMER_REAL, 2 * SECONDS)
        faulthandler.dump_traceback_later(60, exit=True)  # for what no signal ends
        try:
            yield
        finally:
            faulthandler.cancel_dump_traceback_later()
            signal.setitimer(signal.ITIMER_REAL, 0)
            signal.setitimer(signal.ITIMER_PROF, 0)
            self.armed = False


@cache
def watch() -> Watch:
    """The one watch: an audit hook stays as long as the process."""
    return Watch()


def spot(content: Any, chance: random.Random) -> tuple[Any, Any]:
    """A place in a JSON value at any depth: what holds it, and its key there."""
    while True:
        key = chance.choice([*content]) if isinstance(content, dict) else chance.randrange(len(content))
        if not content[key] or not isinstance(content[key], dict | list) or chance.random() < 0.25:
            return content, key
        content = content[key]


def odd_json(content: bytes, chance: random.Random) -> bytes:
    """A real file with one value replaced, one key lost, doubled or added, or one value nested deeply."""
    value = json.loads(content)
    holder, key = spot(value, chance)
    was, deep = holder[key], chance.choice((100, 990, 5000, 200_000))
    holder[key] = "@here@"
    odd = json.dumps(chance.choice(ODD))
    here = chance.choice((odd, odd, odd, odd, f'{json.dumps(was)}, "added": {odd}', "[" * deep + "]" * deep))
    text = json.dumps(value)
    if isinstance(holder, dict) and chance.random() < 0.2:
        said = f'{json.dumps(key)}: "@here@"'
        text = text.replace(said, chance.choice((f"{said}, {json.dumps(key)}: {odd}", '"lost": 0')))
    return text.replace('"@here@"', here).encode()


def odd_bytes(content: bytes, chance: random.Random) -> bytes:
    """Bits flipped, pieces cut out, doubled, exchanged or replaced."""
    start, end = sorted(chance.randrange(len(content) + 1) for _ in "be")
    end = min(end, start + chance.choice((1, 4, 50, len(content))))
    before, piece, after = content[:start], content[start:end], content[end:]
    flipped = bytearray(content)
    flipped[chance.randrange(len(content))] ^= 1 << chance.randrange(8)
    ways = (
        bytes(flipped),
        before + after,
        before,
        before + piece * 2 + after,
        after + piece + before,
        before + chance.choice((b"\xff" * 4, b"\0" * 8, b"9" * 400, b"\xed\xa0\x80", b"[" * 2000, b"\n- &a")) + after,
        chance.choice((b"\xef\xbb\xbf" + content, content.decode("latin-1").encode("utf-16"), b"")),
    )
    return chance.choice(ways)


def odd_text(content: bytes, chance: random.Random) -> bytes:
    """Parameters, one of which has an odd value."""
    parts = content.split(b" ")
    odd = json.dumps(chance.choice(ODD)), "[" * 3000, "&a [*a]", "!!python/object:os.system", "9" * 5000, "!!set {1}"
    parts[chance.randrange(len(parts))] = chance.choice(odd).encode()
    return b" ".join(parts)


def odd_arrays(content: bytes, chance: random.Random) -> bytes:
    """An `.npz` with an array of another kind in it."""
    with np.load(io.BytesIO(content)) as kept:
        found = dict(kept)
    name = chance.choice(sorted(found))
    ways = (
        np.array(None), found[name] * np.nan, found[name].astype(str), found[name].astype(complex), found[name][:0],
        found[name][..., None], np.float32(1), found[name].ravel(), found[name].astype(np.uint64) - 2**63,
        np.full(found[name].shape, np.inf),
    )  # fmt: skip
    buffer = io.BytesIO()
    np.savez_compressed(buffer, allow_pickle=True, **(found | {name: chance.choice(ways)}))
    return buffer.getvalue()


def odd_place(path: Path, chance: random.Random) -> str:
    """Something else in the file's place: nothing, a pipe, a folder, a link to itself, much of the same."""
    ways = {
        "missing": lambda: None,
        "pipe": lambda: os.mkfifo(path),
        "folder": path.mkdir,
        "loop": lambda: path.symlink_to(path),
        "empty": path.touch,
        "5 MB": lambda: path.write_bytes(
            chance.choice((b"[", b"9", b"a", b" ", b"\0", b'"', b"- ", b"a: 1\n")) * 5_000_000
        ),
    }
    way = chance.choice([*ways])
    path.unlink()
    ways[way]()
    return way


ODDLY = {".json": odd_json, ".ipynb": odd_json, ".npz": odd_arrays, ".yaml": odd_text, ".txt": odd_text}


def damage(path: Path, chance: random.Random) -> str:
    """Damage a file; returns how."""
    if chance.random() < 0.1:
        return odd_place(path, chance)
    way = ODDLY.get(path.suffix, odd_bytes) if chance.random() < 0.7 else odd_bytes
    path.write_bytes(way(path.read_bytes(), chance))
    return way.__name__


def put_back(path: Path, content: bytes) -> None:
    if path.is_dir() and not path.is_symlink():
        path.rmdir()
    else:
        path.unlink(missing_ok=True)
    path.write_bytes(content)
