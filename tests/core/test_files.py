"""Files written whole or not at all."""

import hashlib
import os
import subprocess
import sys
import time

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import (  # fmt: skip
    ROOT,
    atomic_write,
    file_digest,
    read_arrays,
    read_json,
    remove_stale,
    write_json,
    write_text,
)


def test_a_write_that_fails_leaves_the_old_file_and_no_other(tmp_path):
    path = tmp_path / "a.txt"
    write_text(path, "old")
    with pytest.raises(ZeroDivisionError), atomic_write(path) as temporary:
        temporary.write_text("new")
        raise ZeroDivisionError
    assert path.read_text() == "old"
    assert list(tmp_path.iterdir()) == [path]


WRITER = """
import sys
from pathlib import Path
from mnistlib.core.files import atomic_write

with atomic_write(Path(sys.argv[1])) as temporary:
    temporary.write_text("half")
    print(temporary.name, flush=True)
    input()
"""


def test_what_a_killed_writer_left_is_swept_away_and_a_living_ones_is_not(tmp_path):
    command = [sys.executable, "-c", WRITER, str(tmp_path / "a.txt")]
    pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "text": True}
    with subprocess.Popen(command, env={"PYTHONPATH": str(ROOT)}, **pipes) as writer:
        left = tmp_path / writer.stdout.readline().strip()
        remove_stale([left])
        assert left.read_text() == "half"
        writer.kill()
    assert list(tmp_path.iterdir()) == [left]
    remove_stale([left])
    assert not list(tmp_path.iterdir())


def test_a_folder_that_a_killed_writer_left_is_swept_away_after_an_hour(tmp_path):
    new, old = tmp_path / ".new.part", tmp_path / ".old.part"
    for folder in (new, old):
        folder.mkdir()
        (folder / "drawing.json").write_text("{}")
    os.utime(old, (time.time() - 2 * 3600,) * 2)
    remove_stale([new, old])
    assert list(tmp_path.iterdir()) == [new]


def test_json_refuses_what_other_parsers_cannot_read(tmp_path):
    with pytest.raises(ValueError, match="JSON"):
        write_json(tmp_path / "a.json", {"x": float("nan")})
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("content", ["", "{", "[1]", "\x00"])
def test_damaged_json_says_what_to_do(tmp_path, content):
    (tmp_path / "a.json").write_text(content)
    with pytest.raises(RunError, match="run 02 again"):
        read_json(tmp_path / "a.json", hint="run 02 again")


def test_digest_is_that_of_hashlib(tmp_path):
    (tmp_path / "a").write_bytes(b"x" * 3_000_000)
    assert file_digest(tmp_path / "a", "md5") == hashlib.md5(b"x" * 3_000_000).hexdigest()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="mounts a small file system, as Linux lets one")
def test_a_full_disk_leaves_nothing_half_written(tmp_path):
    script = (
        f"mount -t tmpfs -o size=64k none '{tmp_path}' && '{sys.executable}' -c \""
        "from pathlib import Path; from mnistlib.core.files import RunError, write_text\n"
        f"folder = Path('{tmp_path}')\n"
        "write_text(folder / 'a.txt', 'old')\n"
        "try: write_text(folder / 'a.txt', 'x' * 1000000)\n"
        "except RunError as error: print(error)\n"
        "print((folder / 'a.txt').read_text(), len(list(folder.iterdir())))\""
    )
    done = subprocess.run(
        ["unshare", "--mount", "--map-root-user", "sh", "-c", script],
        capture_output=True, text=True, env={"PYTHONPATH": str(ROOT)},
    )  # fmt: skip
    if "unshare" in done.stderr or "mount" in done.stderr:
        pytest.skip(f"no private mounts here: {done.stderr.strip()}")
    assert "No space left" in done.stdout, done
    assert done.stdout.splitlines()[-1] == "old 1"


def test_arrays_come_back_or_the_file_is_named_wherever_it_is_damaged(tmp_path):
    path, numbers = tmp_path / "a.npz", np.arange(200) % 7
    np.savez_compressed(path, numbers=numbers)
    good, noticed = path.read_bytes(), 0
    for content in (b"", b"junk", good[:-30], *(corrupted(good, place) for place in range(len(good)))):
        path.write_bytes(content)
        try:
            assert np.array_equal(*read_arrays(path, ["numbers"], "make it again"), numbers)
        except RunError as error:
            assert str(error).endswith("a.npz is missing or damaged: make it again")
            noticed += 1
    assert noticed > len(good) / 2
    path.write_bytes(good)
    with pytest.raises(RunError, match="make it again"):
        read_arrays(path, ["others"], "make it again")


def corrupted(content: bytes, place: int) -> bytes:
    return content[:place] + bytes([content[place] ^ 0xFF]) + content[place + 1 :]
