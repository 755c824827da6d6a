"""Real PostgreSQL and MariaDB servers for tests and benchmarks: throw-away, on loopback, gone with the run.

    python -m tests.servers install     # find them; as root on Debian, install what is missing

    with servers.run() as run:          # benchmarks and scripts
        server = servers.server("postgresql", run)
        url = server.url(server.create_database())

A *run* is a folder with a file that its owner keeps locked while it lives. A server is started when it is
first asked for, by whichever process of the run asks first, under a *keeper*: a small process that waits for
the owner's lock to fall, however the owner ended, then stops the server and removes its files.
"""

from __future__ import annotations

import contextlib
import ctypes
import fcntl
import json
import os
import pwd
import re
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

KINDS = ("postgresql", "mariadb")
TOOLS = {"pgbouncer": "pgbouncer", "chromium": "chromium"}
"""Programs that some tests need beside a server, each with the Debian package it comes in."""
ROOT = Path(__file__).resolve().parent.parent
PREFIX = "tallybook-servers-"
START_SECONDS = 120
STOP_SECONDS = 20


class Missing(Exception):
    """The server is not installed here; the message says how to get it."""


# ------------------------------------------------------------------------------------- a running server


@dataclass(frozen=True, kw_only=True)
class Server:
    """A running server: how to reach it, and its administrator's name and password."""

    kind: str
    port: int
    password: str
    log: str
    """The file that the server writes its messages to."""
    user: str = "tallybook_admin"
    host: str = "127.0.0.1"

    def url(self, database: str, *, user: str | None = None, password: str | None = None) -> str:
        """An SQLAlchemy URL, the administrator's unless another `user` is named."""
        who = f"{user or self.user}:{self.password if password is None else password}"
        return f"{KIND[self.kind].driver}://{who}@{self.host}:{self.port}/{database}"

    def connect(self, database: str | None = None) -> Any:
        """A DBAPI connection of the administrator's, in autocommit mode."""
        return KIND[self.kind].connect(self, database)

    def create_database(self) -> str:
        """Make an empty database and return its name."""
        name = f"t_{secrets.token_hex(6)}"
        with contextlib.closing(self.connect()) as admin:
            admin.cursor().execute(KIND[self.kind].create.format(name=name))
        return name

    def drop_database(self, name: str) -> None:
        """Drop a database, and the connections that a test left open to it."""
        with contextlib.closing(self.connect()) as admin:
            KIND[self.kind].drop(admin.cursor(), name)


@contextlib.contextmanager
def run() -> Iterator[Path]:
    """The folder of a new run; servers asked for with it are stopped at the end."""
    folder, alive = start_run()
    try:
        yield folder
    finally:
        end_run(folder, alive)


def start_run() -> tuple[Path, int]:
    """The folder of a new run and the lock that keeps its servers alive; hand both to `end_run`."""
    remove_dead_runs()
    folder = Path(tempfile.mkdtemp(prefix=PREFIX))
    folder.chmod(0o755)  # the servers' accounts must get through
    # A record lock, not flock: a forked child does not inherit it, so it cannot outlive the owner.
    alive = os.open(folder / "alive", os.O_RDWR | os.O_CREAT, 0o644)
    fcntl.lockf(alive, fcntl.LOCK_EX)
    return folder, alive


def end_run(folder: Path, alive: int) -> None:
    """Let the servers of a run go, and wait until they have."""
    os.close(alive)
    deadline = time.monotonic() + STOP_SECONDS + 5
    while any((folder / kind).exists() for kind in KINDS) and time.monotonic() < deadline:
        time.sleep(0.02)
    shutil.rmtree(folder, ignore_errors=True)


def server(kind: str, folder: Path) -> Server:
    """The run's server of this kind, started if nobody asked for it before. Raises Missing."""
    with (folder / f"{kind}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        ready, failed = folder / f"{kind}.json", folder / f"{kind}.failed"
        if not ready.exists() and not failed.exists():
            programs(kind)
            start_keeper(kind, folder)
        if failed.exists():
            raise RuntimeError(f"{kind} did not start:\n{failed.read_text()}")
        return Server(**json.loads(ready.read_text()))


def start_keeper(kind: str, folder: Path) -> None:
    """Start the server's keeper in a session of its own and wait for its word."""
    with (folder / f"{kind}.keeper.log").open("w") as output:
        keeper = subprocess.Popen(
            [sys.executable, "-m", "tests.servers", "keep", kind, str(folder)],
            cwd=ROOT,
            stdin=subprocess.DEVNULL,
            stdout=output,
            stderr=output,
            start_new_session=True,  # Ctrl-C is for the tests; the servers go when the tests have gone
        )
    deadline = time.monotonic() + START_SECONDS
    while not (folder / f"{kind}.json").exists() and not (folder / f"{kind}.failed").exists():
        if keeper.poll() is not None or time.monotonic() > deadline:
            said = (folder / f"{kind}.keeper.log").read_text()
            (folder / f"{kind}.failed").write_text(said or f"no answer in {START_SECONDS} s")
        time.sleep(0.02)


def remove_dead_runs() -> None:
    """Remove the folders of runs that ended without a keeper to clean up after them (a power cut, say)."""
    for folder in Path(tempfile.gettempdir()).glob(f"{PREFIX}*"):
        with contextlib.suppress(OSError), (folder / "alive").open("r+") as alive:
            if time.time() - folder.stat().st_mtime < 60:
                continue  # its owner may be about to take the lock
            fcntl.lockf(alive, fcntl.LOCK_EX | fcntl.LOCK_NB)
            shutil.rmtree(folder, ignore_errors=True)


# ------------------------------------------------------------------------------------------- the keeper


def keep(kind: str, folder: Path) -> None:
    """Run one server until the run's owner is gone. The main function of the keeper process."""
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))
    home = folder / kind
    try:
        process, running = launch(kind, home)
        try:
            write_whole(folder / f"{kind}.json", json.dumps(asdict(running)))
            with (folder / "alive").open() as alive:
                fcntl.lockf(alive, fcntl.LOCK_SH)  # returns when the owner has let go, or died
        finally:
            stop(process)
    except Exception as error:
        write_whole(folder / f"{kind}.failed", f"{error}\n{tail(home / 'log')}")
        raise
    finally:
        shutil.rmtree(home, ignore_errors=True)
        if not any((folder / other).exists() for other in KINDS):
            shutil.rmtree(folder, ignore_errors=True)


def launch(kind: str, home: Path) -> tuple[subprocess.Popen[bytes], Server]:
    """Make an empty server in `home`, start it, and wait until it answers."""
    for attempts_left in (2, 1, 0):
        try:
            return launch_once(kind, home)
        except Exception:  # somebody may have taken the port between our look and the server's
            if not attempts_left:
                raise
            shutil.rmtree(home)
    raise AssertionError("the last attempt returns or raises")


def launch_once(kind: str, home: Path) -> tuple[subprocess.Popen[bytes], Server]:
    found, account = programs(kind), account_for(KIND[kind].account)
    data, log = home / "data", home / "log"
    data.mkdir(mode=0o700, parents=True)
    if account:
        shutil.chown(data, account)
        shutil.chown(home, account)
    running = Server(kind=kind, port=free_port(), password=secrets.token_hex(12), log=str(log))
    with log.open("wb") as output:
        process = KIND[kind].start(found, home, running, account, output)
    wait_until_it_answers(process, running)
    return process, running


def wait_until_it_answers(process: subprocess.Popen[bytes], running: Server) -> None:
    deadline = time.monotonic() + START_SECONDS - 10
    while True:
        try:
            running.connect().close()
            return
        except Exception as error:
            if process.poll() is not None:
                raise RuntimeError(f"{running.kind} ended at its start") from error
            if time.monotonic() > deadline:
                stop(process)
                raise
        time.sleep(0.05)


def stop(process: subprocess.Popen[bytes]) -> None:
    process.send_signal(signal.SIGQUIT)  # both: end at once, without waiting for clients
    try:
        process.wait(STOP_SECONDS - 5)
    except subprocess.TimeoutExpired:
        process.kill()
        process.wait()


class OwnServer:
    """A PostgreSQL server that a test may stop and start again."""

    def __init__(self, home: Path) -> None:
        self.home = home
        self.process, self.server = launch("postgresql", home)
        self.url = self.server.url("postgres")

    def stop(self) -> None:
        """As a crash does: without waiting for anybody, without writing anything."""
        stop(self.process)

    def start(self) -> None:
        with (self.home / "log").open("ab") as output:
            account = account_for("postgres")
            self.process = popen(list(self.process.args), account, self.home, output)
        wait_until_it_answers(self.process, self.server)


def account_for(name: str) -> str | None:
    """The account a server runs under when we are root, which no database server agrees to be."""
    if os.geteuid() != 0:
        return None
    with contextlib.suppress(KeyError):
        return pwd.getpwnam(name).pw_name
    return "nobody"


def popen(command: Sequence[object], account: str | None, home: Path, output: Any) -> subprocess.Popen[bytes]:
    who: dict[str, Any] = {}
    if account:
        who = {"user": account, "group": pwd.getpwnam(account).pw_gid, "extra_groups": []}
    return subprocess.Popen(
        [str(word) for word in command],
        cwd=home,
        env={"PATH": os.environ.get("PATH", ""), "LC_ALL": "C", "TZ": "UTC"},
        stdin=subprocess.DEVNULL,
        stdout=output,
        stderr=subprocess.STDOUT,
        preexec_fn=die_with_parent,  # noqa: PLW1509  the keeper has only one thread
        **who,
    )


def die_with_parent() -> None:
    """Have the kernel stop this process when its parent, the keeper, dies of kill -9 (Linux only)."""
    if sys.platform == "linux":
        pr_set_pdeathsig = 1
        ctypes.CDLL(None).prctl(pr_set_pdeathsig, signal.SIGQUIT)


def must(process: subprocess.Popen[bytes]) -> None:
    if process.wait() != 0:
        raise RuntimeError(f"{process.args!r} failed")


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def write_whole(path: Path, text: str) -> None:
    """Write so that nobody ever reads half of it."""
    draft = path.with_name(f".{path.name}")
    draft.write_text(text)
    draft.replace(path)


def tail(path: Path) -> str:
    return "\n".join(path.read_text(errors="replace").splitlines()[-30:]) if path.exists() else ""


# ---------------------------------------------------------------------------------------- the two kinds
# The drivers are imported when a server is used: most test runs by hand touch none.


def start_postgresql(
    found: dict[str, str], home: Path, wanted: Server, account: str | None, output: Any
) -> subprocess.Popen[bytes]:
    secret = home / "password"
    secret.write_text(wanted.password)
    initdb = [found["initdb"], "-D", home / "data", "-U", wanted.user, f"--pwfile={secret}", "--no-sync"]
    initdb += ["--auth=md5", "--encoding=UTF8", "--locale=C", "--no-instructions"]
    must(popen(initdb, account, home, output))
    settings = {
        "listen_addresses": wanted.host,
        "port": wanted.port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "timezone": "UTC",
        "log_timezone": "UTC",
        "log_line_prefix": "%m [%p] %u@%d ",
        "fsync": "off",
        "synchronous_commit": "off",
        "full_page_writes": "off",
    }
    options = [word for key, value in settings.items() for word in ("-c", f"{key}={value}")]
    return popen([found["postgres"], "-D", home / "data", *options], account, home, output)


def connect_postgresql(running: Server, database: str | None) -> Any:
    import psycopg

    return psycopg.connect(
        host=running.host,
        port=running.port,
        user=running.user,
        password=running.password,
        dbname=database or "postgres",
        autocommit=True,
        connect_timeout=10,
    )


def drop_postgresql(cursor: Any, name: str) -> None:
    cursor.execute(f'drop database if exists "{name}" with (force)')


def start_mariadb(
    found: dict[str, str], home: Path, wanted: Server, account: str | None, output: Any
) -> subprocess.Popen[bytes]:
    data = f"--datadir={home / 'data'}"
    install = [found["mariadb-install-db"], "--no-defaults", data, "--skip-test-db"]
    install += ["--auth-root-authentication-method=normal", "--innodb-flush-log-at-trx-commit=0"]
    must(popen(install, account, home, output))
    first_words = home / "init.sql"
    first_words.write_text(
        f"create user {wanted.user}@'%' identified by '{wanted.password}';\n"
        f"grant all on *.* to {wanted.user}@'%' with grant option;\n"
    )
    options = {
        "bind-address": wanted.host,
        "port": wanted.port,
        "socket": home / "s",
        "pid-file": home / "pid",
        "init-file": first_words,
        "max-connections": 200,
        "default-time-zone": "+00:00",
        "log-output": "TABLE",  # `set global general_log = 1`, then read mysql.general_log
        "innodb-buffer-pool-size": "128M",
        "innodb-flush-log-at-trx-commit": 0,
        "innodb-fast-shutdown": 2,
        "innodb-doublewrite": 0,
    }
    words = [f"--{key}={value}" for key, value in options.items()]
    command = [found["mariadbd"], "--no-defaults", "--skip-name-resolve", "--skip-log-bin", data, *words]
    return popen(command, account, home, output)


def connect_mariadb(running: Server, database: str | None) -> Any:
    import pymysql

    return pymysql.connect(
        host=running.host,
        port=running.port,
        user=running.user,
        password=running.password,
        database=database,
        autocommit=True,
        connect_timeout=10,
    )


def drop_mariadb(cursor: Any, name: str) -> None:
    # An open transaction's metadata lock would hold the drop up for ever.
    cursor.execute("select id from information_schema.processlist where db = %s", (name,))
    for (connection,) in cursor.fetchall():
        with contextlib.suppress(Exception):  # it may have ended by itself
            cursor.execute(f"kill {connection}")
    cursor.execute(f"drop database if exists `{name}`")


@dataclass(frozen=True, kw_only=True)
class Kind:
    """What differs between one kind of server and the other."""

    package: str
    account: str
    programs: tuple[str, ...]
    folders: tuple[str, ...]
    """Patterns of folders, beside PATH, that may hold the programs."""
    driver: str
    create: str
    drop: Callable[[Any, str], None]
    connect: Callable[[Server, str | None], Any]
    start: Callable[[dict[str, str], Path, Server, str | None, Any], subprocess.Popen[bytes]]


KIND = {
    "postgresql": Kind(
        package="postgresql",
        account="postgres",
        programs=("initdb", "postgres"),
        folders=(
            "usr/lib/postgresql/*/bin",
            "usr/pgsql-*/bin",
            "opt/homebrew/opt/postgresql*/bin",
            "usr/local/opt/postgresql*/bin",
        ),
        driver="postgresql+psycopg",
        create='create database "{name}" template template0',
        drop=drop_postgresql,
        connect=connect_postgresql,
        start=start_postgresql,
    ),
    "mariadb": Kind(
        package="mariadb-server",
        account="mysql",
        programs=("mariadb-install-db", "mariadbd"),
        folders=("usr/sbin", "usr/bin", "opt/homebrew/opt/mariadb*/bin", "usr/local/opt/mariadb*/bin"),
        driver="mysql+pymysql",
        create="create database `{name}` character set utf8mb4",
        drop=drop_mariadb,
        connect=connect_mariadb,
        start=start_mariadb,
    ),
}


# ----------------------------------------------------------------------------------------- installation


def programs(kind: str) -> dict[str, str]:
    """The paths of the kind's programs, of the newest version found. Raises Missing."""
    folders = [
        str(folder)
        for pattern in KIND[kind].folders
        for folder in sorted(Path("/").glob(pattern), key=version_in, reverse=True)
    ]
    path = os.pathsep.join([*folders, os.environ.get("PATH", "")])
    found = {name: shutil.which(name, path=path) for name in KIND[kind].programs}
    if None in found.values():
        raise Missing(f"{kind} is not installed here: `python -m tests.servers install` as root on Debian")
    return {name: path for name, path in found.items() if path}


def tool(name: str) -> str:
    """The path of one of TOOLS. Raises Missing."""
    found = shutil.which(name, path=os.pathsep.join([os.environ.get("PATH", ""), "/usr/sbin"]))
    if found is None:
        raise Missing(f"{name} is not installed here: `python -m tests.servers install` as root on Debian")
    return found


def version_in(folder: Path) -> list[int]:
    return [int(digits) for digits in re.findall(r"\d+", str(folder))]


def missing() -> list[str]:
    """The kinds and tools that are not installed here."""
    absent = []
    for name in (*KINDS, *TOOLS):
        try:
            tool(name) if name in TOOLS else programs(name)
        except Missing:
            absent.append(name)
    return absent


def install() -> None:
    """Install what is missing, where that can be done: as root, with apt-get."""
    absent = missing()
    if absent and os.geteuid() == 0 and shutil.which("apt-get"):
        print(f"installing {' and '.join(absent)} for the tests", flush=True)
        # RUNLEVEL=1: do not start the packages' own servers; ours are started by the tests.
        env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive", "RUNLEVEL": "1"}
        apt = [
            "apt-get",
            "-qq",
            "-y",
            "-o",
            "Dpkg::Use-Pty=0",
            "-o",
            "DPkg::Lock::Timeout=300",
            "-o",
            "Acquire::Retries=3",
        ]
        subprocess.run([*apt, "update"], env=env, stdin=subprocess.DEVNULL, check=True)
        for name in absent:
            package = TOOLS.get(name) or KIND[name].package
            install = ["install", "--no-install-recommends", package]
            subprocess.run([*apt, *install], env=env, stdin=subprocess.DEVNULL, check=name in KINDS)
    absent = missing()
    for name in (*KINDS, *TOOLS):
        if name in absent:
            print(f"{name}: not installed; the tests that need it are skipped")
        else:
            print(f"{name}: {tool(name) if name in TOOLS else programs(name)[KIND[name].programs[-1]]}")


if __name__ == "__main__":
    match sys.argv[1:]:
        case ["install"]:
            install()
            from tests.clients.environment import install_clients

            install_clients()
        case ["keep", kind, folder] if kind in KINDS:
            keep(kind, Path(folder))
        case _:
            sys.exit("usage: python -m tests.servers install")
