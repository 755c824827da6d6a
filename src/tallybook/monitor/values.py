"""What the values of a book show, and no problem of collecting: unusual last values, and goals that are off."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING

from tallybook.monitor.alerts.causes import written
from tallybook.monitor.alerts.known import Known

if TYPE_CHECKING:
    from tallybook.query import Standing

KINDS = ("unusual", "stopped", "revised")
OFF = ("behind", "missed")


def unusual_values(known: Sequence[Known]) -> tuple[str, ...]:
    """A sentence for each metric with unusual, stopped or changed last values, with the next command."""
    causes = [one.cause for one in known if one.over is None and one.cause.kind in KINDS]
    return tuple(f"{c.metric} is {c.kind}: {c.said}; {c.next.replace('{subject}', c.subject)}" for c in causes)


def goals_off(standings: Sequence[Standing]) -> tuple[str, ...]:
    """A sentence for each goal that is behind, missed or exceeded, with the next command."""
    return tuple(_off(one) for one in standings if one.status in OFF and one.value is not None)


def _off(one: Standing) -> str:
    how = "exceeded" if one.at_most else one.status
    limit = "at most " if one.at_most else ""
    value, target = written(float(one.value or 0)), written(float(one.target or 0))
    return f"goal {one.goal} is {how}: {value} of {limit}{target} in {one.label}; tallybook goals {one.goal}"
