"""The common part of warehouses and enterprise databases, which are reached through SQLAlchemy's dialects.

Each has a file with its differences: names, literals, types, session settings, and errors for timeouts and missing
objects. None of them can be run in our development environment. Their statements are compared with golden SQL and
executed by another engine; docs/sources.md has the details."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, ClassVar

from tallybook.collect.sources.base import Reader
from tallybook.collect.sources.failed_statements import (
    connection_lost,
    permission_denied,
    reason_of,
    timed_out,
    unknown_name,
)
from tallybook.collect.sources.policies import check_policies
from tallybook.collect.sources.server import ServerSource
from tallybook.collect.sources.values import (
    BOOL,
    BYTES,
    DATE,
    DEC,
    DECLARED,
    FLOAT,
    INT,
    NUMBERS,
    OTHER,
    TEXT,
    TIMESTAMP,
    TIMESTAMPTZ,
    UUID,
    ColumnType,
    as_instant,
)
from tallybook.core import SourceError, SourceUnavailable

_PLAIN = re.compile(r"[a-z_][a-z0-9_$]*")
_DECLARED = re.compile(r"([a-z_0-9 ]+?)\s*(?:\((\d+)(?:\s*,\s*(-?\d+))?\))?\s*(with time zone|with local time zone)?")


class WarehouseSource(ServerSource):
    folds_to_upper: ClassVar[bool] = False
    """Whether a name without quotes is stored in upper case: created_at of tallybook.toml is CREATED_AT."""
    has_indexes: ClassVar[bool] = False
    snapshots = False
    clock: ClassVar[str]
    """The query for the current time: UTC, or a number since 1970."""
    kinds: ClassVar[Mapping[str, str]] = {}
    """The kinds of types, by their lower-case names in the catalog. In addition to `KINDS`."""
    took_long: ClassVar[str]
    """Part of the error message of a statement that exceeded its time limit."""
    missing: ClassVar[str] = r"does not exist|not found|cannot be resolved|invalid identifier"
    denied: ClassVar[str] = r"permission|privilege|access denied|not authorized"
    lost: ClassVar[str] = r"connection|network|timed out|unreachable|ssl|socket"
    hex: ClassVar[str] = "TO_HEX({})"
    exactly: ClassVar[str] = "CAST({} AS VARCHAR)"
    """The expression for a text that is grouped by its characters."""
    moment: ClassVar[str] = "CAST({} AS VARCHAR)"
    """The expression for a time with all digits as text, because Python's times have no nanoseconds."""
    instant: ClassVar[str] = ""
    """The same for a time with a zone, if `moment` would drop the zone or make one instant appear as two."""
    double: ClassVar[str] = "DOUBLE PRECISION"
    policy_query: ClassVar[str] = ""
    """The query for the tables, as schema.table, whose rows are filtered by a policy. Empty if there is no such
    query."""
    view_query: ClassVar[str] = ""
    """The query for the names of views and their SQL."""

    # -- reading -------------------------------------------------------------------------------

    def prepare(self) -> Sequence[str]:
        return ()

    def begin(self) -> Sequence[str]:
        return ()

    def _end(self, raw: Any) -> None:
        """Does nothing, because nothing was begun."""

    def type_of(self, declared: str) -> ColumnType:
        """The type of a declaration such as decimal(12, 3) or timestamp with time zone."""
        found = _DECLARED.fullmatch(declared.lower().strip())
        if found is None:
            return ColumnType(OTHER, None, declared)
        name = f"{found[1]} {found[4]}" if found[4] else found[1]
        kind = self.kinds.get(name, KINDS.get(name, OTHER))
        scale = int(found[3]) if found[3] else 0 if found[2] else None
        if kind == DEC and scale == 0:
            kind = INT
        return ColumnType(kind, scale if kind == DEC else 0 if kind == INT else None, declared)

    def known_until(self, now: datetime) -> datetime:
        with self.snapshot() as reader:
            return as_instant(reader.rows(self.clock)[0][0])

    def index_reached(self, reader: Reader, sql: str) -> bool:
        """False: a scan skips what its own bounds exclude, and a statement for each day would cost more."""
        return False

    def explained(self, error: Exception) -> SourceError:
        name, reason = self.settings.name, reason_of(error)
        if re.search(self.took_long, reason, re.IGNORECASE):
            return timed_out(name, self.settings.statement_timeout)
        if re.search(self.denied, reason, re.IGNORECASE):
            return permission_denied(name, reason)
        if re.search(self.missing, reason, re.IGNORECASE):
            return unknown_name(name, reason)
        of_the_way = re.search("Operational|Interface|Connection", type(error).__name__)
        if of_the_way and re.search(self.lost, reason, re.IGNORECASE):
            return connection_lost(name, reason)
        return SourceError(f"source {name!r}: {reason}")

    # -- catalog ---------------------------------------------------------------------------------

    def policies(self) -> list[tuple[str, bool]] | None:
        """Every table with a policy counts as filtered, because the server evaluates a policy as a program of its
        own."""
        if not self.policy_query:
            return []
        try:
            with self.snapshot() as reader:
                return sorted({(str(row[0]), True) for row in reader.rows(self.policy_query)})
        except SourceUnavailable:
            raise
        except SourceError:  # the view needs its own privilege
            return None

    def view_texts(self) -> list[tuple[str, str]]:
        with self.snapshot() as reader:
            return [(str(name), str(sql)) for name, sql in reader.rows(self.view_query)]

    def check_policies(self, text: str) -> None:
        if self.policy_query:
            check_policies(self, text)

    def indexed_columns(self, table: str) -> set[str]:
        return super().indexed_columns(table) if self.has_indexes else set(self.columns(table))

    def unique_keys(self, table: str) -> list[tuple[str, ...]]:
        """Empty, because most of these databases record keys that they do not enforce. So the rows are checked."""
        return []

    # -- SQL -----------------------------------------------------------------------------------

    def quote(self, name: str) -> str:
        if name.startswith('"') and name.endswith('"') and len(name) > 2:
            return name
        if self.folds_to_upper and _PLAIN.fullmatch(name):
            name = name.upper()
        return super().quote(name)

    def text(self, expression: str, type_: ColumnType) -> str:
        if type_.kind == BYTES:
            return self.hex.format(expression)
        if type_.kind in (TIMESTAMP, TIMESTAMPTZ):
            instant = self.instant if type_.kind == TIMESTAMPTZ else ""
            return (instant or self.moment).format(expression)
        return expression if type_.kind in (*NUMBERS, BOOL, DATE) else self.exactly.format(expression)

    def float(self, expression: str) -> str:
        return f"CAST({expression} AS {self.double})"

    def decimal(self, scale: int) -> str:
        """A decimal type with this many digits after the decimal point and as many as possible before it."""
        return f"DECIMAL(38, {scale})"

    def total(self, expression: str, type_: ColumnType) -> list[str]:
        if type_.declared.startswith(DECLARED):
            return self._declared_total(expression, type_)
        if type_.kind == INT:
            return [f"SUM(CAST({expression} AS {self.decimal(0)}))"]
        return [f"SUM({expression})"]

    def _declared_total(self, expression: str, type_: ColumnType) -> list[str]:
        exact = f"CAST({expression} AS {self.decimal(type_.scale or 0)})"
        off = f"{expression} <> {exact}"
        if type_.declared == DECLARED + FLOAT:
            slack = f"1e-{(type_.scale or 0) + 3} + 1e-15 * ABS({expression})"
            off = f"ABS({expression} - {self.float(exact)}) > {slack}"
        elif type_.declared != DECLARED + DEC:
            raise SourceError(
                f"{expression.strip()} is no number, and how {self.dialect} rounds a text is not known here",
                hint="cast it in the measure, and take `decimals` away: cast(x as decimal(38, 2))",
            )
        return [f"SUM({exact})", f"SUM(CASE WHEN {off} THEN 1 END)"]

    def value(self, expression: str, type_: ColumnType) -> str:
        declared = type_.declared.startswith(DECLARED)
        return f"CAST({expression} AS {self.decimal(type_.scale or 0)})" if declared else expression

    def text_as_instant(self, column: str) -> str:
        raise SourceError(
            f"{column}: times with an offset are not read from text on {self.dialect}",
            hint="make instants of them in `sql`, by a cast to a timestamp with time zone",
        )


class TransactionSource(WarehouseSource):
    """A source whose snapshot is a transaction, which is rolled back at the end."""

    snapshots = True

    def _end(self, raw: Any) -> None:
        try:
            raw.rollback()
        except Exception:
            # The connection was lost. The statement that noticed it has reported it.
            self._forget()


KINDS = {
    **dict.fromkeys(("tinyint", "smallint", "int", "integer", "bigint", "int64", "byteint"), INT),
    **dict.fromkeys(("decimal", "numeric", "number"), DEC),
    **dict.fromkeys(("float", "real", "double", "double precision", "float64"), FLOAT),
    **dict.fromkeys(("varchar", "char", "nvarchar", "nchar", "text", "string", "character varying", "character"), TEXT),
    **dict.fromkeys(("bool", "boolean"), BOOL),
    **dict.fromkeys(("binary", "varbinary", "bytes"), BYTES),
    "date": DATE,
    "uuid": UUID,
}
"""Common names of types, with their kinds."""
