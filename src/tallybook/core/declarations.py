"""What is declared: the book, its sources and its metrics, as plain values.

Nothing here reads a file, a clock or a database; `config` makes these values from `tallybook.toml`, and
`catalog` checks them against one another.
"""

from __future__ import annotations

import hashlib
import re
from datetime import date
from decimal import Decimal
from typing import Any

import msgspec

from tallybook.core.expression import OperandValue, evaluate
from tallybook.core.measure import Measure, Then, parse_then

FLOW, LEVEL, UNIQUES = "flow", "level", "uniques"
KINDS = (FLOW, LEVEL, UNIQUES)
STORED_FORMS = ("utc", "local", "offset", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "date", "yyyymmdd")
SHOWS = ("total", "average", "last", "first", "min", "max", "change")
LEVEL_SHOWS = ("last", "average", "first", "min", "max")
WEEKDAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LAYOUTS = ("long", "columns", "across")
GOAL_SCOPES = ("week", "month", "quarter", "year")
"""The periods for which a goal may be set: those with an end, and days on the way to it."""
ADDS, DAY = "adds", "day"
REFUSE, APPLY = "refuse", "apply"
POLICIES = (REFUSE, APPLY)
"""What becomes of rows that a policy of the server hides from the user of a source: an error, or they stay hidden."""
IMPORTED = "imported"
"""What takes the place of a declaration, where values were imported."""
LATER_KINDS = ("gainsight_px", "webhook")
"""Known, but not delivered to by this version."""
FILTER = re.compile(r"^\s*(?P<dim>[A-Za-z_][\w.]*)\s*(?P<sign>!?=)(?P<value>.*)$", re.DOTALL)
"""`plan=pro`, `plan!=pro`, `plan=` (null)."""
_TABLE_PART = re.compile(r'"((?:[^"]|"")+)"|[^.]+')


def table_parts(written: str) -> tuple[str, ...]:
    """A table's name as it is declared, in its parts: `shop.orders` is (shop, orders), `"dot.ted"` is (dot.ted,).

    A part in double quotes may hold dots, and a quote that is written twice."""
    found = list(_TABLE_PART.finditer(written))
    if not found or ".".join(m[0] for m in found) != written:  # quotes that are part of a name, as in `quo"te`
        return tuple(written.split("."))
    return tuple(m[1].replace('""', '"') if m[1] else m[0] for m in found)


def written_table(name: str) -> str:
    """A table's own name as it is declared."""
    return '"' + name.replace('"', '""') + '"' if table_parts(name) != (name,) else name


def schema_and_table(written: str) -> tuple[str, str]:
    """(its schema or '', its own name)."""
    *schema, name = table_parts(written)
    return ".".join(schema), name


ALERT_KINDS = ("failed", "late", "source", "stopped", "unusual", "revised", "delivery")
"""What an alert may be about: a metric or a run that failed, a metric that is late, a source that cannot be reached or is
stale, a metric that has no facts any more, an unusual value, unusually large revisions, a delivery that failed."""
RESERVED_NAMES = frozenset(
    [
        "period",
        "complete",
        "days",
        "days_expected",
        "approximate",
        "total",
        "others",
        "no_series",
        "notes",
        "metric",
        "metrics",
        "scope",
        "timezone",
        "columns",
        "rows",
        "explain",
    ]
)
"""Keys of a result row or a result: a metric or dimension of this name could not be told from them."""


class BookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[book]`: name, zone, first day of the week, where the book is kept. `ledger` is a URL, and secret."""

    name: str = "book"
    id: str = ""
    """Tells the book of this project from any other, whatever their names."""
    timezone: str = "UTC"
    week_starts: str = "monday"
    store: str = "book"
    ledger: str = ""
    schema: str = "tallybook"
    access: str = "owner"
    """Who may read a new book or backup: owner or group."""
    start: date | None = None
    lookback: int = 3
    """Days collected again on every run."""
    keep_versions: int = 90
    """Days for which every version is kept; before that, one a month."""


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[schedule]`: when `tallybook serve` runs, and when `tallybook status` expects it to have run."""

    cron: str | None = None
    """In the zone of the book."""
    jitter: float = 0.0
    """Seconds, of which each run waits some at random."""


class AlertSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[alerts]`: what is told to whom when something is not well, and where a sign of life goes. `to` and `heartbeat`
    are secret: who knows them may write there."""

    to: tuple[str, ...] = ()
    about: tuple[str, ...] = ALERT_KINDS
    quiet: tuple[int, int] | None = None
    """From and until which minute of the day, in the zone of the book, nothing is sent."""
    unusual_width: float = 5.0
    """So many times its usual spread a value may be away from what is usual."""
    unusual_history: int = 56
    """Days that a value is held against."""
    heartbeat: str = ""

    def __repr__(self) -> str:
        return f"AlertSettings({len(self.to)} addresses)"


class SourceSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[sources.NAME]`: a database that is only ever read. `url` is secret; show it with `masked_url`."""

    name: str
    url: str
    statement_timeout: float = 30.0
    """Seconds."""
    lock_timeout: float = 5.0
    """Seconds."""
    fresh: str | None = None
    """A statement whose one value is the instant up to which the source is known to be complete."""
    max_load: float = 600.0
    """Seconds that a run may spend on days that are collected again because facts of theirs changed."""
    replica: str = ""
    """The URL of a replica of it, which audits read; as secret as `url`."""
    policies: str = REFUSE
    options: dict[str, Any] = {}
    """The source's own keys, as its `kind` names them, with the values of the file."""
    folder: str = ""
    """The folder of the project, which relative paths among `options` are below."""

    def __repr__(self) -> str:
        return f"SourceSettings(name={self.name!r}, url=…)"


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """`table [as name] on name.column = column`: each fact is given the one row of `table` that fits, or none."""

    table: str
    name: str
    """What its columns are qualified with."""
    on: tuple[tuple[str, str], ...]
    """(its column, the fact's column or that of a table joined before it, then qualified)."""

    @property
    def keys(self) -> tuple[str, ...]:
        return tuple(own for own, _ in self.on)

    @property
    def text(self) -> str:
        named = self.table if self.table.rpartition(".")[2] == self.name else f"{self.table} as {self.name}"
        return f"{named} on " + " and ".join(f"{self.name}.{own} = {other}" for own, other in self.on)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One declared metric. Exactly one of facts (`table` or `sql`), `function` or neither (derived) holds.

    `carry`, `lookback` are days; `snapshot_grace` is seconds.
    """

    name: str
    kind: str = FLOW
    source: str | None = None
    table: str | None = None
    sql: str | None = None
    join: tuple[Join, ...] = ()
    """Tables whose columns stand beside those of `table`."""
    where: str | None = None
    time: str | None = None
    stored: str | None = None
    stored_zone: str | None = None
    from_: str | None = None
    until: str | None = None
    until_inclusive: bool = False
    measure: str | None = None
    function: str | None = None
    by: tuple[str, ...] = ()
    series: tuple[str, ...] = ()
    per: str | None = None
    """The column of the entity for which the measure is taken first, to be aggregated by `then`."""
    then: str | None = None
    daily_aggregate: bool = False
    received: str | None = None
    """The column by which the latest of several values of a day and series is known (default: the time)."""
    changed: str | None = None
    """The column that says when a fact was last written: by it days are found whose facts changed since."""
    changed_stored: str | None = None
    """How `changed` stores time; not given: as `stored`, where that fits the type of its column."""
    history: str | None = None
    """imported: periods before the first collected day are answered from what was imported."""
    carry: int = 0
    over_time: str | None = None
    unit: str | None = None
    title: str | None = None
    description: str | None = None
    format: str | None = None
    decimals: int | None = None
    max_series: int = 100_000
    renamed_from: str | None = None
    snapshot_grace: float = 12 * 3600.0
    start: date | None = None
    lookback: int | None = None
    alerts: bool = True
    """Whether its values and revisions are watched."""
    policies: str = ""
    """Where policies of the server apply, a name for the session they apply to: other options show other rows."""
    source_options: dict[str, Any] = {}
    """The options of its source that its numbers depend on."""
    parsed: Measure | None = None
    """The measure taken apart; set by `catalog`. For a derived metric its slots name other metrics."""
    function_hash: str | None = None
    """A hash of a Python metric's own text."""

    @property
    def derived(self) -> bool:
        return self.parsed is not None and bool(self.parsed.operands)

    @property
    def interval(self) -> bool:
        return self.from_ is not None

    @property
    def snapshot(self) -> bool:
        """A level of which only the present can be seen."""
        return (
            self.kind == LEVEL and self.time is None and self.from_ is None and not self.function and not self.derived
        )

    @property
    def dims(self) -> tuple[str, ...]:
        """The dimensions that are stored, in the order of their columns d1, d2, … of a points file."""
        return tuple(sorted({*self.series_dims, *([self.per] if self.per else [])}))

    @property
    def series_dims(self) -> tuple[str, ...]:
        """The dimensions that tell one series from another: those stored, without the entity of `per`."""
        return tuple(sorted({*self.by, *(self.series if self.kind == LEVEL else ())}))

    @property
    def second(self) -> Then | None:
        """What becomes of the values of all entities, where there are two steps."""
        return parse_then(self.then) if self.per and self.then else None

    @property
    def steps(self) -> str:
        """What is measured, as it is declared: with `per` and `then`."""
        what = self.measure or self.function or ""
        return f"{what} per {self.per}, then {self.then}" if self.per else what

    @property
    def linear(self) -> bool:
        """The mean of its daily values has a meaning."""
        second = self.second
        return self.parsed is not None and self.parsed.linear and (second is None or second.zero)

    @property
    def adds_up(self) -> bool:
        """Its finished daily values of several series, or of several days of a flow, give the value of all of them when
        they are added: counts and sums do, distinct counts, averages and percentiles do not."""
        if self.function is not None:
            return True
        parsed = self.parsed
        counted = parsed is not None and parsed.linear and all(slot.agg in ("count", "sum") for slot in parsed.slots)
        return counted and self.second is None

    @property
    def default_show(self) -> str:
        """What one number of a wider scope means when the question does not say."""
        if self.over_time:
            return self.over_time
        return "last" if self.kind == LEVEL else "total"

    @property
    def shows(self) -> tuple[str, ...]:
        """The shows that have a right answer. Of a derived metric none: each metric it is made of has its own."""
        if self.derived:
            return ()
        if self.kind == LEVEL:
            return tuple(show for show in SHOWS if show != "total")
        averaged = self.linear or self.parsed is None
        return tuple(show for show in SHOWS if show != "change" and (show != "average" or averaged))

    def fingerprint(self, zone: str, forms: dict[str, str]) -> str:
        """The definition: a hash of what the numbers mean, not of how they are titled or ordered.

        `forms` says what the source told: how the times are stored and which sums are exact."""
        meaning = self.meaning(zone, forms)
        return hashlib.blake2b(msgspec.json.encode(meaning, order="sorted"), digest_size=6).hexdigest()

    def meaning(self, zone: str, forms: dict[str, str]) -> dict[str, object]:
        """All that the definition is a hash of."""
        parsed = self.parsed
        steps = {"per": [self.per, self.then]} if self.per else {}
        seen: dict[str, object] = {"policies": self.policies} if self.policies else {}
        seen |= {"source_options": self.source_options} if self.source_options else {}
        return (
            steps
            | seen
            | {
                "kind": self.kind,
                "source": self.source,
                "facts": [
                    self.table,
                    self.sql,
                    self.where,
                    self.function,
                    self.function_hash,
                    *(j.text for j in self.join),
                ],
                "time": [self.time, self.stored_zone, self.from_, self.until, self.until_inclusive],
                "measure": parsed.text if parsed else None,
                "dims": self.dims,
                "series": [sorted(self.series), self.received] if self.daily_aggregate else None,
                "decimals": self.decimals,
                "zone": zone,
                "forms": sorted(forms.items()),
            }
        )


class Delivery(msgspec.Struct, frozen=True, kw_only=True):
    """`[deliveries.NAME]`: a question whose answer a destination keeps up to date."""

    name: str
    to: str = ""
    path: str = ""
    metrics: tuple[str, ...] = ()
    scope: str = "day"
    by: tuple[str, ...] = ()
    where: tuple[str, ...] = ()
    from_: date | None = None
    last: str | None = None
    layout: str = "columns"
    """long (a row per metric), columns (a column per metric) or across (a column per period)."""
    tab: str | None = None
    totals: bool = False
    fill: bool = False
    options: dict[str, Any] = {}
    """Keys of the destination's own that were given, as its options read them: plain values."""

    @property
    def later(self) -> bool:
        """It goes where this version does not deliver to."""
        return self.to in LATER_KINDS

    @property
    def tab_name(self) -> str:
        """The sheet of the workbook."""
        return self.tab or self.name


class Goal(msgspec.Struct, frozen=True, kw_only=True):
    """`[goals.NAME]`: what a metric shall come to in every week, month, quarter or year, or not exceed.

    Either `target` is for every period or `targets` holds one for each, by its first day."""

    name: str
    metric: str = ""
    scope: str = "month"
    target: Decimal | None = None
    targets: dict[date, Decimal] = {}
    where: tuple[str, ...] = ()
    show: str | None = None
    at_most: bool = False
    """The metric shall not come to more than the target."""
    title: str | None = None

    def target_of(self, start: date) -> Decimal | None:
        """The target of the period that begins on `start`; None where none is declared."""
        return self.target if self.target is not None else self.targets.get(start)


class Catalog(msgspec.Struct, frozen=True, kw_only=True):
    """All declarations, checked as a whole."""

    book: BookSettings
    sources: dict[str, SourceSettings]
    metrics: dict[str, Metric]
    deliveries: dict[str, Delivery] = {}
    goals: dict[str, Goal] = {}
    schedule: ScheduleSettings = ScheduleSettings()
    alerts: AlertSettings = AlertSettings()

    def operands(self, name: str) -> tuple[str, ...]:
        """The metrics of which `name` is made, itself when it is not derived, each once, in order."""
        metric = self.metrics[name]
        if not metric.derived:
            return (name,)
        assert metric.parsed is not None
        found: dict[str, None] = {}
        for operand in metric.parsed.operands:
            found.update(dict.fromkeys(self.operands(operand.metric)))
        return tuple(found)

    def queryable_dims(self, name: str) -> tuple[str, ...]:
        """What `name` may be split or filtered by: its own, or what all of its operands have."""
        metric = self.metrics[name]
        if not metric.derived:
            return (*metric.by, *(d for d in metric.series_dims if d not in metric.by))
        operands = self.operands(name)
        shared = [d for d in self.queryable_dims(operands[0]) if all(d in self.queryable_dims(o) for o in operands[1:])]
        return tuple(shared)


class BoundSlot(msgspec.Struct, frozen=True, kw_only=True):
    """What the source told about one aggregate: the type of its result, and what its parts need to be read."""

    type: str
    """integer, decimal or float."""
    ids: str = ""
    """How ids are kept: "int" as they are, "hash" as 64 bits of the MD5 of their exact text; "value" where the
    values themselves are told apart, "time" where it is the instant of a first or last value."""
    k: float = 0.0
    """The K of Σ(x−K) and Σ(x−K)² of definitions before each part had its own."""


AS_STORED = "as stored"
"""The form of a dimension that MySQL does not send as it is stored: FLOAT and BIT."""
BITS = {"true": "1", "false": "0"}


class Bound(msgspec.Struct, frozen=True, kw_only=True):
    """A metric with its definition: what a book needs to read its points, now and years later."""

    metric: Metric
    definition: str
    key: str
    """The name under which the points are kept."""
    zone: str
    forms: dict[str, str]
    slots: tuple[BoundSlot, ...]
    checked: bool = False
    """Its parts were collected since rows are left out that are of no day or no number. Before that they may be in them."""
    imported: str = ""
    """Of finished values of a person or another tool: ADDS where several may be added, else DAY."""

    @property
    def measure(self) -> Measure:
        assert self.metric.parsed is not None
        return self.metric.parsed

    def column(self, dimension: str) -> str:
        """The points column that holds a dimension."""
        return f"d{self.metric.dims.index(dimension) + 1}"

    def label(self, dimension: str, value: str | None) -> str | None:
        """A value of `--where` as the points contain it: those of a BIT column of MySQL are 0 and 1."""
        as_stored = self.forms.get(f"dim.{dimension}") == AS_STORED
        return BITS.get(value.casefold(), value) if as_stored and value is not None else value

    def empty(self) -> OperandValue:
        """The measure over no rows: 0 where 0 exists, else None."""
        if (second := self.metric.second) is not None:
            return Decimal(0) if second.zero else None
        leaves: list[OperandValue] = [
            None if not slot.zero else 0.0 if bound.type == "float" else Decimal(0)
            for slot, bound in zip(self.measure.slots, self.slots, strict=True)
        ]
        return evaluate(self.measure.shell, leaves)
