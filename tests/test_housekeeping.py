"""A book that is only ever run stays small: nobody has to call compact."""

from __future__ import annotations

from datetime import date, timedelta
from typing import Any

import pytest

from tallybook.store import folder
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
    monkeypatch.setattr(folder, "LOOSE_FILES", 5)
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
    from tallybook.errors import BookError

    def full(*_: Any, **__: Any) -> int:
        raise BookError("no space left on device")

    monkeypatch.setattr(folder, "LOOSE_FILES", 0)
    monkeypatch.setattr(folder.Store, "clean", full)
    daily.declare(METRIC, start="2024-01-01")
    assert daily.run().exit_code == 0
