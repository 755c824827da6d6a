"""A book that is only ever run stays small: nobody has to call compact."""

from __future__ import annotations

import os
import time
from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.collect import housekeeping
from tallybook.storage import folder
from tests.projects import Project, project

__all__ = ["project"]
METRIC = '[metrics.n]\ntable = "facts"\ntime = "day"\nmeasure = "count(*)"\n'


@pytest.fixture
def daily(project: Any) -> Project:
    found: Project = project(now="2024-01-02T06:00")
    every = [(date(2023, 1, 1) + timedelta(days=i),) for i in range(430)]
    found.table("facts (day date)", every)
    return found


def on_disk(found: Project) -> int:
    return len(list((found.folder / "book" / "points").rglob("*.parquet")))


def test_daily_runs_delete_files_that_no_kept_version_needs(daily: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(housekeeping, "LOOSE_FILES", 5)
    daily.declare(METRIC, start="2024-01-01", keep_versions="3d")
    for day in range(5, 31):
        daily.at(f"2024-01-{day:02}T06:00").run()
    assert on_disk(daily) < 12
    assert len(daily.book.store.ledger.versions()) > 25
    assert daily.book.doctor() == []
    assert daily.ask("n", scope="month", to="2024-01-29") == {"2024-01-01": 29}


def test_years_are_folded_by_the_first_run_that_collects_nothing_in_them(daily: Project) -> None:
    daily.declare(METRIC, start="2023-01-01")
    daily.run()
    assert [f.first.month for f in daily.book.store.snapshot([]).files] == [*range(1, 13), 1]
    daily.at("2024-01-10T06:00").run()
    daily.at("2024-01-11T06:00").run()
    files = daily.book.store.snapshot([]).files
    assert next((f.first, f.last) for f in files) == (date(2023, 1, 1), date(2023, 12, 31))
    assert len(files) == 2
    assert daily.ask("n", scope="year", to="2024-01-10") == {"2023-01-01": 365, "2024-01-01": 10}


def test_housekeeping_that_fails_does_not_fail_the_run(daily: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.core.errors import BookError

    def full(*_: Any, **__: Any) -> int:
        raise BookError("no space left on device")

    monkeypatch.setattr(housekeeping, "LOOSE_FILES", 0)
    monkeypatch.setattr(folder.Store, "clean", full)
    daily.declare(METRIC, start="2024-01-01")
    assert daily.run().exit_code == 0


def test_what_a_killed_forget_left_is_deleted_by_the_next_run(daily: Project, monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.storage.files import FolderFiles

    daily.declare(METRIC + METRIC.replace(".n]", ".kept]"), start="2024-01-01")
    daily.run()
    before = set((daily.folder / "book" / "points").rglob("*.parquet"))

    def killed(*_: Any) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as at_once:
        at_once.setattr(FolderFiles, "delete", killed)
        with pytest.raises(KeyboardInterrupt):
            daily.book.forget("n")
    old = time.time() - 2 * 86_400
    left = before - {daily.folder / "book" / f.path for f in daily.book.store.ledger.known_files()}
    assert left
    for path in left:
        os.utime(path, (old, old))
    daily.at("2024-01-03T06:00").run()
    assert not [path for path in left if path.exists()]
    assert daily.book.doctor() == []


@pytest.mark.cases(4)
@pytest.mark.parametrize("odd", ["symlink to itself", "symlink to nothing", "folder", "fifo"])
@pytest.mark.parametrize("named", [True, False])
def test_an_entry_that_is_no_file_is_a_sentence_of_doctor(daily: Project, odd: str, named: bool) -> None:
    daily.declare(METRIC, start="2024-01-01")
    daily.run()
    (file,) = daily.book.store.snapshot([]).files
    path = daily.folder / "book" / file.path
    place = path if named else path.with_name("other.parquet")
    if named:
        path.unlink()
    {"symlink to itself": lambda: place.symlink_to(place), "symlink to nothing": lambda: place.symlink_to("nowhere"),
     "folder": place.mkdir, "fifo": lambda: os.mkfifo(place)}[odd]()  # fmt: skip
    if not place.is_dir():
        os.utime(place, (time.time() - 2 * 86_400,) * 2, follow_symlinks=False)
    said = daily.book.doctor()
    assert [file.path in one for one in said] == [True] if named else len(said) == (0 if odd == "folder" else 1)
    daily.book.remarks()
    daily.at("2024-01-03T06:00")
    if named:
        assert [one.metric for one in daily.book.run().failed] == ["n"]
    else:
        daily.run()
        assert daily.book.doctor() == []
