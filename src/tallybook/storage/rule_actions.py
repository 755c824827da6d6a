"""Which action of a rule has which number. The name of its delivery, with everything that is planned and was sent,
has this number, so an action keeps it wherever it is in `then`."""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime

from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import Transaction

ACTION, GONE = "action", "gone"
"""Keys of the state of its delivery."""


@dataclass(frozen=True, kw_only=True)
class NumberedAction:
    """An action by what is declared of it. `is_gone`: it was not declared at the last evaluation."""

    delivery: str
    action: str
    is_gone: bool = False


class RuleActions:
    """The actions of rules in a ledger, among the states of deliveries."""

    def __init__(self, ledger: SqlLedger) -> None:
        self.ledger = ledger

    def known(self) -> list[NumberedAction]:
        """Every action that was ever evaluated. Ledgers of before know none."""
        with self.ledger._reading() as db:
            rows = db.execute("SELECT delivery, state FROM deliveries WHERE delivery LIKE 'rules.%'").fetchall()
        states = [(name, json.loads(state)) for name, state in rows]
        return [
            NumberedAction(delivery=name, action=state[ACTION], is_gone=bool(state.get(GONE)))
            for name, state in states
            if ACTION in state
        ]


def keep_actions(db: Transaction, actions: Iterable[NumberedAction], *, now: datetime) -> None:
    """Keep some actions, in the transaction of an evaluation."""
    db.executemany(
        "INSERT INTO deliveries VALUES (?, ?, ?, ?) ON CONFLICT (delivery) DO UPDATE SET state = excluded.state",
        [
            (one.delivery, 0, stamp_of(now), json.dumps({ACTION: one.action} | ({GONE: True} if one.is_gone else {})))
            for one in actions
        ],
    )
