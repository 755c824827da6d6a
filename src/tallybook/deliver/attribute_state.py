"""Finds whether attributes of users and accounts changed since a delivery that is split or filtered by them."""

from __future__ import annotations

from tallybook.core import ATTRIBUTE_DIMENSION, Delivery
from tallybook.storage import EntityLedger, Ledger


def entity_state(ledger: Ledger, delivery: Delivery) -> str:
    """The commit of users and accounts that the answer of a delivery depends on, such as "+7". Empty if it depends on
    none."""
    if not any(ATTRIBUTE_DIMENSION.match(name) for name in (*delivery.by, *delivery.where)):
        return ""
    return f"+{EntityLedger(ledger).number()}"  # type: ignore[arg-type]


def entity_state_of(fingerprint: str) -> str:
    """The commit of users and accounts in the fingerprint of a delivery, in the form of `entity_state`."""
    day = fingerprint.partition(" ")[2].partition(" ")[0]
    return "".join(day.partition("+")[1:])
