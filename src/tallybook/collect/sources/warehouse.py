"""What warehouses and the databases of large firms have in common, reached through SQLAlchemy's dialects for them.

Each has a file of its own, with what differs: names, literals, types, what a session is told, and how it says that
something took too long or is not there. None of them can be run where this is developed: their statements are held
against golden SQL and executed by another engine, as docs/sources.md says of each.
"""

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
    """A name without quotes is one in upper case: created_at of tallybook.toml is CREATED_AT."""
    has_indexes: ClassVar[bool] = False
    snapshots = False
    clock: ClassVar[str]
    """Asks for the time of now: UTC, or a number since 1970."""
    kinds: ClassVar[Mapping[str, str]] = {}
    """Names of types as the catalogue has them, in lower case → kinds; beside those of `KINDS`."""
    took_long: ClassVar[str]
    """What is said of a statement that was given no more time."""
    missing: ClassVar[str] = r"does not exist|not found|cannot be resolved|invalid identifier"
    denied: ClassVar[str] = r"permission|privilege|access denied|not authorized"
    lost: ClassVar[str] = r"connection|network|timed out|unreachable|ssl|socket"
    hex: ClassVar[str] = "TO_HEX({})"
    exactly: ClassVar[str] = "CAST({} AS VARCHAR)"
    """A text that is grouped by its characters."""
    moment: ClassVar[str] = "CAST({} AS VARCHAR)"
    """A time to its last digit, as text: Python's know no nanoseconds."""
    instant: ClassVar[str] = ""
    """Likewise of a time with a zone, where `moment` would leave the zone out or tell one instant from itself."""
    double: ClassVar[str] = "DOUBLE PRECISION"
    policy_query: ClassVar[str] = ""
    """Asks for the tables, as schema.table, whose rows a policy filters; empty where that cannot be asked."""
    view_query: ClassVar[str] = ""
    """Asks for the names of views and their SQL."""

    # -- reading -------------------------------------------------------------------------------

    def prepare(self) -> Sequence[str]:
        return ()

    def begin(self) -> Sequence[str]:
        return ()

    def _end(self, raw: Any) -> None:
        """Nothing was begun."""

    def type_of(self, declared: str) -> ColumnType:
        """The type that is declared so: decimal(12, 3), timestamp with time zone."""
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
        """No: a scan leaves aside what its own bounds exclude, and a statement for each day would cost more."""
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

    # -- what is there ---------------------------------------------------------------------------

    def policies(self) -> list[tuple[str, bool]] | None:
        """Whom a policy lets see what is a program of the server's, so every table that has one counts as filtered."""
        if not self.policy_query:
            return []
        try:
            with self.snapshot() as reader:
                return sorted({(str(row[0]), True) for row in reader.rows(self.policy_query)})
        except SourceUnavailable:
            raise
        except SourceError:  # the view takes a right of its own
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
        """None: most of them take down keys that they do not enforce. So the rows are looked at."""
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
        """A type with so many digits after the point and as many as can be before it."""
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
    """One whose snapshot is a transaction, which is rolled back."""

    snapshots = True

    def _end(self, raw: Any) -> None:
        try:
            raw.rollback()
        except Exception:
            # The connection died under us; the statement that saw it has said so.
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
"""What most of them call their types."""
