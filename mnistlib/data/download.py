"""Download a dataset's files from torchvision's mirrors; each is complete and checked, or not kept."""

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
    """A web address returned nothing, or an incomplete file."""


def mirrors(dataset: Dataset) -> list[str]:
    """Return the addresses that torchvision knows for a dataset."""
    declare_missing_operators()
    from torchvision import datasets

    return list(getattr(datasets, dataset.torchvision).mirrors)


def declare_missing_operators() -> None:
    """Declare the operators that torchvision's import needs beside a CPU-only torch (pytorch/vision#9085)."""
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
    """Download the files that are missing in a folder.

    Args:
        dataset: its name in `DATASETS`.
        folder: where the four .gz files go.
        addresses: mirrors to try in turn; None means torchvision's.

    Raises:
        UnreachableError: no mirror answers for the first missing file.
        RunError: no mirror answers for a later file, or every answer is wrong.
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
            raise RunError(f"{error}\nThe files before it are complete: run again to continue.") from error
        fetched = True


def download_file(target: Path, md5: str, addresses: Sequence[str]) -> None:
    """Download one file from the first mirror that has the right one. Raises UnreachableError and RunError."""
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
    """Download a web address into a file. Raises FetchError for no answer or an incomplete one."""
    request = urllib.request.Request(url, headers={"User-Agent": "mnistlib"})  # noqa: S310
    try:
        with urllib.request.urlopen(request, timeout=TIMEOUT) as answer:  # noqa: S310
            content = answer.read()
    except (OSError, http.client.HTTPException) as error:  # of the network, not of the disk
        raise FetchError(str(error)) from error
    path.write_bytes(content)
