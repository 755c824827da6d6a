"""When a run is due: in any zone, on the days when the clock is turned, and however it is written."""

from __future__ import annotations

from datetime import UTC, date, datetime, time, timedelta
from itertools import pairwise
from pathlib import Path
from zoneinfo import available_timezones

import pytest
from hypothesis import example, given, strategies as st

from tallybook.config.project import load
from tallybook.core import ScheduleSettings, calendar
from tallybook.core.errors import DeclarationError
from tallybook.core.timetable import NeverDue, Timetable, cron_of

ZONES = sorted(z for z in available_timezones() if "/" in z and not z.startswith(("posix/", "right/")))


def due(cron: str, zone: str, first: str, last: str) -> list[str]:
    """What is due between two instants, on the clocks of the zone."""
    table, at, found = Timetable(cron=cron, zone=zone), datetime.fromisoformat(first), []
    while (at := table.after(at)) <= datetime.fromisoformat(last):
        found.append(f"{at.astimezone(calendar.zone(zone)):%Y-%m-%d %H:%M %z}")
    return found


def test_a_time_that_the_clock_jumps_over_is_due_once_right_after_the_jump() -> None:
    assert due("30 2 * * *", "Europe/Berlin", "2026-03-28T00:00Z", "2026-03-30T12:00Z") == [
        "2026-03-28 02:30 +0100", "2026-03-29 03:00 +0200", "2026-03-30 02:30 +0200"
    ]  # fmt: skip
    assert due("*/20 2 * * *", "Europe/Berlin", "2026-03-29T00:00Z", "2026-03-29T12:00Z") == ["2026-03-29 03:00 +0200"]


def test_a_time_that_comes_twice_is_due_the_first_time() -> None:
    assert due("30 2 * * *", "Europe/Berlin", "2026-10-24T12:00Z", "2026-10-26T12:00Z") == [
        "2026-10-25 02:30 +0200", "2026-10-26 02:30 +0100"
    ]  # fmt: skip
    second_time = "2026-10-25T02:10+01:00"
    assert due("30 2 * * *", "Europe/Berlin", second_time, "2026-10-26T12:00Z") == ["2026-10-26 02:30 +0100"]


def test_a_day_that_a_zone_left_out_has_no_run() -> None:
    found = due("30 3 * * *", "Pacific/Apia", "2011-12-29T00:00-10:00", "2012-01-01T00:00+14:00")
    assert [text[:10] for text in found] == ["2011-12-29", "2011-12-31"]


def test_names_lists_and_steps_are_understood() -> None:
    weekdays = due("0 6 * * mon-fri", "UTC", "2026-03-06T07:00Z", "2026-03-10T07:00Z")
    assert weekdays == ["2026-03-09 06:00 +0000", "2026-03-10 06:00 +0000"]
    assert len(due("0 */6 1,15 * *", "UTC", "2026-03-01T00:00Z", "2026-03-31T00:00Z")) == 7


@given(
    zone=st.sampled_from(ZONES),
    year=st.integers(1971, 2037),
    at=st.times().map(lambda t: t.replace(second=0, microsecond=0)),
)
@example(zone="Pacific/Apia", year=2011, at=time(3, 30))  # a day left out
@example(zone="Pacific/Kwajalein", year=1993, at=time(0, 0))
@example(zone="America/St_Johns", year=2010, at=time(0, 1))  # the clock is turned at one past midnight
@example(zone="America/Sao_Paulo", year=2017, at=time(0, 30))  # midnight does not exist
@example(zone="Africa/Cairo", year=2024, at=time(23, 30))  # the last hour of a day comes twice
@example(zone="America/Scoresbysund", year=2024, at=time(23, 30))  # the clock jumps over midnight
@example(zone="Africa/Monrovia", year=1972, at=time(0, 30))  # by 44 minutes and 30 seconds
def test_each_day_of_any_year_in_any_zone_has_one_due_time(zone: str, year: int, at: time) -> None:
    table = Timetable(cron=cron_of(at), zone=zone)
    days = [day for day in calendar.days(date(year, 1, 1), date(year, 12, 31)) if exists(day, zone)]
    now = calendar.start_of(days[0], zone) - timedelta(microseconds=1)
    found = []
    for day in days:
        now = table.after(now)
        found.append(now)
        assert table.before(now) == now
        wall = datetime.combine(day, at)
        shown = now.astimezone(calendar.zone(zone)).replace(tzinfo=None)
        assert wall <= shown <= wall + timedelta(hours=24), f"{day} is due at {now}"
    assert all(one < other for one, other in pairwise(found))
    assert table.after(now) >= calendar.end_of(days[-1], zone)


def exists(day: date, zone: str) -> bool:
    return calendar.start_of(day, zone) < calendar.end_of(day, zone)


@given(
    zone=st.sampled_from(ZONES),
    cron=st.sampled_from(["30 2 * * *", "*/20 * * * *", "0 0 1 * *", "15 1,2,3 * * sun", "0 12 29 2 *"]),
    now=st.datetimes(datetime(1971, 1, 1), datetime(2037, 1, 1), timezones=st.just(UTC)),
)
def test_the_last_due_time_and_the_next_are_neighbours(zone: str, cron: str, now: datetime) -> None:
    table = Timetable(cron=cron, zone=zone)
    last, following = table.before(now), table.after(now)
    assert last <= now < following
    assert table.after(last) == following
    assert table.before(following - timedelta(seconds=1)) == last


@pytest.mark.parametrize(
    ("cron", "why"),
    [
        ("30 3 * *", "4 fields"),
        ("30 3 * * * *", "6 fields"),
        ("61 3 * * *", "no minute"),
        ("30 25 * * *", "no hour"),
        ("0 0 31 2 *", "no day"),
        ("0 0 * * freitag", "no day-of-week"),
    ],
)
def test_what_is_never_due_is_told(cron: str, why: str) -> None:
    with pytest.raises(NeverDue, match=why):
        Timetable(cron=cron, zone="UTC")


# ------------------------------------------------------------------------------------------- [schedule]

PROJECT = """
[book]
timezone = "Europe/Berlin"
[sources.app]
url = "sqlite:///app.db"
[metrics.signups]
table = "users"
time = "created_at"
measure = "count(*)"
"""


def declared(folder: Path, schedule: str) -> ScheduleSettings:
    (folder / "tallybook.toml").write_text(f"{PROJECT}\n[schedule]\n{schedule}\n")
    return load(folder, {}).catalog.schedule


@pytest.mark.parametrize(
    ("written", "cron"),
    [('at = "03:30"', "30 3 * * *"), ("at = 03:30:00", "30 3 * * *"), ('cron = "0  6 * * mon"', "0 6 * * mon")],
)
def test_a_schedule_is_a_time_of_every_day_or_a_cron_expression(tmp_path: Path, written: str, cron: str) -> None:
    assert declared(tmp_path, f'{written}\njitter = "10m"') == ScheduleSettings(cron=cron, jitter=600.0)


@pytest.mark.parametrize(
    ("written", "told"),
    [
        ('at = "25:00"', 'hours and minutes such as "03:30"'),
        ('at = "03:30"\ncron = "30 3 * * *"', "both given"),
        ('cron = "30 3 * *"', "is not a cron expression: 4 fields; expected five"),
        ('crn = "30 3 * * *"', "did you mean 'cron'?"),
        ("jitter = 10", "10m"),
    ],
)
def test_a_schedule_that_cannot_be_is_told_with_what_to_write(tmp_path: Path, written: str, told: str) -> None:
    with pytest.raises(DeclarationError) as error:
        declared(tmp_path, written)
    assert told in str(error.value)
