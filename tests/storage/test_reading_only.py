"""Verbs that only read need no right to write: another user of the group, a full disk, side files that are gone."""

from __future__ import annotations

import contextlib
import os
import shutil
import sqlite3
import stat
import tempfile
import traceback
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.collect.sources.registry import open_source
from tallybook.core.errors import BookError
from tallybook.storage import tables
from tallybook.storage.sqlite_ledger import SqliteLedger
from tests.storage.test_safe import small_disk

NOW = datetime(2024, 1, 20, 6, tzinfo=UTC)
OTHER_USER, GROUP = 54_321, 54_322
TOML = """
[book]
start = "2024-01-01"
access = "group"

[sources.app]
url = "sqlite:///app.db"

[metrics.visits]
table = "visits"
time = "at"
measure = "count(*)"
by = ["plan"]
"""


@pytest.fixture
def folder() -> Iterator[Path]:
    """A project whose book was collected, in a folder that other users reach."""
    with tempfile.TemporaryDirectory(prefix="tallybook-test-") as made:
        folder = Path(made)
        folder.chmod(0o755)
        db = sqlite3.connect(folder / "app.db")
        db.execute("CREATE TABLE visits (at TEXT, plan TEXT)")
        days = [(f"2024-01-{day:02} 10:00:00", "pro") for day in range(1, 20)]
        db.executemany("INSERT INTO visits VALUES (?, ?)", days)
        db.commit()
        db.close()
        (folder / "tallybook.toml").write_text(TOML)
        with opened(folder) as book:
            book.run()
        yield folder


def opened(folder: Path, now: datetime = NOW) -> Any:
    return tallybook.open(folder, now=lambda: now)


def ask(folder: Path) -> int:
    with opened(folder) as book:
        rows = book.query("visits", scope="all").rows()
        return int(rows[0]["visits"])


def as_another_user(act: Callable[[], Any]) -> str:
    """What `act` returns, or raises, in a process of another user of the same group. Needs root."""
    if os.getuid() != 0:
        pytest.skip("only root becomes another user")
    reading, writing = os.pipe()
    if (pid := os.fork()) == 0:
        try:
            os.setgroups([])
            os.setgid(GROUP)
            os.setuid(OTHER_USER)
            said = repr(act())
        except BaseException:  # noqa: BLE001  whatever it is, it is told
            said = traceback.format_exc()
        os.write(writing, said.encode()[:60_000])
        os._exit(0)
    os.close(writing)
    with os.fdopen(reading) as file:
        said = file.read()
    os.waitpid(pid, 0)
    return said


def give_to_the_group(folder: Path) -> None:
    for path in (folder / "book", *(folder / "book").rglob("*")):
        os.chown(path, 0, GROUP)


def side_files(folder: Path) -> list[str]:
    return sorted(p.name for p in (folder / "book").glob("ledger.sqlite-*"))


def without_side_files(folder: Path) -> None:
    """As after the last writer closed the ledger."""
    sqlite3.connect(folder / "book" / "ledger.sqlite").execute("PRAGMA wal_checkpoint(TRUNCATE)").connection.close()
    for name in side_files(folder):
        (folder / "book" / name).unlink()


def test_a_new_book_and_its_backups_are_private_whatever_the_umask(folder: Path) -> None:
    for access, modes in (("owner", (0o700, 0o600)), ("group", (0o750, 0o640))):
        for umask in (0o000, 0o077):
            shutil.rmtree(folder / "book")
            (folder / "tallybook.toml").write_text(TOML.replace('"group"', f'"{access}"'))
            before = os.umask(umask)
            try:
                with opened(folder) as book:
                    book.run()
                    book.backup(folder / f"backups/{access}-{umask}")
                    assert book.remarks() == []
            finally:
                os.umask(before)
            for root in (folder / "book", folder / f"backups/{access}-{umask}"):
                seen = {stat.S_IMODE(p.stat().st_mode) for p in (root, *root.rglob("*")) if p.is_dir()}
                assert seen == {modes[0]}, root
                files = {p: stat.S_IMODE(p.stat().st_mode) for p in root.rglob("*") if p.is_file()}
                assert set(files.values()) == {modes[1]}, files


def test_folders_that_are_there_keep_their_modes_and_doctor_mentions_them(folder: Path) -> None:
    book_folder = folder / "book"
    for path in (book_folder, *book_folder.rglob("*")):
        path.chmod(0o755 if path.is_dir() else 0o644)
    with opened(folder, NOW.replace(month=2, day=3)) as book:
        book.run()
        assert book.doctor() == []
        (remark,) = book.remarks()
        assert "open to other users" in remark
        assert f"chmod -R u=rwX,g=rX,o= {book_folder}" in remark
    assert {stat.S_IMODE(p.stat().st_mode) for p in book_folder.rglob("*.parquet")} == {0o644}, "as the ledger"
    os.system(f"chmod -R u=rwX,g=,o= {book_folder}")
    with opened(folder) as book:
        (remark,) = book.remarks()
        assert "closed to the group" in remark


def test_another_user_of_the_group_may_ask_when_nobody_has_the_book_open(folder: Path) -> None:
    give_to_the_group(folder)
    without_side_files(folder)
    assert as_another_user(lambda: ask(folder)) == "19"
    assert side_files(folder) == []


def test_another_user_may_ask_while_the_owner_has_it_open(folder: Path) -> None:
    with opened(folder) as book:
        book.store.ledger.start_run("collect", now=NOW)
        give_to_the_group(folder)
        assert as_another_user(lambda: ask(folder)) == "19"


def test_another_user_may_ask_after_the_owner_did(folder: Path) -> None:
    """Who only reads leaves side files behind: nobody brought the log in."""
    without_side_files(folder)
    assert ask(folder) == 19
    give_to_the_group(folder)
    assert as_another_user(lambda: ask(folder)) == "19"


def test_another_user_may_use_every_verb_that_reads(folder: Path) -> None:
    give_to_the_group(folder)

    def look() -> list[object]:
        with opened(folder) as book:
            return [
                book.why("visits", "2024-01-05").day, len(book.runs()), len(book.metrics()), book.doctor(),
                len(book.coverage()), book.status().metrics[0].metric, book.query("visits", as_of="2024-01-20").version,
                book.audit("visits", sample=2, seed=1).drifted, book.alerts(), book.backup(Path(tempfile.mkdtemp()) / "b").files,
            ]  # fmt: skip

    # Another user may not reach the modules of this Python: those that are imported late are imported now.
    assert look()
    without_side_files(folder)
    assert as_another_user(look) == "['2024-01-05', 1, 1, [], 1, 'visits', 1, [], [], 1]"


def test_another_user_is_refused_what_writes_with_the_reason(folder: Path) -> None:
    give_to_the_group(folder)
    without_side_files(folder)
    said = as_another_user(lambda: opened(folder).run())
    assert "cannot be written" in said
    assert "belongs to another user" in said


def test_a_reader_without_side_files_sees_what_is_written_later(folder: Path) -> None:
    give_to_the_group(folder)
    without_side_files(folder)

    def look() -> list[int]:
        with opened(folder) as book:
            seen = [book.store.ledger.version()]
            os.write(ready[1], b"x")
            os.read(go[0], 1)
            return [*seen, book.store.ledger.version()]

    ready, go = os.pipe(), os.pipe()
    if (pid := os.fork()) == 0:
        os.read(ready[0], 1)
        with opened(folder, NOW.replace(day=22)) as book:
            book.run()
        os.write(go[1], b"x")
        os._exit(0)
    assert as_another_user(look) == "[1, 2]"
    os.waitpid(pid, 0)


def test_what_a_killed_writer_left_in_the_log_is_read_by_another_user(folder: Path) -> None:
    """Committed, not checkpointed: the version is in the `-wal` alone."""
    if (pid := os.fork()) == 0:
        with opened(folder, NOW.replace(day=22)) as book:
            book.run()
            os.kill(os.getpid(), 9)
    os.waitpid(pid, 0)
    give_to_the_group(folder)
    (folder / "book" / "ledger.sqlite-shm").unlink()
    assert (folder / "book" / "ledger.sqlite-wal").stat().st_size > 0

    def look() -> int:
        with opened(folder) as book:
            return int(book.store.ledger.version())

    assert as_another_user(look) == "2"


def fill_up(path: Path) -> None:
    """Write a file until no room is left on its disk."""
    descriptor = os.open(path, os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while os.write(descriptor, b"x" * 4096):
            pass
    os.close(descriptor)


def test_a_full_disk_can_be_asked(folder: Path) -> None:
    without_side_files(folder)
    whole = shutil.copytree(folder / "book", folder / "whole")
    shutil.rmtree(folder / "book")
    with small_disk(folder / "book", 1024):
        shutil.copytree(whole, folder / "book", dirs_exist_ok=True)
        fill_up(folder / "book" / "fill")
        assert ask(folder) == 19
        with opened(folder) as book:
            assert book.doctor() == []
            with pytest.raises(BookError, match="cannot be written") as told:
                book.run()
            assert "make room on the disk" in told.value.hint


def test_a_ledger_that_is_written_to_while_it_is_copied_is_read_again(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from tallybook.storage import sqlite_reading

    without_side_files(folder)
    path, copies = folder / "book" / "ledger.sqlite", []
    really = sqlite_reading._copy_in_memory

    def copied(path: Path) -> sqlite3.Connection:
        made = really(path)
        copies.append(made)
        if len(copies) == 1:
            ledger = SqliteLedger(path)
            ledger.bind_key("a", "b")
            ledger.close()
        return made

    monkeypatch.setattr(sqlite_reading, "_copy_in_memory", copied)
    reading = sqlite_reading._copy(path)
    assert reading.connection.execute("SELECT key FROM metric_keys").fetchall() == [("b",)]
    assert reading.is_current()
    SqliteLedger(path).bind_key("c", "d")
    assert not reading.is_current()


def test_nothing_needs_to_be_written_beside_the_project(folder: Path) -> None:
    """The kept catalog may be lacking, and need not be kept."""
    give_to_the_group(folder)
    without_side_files(folder)
    shutil.rmtree(folder / "book" / "cache", ignore_errors=True)
    assert as_another_user(lambda: ask(folder)) == "19"


# ------------------------------------------------------------------------------------------------ SQLite sources


def application(folder: Path, *statements: str, killed: bool = False, mode: str = "wal") -> None:
    """A process that writes to the source, and ends or is killed."""
    if (pid := os.fork()) == 0:
        db = sqlite3.connect(folder / "app" / "app.db", isolation_level=None)
        db.execute(f"PRAGMA journal_mode = {mode}")
        db.execute("PRAGMA cache_size = 1")
        for statement in statements:
            db.execute(statement)
        if killed:
            os.kill(os.getpid(), 9)
        db.close()
        os._exit(0)
    os.waitpid(pid, 0)


@pytest.fixture
def source(folder: Path) -> Path:
    """The project, with its database in a folder of the application, readable by others."""
    (folder / "app").mkdir()
    (folder / "app.db").rename(folder / "app" / "app.db")
    (folder / "tallybook.toml").write_text(TOML.replace("sqlite:///app.db", "sqlite:///app/app.db"))
    (folder / "app").chmod(0o755)
    (folder / "app" / "app.db").chmod(0o644)
    # A book of its own: for one that was collected, a database under another path is another source.
    shutil.rmtree(folder / "book")
    with opened(folder) as book:
        book.run()
    give_to_the_group(folder)
    return folder


def live(folder: Path) -> int:
    with opened(folder) as book:
        return int(
            book.query("visits", scope="all", from_="2024-01-01", to="2024-01-19", live=True).rows()[0]["visits"]
        )


ONE_MORE = "INSERT INTO visits VALUES ('2024-01-03 11:00:00', 'free')"


def test_a_source_in_wal_mode_is_read_while_nobody_has_it_open(source: Path) -> None:
    application(source, ONE_MORE)
    assert sorted(p.name for p in (source / "app").iterdir()) == ["app.db"]
    assert as_another_user(lambda: live(source)) == "20"
    assert sorted(p.name for p in (source / "app").iterdir()) == ["app.db"]


@pytest.mark.parametrize(("mode", "left"), [("wal", "app.db-wal"), ("delete", "app.db-journal")])
def test_what_a_killed_writer_left_beside_a_source_is_named(source: Path, mode: str, left: str) -> None:
    many = "INSERT INTO visits SELECT a.at, b.plan FROM visits a, visits b, visits c"
    application(source, *((many, ONE_MORE) if mode == "wal" else ("BEGIN", many)), killed=True, mode=mode)
    (source / "app" / "app.db-shm").unlink(missing_ok=True)
    assert (source / "app" / left).stat().st_size > 0
    said = as_another_user(lambda: live(source))
    assert f"a writer that was killed left {left} beside it" in said
    assert "app/app.db 'select count(*)" in said


def test_a_source_that_is_written_to_while_it_is_read_is_read_again(source: Path) -> None:
    """Nobody had it open when it was opened; the application comes in the middle of a run."""
    application(source, "SELECT 1")
    ready, go = os.pipe(), os.pipe()

    def look() -> list[int]:
        with opened(source) as book:
            found = open_source(book.project.catalog.sources["app"])
            count = "SELECT count(*) FROM visits"
            with found.snapshot() as reader:
                seen = [reader.rows(count)[0][0]]
                os.write(ready[1], b"x")
                os.read(go[0], 1)
                seen.append(reader.rows(count)[0][0])
            with found.snapshot() as reader:
                return [*seen, reader.rows(count)[0][0]]

    if (pid := os.fork()) == 0:
        os.read(ready[0], 1)
        application(source, ONE_MORE)
        os.write(go[1], b"x")
        os._exit(0)
    assert as_another_user(look) == "[19, 20, 20]"
    os.waitpid(pid, 0)


def test_rows_in_batches_are_refused_when_the_file_changed_meanwhile(source: Path) -> None:
    application(source, "SELECT 1")
    ready, go = os.pipe(), os.pipe()

    def look() -> int:
        with opened(source) as book:
            found = open_source(book.project.catalog.sources["app"])
            with found.snapshot() as reader:
                batches = reader.batches("SELECT at FROM visits", size=5)
                number = len(next(batches))
                os.write(ready[1], b"x")
                os.read(go[0], 1)
                return number + sum(map(len, batches))

    if (pid := os.fork()) == 0:
        os.read(ready[0], 1)
        application(source, ONE_MORE)
        os.write(go[1], b"x")
        os._exit(0)
    assert "was written to while it was read" in as_another_user(look)
    os.waitpid(pid, 0)


def test_a_book_of_an_older_number_names_who_has_to_run_what(folder: Path) -> None:
    ledger = folder / "book" / "ledger.sqlite"
    with contextlib.closing(sqlite3.connect(ledger)) as db:
        db.execute("PRAGMA user_version = 3")
    without_side_files(folder)
    give_to_the_group(folder)
    said = as_another_user(lambda: ask(folder))
    assert (
        f"was written by an older Tallybook (ledger 3, this one needs {tables.NUMBER}), and you may not write to it"
        in said
    )
    assert "tallybook doctor" in said
