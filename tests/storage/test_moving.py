"""A book that is copied is the same book: every answer, version, revision and file, whatever keeps it."""

from __future__ import annotations

import json
import shutil
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from datetime import UTC, datetime
from io import StringIO
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.core.errors import BookError, Busy, QueryError
from tallybook.storage import copying
from tallybook.storage.files import hash_of
from tallybook.storage.places import BookLocation, open_store
from tests.crash import DEEDS
from tests.storage.test_safe import HISTORY, QUESTIONS, TOML, assert_same, change, make_company

NOW = "2024-01-18T08:00"


@pytest.fixture(autouse=True)
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Files brought from ledgers go into a folder of the test."""
    (tmp_path / "tmp").mkdir()
    monkeypatch.setattr(tempfile, "tempdir", str(tmp_path / "tmp"))


@contextmanager
def at(folder: Path, now: str = NOW) -> Iterator[Any]:
    instant = datetime.fromisoformat(now).replace(tzinfo=UTC)
    with tallybook.open(folder, now=lambda: instant, env={}) as book:
        yield book


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A project collected twice and compacted: its book has old versions, revisions, snapshots and folded years."""
    folder = tmp_path_factory.mktemp("collected") / "project"
    make_company(folder)
    for act in HISTORY[:3]:
        change(folder, act)
        with at(folder, act.now) as book:
            DEEDS[act.do](book, {"publish_seconds": 1000, **act.more})
    return folder


@pytest.fixture
def project(collected: Path, tmp_path: Path) -> Path:
    return shutil.copytree(collected, tmp_path / "project")


def dump(folder: Path) -> Any:
    """Everything a book says, with its revisions and what doctor finds."""
    with at(folder) as book:
        return json.loads(json.dumps(DEEDS["dump"](book, {"questions": QUESTIONS}), default=str))


def everything(folder: Path) -> Any:
    """Every row of its ledger, but for who is at work and the hashes that an old book lacks."""
    with at(folder) as book:
        rows = book.store.ledger.export()
    return {table: found for table, found in rows.items() if table != "leases"}


def problems(folder: Path) -> list[Any]:
    """What doctor finds; it reads every file."""
    with at(folder) as book:
        return list(book.doctor())


def said(folder: Path, *typed: str, **env: str) -> tuple[int, str]:
    out = StringIO()
    now = datetime.fromisoformat(NOW).replace(tzinfo=UTC)
    code = invoke([*typed, "--project", str(folder)], now=lambda: now, stdout=out, stderr=out, env=env)
    return code, out.getvalue()


def declare(folder: Path, *lines: str) -> None:
    """Say in tallybook.toml where the book is."""
    (folder / "tallybook.toml").write_text(TOML.replace("[book]", "\n".join(["[book]", *lines])))


def lines_of(printed: str) -> list[str]:
    """What `move` says that [book] should say."""
    told = printed.partition("write into [book] of tallybook.toml:\n\n")[2].partition("\n\n")[0]
    return [line.strip() for line in told.splitlines()]


@pytest.fixture
def url(make_database: Callable[[str], str]) -> str:
    return make_database("postgresql")


# ------------------------------------------------------------------------------------------------ from place to place


def test_a_book_moves_from_place_to_place_and_stays_the_same(project: Path, url: str) -> None:
    """From a file to PostgreSQL with a folder, its points into the ledger, to another schema, and back to a file."""
    before, rows = dump(project), everything(project)
    journey = (
        ["--to-ledger", url, "--to-store", "shared"],
        ["--to-store", "ledger"],
        ["--to-schema", "elsewhere"],
        ["--to-store", "shared2"],
        ["--to-ledger", "sqlite", "--to-store", "home"],
        ["--to-store", "home2"],
    )
    for number, where in enumerate(journey):
        code, printed = said(project, "move", *where, APP_DATABASE=url)
        assert code == 0, printed
        assert "copied and verified" in printed
        assert (everything(project), problems(project)) == (rows, []), "the book is left as it was"
        declare(project, *lines_of(printed))
        (project / ".env").write_text(f"APP_DATABASE='{url}'\n")
        found = dump(project)
        assert_same(found, before, where)
        assert everything(project) == rows, number
    assert (project / "home2" / "ledger.sqlite").exists()
    assert lines_of(printed) == ['store = "home2"']


def test_a_moved_book_goes_on_where_it_was(project: Path, url: str) -> None:
    """Numbers of versions, runs, files and leases grow from where they were."""
    with at(project) as book:
        version, runs = book.store.ledger.version(), [run.run for run in book.runs()]
        lease = book.store.ledger.acquire("collect", now=book.clock(), seconds=60)
        book.store.ledger.release(lease)
    code, printed = said(project, "move", "--to-ledger", url, "--to-store", "ledger")
    assert code == 0, printed
    declare(project, *lines_of(printed))
    (project / ".env").write_text(f"LEDGER_URL='{url}'\n")
    change(project, HISTORY[3])
    with at(project) as book:
        book.run(from_="2023-12-10", to="2024-01-05")
        assert book.store.ledger.version() > version
        assert [run.run for run in book.runs()] == [runs[0] + 1, *runs]
        assert book.store.ledger.acquire("collect", now=book.clock(), seconds=60).fence > lease.fence
        assert book.doctor() == []


def test_the_lines_to_change_name_the_variable_that_has_the_url_and_no_password(project: Path, url: str) -> None:
    password = url.partition("://")[2].partition("@")[0].partition(":")[2]
    known = said(project, "move", "--to-ledger", url, "--to-store", "ledger", "--to-schema", "one", WAREHOUSE=url)[1]
    assert lines_of(known) == ['ledger = "${WAREHOUSE}"', 'schema = "one"', 'store = "ledger"']
    other = said(project, "move", "--to-ledger", url, "--to-store", "ledger", "--to-schema", "other")[1]
    assert lines_of(other)[0] == 'ledger = "${LEDGER_URL}"'
    assert "LEDGER_URL='postgresql+psycopg://tallybook_admin:***@" in other
    for printed in (known, other):
        assert password not in printed
    third = said(
        project, "move", "--to-ledger", url, "--to-store", "ledger", "--to-schema", "third", "--format", "json"
    )
    assert json.loads(third[1])["book"] == ['ledger = "${LEDGER_URL}"', 'schema = "third"', 'store = "ledger"']
    assert password not in third[1]


@pytest.mark.parametrize(
    ("typed", "words"),
    [
        ([], "no destination"),
        (["--to-store", "book"], "is kept there already"),
        (["--to-store", "ledger"], "a SQLite ledger cannot store points"),
        (["--to-ledger", "mysql://u:S3cret@h/app"], "is not the URL of a PostgreSQL database"),
        (["--to-ledger", "postgresql://h/app"], "two ledgers cannot share the points"),
    ],
)
def test_what_cannot_be_moved_is_told(typed: list[str], words: str, project: Path) -> None:
    code, printed = said(project, "move", *typed)
    assert code == 2
    assert words in printed
    assert "S3cret" not in printed


def test_nothing_moves_while_a_run_is_at_work_nor_over_another_book(project: Path, url: str) -> None:
    with at(project) as book:
        lease = book.store.ledger.acquire("collect", now=book.clock(), seconds=60)
        with pytest.raises(Busy):
            book.move(BookLocation(folder=None, ledger=url))
        book.store.ledger.release(lease)
        book.move(BookLocation(folder=None, ledger=url))
        with pytest.raises(BookError, match="there is a book in postgresql://") as told:
            book.move(BookLocation(folder=None, ledger=url))
    assert 'ALTER SCHEMA "tallybook" RENAME TO "tallybook_old"' in told.value.hint


def test_a_book_is_not_moved_onto_itself_however_its_ledger_is_spelled(project: Path, url: str) -> None:
    with at(project) as book:
        book.move(BookLocation(folder=None, ledger=url))
    declare(project, f'ledger = "{url}"', 'store = "ledger"')
    with at(project) as book:
        with pytest.raises(QueryError, match="is kept there already"):
            book.move(BookLocation(folder=None, ledger=url))
        with pytest.raises(BookError, match="the book is in postgresql://") as told:
            book.move(BookLocation(folder=None, ledger=url.replace("+psycopg", "")))
    assert told.value.hint == "name another place for the copy"


def test_a_book_that_is_not_whole_is_not_copied(project: Path, url: str) -> None:
    with at(project) as book:
        file = next(f for f in book.store.snapshot().files if f.kind == "additive")
        path = book.store.path(file)
        whole = path.read_bytes()
        path.write_bytes(whole.replace(b"DuckDB version", b"DuckDB versioo"))
        for place in (BookLocation(folder=None, ledger=url), BookLocation(folder=project / "other")):
            with pytest.raises(BookError, match="does not contain the bytes that were written") as told:
                book.move(place)
            assert "tallybook run --from 202" in told.value.hint
        path.unlink()
        with pytest.raises(BookError, match="is missing, so that the book cannot be copied"):
            book.move(BookLocation(folder=None, ledger=url))
        path.write_bytes(whole)
        assert book.move(BookLocation(folder=None, ledger=url)).missing == 0, "what failed left no book behind"
        assert book.move(BookLocation(folder=project / "other")).missing == 0


def test_an_older_file_that_is_missing_is_told_and_the_rest_is_copied(project: Path, tmp_path: Path) -> None:
    with at(project) as book:
        current = {file.path for file in book.store.snapshot().files}
        older = next(file for file in book.store.ledger.known_files() if file.path not in current)
        book.store.path(older).unlink()
    code, printed = said(project, "backup", str(tmp_path / "backup"))
    assert code == 0
    assert "1 file of older versions was already missing." in printed


def test_who_writes_to_the_original_meanwhile_makes_a_move_start_again(
    project: Path, url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """`compact` needs no lease, so that it may come in between."""
    copy_really, turns = copying._checked, []

    def checked(source: Any, file: Any) -> Any:
        if not turns:
            turns.append(file)
            with at(project) as other:
                other.store.ledger.start_run("somebody", now=other.clock())
        return copy_really(source, file)

    monkeypatch.setattr(copying, "_checked", checked)
    with at(project) as book:
        book.move(BookLocation(folder=None, ledger=url))
        copied = open_store(BookLocation(folder=None, ledger=url))
        assert [run["what"] for run in copied.ledger.runs(1)] == ["somebody"]
        assert copied.ledger.export()["runs"] == book.store.ledger.export()["runs"]
        copied.ledger.close()


def test_a_copy_is_no_book_until_it_is_whole(project: Path, url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(source: Any, file: Any) -> Any:
        yield b"the beginning of it"
        raise KeyboardInterrupt

    for place in (BookLocation(folder=None, ledger=url), BookLocation(folder=project / "other")):
        with at(project) as book:
            with monkeypatch.context() as patch:
                patch.setattr(copying, "_checked", fail)
                with pytest.raises(KeyboardInterrupt):
                    book.move(place)
            assert open_store(place).ledger.version() == 0
            book.move(place)
            assert open_store(place).ledger.version() == book.store.ledger.version()


# ------------------------------------------------------------------------------------------------ backup and restore


@pytest.mark.cases(2)
@pytest.mark.parametrize("kept", ["in a file", "on postgresql", "in the ledger"])
def test_what_is_backed_up_can_be_restored(kept: str, project: Path, url: str, tmp_path: Path) -> None:
    before, rows = dump(project), everything(project)
    backup = tmp_path / "backups" / "2024-01-18"
    code, printed = said(project, "backup", str(backup))
    assert code == 0, printed
    assert "copied and verified" in printed
    shutil.rmtree(project / "book")
    lines = {
        "in a file": [],
        "on postgresql": ['ledger = "${U}"'],
        "in the ledger": ['ledger = "${U}"', 'store = "ledger"'],
    }
    declare(project, *lines[kept])
    (project / ".env").write_text(f"U='{url}'\n")
    code, printed = said(project, "restore", str(backup))
    assert code == 0, printed
    assert_same(dump(project), before, kept)
    assert everything(project) == rows
    code, printed = said(project, "restore", str(backup))
    assert code == 1
    assert "there is a book in" in printed
    again = tmp_path / "backups" / "again"
    assert said(project, "backup", str(again))[0] == 0
    assert files_of(again) == files_of(backup), "a backup of what was restored has the same files"


def files_of(folder: Path) -> dict[str, str]:
    return {p.relative_to(folder).as_posix(): hash_of(p) for p in folder.rglob("*.parquet")}


def test_a_backup_is_a_book_that_can_be_asked_where_it_is(project: Path, tmp_path: Path) -> None:
    before = dump(project)
    assert said(project, "backup", str(tmp_path / "backup"))[0] == 0
    declare(project, f'store = "{tmp_path / "backup"}"')
    assert_same(dump(project), before, "a backup")


def test_a_backup_is_only_read(project: Path, tmp_path: Path) -> None:
    assert said(project, "backup", str(tmp_path / "backup"))[0] == 0
    before = {p: hash_of(p) for p in (tmp_path / "backup").rglob("*") if p.is_file()}
    shutil.rmtree(project / "book")
    assert said(project, "restore", str(tmp_path / "backup"))[0] == 0
    assert {p: hash_of(p) for p in (tmp_path / "backup").rglob("*") if p.is_file()} == before


def test_a_book_that_is_being_written_to_can_be_backed_up(project: Path, tmp_path: Path) -> None:
    """The backup is the book as it was at one moment; the run that was at work is one that never ended."""
    with at(project) as book:
        book.store.ledger.acquire("collect", now=book.clock(), seconds=60)
        book.store.ledger.start_run("collect", now=book.clock())
        book.backup(tmp_path / "backup")
    declare(project, f'store = "{tmp_path / "backup"}"')
    with at(project) as book:
        assert book.runs()[0].status == "running"
        assert book.run().exit_code == 0
        assert book.doctor() == []


def test_a_backup_never_overwrites_one(project: Path, tmp_path: Path) -> None:
    assert said(project, "backup", str(tmp_path / "backup"))[0] == 0
    code, printed = said(project, "backup", str(tmp_path / "backup"))
    assert code == 1
    assert f"there is a book in {tmp_path / 'backup'} already" in printed
    assert f"mv {tmp_path / 'backup'} {tmp_path / 'backup'}.old" in printed


def test_what_cannot_be_backed_up_or_restored_is_told(tmp_path: Path) -> None:
    make_company(tmp_path / "project")
    with at(tmp_path / "project") as book:
        with pytest.raises(QueryError, match="no book to back up yet"):
            book.backup(tmp_path / "backup")
        with pytest.raises(QueryError, match="there is no backup in"):
            book.restore(tmp_path)
    assert not (tmp_path / "backup").exists()


def test_the_book_of_the_first_tallybook_moves_to_postgresql(tmp_path: Path, url: str) -> None:
    """Its files have no hashes yet: they are taken on the way."""
    from tests.storage.test_old_books import months, written_by_the_first

    folder = written_by_the_first(tmp_path / "old")
    with at(folder, "2024-01-10T06:00") as book:
        before = months(book, "revenue")
        book.move(BookLocation(folder=None, ledger=url))
    toml = (folder / "tallybook.toml").read_text().replace("[book]", '[book]\nledger = "${U}"\nstore = "ledger"')
    (folder / "tallybook.toml").write_text(toml)
    (folder / ".env").write_text(f"U='{url}'\n")
    with at(folder, "2024-01-10T06:00") as book:
        assert months(book, "revenue") == before
        assert all(len(file.sha256) == 64 for file in book.store.ledger.known_files())
        assert book.doctor() == []
