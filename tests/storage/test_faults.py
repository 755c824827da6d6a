"""Every verb that writes a book, killed at a step or failing at it: nothing is half done, the message fits the error of
the disk, and doing it again ends in the same book."""

from __future__ import annotations

import errno
import os
import random
import shutil
import sqlite3
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tallybook.storage.files import FolderFiles, hint_for
from tests.crash import Driver
from tests.storage.test_bad_files import NOW, answers, company, declare, folder, opened

__all__ = ["company", "declare", "folder"]
HINTS = {errno.EIO: "the disk reports an error", errno.ENOSPC: "make room", errno.EROFS: "read-only"}


@dataclass(frozen=True)
class Deed:
    """What is done in a project: the job, and what was done to the book before."""

    do: str
    more: dict[str, Any]
    before: str = ""


DEEDS = {
    "first run": Deed("run", {}, "nothing"),
    "rebuild": Deed("run", {"from": "2023-11-05", "to": "2023-11-30"}, "lose a file"),
    "restore": Deed("restore", {"from": "backup"}, "lose the ledger"),
    "set aside": Deed("set_aside", {}, "lose the ledger"),
    "backup": Deed("backup", {"to": "copy"}),
    "compact": Deed("compact", {}),
    "forget": Deed("forget", {"metric": "left"}),
}


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as driver:
        yield driver


def prepare(folder: Path, deed: Deed) -> None:
    if deed.before == "nothing":
        shutil.rmtree(folder / "book")
    if deed.before == "lose a file":
        next((folder / "book" / "points" / "additive").glob("2023-11-*")).unlink()
    if deed.before == "lose the ledger":
        with opened(folder) as book:
            book.backup(folder / "backup")
        for path in (folder / "book").glob("ledger.sqlite*"):
            path.unlink()


def do(driver: Driver, folder: Path, deed: Deed, **more: Any) -> dict[str, Any]:
    named = {
        key: str(folder / value) if deed.do in ("restore", "backup") else value for key, value in deed.more.items()
    }
    return driver.do(folder, deed.do, now=NOW, **named, **more)


def steps_of(driver: Driver, start: Path, folder: Path, deed: Deed) -> Sequence[str]:
    """The steps of the deed in `folder`, which is a copy of `start`: in another folder the cached catalog would be
    written again, which is a step more."""
    shutil.copytree(start, folder)
    said = do(driver, folder, deed, trace=True)
    assert said["exit"] == 0, said
    return said["steps"]


def assert_whole(driver: Driver, folder: Path, deed: Deed, before: list[Any]) -> None:
    """Doing it again works, or says that it was done; then the book is what it was."""
    again = do(driver, folder, deed)
    done = {"set_aside": "nothing to set aside", "restore": "a book", "backup": "a book", "forget": "nothing of 'left'"}
    assert again["exit"] == 0 or done[deed.do] in again["error"], again
    with opened(folder) as book:
        assert book.run().exit_code == 0
        assert book.doctor() == []
        assert answers(book) == before
    if deed.do == "backup":
        (folder / "tallybook.toml").write_text(
            (folder / "tallybook.toml").read_text().replace("start =", 'store = "copy"\nstart =')
        )
        with opened(folder) as book:
            assert book.doctor() == []
            assert answers(book) == before
    if deed.do == "set_aside":
        assert list(folder.glob("book-set-aside-*/points/additive/*")), "nothing of the old folder is lost"


@pytest.mark.cases(2)
@pytest.mark.parametrize("name", DEEDS)
def test_killed_or_failing_at_any_step_nothing_is_half_done(
    driver: Driver, folder: Path, name: str, seed: int, soak: bool
) -> None:
    deed, dice = DEEDS[name], random.Random(f"{seed} {name}")
    with opened(folder) as book:
        before = answers(book)
    prepare(folder, deed)
    start = folder.rename(folder.with_name("start"))
    steps = steps_of(driver, start, folder, deed)
    every = range(1, len(steps) + 1)
    number = min(len(every), 30 if soak else 1)
    kills, faults = dice.sample(every, number), dice.sample(every, number)
    for at, fails in [*((step, 0) for step in kills), *((step, dice.choice(list(HINTS))) for step in faults)]:
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(start, folder)
        said = do(driver, folder, deed, at=at, fails=fails)
        if fails and said["exit"] != 0:
            assert (said["exit"], said["kind"]) == (1, "BookError"), (name, steps[at - 1], said["error"])
            if not steps[at - 1].startswith("ledger "):
                assert HINTS[fails] in said["hint"], (name, steps[at - 1], said)
        assert_whole(driver, folder, deed, before)


@pytest.mark.parametrize(
    ("number", "words"),
    [
        (errno.ENOSPC, "make room on the disk"), (errno.EDQUOT, "quota"), (errno.EIO, "the disk reports an error"),
        (errno.EROFS, "mount it for writing"), (errno.EACCES, "belongs to another user"), (errno.EPERM, "belongs to another user"),
        (errno.EFBIG, "ulimit -f"), (errno.EMFILE, "ulimit -n"),
    ],
)  # fmt: skip
def test_the_hint_fits_the_error(number: int, words: str) -> None:
    assert words in hint_for(OSError(number, "said"))


def test_a_disk_that_is_mounted_for_reading_is_not_a_missing_right(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """SQLite says "unable to open database file" or "readonly database" of both."""
    from types import SimpleNamespace

    from tallybook.storage.sqlite_ledger import _translated

    path = tmp_path / "gone" / "ledger.sqlite"
    with pytest.raises(sqlite3.OperationalError) as refused:
        sqlite3.connect(path)
    assert "belongs to another user" in _translated(refused.value, tmp_path / "ledger.sqlite").hint
    monkeypatch.setattr("os.statvfs", lambda folder: SimpleNamespace(f_flag=os.ST_RDONLY))
    assert "mount it for writing" in _translated(refused.value, path).hint


def test_a_file_that_may_not_be_read_is_not_called_damaged(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Who is told to collect again because of a wrong mode would lose revisions."""
    from tallybook.core.errors import BookError
    from tallybook.storage import files

    def refused(path: Path) -> str:
        raise PermissionError(errno.EACCES, "Permission denied", str(path))

    files._verified.clear()
    monkeypatch.setattr(files, "hash_of", refused)
    with opened(folder) as book:
        with pytest.raises(BookError, match="Permission denied") as told:
            book.query("visits", scope="all")
        assert "tallybook run" not in told.value.hint
        assert isinstance(book.store.files, FolderFiles)
