"""Times without a zone that cannot be UTC are noticed by `init` and by `check --source`."""

from __future__ import annotations

import io
import tomllib
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest

from tallybook.cli import invoke
from tallybook.collect.clock_skew import clock_skew
from tests.projects import Project

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)


def newest(first: datetime, *, minutes: int = 4, rows: int = 50) -> list[datetime]:
    return [first - timedelta(minutes=minutes * i) for i in range(rows)]


@pytest.mark.parametrize(
    ("hours", "expected"),
    [
        (9, "created_at reaches 9 hours into the future"),
        (5.5, "created_at reaches 5.5 hours into the future"),
        (1, "created_at reaches 1 hour into the future"),
        (0.05, ""),  # clocks differ
        (-0.3, ""),
        (-7, "the newest created_at is 7 hours old, although a row comes every 4 minutes"),
        (-30, ""),  # a database that nobody writes to
        (200, ""),  # dates that are planned
    ],
)
def test_the_newest_times_are_compared_with_the_clock(hours: float, expected: str) -> None:
    found = clock_skew(newest(NOW + timedelta(hours=hours)), NOW, "created_at")
    assert found.startswith(expected)
    assert bool(found) == bool(expected)
    assert not found or 'stored = "local"' in found


def test_a_single_planned_row_is_no_sign_of_local_times() -> None:
    planned = [NOW + timedelta(hours=1), *newest(NOW - timedelta(minutes=2))]
    assert clock_skew(planned, NOW, "created_at") == ""
    assert clock_skew(planned[:3], NOW, "created_at") != ""
    assert clock_skew([NOW + timedelta(hours=9), *planned[1:]], NOW, "created_at") != ""


def test_a_table_with_few_rows_a_day_may_be_hours_behind() -> None:
    assert clock_skew(newest(NOW - timedelta(hours=7), minutes=120), NOW, "created_at") == ""


def orders(project: Project, ahead: timedelta) -> None:
    """Rows every four minutes, in the local time of a zone that is `ahead` of UTC."""
    rows = [(i, f"{NOW + ahead - timedelta(minutes=4 * (500 - i)):%Y-%m-%d %H:%M:%S}") for i in range(1, 500)]
    project.table("orders (id int primary key, created_at timestamp)", rows)


def type_(project: Project, folder: Path, *words: str) -> str:
    out = io.StringIO()
    arguments = [words[0], "--project", str(folder), *words[1:]]
    assert invoke(arguments, now=lambda: NOW, stdout=out, stderr=out, env={}) == 0, out.getvalue()
    return out.getvalue()


def test_init_and_check_notice_times_ahead_of_the_clock(make_database: Callable[[str], str], tmp_path: Path) -> None:
    project = Project(tmp_path / "elsewhere", make_database("sqlite"))
    orders(project, timedelta(hours=9))
    printed = type_(project, tmp_path, "init", project.url)
    line = 'created_at reaches 9 hours into the future: local times? stored = "local"'
    assert f"unsure: orders: {line}" in printed
    assert f"# unsure: orders: {line}" in (tmp_path / "tallybook.toml").read_text()
    checked = type_(project, tmp_path, "check", "--source")
    assert checked.count(line) == 1
    assert "created_at reaches" not in type_(project, tmp_path, "check")


def test_times_that_fit_the_zone_of_the_book_are_drafted_as_local(
    make_database: Callable[[str], str], tmp_path: Path
) -> None:
    project = Project(tmp_path / "elsewhere", make_database("sqlite"))
    orders(project, timedelta(hours=9))
    printed = type_(project, tmp_path, "init", project.url, "--timezone", "Asia/Tokyo")
    drafted = tomllib.loads((tmp_path / "tallybook.toml").read_text())
    assert {metric["stored"] for metric in drafted["metrics"].values()} == {"local"}
    assert "unsure" not in printed
    assert "created_at reaches" not in type_(project, tmp_path, "check", "--source")
