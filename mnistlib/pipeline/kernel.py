"""A kernel that starts while the runner still imports, and talks over files instead of ports."""

from __future__ import annotations

import fcntl
import json
import logging
import os
import resource
import secrets
import shutil
import subprocess
import sys
import tempfile
import threading
from contextlib import suppress
from pathlib import Path
from typing import Any

from mnistlib.core.files import ROOT
from mnistlib.core.log import Lines
from mnistlib.pipeline import kernel_server

PORTS = {"shell_port": 1, "iopub_port": 2, "stdin_port": 3, "control_port": 4, "hb_port": 5}
PREFIX = "mnistlib-"
LONGEST = 104  # bytes of a socket's path: macOS's limit, a little less than Linux's
PERSONAL = {  # what a person draws with, and what leads Python elsewhere (the Makefile's UNWANTED)
    "MPLBACKEND", "PYTHONPATH", "PYTHONHOME", "PYTHONPLATLIBDIR", "PYTHONEXECUTABLE", "PYTHONSAFEPATH",
    "PYTHONSTARTUP", "PYTHONINSPECT", "PYTHONOPTIMIZE", "PYTHONWARNINGS",
}  # fmt: skip
NOT_FOR_KERNELS = PERSONAL | {kernel_server.HUB}


class EarlyKernel:
    """An IPython kernel in a process of its own, started at once; `manager_class` hands it to papermill.

    Its sockets lie in a folder of its own under the system's temporary one, or /tmp, for socket paths must be short.
    """

    def __init__(self) -> None:
        sweep_folders()
        self.folder = Path(tempfile.mkdtemp(prefix=PREFIX, dir=socket_folder()))
        self.info: dict[str, Any] = {
            **PORTS,
            "ip": str(self.folder / "k"),
            "transport": "ipc",
            "key": secrets.token_hex(16),
            "signature_scheme": "hmac-sha256",
            "kernel_name": "python3",
        }
        connection = self.folder / "connection.json"
        self.lock = connection.open("w", encoding="utf-8")
        fcntl.flock(self.lock, fcntl.LOCK_EX)
        self.lock.write(json.dumps(self.info))
        self.lock.flush()
        self.ending = False  # asked to, after which what it says is no news
        self.begin(kernel_server.ask(connection, environment(self.folder)) or self.start())

    def start(self) -> subprocess.Popen[str]:
        """A process that imports everything itself."""
        return subprocess.Popen(
            [sys.executable, "-m", "ipykernel_launcher", "-f", self.lock.name],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.STDOUT,
            text=True,
            errors="backslashreplace",
            cwd=ROOT,
            env=environment(self.folder),
            start_new_session=True,
            preexec_fn=kernel_server.end_with_parent if sys.platform == "linux" else None,
        )

    def begin(self, process: subprocess.Popen[str] | kernel_server.Forked) -> None:
        """Listen to the process that is, or becomes, the kernel."""
        self.process = process
        self.listener = threading.Thread(target=self.listen, daemon=True)
        self.listener.start()

    def listen(self) -> None:
        """Log what the process itself says, which no cell has printed: its last words above all."""
        assert self.process.stdout
        news, no_news = Lines(logging.INFO), Lines(logging.DEBUG)
        for line in self.process.stdout:
            (no_news if self.ending else news).write(line.rstrip("\n") + "\n")  # who dies may end no line

    def manager_class(self) -> type[Any]:
        """A kernel manager that takes this process over instead of starting one."""
        from jupyter_client.manager import AsyncKernelManager

        early = self

        class TakeOver(AsyncKernelManager):
            def __init__(self, *args: Any, **kwargs: Any) -> None:
                super().__init__(*args, **{**kwargs, "transport": "ipc"})
                self.connection_file = str(early.folder / "manager.json")
                self.load_connection_info(dict(early.info, key=early.info["key"].encode()))  # type: ignore[arg-type]

            async def _async_launch_kernel(self, kernel_cmd: list[str], **kwargs: Any) -> None:
                if not early.process.pid:  # what was to fork it has died
                    early.process.kill()
                    early.begin(early.start())
                provisioner: Any = self.provisioner
                provisioner.process = early.process
                provisioner.pid = provisioner.pgid = early.process.pid
                provisioner.connection_info = self.get_connection_info()

            async def _async_interrupt_kernel(self) -> None:
                early.ending = True  # it does so before every shutdown, and nobody else can
                await super()._async_interrupt_kernel()

        return TakeOver

    def close(self) -> None:
        """End the process if it still lives, and take its folder away."""
        if self.process.poll() is None:
            self.process.kill()
        self.process.wait()
        self.listener.join(1)  # unless something that the kernel started still holds its output
        shutil.rmtree(self.folder, ignore_errors=True)
        self.lock.close()

    def peak_memory(self) -> int:
        """The largest resident size that it reached, in bytes, once it has ended."""
        if isinstance(self.process, kernel_server.Forked):
            return self.process.peak
        unit = 1 if sys.platform == "darwin" else 1024
        return resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss * unit


def environment(folder: Path) -> dict[str, str]:
    """The kernel's: this process's, but IPython and matplotlib as they come: a person's show no tables, or warn.

    IPython's files lie in `folder`, which is new.
    """
    own = {"MNISTLIB_HEADLESS": "1", "JPY_PARENT_PID": str(os.getpid()), "MATPLOTLIBRC": os.devnull}
    own["IPYTHONDIR"] = str(folder / "ipython")
    own["PYTHONPATH"] = str(ROOT)
    inherited = {name: value for name, value in os.environ.items() if name not in NOT_FOR_KERNELS}
    return {**inherited, **own}


def socket_folder() -> Path:
    """The system's temporary folder; /tmp where a kernel's sockets would have too long a path in it."""
    temporary = Path(tempfile.gettempdir())
    longest = temporary / f"{PREFIX}12345678" / "k-5"
    return temporary if len(os.fsencode(longest)) < LONGEST else Path("/tmp")  # noqa: S108 - mkdtemp's own in it


def sweep_folders() -> None:
    """Take away the folders of runners that were killed: no lock is left on them."""
    for connection in socket_folder().glob(f"{PREFIX}*/connection.json"):
        with suppress(OSError), connection.open("r+") as file:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
            if file.read():  # else its runner is just about to lock it
                shutil.rmtree(connection.parent, ignore_errors=True)
