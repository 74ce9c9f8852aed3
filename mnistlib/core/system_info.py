"""What a machine is made of, as far as it can change results: versions, processor, settings. Standard library alone."""

from __future__ import annotations

import hashlib
import importlib.metadata as metadata
import importlib.util
import os
import platform
import re
import shlex
import shutil
import subprocess
import sys
from functools import cache
from pathlib import Path
from typing import Any

from mnistlib.core.files import shown

PACKAGES = (
    "ipykernel", "jinja2", "matplotlib", "nbclient", "nbconvert", "numpy", "papermill", "pillow", "pydantic",
    "scikit-learn", "scipy", "seaborn", "torch", "torchvision",
)  # fmt: skip
FEATURES = re.compile(r"(avx|avx2|fma|f16c|avx512\w*|avx_vnni|amx_\w+|asimd|asimdhp|asimddp|bf16|i8mm|sve2?|svebf16)")
COUNT, WORD = r"[1-9][0-9]{0,3}", r"[A-Za-z0-9_,]{1,40}"
SETTINGS = {  # of threads and instructions, each with the values that make verify takes over from another machine
    **dict.fromkeys(("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS"), COUNT),
    **dict.fromkeys(("MKL_CBWR", "ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"), WORD),
    **dict.fromkeys(("ONEDNN_DEFAULT_FPMATH_MODE", "ATEN_CPU_CAPABILITY"), WORD),
    "CUBLAS_WORKSPACE_CONFIG": r":[0-9]{1,6}:[0-9]{1,4}",
    "CUDA_VISIBLE_DEVICES": r"-1|[0-9,]{0,40}",
}
MOST_THREADS = 16
FONT_FOLDERS = (
    "/usr/share/fonts", "/usr/local/share/fonts", "/Library/Fonts", "/System/Library/Fonts",
    "~/.fonts", "~/.local/share/fonts", "~/Library/Fonts",
)  # fmt: skip


def describe_machine() -> dict[str, Any]:
    """Versions, processor, memory in bytes, GPU, settings of threads and kernels, and the fonts as one hash."""
    return {
        "versions": versions(),
        "system": f"{platform.system()} {platform.machine()}",
        "processor": processor(),
        "features": features(),
        "cores": cores(),
        "memory_bytes": memory(),
        "gpu": gpu(),
        "settings": {name: os.environ[name] for name in SETTINGS if name in os.environ},
        "fonts": hashlib.sha256("\n".join(fonts()).encode()).hexdigest()[:16],
    }


def versions() -> dict[str, str]:
    """Python's and the packages' that results hang on; those that are there."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = torch_build() if name == "torch" else metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def torch_build() -> str:
    """torch's version with its build, as 2.13.0+cu130, which the metadata of PyPI's leave out.

    Read from its version.py, for to import it takes a second. Raises PackageNotFoundError.
    """
    known, spec = metadata.version("torch"), importlib.util.find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = file.read_text(encoding="utf-8") if file and file.is_file() else ""
    told = re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE)
    return told[1] if told else known


@cache
def cpuinfo() -> str:
    """What Linux says of its first processor; elsewhere, nothing."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return ""


def processor() -> str:
    """The processor's model."""
    named = re.search(r"^(?:model name|Model|Processor)\s*: (.+)$", cpuinfo(), re.MULTILINE)
    if named:
        return named[1].strip()
    return command_output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or platform.machine()


def features() -> list[str]:
    """The processor's instructions that choose other kernels, and so other roundings, sorted."""
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", cpuinfo(), re.MULTILINE)
    if flags:
        return sorted(flag for flag in flags[1].split() if FEATURES.fullmatch(flag))
    asked = {f"hw.optional.arm.FEAT_{name}": name.lower() for name in ("BF16", "I8MM", "SME")}
    return sorted(name for key, name in asked.items() if command_output("sysctl", "-n", key) == "1")


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """How many this process may use; a container may be given fewer than the machine has, by `quota` of Linux."""
    there = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        most, period = quota.read_text(encoding="utf-8").split()
        return max(1, min(there, -(-int(most) // int(period))))
    except (OSError, ValueError):
        return there


def threads(stages: int = 1) -> int:
    """How many a stage computes with where OMP_NUM_THREADS does not say, when so many stages run at once.

    `MOST_THREADS` at most: among more, a step of a few hundred pictures is too little to share.
    """
    return max(1, min(cores() // stages, MOST_THREADS))


def memory() -> int:
    """In bytes; 0 where the system does not say."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


@cache
def gpu() -> str:
    """NVIDIA's GPUs with their driver, or Apple's; empty where there is none."""
    if sys.platform == "darwin":
        return processor() if platform.machine() == "arm64" else ""
    return command_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").replace("\n", "; ")


def fonts() -> list[str]:
    """Names of the font files in the system's and the person's usual folders, sorted."""
    found: set[str] = set()
    for folder in FONT_FOLDERS:
        for _, _, names in os.walk(Path(folder).expanduser()):
            found |= {name for name in names if name.lower().endswith((".ttf", ".otf", ".ttc"))}
    return sorted(found)


def fast_features() -> list[str]:
    """Those of its instructions that training is fast with."""
    return [name for name in ("avx512f", "avx512_bf16", "amx_bf16", "bf16") if name in features()]


def browser() -> str:
    """Where a Chromium or Chrome is that tests can drive; empty without one."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), "")


def pip_install(*names: str) -> str:
    """The command that installs packages where this runs: whoever types a bare pip may reach another environment."""
    return f"{shlex.quote(shown(Path(sys.executable)))} -m pip install {' '.join(names)}"


def command_output(*command: str) -> str:
    """What a program prints; empty when it is not there, fails, or takes longer than 5 s."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
