"""The trace of one delivery with an outbox: its state, its items, and the last requests."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from tallybook.core import QueryError
from tallybook.deliver.deliveries import DeliveryContext, has_outbox
from tallybook.storage import (
    PLANNED,
    REFUSED_ITEM,
    SENDING,
    UNKNOWN_OUTCOME,
    OutboxLedger,
    OutboxRow,
)

MAX_ITEMS = 50
"""Maximum number of items listed for each state."""


@dataclass(frozen=True, kw_only=True)
class DeliveryTrace:
    """A delivery with an outbox. `sent`: number of items that were sent and folded. `counts`: the other items by state.
    `items`: some of those. `attempts`: the last requests, newest first."""

    delivery: str
    version: int
    planned: str | None
    sent: int
    counts: dict[str, int]
    failures: int
    again: str | None
    said: str
    stopped: str
    items: list[dict[str, Any]]
    attempts: list[dict[str, Any]]

    def to_dict(self) -> dict[str, Any]:
        return dict(vars(self))


def trace_delivery(context: DeliveryContext, name: str) -> DeliveryTrace:
    """The trace of a delivery. Raises QueryError for a delivery without an outbox."""
    _check(context, name)
    outbox = OutboxLedger(context.ledger)  # type: ignore[arg-type]
    known, mask = outbox.planned(name), context.mask
    rows = [
        row
        for state in (REFUSED_ITEM, UNKNOWN_OUTCOME, SENDING, PLANNED)
        for row in outbox.rows(name, (state,), limit=MAX_ITEMS)
    ]
    fields = ("at", "items", "first", "outcome", "status", "seconds", "answer")
    attempts = [dict(zip(fields, values, strict=True)) for values in outbox.attempts(name)]
    return DeliveryTrace(
        delivery=name,
        version=known.version if known else 0,
        planned=known.at if known else None,
        sent=sum(fold.items for fold in outbox.folded(name).values()) + len(outbox.attributes(name)),
        counts=outbox.counts().get(name, {}),
        failures=known.failures if known else 0,
        again=known.again if known else None,
        said=mask(known.said) if known else "",
        stopped=mask(known.stopped) if known else "",
        items=[_shown_item(row, mask(row.answer)) for row in rows],
        attempts=[{**one, "seconds": float(one["seconds"]), "answer": mask(one["answer"])} for one in attempts],
    )


def replay_delivery(context: DeliveryContext, name: str, items: Sequence[str]) -> int:
    """Plan refused items of a delivery again: the given ones, or all. Returns how many. Raises QueryError for an item
    that is not refused."""
    _check(context, name)
    outbox = OutboxLedger(context.ledger)  # type: ignore[arg-type]
    refused = {row.item for row in outbox.rows(name, (REFUSED_ITEM,))}
    for item in items:
        if item not in refused:
            raise QueryError(
                f"{item!r} is not an item that {name} has and its receiver refused",
                hint=f"tallybook deliveries show {name}",
            )
    return outbox.replay(name, items, now=context.clock())


def _check(context: DeliveryContext, name: str) -> None:
    every = {**context.catalog.deliveries, **context.more}
    if name not in every or not has_outbox(every[name]):
        named = ", ".join(one for one, delivery in every.items() if has_outbox(delivery)) or "none"
        raise QueryError(
            f"{name!r} is not a delivery whose items are planned and sent one by one", hint=f"there are: {named}"
        )


def _shown_item(row: OutboxRow, answer: str) -> dict[str, Any]:
    return {
        "item": row.item,
        "state": row.state,
        "attempts": row.attempts,
        "at": row.at,
        "next": row.next,
        "answer": answer,
    }
