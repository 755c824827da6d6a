"""Requests and minutes of quota of a Google Sheet: ours, a loop of gspread's append_row, and GSMetrics with its five
rows and two seconds. All run on the emulator, whose clock moves only while somebody waits: minutes are simulated."""

from __future__ import annotations

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from typing import Any
from unittest import mock

from benchmarks.figures import Budget, Report
from benchmarks.scene import Scene
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column
from tallybook.deliver.destinations.google_sheets.document import TabPlace, bring_up_to_date
from tallybook.deliver.destinations.layout import Grid, arranged
from tallybook.sheets.api import Api
from tallybook.sheets.credentials import Keys
from tallybook.sheets.pace import Bucket, Patience
from tallybook.sheets.service_urls import ServiceUrls
from tallybook_emulators.sheets import Emulator

METRICS = 50
DAYS = 1095
START = datetime(2026, 1, 1, 12, tzinfo=UTC)


def measure(scene: Scene) -> Report:
    days = 90 if scene.quick else DAYS
    whole = grid(days + 1)
    figures: dict[str, Any] = {}
    with Emulator(start=START) as google:
        place = TabPlace(document=google.create("Metrics"), tab="Daily", owner="Acme/board")
        api = _api(google)
        figures["ours_history"] = _counted(
            google, lambda: bring_up_to_date(api, place, replace(whole, lines=whole.lines[:-1]))
        )
        figures["ours_daily"] = _counted(google, lambda: bring_up_to_date(api, place, whole))
    values = [[_plain(value) for value in line.values] for line in whole.lines]
    with _gspread() as (google, worksheet):
        figures["gspread_history"] = _counted(google, lambda: _append(google, worksheet, values[:-1], pause=0))
        figures["gspread_daily"] = _counted(google, lambda: _append(google, worksheet, values[-1:], pause=0))
    with _gspread() as (google, worksheet):
        figures["gsmetrics_history"] = _counted(google, lambda: _append(google, worksheet, values[:-1], pause=2))
    return Report(
        name="sheets_requests",
        what=f"{METRICS} metrics in a Google Sheet: {days} days at once, then one more",
        figures=figures,
        budgets=[
            Budget(
                what="requests of a daily delivery", seen=figures["ours_daily"]["requests"], limit=3, unit="requests"
            ),
            Budget(what="requests of three years", seen=figures["ours_history"]["requests"], limit=10, unit="requests"),
        ],
    )


def grid(days: int) -> Grid:
    names = [f"m{i}" for i in range(METRICS)]
    facts = {"complete": True, "days": 1, "days_expected": 1, "approximate": False}
    metrics = [Column(name=name, role="metric", type="integer", show="total") for name in names]
    first = date(2023, 1, 1)
    data = [
        {"period": first + timedelta(days=d)} | {name: d + i for i, name in enumerate(names)} | facts
        for d in range(days)
    ]
    made = Result(
        metrics=names,
        scope="day",
        timezone="UTC",
        week_starts="monday",
        explain="",
        version=1,
        sql="",
        data=data,
        columns=[Column(name="period", role="period", type="date"), *metrics],
    )
    return arranged(made, "columns")


def _api(google: Emulator) -> Api:
    user = google.authorized_user()
    keys = Keys(**{name: user[name] for name in ("client_id", "client_secret", "refresh_token")})
    clock = {"clock": google.clock.timestamp, "sleep": google.clock.advance}
    return Api(keys, ServiceUrls(google.url), patience=Patience(**clock), reads=Bucket(**clock), writes=Bucket(**clock))


@contextmanager
def _gspread() -> Iterator[tuple[Emulator, Any]]:
    """A worksheet of gspread's own client, that waits by the emulator's clock."""
    from tests.google_clients import gspreads

    with Emulator(start=START) as google, mock.patch.object(time, "sleep", google.clock.advance):
        yield google, gspreads(google).open_by_key(google.create("Metrics", rows=2000, columns=60)).sheet1


def _append(google: Emulator, worksheet: Any, rows: list[list[Any]], *, pause: float) -> None:
    """A row a request; after five the pause that the loop takes by itself, and a minute whenever Google says 429."""
    from gspread.exceptions import APIError

    for number, row in enumerate(rows, 1):
        while True:
            try:
                worksheet.append_row(row)
                break
            except APIError as error:
                if error.code != 429:
                    raise
                google.clock.advance(minutes=1)
        if pause and number % 5 == 0:
            google.clock.advance(pause)


def _counted(google: Emulator, way: Any) -> dict[str, float]:
    """Requests to the APIs, refusals for quota among them, and minutes by the emulator's clock."""
    google.forget_requests()
    began = google.clock.minutes
    way()
    asked = [seen for seen in google.requests if seen.method]
    return {
        "requests": len(asked),
        "refused_429": sum(seen.status == 429 for seen in asked),
        "simulated_minutes": round(google.clock.minutes - began, 2),
    }


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, date) else value
