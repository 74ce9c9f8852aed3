"""A process that has imported what the stages use and forks their kernels, so that no stage waits for imports (Linux).

It imports no module of this package that a stage uses: each kernel imports those itself. It ends with the last process
that holds the other end of its socket: make, and the runners that make starts.
"""

from __future__ import annotations

import importlib
import json
import os
import runpy
import select
import signal
import socket
import subprocess
import sys
import threading
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

HUB = "MNISTLIB_WARM"  # the variable that names the socket on which a runner asks for a kernel
FIRST = ("ipykernel.kernelapp", "matplotlib.figure", "matplotlib.backends.backend_agg", "sklearn.model_selection")
LATER = ("torch", "scipy.ndimage", "scipy.optimize", "seaborn", "sklearn.neighbors", "sklearn.manifold", "ipywidgets")
BACKEND = "module://matplotlib_inline.backend_inline"  # what ipykernel sets before a notebook imports matplotlib
PR_SET_PDEATHSIG = 1
LONGEST_REQUEST = 1 << 20
PATIENCE = 60  # seconds in which a kernel must have started


@dataclass(frozen=True)
class Child:
    """A kernel that was forked: its process, the file that tells of its end, and the socket of its runner."""

    pid: int
    ended: int
    runner: socket.socket


class Forked:
    """A forked kernel, seen from its runner: of `Popen` what jupyter_client and EarlyKernel use."""

    stdin = stderr = None

    def __init__(self, hub: int, request: dict[str, object]) -> None:
        """Ask for a kernel. Raises OSError where nobody listens."""
        self.returncode: int | None = None
        self.peak = self._pid = 0
        self.socket, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        read, write = os.pipe()
        self.stdout = os.fdopen(read, encoding="utf-8", errors="backslashreplace")
        try:
            with socket.socket(fileno=os.dup(hub)) as asked:
                socket.send_fds(asked, [json.dumps(request).encode()], [theirs.fileno(), write])
        finally:
            theirs.close()
            os.close(write)

    @property
    def pid(self) -> int:
        """Its number, waited for; 0 where no kernel was forked."""
        while not self._pid and self.returncode is None and select.select([self.socket], [], [], PATIENCE)[0]:
            self.receive()
        return self._pid

    def receive(self) -> None:
        """Receive its number, then its exit code and largest resident size; an empty message means that it died."""
        news = json.loads(self.socket.recv(100) or '{"returncode": -9}')
        self._pid = news.get("pid", self._pid)
        self.returncode, self.peak = news.get("returncode"), news.get("peak", 0)

    def poll(self) -> int | None:
        while self.returncode is None and select.select([self.socket], [], [], 0)[0]:
            self.receive()
        return self.returncode

    def wait(self) -> int | None:
        while self.returncode is None:
            self.receive()
        return self.returncode

    def send_signal(self, number: int) -> None:
        if self.poll() is None:
            os.kill(self.pid, number)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        """Have it killed, as the end of its runner would."""
        with suppress(OSError):
            self.socket.shutdown(socket.SHUT_WR)


def start(environment: dict[str, str]) -> None:
    """Start the process. This one, what it becomes by exec and what that starts can ask it for kernels.

    `environment`: that of the kernels, as far as libraries read it when they are imported. Only on Linux: elsewhere
    forking after imports is not safe.
    """
    if sys.platform != "linux":
        return
    ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    subprocess.Popen(
        [sys.executable, "-m", "mnistlib.pipeline.kernel_server", str(theirs.fileno())],
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
        cwd=Path(__file__).resolve().parents[2],
        env={**environment, "MPLBACKEND": BACKEND},
        pass_fds=[theirs.fileno()],
        start_new_session=True,
    )
    ours.set_inheritable(True)
    os.environ[HUB] = f"{ours.fileno()}:{os.fstat(ours.fileno()).st_ino}"
    ours.detach()


def ask(connection: Path, environment: dict[str, str]) -> Forked | None:
    """Ask the process that `start` has started for a kernel; returns nothing where there is no such process."""
    file, _, inode = os.environ.get(HUB, "").partition(":")
    with suppress(OSError, ValueError):
        if os.fstat(int(file)).st_ino == int(inode):  # else another file has got that number
            return Forked(int(file), {"connection": str(connection), "environment": environment})
    return None


def main() -> None:
    """Import, and fork a kernel for each runner that asks. In the kernel's process, run the kernel to its end."""
    hub = socket.socket(fileno=int(sys.argv[1]))
    later, children = list(LATER), list[Child]()
    for name in FIRST:
        importlib.import_module(name)
    while True:
        watched: list[Any] = [hub, *(child.ended for child in children), *(child.runner for child in children)]
        ready = select.select(watched, [], [], 0 if later else None)[0]
        for child in [child for child in children if child.ended in ready or child.runner in ready]:
            children.remove(child)
            bury(child)
        if hub in ready and (request := fork(hub, children)):
            return become_kernel(request)
        if not ready:
            importlib.import_module(later.pop(0))


def bury(child: Child) -> None:
    """Kill a kernel whose runner has gone or asked for it, and tell the runner how its kernel ended."""
    os.kill(child.pid, signal.SIGKILL)
    _, status, used = os.wait4(child.pid, 0)
    news = {"returncode": os.waitstatus_to_exitcode(status), "peak": used.ru_maxrss * 1024}
    with suppress(OSError):
        child.runner.send(json.dumps(news).encode())
    child.runner.close()
    os.close(child.ended)


def fork(hub: socket.socket, children: list[Child]) -> dict[str, Any]:
    """Fork for one request. Returns the request in the new process, and an empty one in this process."""
    message, files, _, _ = socket.recv_fds(hub, LONGEST_REQUEST, 2)
    if not message or threading.active_count() > 1:  # make and all runners have ended; or to fork is not safe
        os._exit(0)  # its kernels end with it
    runner, output = socket.socket(fileno=files[0]), files[1]
    parent, pid = os.getpid(), os.fork()
    if pid:
        os.close(output)
        children.append(Child(pid, os.pidfd_open(pid), runner))
        with suppress(OSError):
            runner.send(json.dumps({"pid": pid}).encode())
        return {}
    os.setsid()
    end_with_parent()
    if os.getppid() != parent:
        os._exit(1)
    for number in (1, 2):
        os.dup2(output, number)
    for child in children:
        child.runner.close()
        os.close(child.ended)
    hub.close()
    runner.close()
    os.close(output)
    return dict(json.loads(message))


def end_with_parent() -> None:
    """Ask Linux to kill this process when its parent dies, which would notice nothing in a session of its own.

    Elsewhere the kernel looks once a second whether its parent still lives.
    """
    import ctypes

    ctypes.CDLL(None).prctl(PR_SET_PDEATHSIG, signal.SIGKILL)


def become_kernel(request: dict[str, Any]) -> None:
    """Do what `python -m ipykernel_launcher -f CONNECTION` does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    os.environ.clear()
    os.environ.update(request["environment"], JPY_PARENT_PID=str(os.getppid()))
    sys.argv[1:] = ["-f", request["connection"]]
    runpy.run_module("ipykernel_launcher", run_name="__main__", alter_sys=True)


if __name__ == "__main__":
    main()
