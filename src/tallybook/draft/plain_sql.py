"""Writes one plain SELECT for a drafted metric, as an analyst would write it. It is for comparison only, never for
collecting."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tallybook.collect import BoundMetric, bind
from tallybook.core import start_of
from tallybook.draft.amounts import minor_per_unit
from tallybook.draft.row_conditions import literal

if TYPE_CHECKING:
    from tallybook.collect import Source, TimeForm
    from tallybook.draft.table_guesses import Idea


_QUOTE = '"'


def plain_sql(source: Source, idea: Idea, zone: str, first: date, last: date, currency: str = "") -> str | None:
    """The SELECT of a metric over days. A level is taken at the end of the last day. None for a kind of metric without
    such a SELECT.

    `currency`: the only currency that counts, for a metric with several."""
    from tallybook.config import build

    name = source.settings.name
    raw = {"sources": {name: {"url": "…"}}, "metrics": {idea.name: idea.keys}}
    facts = bind(source, build(raw, kinds={name: source.kind}).metrics[idea.name], zone, idea.name)
    conditions = _conditions(source, idea, facts, zone, first, last)
    if conditions is None:
        return None
    if where := idea.keys.get("where"):
        conditions.append(f"({where})" if " or " in where.lower() else where)
    measure = idea.keys["measure"]
    if currency:
        conditions.append(f"{_column(source, idea, idea.keys['unit_from'])} = {literal(currency)}")
        units = minor_per_unit(currency) if idea.keys.get("minor_units") else 1
        number = re.search(r" / (\d+)$", measure)
        measure = f"{measure[: number.start()] if number else measure} / {units * int(number[1] if number else 1)}"
    measure = re.sub(r"/ (\d+)$", r"/ \1.0", measure)  # integers are divided without their remainder
    lines = [f"select {measure}", f"from {_from(source, idea)}"]
    return "\n".join([*lines, *([f"where {' and '.join(conditions)}"] if conditions else [])])


def _conditions(source: Source, idea: Idea, facts: BoundMetric, zone: str, first: date, last: date) -> list[str] | None:
    """The conditions for the rows of a range of days."""
    end = last + timedelta(days=1)

    def bound(form: TimeForm, day: date) -> str:
        return source.bound(form, start_of(day, zone), day)

    def column(name: str) -> str:
        return _column(source, idea, name)

    def time(name: str, form: TimeForm) -> str:
        if form.name == "text_offset" and source.plain_instant:
            return source.plain_instant.format(column(name))
        return source.time_value(column(name), form)

    if idea.keys.get("kind") == "uniques":
        return None
    if facts.since is not None and facts.until is not None:
        until = column(idea.keys["until"])
        return [
            f"{time(idea.keys['from'], facts.since)} < {bound(facts.since, end)}",
            f"({until} is null or {time(idea.keys['until'], facts.until)} >= {bound(facts.until, end)})",
        ]
    if facts.time is None:
        return []
    start = last if idea.keys.get("kind") == "level" else first
    at = time(idea.keys["time"], facts.time)
    if carry := re.fullmatch(r"(\d+)d", str(idea.keys.get("carry", ""))):
        start = last - timedelta(days=int(carry[1]))
        before = f"{at} < {bound(facts.time, end)}"
        latest = f"{at} = (select max({at}) from {_from(source, idea)} where {before})"
        return [f"{at} >= {bound(facts.time, start)}", before, latest]
    return [f"{at} >= {bound(facts.time, start)}", f"{at} < {bound(facts.time, end)}"]


def _column(source: Source, idea: Idea, name: str) -> str:
    """A column of the metric's own table, qualified by the table if others are joined."""
    table, _, own = name.rpartition(".")
    table = table or (idea.keys.get("table", "") if _needs_join(idea) else "")
    return f"{source.table_name(table)}.{source.quote(own)}" if table else source.quote(own)


def _from(source: Source, idea: Idea) -> str:
    if "sql" in idea.keys:
        return f"({idea.keys['sql']}) f"
    own = source.table_name(idea.keys["table"])
    if not _needs_join(idea):
        return own
    other, _, condition = idea.keys["join"].partition(" on ")
    left, _, right = condition.partition(" = ")
    on = f"{_side(source, idea, left)} = {_side(source, idea, right)}"
    return f"{own} left join {source.table_name(other.strip(_QUOTE))} on {on}"


def _needs_join(idea: Idea) -> bool:
    """Whether the value depends on the joined table; a join by a unique key that only adds dimensions does not."""
    if "join" not in idea.keys:
        return False
    other = idea.keys["join"].partition(" on ")[0]
    texts = [idea.keys.get(key, "") for key in ("measure", "where", "time", "unit_from")]
    return any(f"{other}." in text for text in texts)


def _side(source: Source, idea: Idea, text: str) -> str:
    table, _, column = (part.strip(_QUOTE) for part in text.rpartition("."))
    return _column(source, idea, f"{table}.{column}" if table else column)
