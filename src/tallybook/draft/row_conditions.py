"""A condition for the rows that count, and the SQL of its parts."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tallybook.draft.seen import SeenColumn

AsSql = Callable[[str], str]


@dataclass
class RowFilter:
    """A condition for the rows that count, the reason, and what was not understood."""

    parts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    missed: list[str] = field(default_factory=list)
    """Doubts because a person was absent."""
    flagged: list[str] = field(default_factory=list)
    """The numbers of rows with each flag."""
    settled: bool = False
    """Whether a state decides which rows count."""

    def add(self, part: str, reason: str) -> None:
        """Add one condition."""
        self.parts.append(part)
        self.reasons.append(reason)

    @property
    def where(self) -> str:
        """The conditions as SQL; empty if all rows count."""
        return " and ".join(f"({p})" if " or " in p and len(self.parts) > 1 else p for p in self.parts)

    @property
    def why(self) -> str:
        """The reasons as one text."""
        return "; ".join(self.reasons)


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def is_unset(column: SeenColumn, as_sql: AsSql) -> str:
    """The condition for rows without a time."""
    return f"{as_sql(column.name)} {'= 0' if column.zero else 'is null'}"


def none_of(column: SeenColumn, sql: str, values: list[str]) -> str:
    """The condition for rows without these values. Rows without a value count."""
    part = f"{sql} not in ({', '.join(map(literal, values))})" if len(values) > 1 else f"{sql} <> {literal(values[0])}"
    return f"({sql} is null or {part})" if column.nulls else part
