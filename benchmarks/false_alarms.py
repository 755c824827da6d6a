"""How many false alarms `unusual` and `stopped` give in a year, and which share of outages they find.

    python -m benchmarks.false_alarms                 series made from a seed, in which nothing is wrong, as JSON
    python -m benchmarks.false_alarms --seeds 5       five years of each of them
    python -m benchmarks.false_alarms --demo          the demo's company, two years of it, as a table in Markdown
    python -m benchmarks.false_alarms FOLDER          the last year of the book of that project, as that table

Each year is judged day by day, as alerts see it. Then days are changed, one outage at a time, every fifth day of the
year: 1 to 28 days at 0; in the table also a day at three times its value, and at half of it."""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable, Mapping
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from pathlib import Path
from typing import Any

import tallybook
from benchmarks.alert_series import KINDS
from tallybook.core import AlertSettings
from tallybook.core.calendar import ONE_DAY
from tallybook.demo import __main__ as demo
from tallybook.monitor.alerts.causes import written
from tallybook.monitor.alerts.usual import PERIODS_ABOVE, DailySeries, Unknown, Verdict, judge

NOW = datetime(2026, 3, 1, 6)
YEAR, STEP = 365, 5
MAX_ALARMS = 4
"""The budget: false alarms a year of any series."""
OUTAGES = (1, 2, 7, 14, 28)
"""Days at 0."""
PLANTED: Mapping[str, tuple[int, float]] = {
    "a day at 0": (1, 0),
    "two days at 0": (2, 0),
    "a day at 3×": (1, 3),
    "a day at ½": (1, 0.5),
}
"""(so many days up to the one that is judged, times this)."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("folder", nargs="?", type=Path)
    parser.add_argument("--demo", action="store_true")
    parser.add_argument("--seeds", type=int, default=1)
    asked = parser.parse_args()
    if not (asked.folder or asked.demo):
        sys.stdout.write(json.dumps(generated(asked.seeds), indent=2) + "\n")
        return
    with tempfile.TemporaryDirectory() as made:
        folder = asked.folder
        if folder is None:
            folder = Path(made)
            demo.begin(demo.parse([str(folder), "--data-only", "--years", "2"]), NOW)
        now = NOW.replace(tzinfo=UTC)
        with tallybook.open(folder, now=(lambda: now) if folder == Path(made) else None) as book:
            book.run()
            sys.stdout.write(table(book) + "\n")


def generated(seeds: int) -> dict[str, Any]:
    """Alarms in a year without faults, and the share of outages found, of every kind of series."""
    settings = AlertSettings()
    kinds = {}
    for name, make in KINDS.items():
        several = [make(name, seed=seed) for seed in range(seeds)]
        found = {f"{days} days at 0 found": planted(several[0], days, 0, settings) for days in OUTAGES}
        kinds[name] = {"alarms_a_year": [alarms(series, settings) for series in several], **found}
    most = max(count for kind in kinds.values() for count in kind["alarms_a_year"])
    return {"budget": f"at most {MAX_ALARMS} a year", "most": most, "met": most <= MAX_ALARMS, "series": kinds}


def table(book: tallybook.Book) -> str:
    lines = [f"| metric | usual day | alarms a year | {' | '.join(f'{what} found' for what in PLANTED)} |"]
    lines.append("|---" * (3 + len(PLANTED)) + "|")
    settings = book.project.catalog.alerts
    metrics = [m for m in book.project.catalog.metrics.values() if not m.derived]
    for series in whole(book, metrics).values():
        found = [planted(series, days, times, settings) for days, times in PLANTED.values()]
        lines.append(
            f"| `{series.metric}` | {written(middle(series))} | {alarms(series, settings)} | {' | '.join(found)} |"
        )
    return "\n".join(lines)


def whole(book: tallybook.Book, metrics: list[tallybook.core.Metric]) -> dict[str, DailySeries]:
    """Two years of each metric, as alerts read them."""
    alerting = book._alerting()
    alerting.settings = AlertSettings(unusual_history=YEAR)
    return alerting.series(metrics)


def verdict(series: DailySeries, day: date, settings: AlertSettings) -> Verdict | None:
    """What would have been said at the end of a day. Raises Unknown."""
    first = day - (PERIODS_ABOVE * settings.unusual_history + 21) * ONE_DAY
    seen = {d: value for d, value in series.values.items() if first <= d <= day}
    return judge(replace(series, values=seen), width=settings.unusual_width, history=settings.unusual_history)


def alarms(series: DailySeries, settings: AlertSettings) -> int:
    """How often something began to be wrong in a year in which nothing was."""
    on = [bool(attempt(lambda day=day: verdict(series, day, settings))) for day in year(series)]  # type: ignore[misc]
    return sum(now and not before for before, now in zip([False, *on], on, strict=False))


def planted(series: DailySeries, days: int, times: float, settings: AlertSettings) -> str:
    found = tried = 0
    for day in year(series)[10::STEP]:
        if attempt(lambda day=day: verdict(series, day, settings)) is not None:  # type: ignore[misc]
            continue  # something is wrong already
        tried += 1
        changed = {day - timedelta(n): spoiled(series, day - timedelta(n), times) for n in range(days)}
        other = replace(series, values={**series.values, **changed})
        found += attempt(lambda day=day, other=other: verdict(other, day, settings)) is not None  # type: ignore[misc]
    return f"{found} of {tried}"


def spoiled(series: DailySeries, day: date, times: float) -> float | None:
    """Of an average, and of a day without facts, there is nothing to measure."""
    value = series.values.get(day)
    return None if value is None or (not series.adds and not series.level and times == 0) else value * times


def attempt(judged: Callable[[], Verdict | None]) -> Verdict | None:
    try:
        return judged()
    except Unknown:
        return None


def year(series: DailySeries) -> list[date]:
    return sorted(series.values)[-YEAR:]


def middle(series: DailySeries) -> float:
    values = sorted(value for day in year(series) if (value := series.values[day]) is not None)
    return values[len(values) // 2]


if __name__ == "__main__":
    main()
