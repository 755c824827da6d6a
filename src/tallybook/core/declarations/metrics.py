"""Metrics: what is measured, of which facts, by which time and dimensions."""

from __future__ import annotations

import hashlib
import re
from datetime import date
from typing import Any

import msgspec

from tallybook.core.declarations.events import EVENTS_SOURCE, EVERY_DAY
from tallybook.core.declarations.table_names import table_parts
from tallybook.core.entities import ENTITY_KINDS
from tallybook.core.measure.model import SHOWS, Measure, Then
from tallybook.core.measure.parse import parse_then

FLOW, LEVEL, UNIQUES = "flow", "level", "uniques"
KINDS = (FLOW, LEVEL, UNIQUES)
STORED_FORMS = ("utc", "local", "offset", "epoch_s", "epoch_ms", "epoch_us", "epoch_ns", "date", "yyyymmdd")
IMPORTED = "imported"
"""Replaces the declaration in the definition of a metric whose values were imported."""
FILTER = re.compile(
    rf"^\s*(?P<dim>(?:(?:{'|'.join(ENTITY_KINDS)})\.[^@\[\]=!]*[^@\[\]=!\s]|[A-Za-z_][\w.]*)(?:@day)?(?:\[[^\]]*\])?)"
    r"\s*(?P<sign>!?=)(?P<value>.*)$",
    re.DOTALL,
)
"""`plan=pro`, `plan!=pro`, `plan=` (null). Attribute names can contain spaces: `accounts.First name=Ada`."""


class Join(msgspec.Struct, frozen=True, kw_only=True):
    """`table [as name] on name.column = column`: each fact gets the one matching row of `table`, or nulls."""

    table: str
    name: str
    """The qualifier of its columns."""
    on: tuple[tuple[str, str], ...]
    """Pairs (its column, matching column of the facts, or qualified column of a table joined before it)."""

    @property
    def keys(self) -> tuple[str, ...]:
        """Its columns that the facts are matched by."""
        return tuple(key for key, _ in self.on)

    @property
    def text(self) -> str:
        """The join as it is declared; part of the definition."""
        named = self.table if self.table.rpartition(".")[2] == self.name else f"{self.table} as {self.name}"
        return f"{named} on " + " and ".join(f"{self.name}.{key} = {other}" for key, other in self.on)


class Metric(msgspec.Struct, frozen=True, kw_only=True):
    """One declared metric. It has facts (`table` or `sql`), or a `function`; with neither it is derived from other
    metrics.

    `carry` and `lookback` are days; `snapshot_grace` is seconds."""

    name: str
    kind: str = FLOW
    source: str | None = None
    table: str | None = None
    sql: str | None = None
    join: tuple[Join, ...] = ()
    """Tables whose columns are joined to those of `table`."""
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
    """The column of the entity: the measure is computed per entity first, then aggregated by `then`."""
    then: str | None = None
    daily_aggregate: bool = False
    received: str | tuple[str, ...] | None = None
    """The column that orders several values of a day and series; the latest counts (default: the time). A second
    column orders values that were received at the same time."""
    changed: str | None = None
    """The column with the time a fact was last written. Runs find days with changed facts by it."""
    changed_stored: str | None = None
    """How `changed` stores time (default: as `stored`, where that fits the type of its column)."""
    history: str | None = None
    """"imported": imported values answer for periods before the first collected day."""
    carry: int = 0
    over_time: str | None = None
    unit: str | None = None
    unit_from: str | None = None
    """The dimension with the unit of each row, such as a currency. Values of different units are never added up."""
    minor_units: bool = False
    """Whether amounts are in the smallest unit of their ISO 4217 currency, such as cents."""
    title: str | None = None
    description: str | None = None
    format: str | None = None
    decimals: int | None = None
    group: str = ""
    """The heading under which pages list it."""
    pinned: bool = False
    """Whether the overview shows it among the headline numbers."""
    better: str = ""
    """The good direction, higher or lower. Empty: no change is good or bad."""
    max_series: int = 100_000
    renamed_from: str | None = None
    snapshot_grace: float = 12 * 3600.0
    start: date | None = None
    lookback: int | None = None
    expect: tuple[int, ...] | None = None
    """For daily values of an event: the weekdays on which a value is expected. Other days are not gaps."""
    expect_keys: tuple[str, ...] = ()
    """Keys that must each send something for its event for a day to count as complete."""
    alerts: bool = True
    """Whether alerts watch its values and revisions."""
    policies: str = ""
    """The session's name where row-level policies of the server apply: another session sees other rows."""
    source_options: dict[str, Any] = {}
    """The options of its source that change the numbers of the metric."""
    parsed: Measure | None = None
    """The parsed measure; set by `config/catalog`. The operands of a derived metric are other metrics."""
    function_hash: str | None = None
    """A hash of the source text of a Python metric."""

    @property
    def derived(self) -> bool:
        """Whether it is computed from other metrics."""
        return self.parsed is not None and bool(self.parsed.operands)

    @property
    def interval(self) -> bool:
        """Whether its facts have a beginning and an end (`from`, `until`)."""
        return self.from_ is not None

    @property
    def snapshot(self) -> bool:
        """Whether it is a level whose source shows only the present state."""
        return (
            self.kind == LEVEL and self.time is None and self.from_ is None and not self.function and not self.derived
        )

    @property
    def dims(self) -> tuple[str, ...]:
        """The stored dimensions, in the order of their columns d1, d2, … of a points file."""
        return tuple(sorted({*self.series_dims, *([self.per] if self.per else [])}))

    @property
    def series_dims(self) -> tuple[str, ...]:
        """The dimensions that identify a series: the stored ones without the entity of `per`."""
        return tuple(sorted({*self.by, *(self.series if self.kind == LEVEL and not self.received else ())}))

    @property
    def event(self) -> str | None:
        """The name of the usage event that it reads; None for other metrics."""
        return table_parts(self.table)[0] if self.source == EVENTS_SOURCE and self.table and not self.join else None

    @property
    def expected_weekdays(self) -> frozenset[int] | None:
        """The weekdays on which a day should be covered; None for all of them."""
        return None if self.expect is None or len(self.expect) == len(EVERY_DAY) else frozenset(self.expect)

    @property
    def received_columns(self) -> tuple[str, ...]:
        """The columns that order several values of a day and series."""
        return (self.received,) if isinstance(self.received, str) else self.received or ()

    @property
    def keeps_latest(self) -> bool:
        """Whether only the row received last counts of several rows of a day and series."""
        return self.daily_aggregate or bool(self.received)

    @property
    def latest_series(self) -> tuple[str, ...]:
        """The columns that identify a row of a day: a later row with equal columns replaces it. With `per` they include
        the entity."""
        return (*self.series, *([self.per] if self.per else [])) if self.keeps_latest else ()

    @property
    def second(self) -> Then | None:
        """The second step, which aggregates the values of all entities; None for a measure of one step."""
        return parse_then(self.then) if self.per and self.then else None

    @property
    def steps(self) -> str:
        """The measure as it is declared, with `per` and `then`."""
        what = self.measure or self.function or ""
        return f"{what} per {self.per}, then {self.then}" if self.per else what

    @property
    def linear(self) -> bool:
        """Whether the mean of its daily values is meaningful."""
        second = self.second
        return self.parsed is not None and self.parsed.linear and (second is None or second.zero)

    @property
    def counts_things(self) -> bool:
        """Whether every value is a number of things: the measure is one count and nothing else."""
        slots = self.parsed.slots if self.parsed else ()
        is_one_count = len(slots) == 1 and slots[0].agg in ("count", "count_distinct") and self.second is None
        return is_one_count and bool(re.fullmatch(r"(?is)count\s*\([^()]*\)", (self.measure or "").strip()))

    @property
    def adds_up(self) -> bool:
        """Whether finished daily values of several series may be added; for a flow also those of several days.

        Counts and sums add up. Distinct counts, averages and percentiles do not."""
        if self.function is not None:
            return True
        parsed = self.parsed
        counted = parsed is not None and parsed.linear and all(slot.agg in ("count", "sum") for slot in parsed.slots)
        return counted and self.second is None

    @property
    def default_show(self) -> str:
        """How days are combined into one number of a wider scope when the question gives no `show`."""
        if self.over_time:
            return self.over_time
        return "last" if self.kind == LEVEL else "total"

    @property
    def shows(self) -> tuple[str, ...]:
        """The shows that have a correct answer. A derived metric has none: each of its operands has its own."""
        if self.derived:
            return ()
        if self.kind == LEVEL:
            return tuple(show for show in SHOWS if show != "total")
        averaged = self.linear or self.parsed is None
        return tuple(show for show in SHOWS if show != "change" and (show != "average" or averaged))

    def fingerprint(self, zone: str, forms: dict[str, str]) -> str:
        """The definition: a hash of the meaning of the numbers. It ignores the title and the order of dimensions.

        `forms` is what the source reported: how times are stored and which sums are exact."""
        meaning = self.meaning(zone, forms)
        return hashlib.blake2b(msgspec.json.encode(meaning, order="sorted"), digest_size=6).hexdigest()

    def meaning(self, zone: str, forms: dict[str, str]) -> dict[str, object]:
        """The values that the definition hashes. Their names and encodings never change."""
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
                "series": [sorted(self.series), self.received] if self.keeps_latest else None,
                "decimals": self.decimals,
                "zone": zone,
                "forms": sorted(forms.items()),
            }
        )
