"""Describe the machine as far as it can change results: versions, processor, settings. Standard library alone."""

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
SETTINGS = {  # of threads and instructions, with the values that make verify copies from a receipt
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
    """Return versions, processor, memory in bytes, GPU, settings of threads and kernels, and a hash of the fonts."""
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
    """Return the versions of Python and of the installed packages that results depend on."""
    found = {"python": platform.python_version()}
    for name in PACKAGES:
        try:
            found[name] = torch_build() if name == "torch" else metadata.version(name)
        except metadata.PackageNotFoundError:
            continue
    return found


def torch_build() -> str:
    """Return torch's version with its build, as 2.13.0+cu130, which PyPI's metadata lack.

    Read from its version.py, because importing torch takes a second. Raises PackageNotFoundError.
    """
    version, spec = metadata.version("torch"), importlib.util.find_spec("torch")
    file = Path(spec.origin).with_name("version.py") if spec and spec.origin else None
    text = file.read_text(encoding="utf-8") if file and file.is_file() else ""
    build = re.search(r"^__version__ = '(.+)'$", text, re.MULTILINE)
    return build[1] if build else version


@cache
def cpuinfo() -> str:
    """Return what Linux says of its first processor; elsewhere an empty text."""
    try:
        return Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").split("\n\n")[0]
    except OSError:
        return ""


def processor() -> str:
    """Return the processor's model."""
    named = re.search(r"^(?:model name|Model|Processor)\s*: (.+)$", cpuinfo(), re.MULTILINE)
    if named:
        return named[1].strip()
    return command_output("sysctl", "-n", "machdep.cpu.brand_string") or platform.processor() or platform.machine()


def features() -> list[str]:
    """Return, sorted, the processor's instruction sets that select other kernels and so round differently."""
    flags = re.search(r"^(?:flags|Features)\s*: (.+)$", cpuinfo(), re.MULTILINE)
    if flags:
        return sorted(flag for flag in flags[1].split() if FEATURES.fullmatch(flag))
    asked = {f"hw.optional.arm.FEAT_{name}": name.lower() for name in ("BF16", "I8MM", "SME")}
    return sorted(name for key, name in asked.items() if command_output("sysctl", "-n", key) == "1")


def cores(quota: Path = Path("/sys/fs/cgroup/cpu.max")) -> int:
    """Return the number of cores that this process may use.

    Args:
        quota: the Linux file with the limit of a container, which may be below the machine's cores.
    """
    available = len(os.sched_getaffinity(0)) if sys.platform == "linux" else os.cpu_count() or 1
    try:
        most, period = quota.read_text(encoding="utf-8").split()
        return max(1, min(available, -(-int(most) // int(period))))
    except (OSError, ValueError):
        return available


def threads(stages: int = 1) -> int:
    """Return the number of threads of a stage where OMP_NUM_THREADS is not set.

    Args:
        stages: how many stages run at the same time.

    Returns:
        1 to `MOST_THREADS`: a training step of a few hundred pictures is too small for more.
    """
    return max(1, min(cores() // stages, MOST_THREADS))


def memory() -> int:
    """Return the memory in bytes; 0 where the system does not report it."""
    try:
        return os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES")
    except (ValueError, OSError):
        return 0


@cache
def gpu() -> str:
    """Return NVIDIA's GPUs with their driver, or Apple's GPU; empty without one."""
    if sys.platform == "darwin":
        return processor() if platform.machine() == "arm64" else ""
    return command_output("nvidia-smi", "--query-gpu=name,driver_version", "--format=csv,noheader").replace("\n", "; ")


def fonts() -> list[str]:
    """Return the names of the font files in the system's and the user's folders, sorted."""
    found: set[str] = set()
    for folder in FONT_FOLDERS:
        for _, _, names in os.walk(Path(folder).expanduser()):
            found |= {name for name in names if name.lower().endswith((".ttf", ".otf", ".ttc"))}
    return sorted(found)


def fast_features() -> list[str]:
    """Return the instruction sets that make training fast."""
    return [name for name in ("avx512f", "avx512_bf16", "amx_bf16", "bf16") if name in features()]


def browser() -> str:
    """Return the path of a Chromium or Chrome for tests; empty without one."""
    found = map(shutil.which, ("chromium", "chromium-browser", "google-chrome"))
    return next((path for path in found if path), "")


def pip_install(*names: str) -> str:
    """Return the command that installs packages for this Python; a plain `pip` may belong to another environment."""
    return f"{shlex.quote(shown(Path(sys.executable)))} -m pip install {' '.join(names)}"


def command_output(*command: str) -> str:
    """Return what a program prints; empty when it is missing, fails, or takes longer than 5 s."""
    if not shutil.which(command[0]):
        return ""
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=5)
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return "" if done.returncode else done.stdout.strip()
