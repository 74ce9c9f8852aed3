"""Where training runs: the processor, its arithmetic, and no more threads than it may use."""

import os
import shutil
import subprocess
import sys

import pytest
import torch

from mnistlib.core import system_info
from mnistlib.core.errors import RunError
from mnistlib.core.files import ROOT
from mnistlib.core.system_info import cores
from mnistlib.training.device import pick_device, pick_precision

CPU = torch.device("cpu")
THREADS = "import mnistlib.training.device, torch; print(torch.get_num_threads())"


def threads(*command: str, **settings: str) -> int:
    """Threads of a process that is started like that."""
    inherited = {name: value for name, value in os.environ.items() if name != "OMP_NUM_THREADS"}
    return int(subprocess.check_output(command, cwd=ROOT, env=inherited | settings))


def test_a_missing_device_is_refused():
    if torch.backends.mps.is_available():
        pytest.skip("this machine has MPS")
    with pytest.raises(RunError, match=r"train\.device is 'mps'"):
        pick_device("mps")


def test_precision_is_what_is_asked_for_or_one_of_two():
    assert pick_precision("fp32", CPU) == "fp32"
    assert pick_precision("auto", CPU) in ("fp32", "bf16")


@pytest.mark.parametrize(
    ("limit", "precision"),
    [
        ({}, "bf16"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX2"}, "fp32"),
        ({"ONEDNN_MAX_CPU_ISA": "avx512_core"}, "fp32"),
        ({"DNNL_MAX_CPU_ISA": "AVX512_CORE_VNNI"}, "fp32"),
        ({"ONEDNN_MAX_CPU_ISA": "AVX512_CORE_AMX"}, "bf16"),
        ({"ONEDNN_MAX_CPU_ISA": "ALL", "DNNL_MAX_CPU_ISA": "AVX2"}, "bf16"),
    ],
)
def test_a_processor_with_bf16_trains_in_it_where_onednn_may(monkeypatch, limit, precision):
    for name in ("ONEDNN_MAX_CPU_ISA", "DNNL_MAX_CPU_ISA"):
        monkeypatch.delenv(name, raising=False)
    for name, value in limit.items():
        monkeypatch.setenv(name, value)
    monkeypatch.setattr(torch.cpu, "_is_avx512_bf16_supported", lambda: True)  # not every machine's is
    assert pick_precision("auto", CPU) == precision


@pytest.mark.skipif(not shutil.which("taskset"), reason="needs taskset")
def test_a_process_that_may_use_one_core_takes_one_thread():
    one = str(min(os.sched_getaffinity(0)))
    assert threads("taskset", "-c", one, sys.executable, "-c", THREADS) == 1


@pytest.mark.parametrize(("asked", "taken"), [({}, 16), ({"OMP_NUM_THREADS": "64"}, 64)])
def test_many_cores_are_not_all_taken_unless_asked_for(asked, taken):
    many = (
        "import torch; from mnistlib.core import system_info; system_info.cores = lambda: 64; torch.set_num_threads(64)"
    )
    assert threads(sys.executable, "-c", f"{many}; {THREADS}", **asked) == taken


@pytest.mark.parametrize(("there", "alone", "beside"), [(1, 1, 1), (3, 3, 1), (8, 8, 4), (64, 16, 16)])
def test_stages_side_by_side_share_the_cores(monkeypatch, there, alone, beside):
    monkeypatch.setattr(system_info, "cores", lambda: there)
    assert (system_info.threads(), system_info.threads(stages=2)) == (alone, beside)


def test_a_container_may_use_what_its_quota_gives(tmp_path):
    quota = tmp_path / "cpu.max"
    for text, expected in (("50000 100000", 1), ("max 100000", cores(tmp_path / "none")), ("odd", cores())):
        quota.write_text(text)
        assert cores(quota) == expected


def test_an_unknown_precision_is_refused():
    with pytest.raises(RunError, match=r"train\.precision is 'fp8'"):
        pick_precision("fp8", CPU)
