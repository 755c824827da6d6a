"""Scores the time columns of a table: when the fact happened, and when a state ended."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.draft.evidence import (
    MIN_ROWS,
    Scored,
    best_of,
    distinct_share,
    in_order,
    instants,
    null_share,
    scored,
    share_of,
)
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.time_words import BORN, ENDED, LATER, NOT_AN_END
from tallybook.draft.words import head, singular, stem, stems, terms

MIN_SCORE = 0.25
MAX_EXPLAINED_NULLS = 0.5
"""If a larger share of rows lacks a time, it is not the time of all facts."""
MAX_PLANNED = 0.01
"""If a larger share of times is in the future, a column has planned times."""
_LATER = stems(tuple(LATER))
_NOT_AN_END = stems(tuple(NOT_AN_END))
_OF_BIRTH = frozenset(("birth", "birthday", "birthdate", "dob", "born"))
"""Words of times that are long before the row, whatever the row is about."""
_VALID, _STARTS = stems(("valid",)), stems(("from", "since", "start", "starts"))
"""Something is valid from its start, and until its end."""
_UNIVERSAL = frozenset(("gmt", "utc"))
_DAY_WORDS = frozenset(("d", "dt", "day", "date", "time", "timestamp", "ts"))


def time_candidates(table: SeenTable, wanted: Sequence[tuple[str, ...]]) -> list[Scored[SeenColumn]]:
    """The time columns of a table with their scores as the time of the fact. `wanted`: words for it, best first."""
    known = {c.name: instants(c) for c in table.times}
    return [_scored_time(table, column, wanted, known) for column in table.times]


def time_of(table: SeenTable, wanted: Sequence[tuple[str, ...]], *, least: float = MIN_SCORE) -> SeenColumn | None:
    """The most likely time of the fact; None if no column is likely."""
    found = best_of(time_candidates(table, wanted), least)
    return found.candidate if found else None


def why_time(table: SeenTable, column: SeenColumn, wanted: Sequence[tuple[str, ...]]) -> str:
    """The reason why this column was chosen as the time, and which others were possible."""
    ranked = sorted(time_candidates(table, wanted), key=lambda s: -s.score)
    chosen = next((s for s in ranked if s.candidate is column), None)
    others = [s.candidate.name for s in ranked if s.candidate is not column and s.score > MIN_SCORE]
    reasons = list(chosen.reasons[:2]) if chosen else []
    return "; ".join([*reasons, *([f"or {', '.join(others[:2])}"] if others else [])])


def _scored_time(
    table: SeenTable, column: SeenColumn, wanted: Sequence[tuple[str, ...]], known: dict[str, list[float | None]]
) -> Scored[SeenColumn]:
    nulls, mine = null_share(column), known[column.name]
    born = {c.name for c in table.times if {singular(w) for w in c.words} & _OF_BIRTH}
    others = [times for name, times in known.items() if name != column.name and name not in born]
    first = min((_is_before(mine, times) for times in others), default=0.0)
    constant = len(column.values) >= 8 and len(set(mine)) <= 1
    named = _place(table, column, wanted)
    exact = named is not None and 3 * named < len(wanted) and nulls <= MAX_EXPLAINED_NULLS
    return scored(
        column,
        (_by_words(table, column, wanted), f"named {column.name}"),
        (-1.5 * nulls if nulls > MAX_EXPLAINED_NULLS else -0.4 * nulls, f"null in {nulls:.0%} of the rows"),
        (0.5 if exact else 0.0, ""),
        (
            0.25 if first > 0.95 else -0.2 * (1 - first) if others and first < 0.3 and not exact else 0.0,
            "the earliest time of a row",
        ),
        (0.15 if in_order(mine) > 0.9 else 0.0, "grows with the key"),
        (-1.0 if constant else 0.0, "the same in all rows"),
        (-0.8 if others and ("start",) not in wanted and is_planned(table, column) else 0.0, "reaches into the future"),
        (0.3 if set(column.words) & _UNIVERSAL else 0.0, "in UTC"),
        (-0.7 if _of_another_document(table, column) else 0.0, "the time of another document"),
    )


def _of_another_document(table: SeenTable, column: SeenColumn) -> bool:
    """Whether a time of orders is that of their invoice, which some orders do not have, or have as a date of zeros."""
    return "invoice" in column.words and head(table.bare) in ("order", "booking", "reservation", "sale")


def is_planned(table: SeenTable, column: SeenColumn) -> bool:
    """Whether some rows have a time after that of the sample. What is planned has not happened."""
    known = [time for time in instants(column) if time is not None]
    return table.now is not None and sum(t > table.now + 86_400 for t in known) > MAX_PLANNED * len(known)


def _is_before(mine: list[float | None], other: list[float | None]) -> float:
    """The share of rows in which a time is not after another; 1 where the other is never set."""
    if all(b is None for b in other):
        return 1.0
    return share_of(list(zip(mine, other, strict=True)), lambda a, b: a <= b + 86_400 if a % 86_400 == 0 else a <= b)


def _place(table: SeenTable, column: SeenColumn, wanted: Sequence[tuple[str, ...]]) -> int | None:
    """The index of the first wanted words that are in the name."""
    found = {stem(word) for word in terms(column.name, table.bare)}
    return next((i for i, words in enumerate(wanted) if stems(words) <= found), None)


def _by_words(table: SeenTable, column: SeenColumn, wanted: Sequence[tuple[str, ...]]) -> float:
    found = {stem(word) for word in terms(column.name, table.bare)}
    later = found & _LATER
    later -= _VALID if found & _STARTS else frozenset()
    place = _place(table, column, wanted)
    if later:
        return -1.0
    if place is not None:
        return 1.0 - 0.25 * place / len(wanted)
    if set(terms(column.name, table.bare)) <= _DAY_WORDS | {"at", "on"}:
        own = len(column.words) > 1 and singular(column.words[0]) == head(table.bare)
        return 0.95 if own else 0.65  # payment_date of payments; a bare date
    return 0.35 if len(table.times) == 1 else 0.2


# --- ends ------------------------------------------------------------------------------------------------------


def end_candidates(table: SeenTable, begun: SeenColumn) -> list[Scored[SeenColumn]]:
    """The time columns that can be the end of the state that `begun` starts, with their scores."""
    ends = [stems(words) for words in ENDED]
    start, found = instants(begun), []
    for column in table.times:
        named = {stem(word) for word in terms(column.name, table.bare)}
        place = next((i for i, words in enumerate(ends) if words <= named), None)
        if column is begun or column.zero or column.stored != begun.stored or named & _NOT_AN_END or place is None:
            continue
        pairs = list(zip(start, instants(column), strict=True))
        after = share_of(pairs, lambda a, b: a <= b) if len(column.values) >= MIN_ROWS else 1.0
        found.append(
            scored(
                column,
                (1.0 - 0.5 * place / len(ends), f"named {column.name}"),
                (0.1 if 0 < null_share(column) < 1 else 0.0, "null in some rows"),
                (0.5 * (1 - null_share(column)), "set in most rows"),
                (-1.0 if column.values and after < 0.7 else 0.0, "often before the start"),
                (-0.4 if not column.values else 0.0, "never set"),
                (-0.5 if is_deletion(column) else 0.0, "deleted, which is not ended"),
            )
        )
    return sorted(found, key=lambda s: -s.score)


def end_column(table: SeenTable, begun: SeenColumn) -> SeenColumn | None:
    """The most likely column with the end of the state that `begun` starts."""
    found = best_of(end_candidates(table, begun), 0.2)
    return found.candidate if found else None


def is_deletion(column: SeenColumn) -> bool:
    """Whether the time says that a row was deleted, and not when something in it ended."""
    return bool({stem(w) for w in column.words} & stems(("deleted", "removed", "discarded", "trashed")))


def moment_count(column: SeenColumn) -> float:
    """Different times per row: near 0 for a day that many rows share."""
    return distinct_share(column.values)


__all__ = [
    "BORN",
    "end_candidates",
    "end_column",
    "is_deletion",
    "is_planned",
    "moment_count",
    "time_candidates",
    "time_of",
    "why_time",
]
