"""Kernels forked from a process that has imported already: like others in all but the wait, and none is left over."""

import asyncio
import json
import os
import signal
import sys
import time
from pathlib import Path

import psutil
import pytest

from mnistlib.pipeline import kernel_server
from mnistlib.pipeline.kernel import EarlyKernel, environment

pytestmark = pytest.mark.skipif(sys.platform != "linux", reason="elsewhere no kernel is forked")
TELLING = """import json, os, sys
told = {"modules": sorted(sys.modules), "folder": os.getcwd(), "environment": dict(os.environ), "path": sys.path}
open(OUT, "w").write(json.dumps(told))"""


@pytest.fixture
def hub(monkeypatch):
    """A warm process for this test alone; its number."""
    monkeypatch.setenv(kernel_server.HUB, "")
    before = {p.pid for p in psutil.Process().children()}
    kernel_server.start(environment(Path(os.devnull)))
    (started,) = {p.pid for p in psutil.Process().children()} - before
    yield started
    os.close(int(os.environ[kernel_server.HUB].partition(":")[0]))
    if psutil.pid_exists(started):
        psutil.Process(started).wait(10)  # it ends with whoever could ask it


@pytest.fixture
def kernel(hub):
    forked = EarlyKernel()
    yield forked
    forked.close()


def run_in(kernel: EarlyKernel, code: str) -> None:
    """Let a kernel run code, as the runner does."""

    async def run() -> None:
        manager = kernel.manager_class()(kernel_name="python3")
        await manager.start_kernel()
        client = manager.client()
        client.start_channels()
        await client.wait_for_ready(timeout=60)
        assert (await client.execute_interactive(code, timeout=60))["content"]["status"] == "ok"
        client.stop_channels()

    asyncio.run(run())


def tell(kernel: EarlyKernel, file: Path) -> dict:
    """What a kernel finds around it."""
    run_in(kernel, TELLING.replace("OUT", repr(str(file))))
    return json.loads(file.read_text())


def test_a_forked_kernel_finds_around_it_what_another_does(kernel, tmp_path, monkeypatch):
    forked = tell(kernel, tmp_path / "forked.json")
    with monkeypatch.context() as nobody_there:
        nobody_there.setenv(kernel_server.HUB, "")
        other = EarlyKernel()
    assert isinstance(kernel.process, kernel_server.Forked)
    assert not isinstance(other.process, kernel_server.Forked)
    try:
        told = tell(other, tmp_path / "other.json")
    finally:
        other.close()
    assert "sklearn" in forked["modules"]
    assert "sklearn" not in told["modules"]
    ours = {name for name in forked["modules"] if name.startswith("mnistlib.")}
    assert ours == {"mnistlib.pipeline"}  # the folder, which holds a docstring; each kernel reads the modules anew
    for differs in ("JPY_PARENT_PID", "IPYTHONDIR", "PYTEST_CURRENT_TEST"):
        assert forked["environment"].pop(differs) != told["environment"].pop(differs)
    for name in ("folder", "environment", "path"):
        assert forked[name] == told[name]


def test_its_end_and_memory_reach_the_runner(kernel):
    run_in(kernel, "x = bytearray(b'x') * 800_000_000")
    assert kernel.process.poll() is None
    os.kill(kernel.process.pid, signal.SIGTERM)
    assert kernel.process.wait() == -signal.SIGTERM
    assert kernel.process.poll() == -signal.SIGTERM
    assert 800e6 < kernel.peak_memory() < 2e9


def test_there_is_one_thread_where_it_forks_and_a_kernel_each_for_two_runners(hub, kernel):
    second = EarlyKernel()
    assert kernel.process.pid != second.process.pid
    assert all(psutil.Process(k.process.pid).ppid() == hub for k in (kernel, second))
    assert len(list(Path(f"/proc/{hub}/task").iterdir())) == 1
    second.close()
    assert second.process.returncode == -signal.SIGKILL
    assert kernel.process.poll() is None


def test_a_kernel_ends_with_its_runner(kernel):
    number = kernel.process.pid
    kernel.process.socket.close()  # as a killed runner's is
    kernel.process.returncode = -signal.SIGKILL
    psutil.Process(number).wait(10)


def test_who_finds_it_dead_has_a_kernel_of_its_own(hub):
    os.kill(hub, signal.SIGSTOP)
    waiting = EarlyKernel()  # has asked
    os.kill(hub, signal.SIGKILL)
    psutil.Process(hub).wait(10)
    later = EarlyKernel()
    assert isinstance(waiting.process, kernel_server.Forked)
    for kernel in (waiting, later):
        run_in(kernel, "1")
        assert not isinstance(kernel.process, kernel_server.Forked)
        kernel.close()


def test_nobody_is_asked_through_a_file_that_is_another(monkeypatch, tmp_path):
    with (tmp_path / "file").open("w") as file:
        for named in (f"{file.fileno()}:1", "x:y", "77:1", ""):
            monkeypatch.setenv(kernel_server.HUB, named)
            assert kernel_server.ask(tmp_path / "connection.json", {}) is None


@pytest.mark.parametrize("ending", [None, signal.SIGINT, signal.SIGTERM, signal.SIGKILL])
@pytest.mark.slow
def test_nothing_lives_on_after_make(project, ending):
    making = project.start("preprocess", "PARAMS=smoke", LOG="debug")
    for line in making.stdout:
        if "cell 5" in line:
            break
    there = [p for p in psutil.process_iter(["cmdline"]) if is_of(p, project.folder)]
    assert any("mnistlib.pipeline.kernel_server" in " ".join(p.info["cmdline"]) for p in there)
    if ending:
        os.killpg(making.pid, ending)
    making.communicate(timeout=120)
    assert not psutil.wait_procs(there, timeout=10)[1]
    assert (making.returncode == 0) == (ending is None)


def is_of(process: psutil.Process, folder: Path) -> bool:
    """Whether a process works in that folder."""
    try:
        return Path(process.cwd()).is_relative_to(folder)
    except psutil.Error:
        return False


@pytest.mark.slow
def test_a_runner_whose_make_is_killed_still_ends_its_stage(project):
    making = project.start("preprocess", "PARAMS=smoke", LOG="debug")
    next(line for line in making.stdout if "cell 5" in line)
    making.kill()
    assert "01_data ok" in making.stdout.read()
    for _ in range(100):
        if not [p for p in psutil.process_iter() if is_of(p, project.folder)]:
            return
        time.sleep(0.1)
    pytest.fail("something lives on")
