"""Python programs that start at once: each is forked from a process that has imported everything and opened nothing.

    warm.run(["-m", "tallybook", "check"], cwd=folder)     # as subprocess.run([sys.executable, "-m", …]), without 0.5 s of imports
    warm.write_command(path, "-m", "tallybook")            # an executable file that does the same, for shell scripts
    warm.start(["-m", "tallybook", "serve"])               # runs on: as subprocess.Popen

A program gets its arguments, folder, environment (with PYTHONPATH) and standard files as if it had been started by itself. Tests
about what a program imports, about locales or about options of Python itself start a Python of their own.

`python tests/warm.py SOCKET` is the process that forks. It ends with the process that started it."""

from __future__ import annotations

import array
import atexit
import contextlib
import fcntl
import functools
import marshal
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import IO, Any, NoReturn

HEAVY = (
    "duckdb",
    "msgspec",
    "openpyxl",
    "psycopg",
    "pyarrow.parquet",
    "pymysql",
    "sqlalchemy",
    "sqlglot.dialects.dialect",
)
MAX_FILES, HIGH = 16, 512
"""How many files a program is given, and a number above theirs."""
GONE_SECONDS = 5.0
# It starts in 15 ms: no `site`, no module that is written in Python.
CLIENT = """#!{python} -IS
import sys, marshal, posix, struct, _socket
env = {{k.decode("utf-8", "surrogateescape"): v.decode("utf-8", "surrogateescape") for k, v in posix.environ.items()}}
order = marshal.dumps(({before!r} + sys.argv[1:], posix.getcwd(), env, (0, 1, 2), False))
asked = _socket.socket(_socket.AF_UNIX)
asked.connect({address!r})
asked.sendmsg([struct.pack("I", len(order))], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("3i", 0, 1, 2))])
asked.sendall(order)
answer = asked.recv(4)
posix._exit(struct.unpack("I", answer)[0] if answer else 137)
"""


# ------------------------------------------------------------------------------------------- who asks


def run(
    arguments: Sequence[str], *, cwd: Path | None = None, env: Mapping[str, str] | None = None, timeout: float = 120
) -> subprocess.CompletedProcess[str]:
    """What `subprocess.run([sys.executable, *arguments], capture_output=True, text=True)` returns."""
    with tempfile.TemporaryFile("w+") as out, tempfile.TemporaryFile("w+") as err, Path(os.devnull).open() as nothing:
        files = {0: nothing.fileno(), 1: out.fileno(), 2: err.fileno()}
        with _asked(
            (list(arguments), str(cwd or Path.cwd()), dict(os.environ if env is None else env)), files
        ) as asked:
            asked.settimeout(timeout)
            answer = asked.recv(4)
        code = int.from_bytes(answer, sys.byteorder) if answer else -9
        out.seek(0)
        err.seek(0)
        return subprocess.CompletedProcess(["python", *arguments], code, out.read(), err.read())


def start(arguments: Sequence[str], *, cwd: Path, env: Mapping[str, str] | None = None) -> Program:
    """A program that runs on. What it writes to stderr is read from `Program.stderr`, and its output goes nowhere."""
    reads, writes = os.pipe()
    with Path(os.devnull).open("r+") as nothing, os.fdopen(writes, "wb") as writing:
        files = {0: nothing.fileno(), 1: nothing.fileno(), 2: writing.fileno()}
        return Program(arguments, files, cwd=cwd, env=env, stderr=os.fdopen(reads))


class Program:
    """A program that runs beside this one: of `subprocess.Popen` what tests use. It leads a session of its own.

    `files`: the number of a file in the program → its number here. `socket_path`: where the forking process listens."""

    def __init__(
        self,
        arguments: Sequence[str],
        files: Mapping[int, int],
        *,
        cwd: Path,
        env: Mapping[str, str] | None = None,
        stderr: IO[str] | None = None,
        socket_path: str | None = None,
    ) -> None:
        self.args, self.stderr = arguments, stderr
        self.returncode: int | None = None
        order = (list(arguments), str(cwd), dict(os.environ if env is None else env))
        self._asked = _asked(order, files, runs_on=True, socket_path=socket_path)
        self.pid = int.from_bytes(self._asked.recv(4), sys.byteorder)

    def poll(self) -> int | None:
        with contextlib.suppress(subprocess.TimeoutExpired):
            self.wait(0)
        return self.returncode

    def wait(self, timeout: float | None = None) -> int:
        """The exit code, once the process has ended. Raises TimeoutExpired."""
        if self.returncode is None:
            self._readable(timeout)
            answer = self._asked.recv(4)
            self.returncode = int.from_bytes(answer, sys.byteorder) if answer else -signal.SIGKILL
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._readable(GONE_SECONDS if answer else 0)  # the code is sent a moment before the end
            self._asked.close()
        return self.returncode

    def send_signal(self, which: signal.Signals) -> None:
        if self.poll() is None:
            os.kill(self.pid, which)

    def terminate(self) -> None:
        self.send_signal(signal.SIGTERM)

    def kill(self) -> None:
        self.send_signal(signal.SIGKILL)

    def _readable(self, timeout: float | None) -> None:
        poll = select.poll()
        poll.register(self._asked, select.POLLIN)
        if not poll.poll(None if timeout is None else timeout * 1000):
            raise subprocess.TimeoutExpired(list(self.args), timeout or 0)


def _asked(
    order: tuple[list[str], str, dict[str, str]],
    files: Mapping[int, int],
    *,
    runs_on: bool = False,
    socket_path: str | None = None,
) -> socket.socket:
    """A connection to a program that is being forked. Its exit code comes from it, and before that its number if it runs on."""
    text = marshal.dumps((*order, tuple(files), runs_on))
    asked = socket.socket(socket.AF_UNIX)
    asked.connect(socket_path or address())
    numbers = array.array("i", files.values())
    asked.sendmsg([len(text).to_bytes(4, sys.byteorder)], [(socket.SOL_SOCKET, socket.SCM_RIGHTS, numbers)])
    asked.sendall(text)
    return asked


def write_command(path: Path, *before: str) -> None:
    """Write an executable file that runs Python with these arguments and its own."""
    path.write_text(CLIENT.format(python=sys.executable, before=list(before), address=address()))
    path.chmod(0o755)


def address() -> str:
    return _forking_process()[1]


@functools.cache
def _forking_process() -> tuple[subprocess.Popen[bytes], str]:
    """This process's own forking process, which is started when it is first asked for, and its socket."""
    path = f"{tempfile.mkdtemp(prefix='tallybook-warm-', dir='/tmp')}/socket"  # the path of a socket is short
    env = {name: value for name, value in os.environ.items() if name != "PYTHONPATH"}
    process = subprocess.Popen([sys.executable, __file__, path], stdin=subprocess.PIPE, stdout=subprocess.PIPE, env=env)
    assert process.stdout
    assert process.stdout.readline() == b"ready\n"
    return process, path


# ------------------------------------------------------------------------------------ the forking process


def _fork_for_everyone(path: str) -> None:
    del sys.path[0]  # the folder of this file
    _import_everything()
    signal.signal(signal.SIGCHLD, signal.SIG_IGN)  # nobody waits for the children
    listening = socket.socket(socket.AF_UNIX)
    listening.bind(path)
    listening.listen(16)
    print("ready", flush=True)
    while True:
        ready, _, _ = select.select([0, listening], [], [])
        if 0 in ready:
            Path(path).unlink()
            Path(path).parent.rmdir()
            return
        asking, _ = listening.accept()
        if os.fork() == 0:
            signal.signal(signal.SIGCHLD, signal.SIG_DFL)
            listening.close()
            _serve(asking)
        asking.close()


def _import_everything() -> None:
    import gc
    import importlib
    import pkgutil

    for name in HEAVY:
        importlib.import_module(name)
    for room in ("core", "storage", "config", "query", "collect", "ingest", "deliver", "monitor", "server", "cli"):
        package = importlib.import_module(f"tallybook.{room}")
        for module in pkgutil.walk_packages(package.__path__, f"{package.__name__}."):
            if not module.name.endswith("__main__"):
                importlib.import_module(module.name)
    gc.collect()
    gc.freeze()


def _serve(asking: socket.socket) -> None:
    """Do in this process what is asked, answer with its exit code, and end."""
    head, (_, _, files), *_ = _received(asking)
    length = int.from_bytes(head, sys.byteorder)
    order = b""
    while len(order) < length:
        order += asking.recv(length - len(order))
    arguments, cwd, env, numbers, runs_on = marshal.loads(order)
    # First to numbers that no program asks for, so that none of them is overwritten before it is moved.
    asking = socket.socket(fileno=fcntl.fcntl(asking.detach(), fcntl.F_DUPFD_CLOEXEC, HIGH))
    high = [fcntl.fcntl(file, fcntl.F_DUPFD_CLOEXEC, HIGH) for file in memoryview(files).cast("i")]
    os.closerange(3, HIGH)
    for number, file in zip(numbers, high, strict=True):
        os.dup2(file, number)
        os.close(file)
    if runs_on:
        os.setsid()
        asking.sendall(os.getpid().to_bytes(4, sys.byteorder))
    _answer_at_exit(asking)
    os._exit(_done(arguments, cwd, env))


def _answer_at_exit(asking: socket.socket) -> None:
    """Send the exit code when this process ends, also where a program ends it by `os._exit`. Nothing is sent when it is killed."""
    this, exit_really = os.getpid(), os._exit

    def leave(code: int) -> NoReturn:
        if os.getpid() == this:
            asking.sendall((code & 255).to_bytes(4, sys.byteorder))
        exit_really(code & 255)

    os._exit = leave


def _received(asking: socket.socket) -> tuple[bytes, tuple[int, int, bytes]]:
    head, (files,), _, _ = asking.recvmsg(4, socket.CMSG_SPACE(4 * MAX_FILES))
    return head, files


def _done(arguments: list[str], cwd: str, env: dict[str, str]) -> int:
    """The exit code of a Python with these arguments. What it prints is written when this returns."""
    import threading
    import time
    import traceback

    os.chdir(cwd)
    tempfile.tempdir = None
    os.environ.clear()
    os.environ.update(env)
    time.tzset()
    sys.stdin, sys.stdout = open(0, closefd=False), open(1, "w", closefd=False)  # noqa: SIM115
    sys.stderr = open(2, "w", buffering=1, closefd=False)  # noqa: SIM115
    sys.path[:0] = [path for path in env.get("PYTHONPATH", "").split(os.pathsep) if path]
    try:
        _execute(arguments)
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
        if end.code is not None and not isinstance(end.code, int):
            print(end.code, file=sys.stderr)
    except BaseException:  # noqa: BLE001  as Python itself ends
        traceback.print_exc()
        code = 1
    threading._shutdown()  # type: ignore[attr-defined]
    atexit._run_exitfuncs()
    sys.stdout.flush()
    return code


def _execute(arguments: list[str]) -> None:
    import runpy
    import warnings

    while arguments[0] == "-W":
        warnings.filterwarnings(*_filter(arguments[1]))
        del arguments[:2]
    if arguments[0] == "-m":
        sys.argv = arguments[1:]
        sys.path.insert(0, str(Path.cwd()))
        runpy.run_module(arguments[1], run_name="__main__", alter_sys=True)
    elif arguments[0] == "-c":
        sys.argv = ["-c", *arguments[2:]]
        sys.path.insert(0, "")
        exec(compile(arguments[1], "<string>", "exec"), {"__name__": "__main__"})
    else:
        sys.argv = arguments
        sys.path.insert(0, str(Path(arguments[0]).resolve().parent))
        runpy.run_path(arguments[0], run_name="__main__")


def _filter(option: str) -> tuple[Any, str, type[Warning]]:
    import builtins

    action, _, category = option.partition("::")
    return action, "", getattr(builtins, category)


if __name__ == "__main__":
    _fork_for_everyone(sys.argv[1])
