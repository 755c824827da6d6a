"""Disks that fail: what a log acknowledged before is there, and nothing is acknowledged after a failed sync.

strace lets chosen system calls of a writer fail, so that SQLite and the kernel's answer are the real ones."""

from __future__ import annotations

import contextlib
import random
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from tallybook.ingest.log_sqlite import SqliteLog, SqliteLogs
from tests.ingest.test_logs import ROW

WRITER = """
import sys
from pathlib import Path
from datetime import UTC, datetime
from tallybook.ingest.log import LogFailed, LogFull, LogRow
from tallybook.ingest.log_sqlite import SqliteLogs
ROW = LogRow(received=datetime.now(UTC), key="k", protocol="tallybook", path="/v1/events", headers="{}", body=b"{}")
log = SqliteLogs(Path(sys.argv[1]), "host-1").new()
open(sys.argv[1] + "/begin", "w").close()
for _ in range(8):
    try:
        print(log.append([ROW])[0], flush=True)
    except LogFull:
        print("full", flush=True)
    except LogFailed:
        print("failed", flush=True)
        break
"""


CALLS = ("fdatasync", "pwrite64")


def writer(folder: Path, *options: str) -> str:
    """What a writer prints that is traced with options; the trace is in the folder. Skips where nothing may be traced."""
    if shutil.which("strace") is None:
        pytest.skip("strace is not installed")
    folder.mkdir()
    command = [
        "strace",
        "-f",
        "-qq",
        "--seccomp-bpf",
        "-o",
        str(folder / "trace"),
        *options,
        sys.executable,
        "-c",
        WRITER,
        str(folder),
    ]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    if "ptrace" in done.stderr.lower():
        pytest.skip("no process may be traced here")
    assert done.returncode == 0, done.stderr
    return done.stdout


@pytest.fixture(scope="module")
def before_the_fourth(tmp_path_factory: pytest.TempPathFactory) -> dict[str, int]:
    """How often a writer makes each call before its fourth row."""
    folder = tmp_path_factory.mktemp("dry") / "log"
    writer(folder, "-e", f"trace={','.join(CALLS)},write")
    found = dict.fromkeys(CALLS, 0)
    for line in (folder / "trace").read_text().splitlines():
        call = line.split(None, 1)[1]
        if call.startswith('write(1, "3'):
            return found
        name = call.partition("(")[0]
        found[name] = found.get(name, 0) + 1
    raise AssertionError("the writer wrote no third row")


def rows_after(folder: Path) -> list[int]:
    logs = SqliteLogs(folder, "host-1")
    (name,) = logs.names()
    with contextlib.closing(logs.open(name)) as log:
        return [row.n for row in log.read(0, 10**6)]


@pytest.mark.parametrize("call", CALLS)
def test_after_a_sync_or_write_that_fails_nothing_is_acknowledged_and_what_was_is_there(
    tmp_path: Path, call: str, before_the_fourth: dict[str, int]
) -> None:
    begins = before_the_fourth[call] + 1
    said = writer(tmp_path / "log", "-e", f"inject={call}:error=EIO:when={begins}+").split()
    assert said == ["1", "2", "3", "failed"]
    assert rows_after(tmp_path / "log")[:3] == [1, 2, 3]


def test_a_full_disk_takes_nothing_and_recovers(tmp_path: Path, before_the_fourth: dict[str, int]) -> None:
    begins = before_the_fourth["pwrite64"] + 1
    said = writer(tmp_path / "log", "-e", f"inject=pwrite64:error=ENOSPC:when={begins}..{begins + 1}").split()
    assert said[:4] == ["1", "2", "3", "full"]
    assert said[-1] != "full"
    assert rows_after(tmp_path / "log") == [int(one) for one in said if one != "full"]


def test_a_log_that_is_cut_at_any_byte_has_every_row_before_it(tmp_path: Path) -> None:
    logs = SqliteLogs(tmp_path, "host-1")
    log = logs.new()
    ahead = Path(f"{log.path}-wal")
    sizes = []
    for _ in range(6):
        log.append([ROW])
        sizes.append(ahead.stat().st_size)
    chance = random.Random(sizes[-1])
    cuts = {*sizes, *(size - 1 for size in sizes), *(chance.randrange(sizes[-1]) for _ in range(30))}
    for cut in sorted(cuts):
        copy = tmp_path / f"{cut}.sqlite"
        shutil.copy(log.path, copy)
        Path(f"{copy}-wal").write_bytes(ahead.read_bytes()[:cut])
        opened = SqliteLog(copy, writing=False)
        found = [row.n for row in opened.read(0, 10**6)]
        opened.close()
        assert found == list(range(1, 1 + len(found)))
        assert len(found) == sum(size <= cut for size in sizes)
    log.close()
