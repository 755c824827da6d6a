"""Imported history, worked out from the words of docs/history.md alone: finished values of days, which answer for
periods that lie wholly before the first collected day."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from datetime import date
from decimal import Decimal
from typing import TYPE_CHECKING

from tests.oracle.cells import Cells, Others
from tests.oracle.dates import Days, of_weekdays
from tests.oracle.judge import Judge
from tests.oracle.measures import Agg, is_linear, leaves_of
from tests.oracle.periods import Span
from tests.oracle.questions import MetricSpec
from tests.oracle.tables import Column, Table
from tests.oracle.terms import DERIVED, Key
from tests.oracle.values import NULL, Value

if TYPE_CHECKING:
    from tests.oracle.answers import Answer


@dataclass(frozen=True)
class Imported:
    """The values that were imported last of a metric, by day and series of `dims`."""

    dims: tuple[str, ...]
    values: Mapping[tuple[date, Key], Decimal]

    @property
    def days(self) -> set[date]:
        return {day for day, _ in self.values}

    def judge(self, spec: MetricSpec, own: Judge, days: set[date]) -> Judge:
        """The judge of these days: a table with a row for each value, which are added."""
        is_exact = adds_up(spec) or spec.linear
        columns = (Column(name="day", type="date"), Column(name="value", type="decimal" if is_exact else "float"))
        rows = [
            {"id": number, "day": day, "value": value, **dict(zip(self.dims, key, strict=True))}
            for number, ((day, key), value) in enumerate(self.values.items())
        ]
        dims = tuple(Column(name=dim, type="text") for dim in self.dims)
        finished = MetricSpec(
            name=spec.name,
            measure=Agg("sum", ("value",)),
            shape="daily" if spec.kind == "level" else "facts",
            kind=spec.kind,
            table="imported",
            time="day",
            by=self.dims,
            over_time=spec.over_time,
        )
        tables = {"imported": Table(name="imported", columns=(*columns, *dims), rows=rows)}
        return Judge(own.book, {spec.name: finished}, tables, {spec.name: days}, own.closed_until)


def adds_up(spec: MetricSpec) -> bool:
    """Whether finished values of several days and series may be added."""
    return (
        not spec.per and is_linear(spec.measure) and all(a.fn in ("count", "sum") for a in leaves_of(spec.measure, Agg))
    )


@dataclass
class CellsWithImports(Cells):
    """The values of a question, of which those before the first collected day may be imported."""

    def before(self, name: str) -> set[date]:
        """The imported days before the first collected one."""
        found = self.judge.imported.get(name)
        if found is None:
            return set()
        begins = min(self.judge.covered[name], default=date.max)
        return {day for day in found.days if day < begins}

    def reach(self, name: str, span: Span) -> Span:
        """The days of a period; of a window over everything, those from the first imported day on."""
        first = min(self.before(name), default=span.first)
        if self.ask.window != "all" or first >= span.asked.last:
            return span
        asked: Days | None = Days(first, span.asked.last)
        if span.weekdays is not None:
            asked = of_weekdays(Days(first, span.asked.last), span.weekdays)
        return span if asked is None else replace(span, first=first, asked=asked)

    def is_finished(self, name: str, by: tuple[str, ...]) -> bool:
        """Whether imported values cannot be had split like this: by what they are not split, or put together."""
        found, spec = self.judge.imported[name], self.judge.metrics[name]
        named = {*by, *(dim for dim, *_ in self.ask.where)} - {"weekday"}
        return bool(named - set(found.dims)) or (set(by) != set(found.dims) and not adds_up(spec))

    def origin(self, name: str, span: Span, by: tuple[str, ...], *, beside: bool = False) -> str:
        """What answers for a period: "" for what was collected, "imported", or "unknown". `beside`: for other series
        than some, which takes their dimensions."""
        before, asked = self.before(name), self.reach(name, span).asked
        if not any(day in asked for day in before):
            return ""
        spec = self.judge.metrics[name]
        show = self.ask.show or spec.default_show
        if asked.last >= min(self.judge.covered[name], default=date.max):
            if show in ("last", "change"):
                return ""
            if show != "first":
                return "unknown"
            if spec.kind == "level" and asked.first not in before:
                return ""
        several = spec.kind == "flow" and show == "total" and len(asked) > 1 and not adds_up(spec)
        split = self.is_finished(name, by) or (beside and self.is_finished(name, self.ask.by))
        return "unknown" if several or split else "imported"

    def past(self, name: str, by: tuple[str, ...]) -> Answer:
        """The same question to the imported values."""
        from tests.oracle.answers import Answer

        asked = ("past", name)
        if asked not in self.judge.remembered:
            spec = self.judge.metrics[name]
            self.judge.remembered[asked] = self.judge.imported[name].judge(spec, self.judge, self.before(name))
        judge: Judge = self.judge.remembered[asked]
        return Answer(judge, replace(self.ask, metrics=(name,), by=by, having=(), top=None))

    def cell(self, name: str, key: Key | Others | None, span: Span) -> Value:
        """The value of a metric in a row, whoever counted it. A `key` of None is all series together."""
        origin = self.origin(name, span, () if key is None else self.ask.by, beside=isinstance(key, Others))
        if origin == "unknown":
            return NULL
        if origin:
            past = self.past(name, () if key is None else self.ask.by)
            return past.value(name, self.ask.show, key, self.reach(name, span), self.before(name))
        return self.value(name, self.ask.show, key, span, self.judge.days(name))

    def seen(self, name: str, span: Span) -> set[Key]:
        """The series with a fact in a period."""
        origin = self.origin(name, span, self.ask.by)
        if origin == "unknown":
            return set()
        if origin:
            past = self.past(name, self.ask.by)
            return past.keys(name, self.ask.show, self.reach(name, span), self.before(name))
        return self.keys(name, self.ask.show, span, self.judge.days(name))

    def counted(self, name: str, span: Span, by: tuple[str, ...]) -> tuple[Span, set[date]]:
        """The days of a period, and those of the history that answers for it."""
        if self.judge.metrics[name].kind != DERIVED and self.origin(name, span, by) == "imported":
            return self.reach(name, span), self.before(name)
        return span, self.judge.days(name)
