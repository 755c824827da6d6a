"""What differs between a right answer and another, and the facts behind it."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from itertools import pairwise
from typing import Any

from tests.oracle.aggregates import Fact
from tests.oracle.answers import Answer
from tests.oracle.judge import Judge, base_metrics
from tests.oracle.measures import Agg, Pred, columns_of, leaves_of
from tests.oracle.periods import days_between, spans
from tests.oracle.questions import Ask, MetricSpec
from tests.oracle.terms import WEEKDAYS, Key, Refusal, Row
from tests.oracle.values import Value


def differences(expected: Sequence[Row], got: Sequence[Row], ask: Ask) -> list[str]:
    """What is wrong with `got`, a sentence each; empty when it is right."""
    wanted = {identity(row, ask): row for row in expected}
    given = [identity(row, ask) for row in got]
    found = [f"{title(key, ask)} is there {n} times" for key, n in Counter(given).items() if n > 1]
    found += [
        f"{title(key, ask)} is missing{hint(row, ask)}"
        for key, row in wanted.items()
        if key not in given and not row.get("optional")
    ]
    for key, row in zip(given, got, strict=True):
        if key in wanted:
            found += [f"{title(key, ask)}: {what}" for what in row_differences(wanted[key], row, ask)]
        else:
            values = ", ".join(f"{name} = {row.get(name)!r}" for name in ask.metrics)
            found.append(f"{title(key, ask)} should not be there; it says {values}")
    plain_rows = [key for key in given if not key[1]]
    for before, after in pairwise(plain_rows):
        if out_of_order(before, after):
            found.append(f"{title(after, ask)} comes after {title(before, ask)}")
    return found


def out_of_order(before: tuple[Any, ...], after: tuple[Any, ...]) -> bool:
    """Rows come by period, then dimensions. Where null and numbers stand among texts is left open."""
    if before[0] != after[0]:
        return before[0] is None or after[0] is None or before[0] > after[0]
    for left, right in zip(before[2], after[2], strict=True):
        if left != right:
            if left in WEEKDAYS and right in WEEKDAYS:
                return WEEKDAYS.index(left) > WEEKDAYS.index(right)
            return left is not None and right is not None and not is_number(left + right) and left > right
    return False


def is_number(text: str) -> bool:
    return re.fullmatch(r"[-0-9]+", text) is not None


def row_differences(expected: Row, got: Row, ask: Ask) -> list[str]:
    found = []
    for name in expected["cells"]:
        cell: Value = expected["cells"][name]
        if name not in got:
            found.append(f"{name} is not in the row")
        elif not cell.accepts(got[name]):
            found.append(f"{name} should be {cell}, the book says {got[name]!r}")
        limits = expected["bounds"].get(name)
        if limits and not bounds_agree(limits, got, name):
            found.append(f"{name} should have bounds {limits[0]} to {limits[1]}, its notes are {notes(got, name)!r}")
    for name in ("days", "days_expected", "complete"):
        if got.get(name) != expected[name]:
            found.append(f"{name} should be {expected[name]}, the book says {got.get(name)!r}")
    exactly_known = not any(expected["cells"][name].free for name in ask.metrics)
    if exactly_known and bool(got.get("approximate")) != expected["approximate"]:
        found.append(f"approximate should be {expected['approximate']}, the book says {got.get('approximate')!r}")
    return found


def identity(row: Row, ask: Ask) -> tuple[date | None, str, Key]:
    """Period, what it is if not a series (total, others, no series), and the dimensions as text."""
    period = row.get("period")
    if isinstance(period, str):
        period = date.fromisoformat(period)
    dims = tuple(None if row.get(dim) is None else str(row[dim]) for dim in ask.by)
    return period, next((what for what in ("total", "others", "no_series") if row.get(what)), ""), dims


def title(key: tuple[date | None, str, Key], ask: Ask) -> str:
    period, what, dims = key
    if what:
        return f"[{what} of {period or 'all'}]"
    return f"[{', '.join([str(period), *(f'{d}={v!r}' for d, v in zip(ask.by, dims, strict=True))])}]"


def hint(row: Row, ask: Ask) -> str:
    return "; it says " + ", ".join(f"{name} = {row['cells'][name]}" for name in ask.metrics)


def notes(row: Row, name: str) -> Any:
    return (row.get("notes") or {}).get(name)


def bounds_agree(limits: tuple[Value, Value], got: Row, name: str) -> bool:
    said = (notes(got, name) or {}).get("bounds")
    if isinstance(said, Mapping):
        said = [said.get("low"), said.get("high")]
    return said is not None and len(said) == 2 and all(v.accepts(x) for v, x in zip(limits, said, strict=True))


def evidence(judge: Judge, ask: Ask, most: int = 40) -> str:
    """The raw rows that count in the asked days, for a failure's message."""
    lines = []
    try:
        ask = judge.reached(ask)
    except Refusal as why:
        return str(why)
    first = spans(judge.book, ask)[0].before if ask.show == "change" else ask.from_
    for name in base_metrics(judge, ask.metrics):
        spec = judge.metrics[name]
        days = judge.days(name)
        looked_at = days_between(first, ask.to)
        gaps = [str(day) for day in looked_at if day not in days]
        lines.append(f"{name}, day by day ({judge.book.timezone}); not covered: {shortened(gaps, 8) or 'no day'}")
        # As if only its own rows were asked for: a derived metric's answer may not exist, they do.
        by = tuple(dim for dim in ask.by if dim != "weekday")
        asked = Answer(judge, replace(ask, metrics=(name,), show=None, by=by))
        facts = [fact for day in looked_at for fact in asked.chosen(name, day, None)]
        shown = columns_shown(spec)
        lines += [fact_line(fact, shown) for fact in facts[:most]]
        if len(facts) > most:
            lines.append(f"  … and {len(facts) - most} more")
    return "\n".join(lines)


def columns_shown(spec: MetricSpec) -> list[str]:
    """The columns that matter to a metric."""
    names = {"id", *spec.by, *spec.series, spec.time, spec.from_, spec.until, spec.received, spec.per, spec.changed} - {
        ""
    }
    predicates = [spec.where, *(agg.where for agg in leaves_of(spec.measure, Agg))]
    for predicate in predicates:
        sides = [predicate] if isinstance(predicate, Pred) else [predicate.left, predicate.right] if predicate else []
        names |= {side.column for side in sides}
    for agg in leaves_of(spec.measure, Agg):
        names |= {name for argument in agg.args for name in columns_of(argument)}
    return sorted(names, key=lambda name: (name != "id", name))


def fact_line(fact: Fact, shown: Sequence[str]) -> str:
    carried = f" carried from {fact.carried_from}" if fact.carried_from else ""
    values = " ".join(f"{name}={plain(fact.row[name])}" for name in shown)
    return f"  {fact.day}{carried}: {values}"


def plain(value: Any) -> str:
    if isinstance(value, str):
        return repr(value)
    return "null" if value is None else str(value)


def shortened(items: Sequence[str], most: int) -> str:
    end = f" … ({len(items)})" if len(items) > most else ""
    return ", ".join(items[:most]) + end
