"""The four ways to the data, with a real web server on loopback."""

import gzip
import http.server
import io
import json
import shutil
import ssl
import threading
from functools import partial
from pathlib import Path

import numpy as np
import pytest

from mnistlib.core.errors import RunError
from mnistlib.core.files import write_json
from mnistlib.data import idx
from mnistlib.data.datasets import DATASETS, FILES
from mnistlib.data.download import UnreachableError, download, mirrors
from mnistlib.data.loading import load_raw, obtain, save_raw
from mnistlib.data.locations import better_source_exists, is_available_locally, previous_dataset
from mnistlib.runs import layout
from mnistlib.runs.layout import Run

DEAD = "http://127.0.0.1:9/"


@pytest.fixture(autouse=True)
def no_environment(monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    for name in ("http_proxy", "https_proxy", "HTTP_PROXY", "HTTPS_PROXY"):
        monkeypatch.delenv(name, raising=False)


@pytest.fixture
def served(tmp_path, mnist_dir):
    """A folder with the real files, and the address of a server that serves it."""
    folder = tmp_path / "served"
    shutil.copytree(mnist_dir, folder)

    class Quiet(http.server.SimpleHTTPRequestHandler):
        def log_message(self, *args):
            pass

        def do_GET(self):
            if not Path(f"{self.translate_path(self.path)}.gone").exists():  # else it hangs up without a word
                super().do_GET()

    server = http.server.ThreadingHTTPServer(("127.0.0.1", 0), partial(Quiet, directory=str(folder)))
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield folder, f"http://127.0.0.1:{server.server_port}/"
    server.shutdown()
    server.server_close()


def test_what_has_no_checksum_unpacked_is_asked_for_packed(tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(bytes([0, 0, 8, 1, 0, 0, 0, 0]))
    with pytest.raises(RunError, match=r"is unpacked, .* Kuzushiji-MNIST only .* put train-images-idx3.*\.gz"):
        obtain("kmnist", source="local", local_dir=str(tmp_path))


def test_download_fetches_checks_and_keeps(served, tmp_path):
    _, address = served
    raw = obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD, address])
    assert (raw.source, raw.fallback) == ("download", False)
    assert raw.train_images.shape == (60000, 28, 28)
    assert tuple(np.bincount(raw.test_labels)) == DATASETS["mnist"].test_counts
    assert sorted(f.name for f in (tmp_path / "raw" / "mnist").iterdir()) == sorted(f"{n}.gz" for n in FILES)
    assert obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD]).source == "raw"


def damage(path: Path, kind: str) -> None:
    content = bytearray(path.read_bytes())
    if kind == "missing":
        path.unlink()
        return
    if kind == "truncated":
        del content[len(content) // 2 :]
    else:
        content[len(content) // 2] ^= 1
    path.write_bytes(content)


@pytest.mark.parametrize("kind", ["missing", "truncated", "one byte flipped"])
def test_a_bad_file_on_the_server_is_never_kept(served, tmp_path, kind):
    folder, address = served
    damage(folder / f"{FILES[3]}.gz", kind)
    with pytest.raises(RunError, match=FILES[3]):
        obtain("mnist", source="download", raw=tmp_path / "raw", mirrors=[address])
    assert not list((tmp_path / "raw").rglob(f"*{FILES[3]}*"))


def test_what_broke_off_in_the_middle_is_gone_on_with_and_nothing_stands_in_for_it(served, tmp_path):
    folder, address = served
    gone = folder / f"{FILES[2]}.gz.gone"
    gone.touch()
    with pytest.raises(RunError, match="run again to continue"):
        obtain("mnist", raw=tmp_path / "raw", mirrors=[address])
    assert len(list((tmp_path / "raw" / "mnist").iterdir())) == 2
    gone.unlink()
    assert obtain("mnist", raw=tmp_path / "raw", mirrors=[address]).source == "download"


def test_a_named_folder_is_looked_into_whatever_the_dataset_and_mnists_for_mnist_alone(tmp_path, monkeypatch):
    (tmp_path / "mine").mkdir()
    with pytest.raises(RunError, match=f"lacks {FILES[0]}"):
        obtain("kmnist", local_dir=str(tmp_path / "mine"), raw=tmp_path / "raw", mirrors=[DEAD])
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "mine"))
    assert obtain("kmnist", raw=tmp_path / "raw", mirrors=[DEAD]).fallback
    assert not better_source_exists("kmnist", raw=tmp_path / "raw")
    assert better_source_exists("kmnist", str(tmp_path / "mine"), tmp_path / "raw")


def test_a_bad_mirror_gives_way_to_a_good_one(served, tmp_path):
    folder, address = served
    shutil.copytree(folder, folder / "good")
    damage(folder / f"{FILES[1]}.gz", "one byte flipped")
    download("mnist", tmp_path / "raw", [address, f"{address}good/"])
    assert len(list((tmp_path / "raw").iterdir())) == 4


def test_a_connection_that_breaks_off_is_the_networks_fault_and_the_next_mirror_is_asked(tmp_path, monkeypatch):
    class Broken(io.BytesIO):
        def read(self, *size):
            raise ssl.SSLEOFError(8, "EOF occurred in violation of protocol")

    monkeypatch.setattr("urllib.request.urlopen", lambda request, timeout: Broken())
    with pytest.raises(UnreachableError, match=r"(?s)one/.*EOF occurred.*two/.*EOF occurred"):
        download("mnist", tmp_path / "raw", ["https://one", "https://two"])


def test_without_any_source_it_is_the_fallback_and_says_so(tmp_path):
    raw = obtain("mnist", raw=tmp_path, mirrors=[DEAD])
    assert (raw.dataset, raw.source, raw.fallback) == ("digits", "digits", True)
    assert len(raw.train_images) + len(raw.test_images) == 1797
    with pytest.raises(UnreachableError, match=r"127\.0\.0\.1:9"):
        obtain("mnist", source="download", raw=tmp_path, mirrors=[DEAD])


def test_files_that_have_gone_are_named_with_what_to_do(tmp_path, mnist_dir, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    away = tmp_path / "away"
    write_json(Run("r").raw_json, {"dataset": "mnist", "source": "local", "folder": str(away), "files": []})
    with pytest.raises(RunError, match=r"away, where 01_data found MNIST, no longer holds it.*MNIST_DIR"):
        load_raw(Run("r"))


def test_a_dataset_lies_here_when_all_of_it_does(tmp_path, monkeypatch):
    monkeypatch.delenv("MNIST_DIR", raising=False)
    for place in (tmp_path / "named", tmp_path / "raw" / "mnist"):
        assert not is_available_locally("mnist", str(tmp_path / "named"), tmp_path / "raw")
        place.mkdir(parents=True)
        for name in FILES:
            assert not is_available_locally("mnist", str(tmp_path / "named"), tmp_path / "raw")
            (place / name).write_bytes(b"")
        assert is_available_locally("mnist", str(tmp_path / "named"), tmp_path / "raw")
        shutil.rmtree(place)


def test_digits_asked_for_are_no_fallback(tmp_path):
    assert not obtain("digits", raw=tmp_path).fallback


def test_mnist_dir_is_read_in_place(mnist_dir, tmp_path, monkeypatch):
    monkeypatch.setenv("MNIST_DIR", str(mnist_dir))
    assert better_source_exists("mnist", raw=tmp_path)
    raw = obtain("mnist", raw=tmp_path, mirrors=[])
    assert (raw.source, raw.folder) == ("local", str(mnist_dir))
    assert not list(tmp_path.iterdir())


def test_unpacked_files_will_do(mnist_dir, tmp_path):
    for name in FILES:
        (tmp_path / name).write_bytes(gzip.decompress((mnist_dir / f"{name}.gz").read_bytes()))
    assert obtain("mnist", source="local", local_dir=str(tmp_path)).train_labels.shape == (60000,)


@pytest.mark.parametrize("kind", ["truncated", "one byte flipped", "missing"])
def test_a_wrong_local_file_is_named_and_not_replaced(mnist_dir, tmp_path, kind):
    folder = tmp_path / "mine"
    shutil.copytree(mnist_dir, folder)
    path = folder / f"{FILES[2]}.gz"
    damage(path, kind)
    before = path.read_bytes() if path.exists() else None
    with pytest.raises(RunError, match=FILES[2]):
        obtain("mnist", local_dir=str(folder), raw=tmp_path / "raw", mirrors=[DEAD])
    assert (path.read_bytes() if path.exists() else None) == before


def test_a_foreign_file_shows_both_checksums(mnist_dir, tmp_path):
    shutil.copytree(mnist_dir, tmp_path / "mine")
    shutil.copy(mnist_dir / f"{FILES[2]}.gz", tmp_path / "mine" / f"{FILES[0]}.gz")
    with pytest.raises(RunError) as caught:
        obtain("mnist", local_dir=str(tmp_path / "mine"), raw=tmp_path)
    assert DATASETS["mnist"].sha256[0] in str(caught.value)
    assert DATASETS["mnist"].sha256[2] in str(caught.value)


def test_a_missing_folder_says_what_should_be_there(tmp_path):
    with pytest.raises(RunError, match="MNIST_DIR"):
        obtain("mnist", local_dir=str(tmp_path / "nowhere"), raw=tmp_path)


def test_a_home_folder_that_nobody_has_is_said_in_words(tmp_path, monkeypatch):
    with pytest.raises(RunError, match="'~nosuchuser/x': the home folder that ~ stands for is not known"):
        obtain("mnist", local_dir="~nosuchuser/x", raw=tmp_path)
    monkeypatch.setenv("MNIST_DIR", "~nosuchuser/y")
    with pytest.raises(RunError, match=r"MNIST_DIR.*'~nosuchuser/y'.*give the folder's whole path"):
        better_source_exists("mnist", raw=tmp_path)


def test_checksums_are_torchvisions():
    from mnistlib.data.download import declare_missing_operators

    declare_missing_operators()
    from torchvision import datasets

    for entry in DATASETS.values():
        if entry.torchvision:
            published = getattr(datasets, entry.torchvision).resources
            assert [(f"{n}.gz", m) for n, m in zip(FILES, entry.md5, strict=True)] == published
            assert mirrors(entry)


@pytest.mark.parametrize(
    "content",
    [b"", b"\x00\x00\x08", b"\x00\x00\x09\x01\x00\x00\x00\x01x", b"\x00\x00\x08\x01\x00\x00\x00\x02x", b"<html>"],
)
def test_idx_with_a_wrong_header_is_refused(content):
    with pytest.raises(RunError):
        idx.parse(content, "file")


def test_idx_by_hand():
    content = bytes([0, 0, 8, 2, 0, 0, 0, 2, 0, 0, 0, 3, 1, 2, 3, 4, 5, 6])
    assert idx.parse(content, "file").tolist() == [[1, 2, 3], [4, 5, 6]]


def test_a_dataset_that_is_none_is_refused():
    with pytest.raises(RunError, match=r"data\.dataset is 'foo'; choose one of mnist"):
        obtain("foo")


@pytest.mark.parametrize("wrong", ["right", "damaged"])
def test_a_wrong_file_of_a_broken_off_download_is_named_and_nothing_stands_in_for_it(mnist_dir, tmp_path, wrong):
    kept = tmp_path / "mnist"
    kept.mkdir()
    shutil.copy(mnist_dir / f"{FILES[3]}.gz", kept)
    if wrong == "right":
        assert obtain("mnist", raw=tmp_path, mirrors=[DEAD]).fallback
        return
    damage(kept / f"{FILES[3]}.gz", "one byte flipped")
    with pytest.raises(RunError, match=FILES[3]):
        obtain("mnist", raw=tmp_path, mirrors=[DEAD])


def test_what_stands_in_is_still_said_to_when_it_is_read_again(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    for dataset, fallback in (("digits", False), ("mnist", True)):
        raw = obtain(dataset, source="digits", raw=tmp_path / "raw")
        assert raw.fallback == fallback
        save_raw(Run("r"), raw)
        assert load_raw(Run("r")).fallback == fallback


def test_other_files_than_01_saw_are_refused(tmp_path, monkeypatch):
    monkeypatch.setattr(layout, "RUNS", tmp_path)
    save_raw(Run("r"), obtain("digits"))
    described = json.loads(Run("r").raw_json.read_text())
    described["files"][0]["SHA-256 unpacked"] = "0" * 64
    write_json(Run("r").raw_json, described)
    with pytest.raises(RunError, match="has changed since 01_data read it"):
        load_raw(Run("r"))


@pytest.fixture
def run(tmp_path, monkeypatch) -> Run:
    monkeypatch.setattr(layout, "RUNS", tmp_path / "runs")
    return Run("r")


@pytest.fixture
def made_with_mnist(run, mnist_dir, tmp_path) -> Path:
    """The folder with MNIST that the run r was made from."""
    folder = tmp_path / "mine"
    shutil.copytree(mnist_dir, folder)
    save_raw(run, obtain("mnist", local_dir=str(folder), raw=tmp_path / "raw"))
    return folder


def test_a_run_takes_its_dataset_from_the_folder_that_it_was_found_in_before(made_with_mnist, run, tmp_path):
    raw = obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=run)
    assert (raw.dataset, raw.source, raw.folder) == ("mnist", "local", str(made_with_mnist))
    assert obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=Run("new")).fallback


def test_a_wrong_file_in_the_folder_of_before_is_named(made_with_mnist, run, tmp_path):
    damage(made_with_mnist / f"{FILES[1]}.gz", "one byte flipped")
    with pytest.raises(RunError, match=FILES[1]):
        obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=run)


@pytest.mark.parametrize("left", ["nothing", "three files", "a damaged raw.json", "no raw.json", "model.json alone"])
def test_a_run_of_a_dataset_that_is_gone_stops_with_both_ways_out(made_with_mnist, run, tmp_path, left):
    if left == "three files":
        (made_with_mnist / f"{FILES[1]}.gz").unlink()
    else:
        shutil.rmtree(made_with_mnist)
    write_json(run.processed / "statistics.json", {"dataset": "mnist", "fallback": False})
    write_json(run.model_json, {"training": {"dataset": "mnist"}})
    if left == "a damaged raw.json":
        run.raw_json.write_bytes(b"{")
    elif left != "nothing":
        run.raw_json.unlink(missing_ok=left != "three files")
    if left == "model.json alone":
        (run.processed / "statistics.json").write_bytes(b"\xff")
    with pytest.raises(RunError) as caught:
        obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=run)
    said = str(caught.value)
    assert "runs/r was made with MNIST" in said
    for words in ("MNIST is not there now", "MNIST_DIR=folder names", "SET=data.source=digits makes", "127.0.0.1:9"):
        assert words in said


def test_another_dataset_that_is_out_of_reach_does_not_become_digits_in_a_run_of_mnist(made_with_mnist, run, tmp_path):
    with pytest.raises(RunError) as caught:
        obtain("fashion_mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=run)
    said = str(caught.value)
    assert f"runs/r was made with MNIST from {made_with_mnist}. Fashion-MNIST is not there now" in said
    for words in ("SET=data.local_dir=folder", "SET=data.dataset=mnist goes back to MNIST"):
        assert words in said


def test_who_asks_for_digits_gets_them_whatever_the_run_was_made_with(made_with_mnist, run, tmp_path):
    shutil.rmtree(made_with_mnist)
    for asked in ({"dataset": "digits"}, {"dataset": "mnist", "source": "digits"}):
        assert obtain(**asked, raw=tmp_path / "raw", mirrors=[DEAD], before=run).dataset == "digits"


def test_a_run_that_had_no_real_dataset_may_take_the_fallback_again(run, tmp_path):
    for asked in ({"dataset": "mnist"}, {"dataset": "digits"}):
        save_raw(run, obtain(**asked, raw=tmp_path / "raw", mirrors=[DEAD]))
        write_json(run.model_json, {"training": {"dataset": "digits"}})
        assert previous_dataset(run) == ("", "")
        assert obtain("mnist", raw=tmp_path / "raw", mirrors=[DEAD], before=run).fallback


@pytest.mark.parametrize("content", ["[]", '{"dataset": ["mnist"]}', '{"training": "mnist"}', "\udc80"])
def test_what_a_run_had_is_not_known_from_damaged_files(run, content):
    for path in (run.raw_json, run.model_json, run.processed / "statistics.json"):
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content, errors="surrogateescape")
    assert previous_dataset(run) == ("", "")


def test_kaggles_archive_is_taken(mnist_dir, tmp_path):
    """A file under one name beside a folder of nearly the same, which holds a copy."""
    folder = tmp_path / "archive"
    for name in FILES:
        content = gzip.decompress((mnist_dir / f"{name}.gz").read_bytes())
        (folder / name).mkdir(parents=True)
        (folder / name / name).write_bytes(content)
        (folder / name.replace("-idx", ".idx")).write_bytes(content)
    assert is_available_locally("mnist", str(folder), tmp_path / "raw")
    raw = obtain("mnist", local_dir=str(folder), raw=tmp_path / "raw")
    assert [row["file"] for row in raw.files] == [name.replace("-idx", ".idx") for name in FILES]


def test_torchvisions_root_is_taken(mnist_dir, tmp_path, run, monkeypatch):
    below = tmp_path / "root" / "MNIST" / "raw"
    shutil.copytree(mnist_dir, below)
    monkeypatch.setenv("MNIST_DIR", str(tmp_path / "root"))
    assert is_available_locally("mnist", raw=tmp_path / "raw")
    raw = obtain("mnist", raw=tmp_path / "raw")
    assert (raw.source, raw.folder) == ("local", str(below))
    save_raw(run, raw)
    assert load_raw(run).folder == str(below)


def test_other_datasets_lie_below_torchvisions_root_under_their_own_names(tmp_path):
    for dataset in ("fashion_mnist", "kmnist"):
        below = tmp_path / DATASETS[dataset].torchvision / "raw"
        below.mkdir(parents=True)
        for name in FILES:
            assert not is_available_locally(dataset, str(tmp_path), tmp_path / "raw")
            (below / f"{name}.gz").write_bytes(b"")
        assert is_available_locally(dataset, str(tmp_path), tmp_path / "raw")
    assert not is_available_locally("mnist", str(tmp_path), tmp_path / "raw")
