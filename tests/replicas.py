"""A PostgreSQL server and a second one that replays what the first one writes: one pair for all tests of a process.

    def test_a_replica(replicated: Replicated) -> None:
        name = replicated.create_database()      # on both
        primary, replica = replicated.primary.connect(name), replicated.replica.connect(name)

After each test the replica replays again and listens to its primary as before."""

from __future__ import annotations

import shutil
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import pytest

from tests import servers


@dataclass(frozen=True)
class Replicated:
    primary: servers.Server
    replica: servers.Server

    def create_database(self) -> str:
        """The name of an empty database that both have."""
        name = self.primary.create_database()
        with closing(self.replica.connect()) as second:
            wait_for(lambda: second.execute("select 1 from pg_database where datname = %s", [name]).fetchone())
        return name


@pytest.fixture
def replicated(pair_of_servers: Replicated) -> Iterator[Replicated]:
    yield pair_of_servers
    with closing(pair_of_servers.replica.connect()) as second:
        second.execute("select pg_wal_replay_resume()")
        second.execute("alter system reset wal_receiver_timeout")
        second.execute("select pg_reload_conf()")


@pytest.fixture(scope="session")
def pair_of_servers(postgresql_server: servers.Server) -> Iterator[Replicated]:
    """Both servers, of this process only: replay is paused in one test at a time."""
    programs = servers.programs("postgresql")
    basebackup = Path(programs["postgres"]).with_name("pg_basebackup")
    if not basebackup.exists():
        pytest.skip("pg_basebackup is not installed")
    home = Path(tempfile.mkdtemp(prefix="tallybook-pair-", dir="/tmp"))
    home.chmod(0o755)  # the server's account must get through
    try:
        process, primary = servers.launch("postgresql", home / "primary")
        try:
            with replica_of(primary, basebackup, home / "replica") as replica:
                yield Replicated(primary, replica)
        finally:
            servers.stop(process)
    finally:
        shutil.rmtree(home, ignore_errors=True)


@contextmanager
def replica_of(primary: servers.Server, basebackup: Path, home: Path) -> Iterator[servers.Server]:
    """A server that replays what `primary` writes."""
    home.mkdir()
    account = servers.account_for("postgres")
    if account:
        shutil.chown(home, account)
    log, port = home / "log", servers.free_port()
    source = f"host={primary.host} port={primary.port} user={primary.user} password={primary.password}"
    copy = [basebackup, "-D", home / "data", "-R", "--checkpoint=fast", "-d", source]
    words = [basebackup.with_name("postgres"), "-D", home / "data"]
    for option in (f"port={port}", "listen_addresses=127.0.0.1", "unix_socket_directories=", "max_connections=200"):
        words += ["-c", option]
    with log.open("wb") as output:
        servers.must(servers.popen(copy, account, home, output))
        process = servers.popen([*words, "-c", "fsync=off"], account, home, output)
    replica = replace(primary, port=port, log=str(log))
    try:
        servers.wait_until_it_answers(process, replica)
        yield replica
    finally:
        servers.stop(process)


def wait_for(what: Callable[[], Any], seconds: float = 60) -> None:
    end = time.monotonic() + seconds
    while not what():
        assert time.monotonic() < end
        time.sleep(0.05)
