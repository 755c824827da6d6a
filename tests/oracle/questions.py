"""Metrics, books and questions."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import date
from typing import Any

from tests.oracle.dates import Fiscal
from tests.oracle.measures import Measure, Predicate, is_linear
from tests.oracle.tables import STORED, Column, Table
from tests.oracle.terms import DERIVED, WEEKDAYS, Dialect, Scope, Show


@dataclass(frozen=True, kw_only=True)
class MetricSpec:
    """A metric. `shape` says how its facts lie in time:

    facts            each row at its `time`
    interval         each row from `from_` until `until`
    daily            a level's own rows, one or more a day and series (`by`, and `series` where given),
                     perhaps carried
    daily_aggregate  of the rows of one day and `series`, the one received last
    derived          no rows: made of other metrics
    """

    name: str
    measure: Measure
    shape: str = "facts"
    kind: str = "flow"
    table: str = ""
    time: str = ""
    from_: str = ""
    until: str = ""
    until_inclusive: bool = False
    where: Predicate | None = None
    by: tuple[str, ...] = ()
    carry: int | None = None
    over_time: Show | None = None
    series: tuple[str, ...] = ()
    received: str = ""
    per: str = ""
    then: str = ""
    unit_from: str = ""
    changed: str = ""
    """The column that every write sets."""
    history: bool = False
    """Imported values answer for the time before."""
    join: str = ""
    """The table whose row with the id `account_id` each fact has beside its own columns."""

    @property
    def linear(self) -> bool:
        """Whether the mean of its daily values means something."""
        return is_linear(self.measure) and (not self.per or self.then in ("sum", "count"))

    @property
    def default_show(self) -> Show:
        return (self.over_time or "last") if self.kind == "level" else "total"

    def toml(self, table: Table | None, dialect: Dialect) -> str:
        """The `[metrics.NAME]` text."""
        said: dict[str, Any] = {}
        if self.kind in ("level", "uniques"):
            said["kind"] = self.kind
        if table is not None:
            said["table"] = table.name
            said |= {"time": self.time, "from": self.from_, "until": self.until}
            said["stored"] = stored(table.column(self.time or self.from_), dialect)
            said["until_inclusive"] = self.until_inclusive
            said["join"] = f"{self.join} on {self.join}.id = account_id" if self.join else ""
            said["changed"] = self.changed
            said["changed_stored"] = written_as(table.column(self.changed), dialect) if self.changed else ""
            said["where"] = self.where.sql(dialect) if self.where is not None else ""
        said["measure"] = self.measure.sql(dialect)
        said["by"] = list(self.by) if self.shape != DERIVED else []
        said["carry"] = f"{self.carry}d" if self.carry else ""
        said["over_time"] = self.over_time
        said |= {"daily_aggregate": self.shape == "daily_aggregate", "series": list(self.series)}
        said |= {"received": self.received, "per": self.per, "then": self.then, "unit_from": self.unit_from}
        said["history"] = "imported" if self.history else ""
        lines = [f"{key} = {toml_value(value)}" for key, value in said.items() if value]
        return "\n".join([f"[metrics.{self.name}]", *lines, ""])


def stored(column: Column, dialect: Dialect) -> str | None:
    """What to declare as `stored` for a time column."""
    if dialect == "sqlite":
        return {"timestamptz": "offset", "date": "date"}.get(column.type, STORED[column.type])
    return STORED[column.type]


def written_as(column: Column, dialect: Dialect) -> str | None:
    """What to declare as `changed_stored` for the column that every write sets."""
    return "utc" if column.type == "timestamp" else stored(column, dialect)


def toml_value(value: Any) -> str:
    if isinstance(value, bool):
        return str(value).lower()
    if isinstance(value, list):
        return "[" + ", ".join(map(toml_value, value)) + "]"
    return '"' + str(value).replace("\\", "\\\\").replace('"', '\\"') + '"'


@dataclass(frozen=True)
class BookSpec:
    timezone: str
    week_starts: str = "monday"
    fiscal: Fiscal | None = None


@dataclass(frozen=True, kw_only=True)
class Ask:
    """A question. `where` holds (dimension, '=' or '!=', text or None for null); both days are included."""

    metrics: tuple[str, ...]
    from_: date
    to: date
    scope: Scope = "day"
    by: tuple[str, ...] = ()
    where: tuple[tuple[str, str, str | None], ...] = ()
    show: Show | None = None
    fill: bool = False
    totals: bool = False
    compare: str | None = None
    window: str | None = None
    top: int | None = None
    week_starts: str | None = None
    having: tuple[tuple[str, str, str], ...] = ()
    """(column, sign, number as it is typed)."""
    only: frozenset[int] | None = None
    """Of a part of a question by weekday: the weekdays that it is about."""

    @property
    def where_texts(self) -> list[str]:
        return [dim + op + ('""' if value == "" else value or "") for dim, op, value in self.where]

    @property
    def weekdays(self) -> frozenset[int] | None:
        """The weekdays whose days take part; None for all."""
        equal = {WEEKDAYS.index(str(value)) for dim, op, value in self.where if (dim, op) == ("weekday", "=")}
        unlike = {WEEKDAYS.index(str(value)) for dim, op, value in self.where if (dim, op) == ("weekday", "!=")}
        if not (equal or unlike):
            return self.only
        return frozenset((equal or set(range(7))) - unlike) & (frozenset(range(7)) if self.only is None else self.only)

    def keywords(self) -> dict[str, Any]:
        """The keywords of `Book.query`."""
        return {
            "scope": self.scope,
            "by": list(self.by),
            "where": self.where_texts,
            "from_": self.from_,
            "to": self.to,
            "show": self.show,
            "fill": self.fill,
            "totals": self.totals,
            "compare": self.compare,
            "window": self.window,
            "top": self.top,
            "week_starts": self.week_starts,
            "having": [" ".join(one) for one in self.having],
        }

    def command(self) -> str:
        """As it is typed."""
        said = ["tallybook query", *self.metrics, f"--scope {self.scope}"]
        said += [f"--by {','.join(self.by)}"] if self.by else []
        said += [f"--where {text!r}" for text in self.where_texts]
        said += [f"--from {self.from_} --to {self.to}"]
        said += [f"--show {self.show}"] if self.show else []
        said += ["--fill"] * self.fill + ["--totals"] * self.totals
        said += [f"--compare {self.compare!r}"] if self.compare else []
        said += [f"--window {self.window!r}"] if self.window else []
        said += [f"--top {self.top}"] if self.top else []
        said += [f"--week-starts {self.week_starts}"] if self.week_starts else []
        said += [f"--having {' '.join(one)!r}" for one in self.having]
        return " ".join(said)
