"""The possible outcomes of a condition with unknown parts: any of true, false and null, as SQL. Pure."""

from __future__ import annotations

from dataclasses import dataclass

TRUE, FALSE, NULL_OUTCOME = 1, 2, 4
"""Possible outcomes, combined by addition. 7: nothing is known about the outcome."""


@dataclass(frozen=True)
class Outcomes:
    """SQL for the sum of the possible outcomes of a condition."""

    sql: str


Truth = str | Outcomes
"""SQL that is true, false or null; or, if a part is unknown, the possible outcomes."""


def outcomes_of(truth: Truth) -> Outcomes:
    if isinstance(truth, Outcomes):
        return truth
    return Outcomes(f"CASE {truth} WHEN TRUE THEN {TRUE} WHEN FALSE THEN {FALSE} ELSE {NULL_OUTCOME} END")


def negated(truth: Truth) -> Truth:
    if isinstance(truth, str):
        return f"(NOT {truth})"
    return Outcomes(f"{_table([_not(one) for one in range(8)])}[1 + {truth.sql}]")


def joined(one: Truth, other: Truth, word: str) -> Truth:
    """AND or OR of two conditions. The outcome is looked up in a table, so that each condition is in the SQL only
    once."""
    if isinstance(one, str) and isinstance(other, str):
        return f"({one} {word} {other})"
    combined = _and if word == "AND" else lambda a, b: _not(_and(_not(a), _not(b)))
    table = _table([combined(a, b) for a in range(8) for b in range(8)])
    return Outcomes(f"{table}[1 + 8 * ({outcomes_of(one).sql}) + ({outcomes_of(other).sql})]")


def _table(numbers: list[int]) -> str:
    return f"[{', '.join(map(str, numbers))}]"


def _not(one: int) -> int:
    return (FALSE if one & TRUE else 0) + (TRUE if one & FALSE else 0) + (one & NULL_OUTCOME)


def _and(one: int, other: int) -> int:
    """The possible outcomes of a AND b."""
    found = 0
    for a in (TRUE, FALSE, NULL_OUTCOME):
        for b in (TRUE, FALSE, NULL_OUTCOME):
            if one & a and other & b:
                found |= FALSE if FALSE in (a, b) else NULL_OUTCOME if NULL_OUTCOME in (a, b) else TRUE
    return found


def listed_open() -> str:
    """The outcomes that are unknown: they include true and something else."""
    return ", ".join(str(one) for one in range(8) if one & TRUE and one != TRUE)
