"""Fetch a dataset's files from torchvision's mirrors, each whole and checked or not at all."""

from __future__ import annotations

import http.client
import urllib.error
import urllib.request
from collections.abc import Sequence
from pathlib import Path

from mnistlib.core.errors import RunError
from mnistlib.core.files import atomic_write, file_digest, shown
from mnistlib.data.datasets import DATASETS, FILES, Dataset

TIMEOUT = 15


class UnreachableError(RunError):
    """No mirror answered."""


class FetchError(Exception):
    """What a web address gave was nothing, or not all of it."""


def mirrors(dataset: Dataset) -> list[str]:
    """The addresses that torchvision knows for a dataset."""
    declare_missing_operators()
    from torchvision import datasets

    return list(getattr(datasets, dataset.torchvision).mirrors)


def declare_missing_operators() -> None:
    """Let torchvision be imported beside a CPU-only torch (pytorch/vision#9085); elsewhere, nothing."""
    import importlib.metadata

    import torch

    accelerated = torch.version.cuda or torch.version.hip
    if accelerated or "+cpu" in importlib.metadata.version("torchvision") or hasattr(torch.ops.torchvision, "nms"):
        return
    library = torch.library.Library("torchvision", "FRAGMENT")
    library.define("nms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    library.define("qnms(Tensor dets, Tensor scores, float iou_threshold) -> Tensor")
    KEPT.append(library)


KEPT: list[object] = []


def download(dataset: str, folder: Path, addresses: Sequence[str] | None = None) -> None:
    """Fetch the four files into `folder`, those that are not there.

    Raises UnreachableError when no mirror answers for the first of those, RunError when none does for a later one, or
    when what comes is never right.
    """
    entry = DATASETS[dataset]
    addresses = mirrors(entry) if addresses is None else addresses
    fetched = False
    for name, md5 in zip(FILES, entry.md5, strict=True):
        target = folder / f"{name}.gz"
        if target.exists():
            continue
        try:
            download_file(target, md5, addresses)
        except UnreachableError as error:
            if not fetched:
                raise
            raise RunError(f"{error}\nThe files before it came: run again to go on from there.") from error
        fetched = True


def download_file(target: Path, md5: str, addresses: Sequence[str]) -> None:
    """One file from the first mirror that gives the right one. Raises UnreachableError, RunError."""
    answered = False
    faults = []
    for address in addresses:
        url = f"{address.rstrip('/')}/{target.name}"
        try:
            with atomic_write(target) as temporary:
                fetch(url, temporary)
                answered = True
                found = file_digest(temporary, "md5")
                if found != md5:
                    raise FetchError(f"MD5 {found}, expected {md5}")
            print(f"fetched {shown(target)} from {address}")
            return
        except FetchError as error:
            answered |= isinstance(error.__cause__, urllib.error.HTTPError)
            faults.append(f"  {url}: {error}")
    text = f"cannot fetch {target.name}:\n" + "\n".join(faults)
    if answered:
        raise RunError(f"{text}\nPut the four files into a folder and name it in MNIST_DIR.")
    raise UnreachableError(text)


def fetch(url: str, path: Path) -> None:
    """Copy what a web address gives into a file. Raises FetchError when it gives nothing, or less than promised."""
    request = urllib.request.Request(url, headers={"User-Agent": "mnistlib"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            content = answer.read()
    except (OSError, http.client.HTTPException) as error:  # the network's errors; the disk's are the file's
        raise FetchError(str(error)) from error
    path.write_bytes(content)
