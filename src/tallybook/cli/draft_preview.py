"""The last part of the output of `init`: the last days of each drafted metric, and plain SQL next to the same
number."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from tallybook.cli.terminal import Terminal, count, indented, table

if TYPE_CHECKING:
    from tallybook.draft import Preview


def print_preview(terminal: Terminal, previews: Sequence[Preview]) -> None:
    """The last complete days as a table, oldest first."""
    asked = [one for one in previews if one.values and not one.problem]
    if asked:
        days = [f"{day:%m-%d}" for day in asked[0].days]
        rows = [(one.label, *_numbers(one.values)) for one in asked]
        header, *lines = table((f"last {len(days)} days", *days), rows, days)
        terminal.out("\n".join(["", terminal.styled(header, "bold"), *lines]))
        empty = [one.label for one in asked if not any(one.values)]
        if empty:
            terminal.out(f"nothing in these days: {', '.join(empty)}")
    if snapshots := [one.metric for one in previews if one.snapshot]:
        terminal.out(f"collected from the first run on, because only the present is known: {', '.join(snapshots)}")
    for one in previews:
        if one.problem:
            terminal.out(f"{one.metric}: {one.problem}")


def print_checks(terminal: Terminal, previews: Sequence[Preview]) -> None:
    """Print the plain SQL of each metric, its answer, and Tallybook's answer."""
    compared = [one for one in previews if one.sql and not one.problem]
    for one in compared:
        same = "the same" if one.agrees else terminal.styled("DIFFERENT", "bold", "red")
        terminal.out(f"\n{one.label}: {_number(one.answer)} by Tallybook, {_number(one.plain)} by this SQL: {same}")
        terminal.out(indented(one.sql, "    "))
    agreeing = sum(one.agrees for one in compared)
    terminal.out(f"\n{agreeing} of {count(len(compared), 'number')} are the same.")


def described_preview(one: Preview) -> dict[str, Any]:
    """The preview of one metric in JSON."""
    found: dict[str, Any] = {
        "metric": one.metric,
        "currency": one.currency or None,
        "days": [str(day) for day in one.days],
        "values": [_plain(value) for value in one.values],
        "problem": one.problem or None,
    }
    if one.sql:
        found |= {"sql": one.sql, "answer": _plain(one.answer), "plain": _plain(one.plain), "same": one.agrees}
    return found


def _plain(value: Any) -> Any:
    return str(value) if isinstance(value, Decimal) else value


def _number(value: Any) -> str:
    return _numbers([value])[0]


def _numbers(values: Sequence[Any]) -> list[str]:
    """The numbers of one metric, all with the same decimals: none for integers, three for shares, otherwise two."""
    known = [value for value in values if value is not None]
    whole = all(value == int(value) for value in known)
    digits = 0 if whole else 3 if all(abs(value) <= 1 for value in known) else 2
    return ["-" if value is None else f"{value:,.{digits}f}" for value in values]
