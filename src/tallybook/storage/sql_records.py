"""Names, sources, deliveries and alerts in the tables of a ledger."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping
from datetime import datetime

from tallybook.storage.ledger import Delivered, Identified, Lease
from tallybook.storage.sql_leases import check_lease
from tallybook.storage.stored_rows import stamp_of
from tallybook.storage.transaction import LedgerDatabase


class SqlRecords(LedgerDatabase):
    """Methods for names, identities, deliveries and alerts; `Ledger` documents each of them."""

    def metric_keys(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT name, key FROM metric_keys").fetchall())

    def stored_metrics(self) -> set[str]:
        with self._reading() as db:
            return {metric for (metric,) in db.execute("SELECT DISTINCT metric FROM definitions").fetchall()}

    def bind_key(self, name: str, key: str) -> None:
        with self._writing() as db:
            db.execute("INSERT INTO metric_keys VALUES (?, ?) ON CONFLICT (name) DO NOTHING", [name, key])

    def forgotten(self) -> set[str]:
        with self._reading() as db:
            found = db.execute("SELECT DISTINCT what FROM versions WHERE what LIKE 'forget %'").fetchall()
        return {what.removeprefix("forget ") for (what,) in found}

    def identities(self) -> dict[str, Identified]:
        with self._reading() as db:
            rows = db.execute("SELECT name, run, value FROM identities ORDER BY name, run").fetchall()
        return {name: Identified(run=run, value=value) for name, run, value in rows}

    def identify(self, name: str, value: str, *, run: int, now: datetime) -> None:
        with self._writing() as db:
            db.execute(
                "INSERT INTO identities VALUES (?, ?, ?, ?) ON CONFLICT (name, run) DO UPDATE SET value = "
                "excluded.value",
                [name, run, value, stamp_of(now)],
            )

    def delivered(self) -> dict[str, Delivered]:
        with self._reading() as db:
            rows = db.execute("SELECT delivery, version, state, delivered FROM deliveries").fetchall()
        said = {name: (version, at, json.loads(state)) for name, version, state, at in rows}
        return {
            name: Delivered(
                version=version, fingerprint=state.get("fingerprint", ""), at=at, record=state.get("record", "")
            )
            for name, (version, at, state) in said.items()
        }

    def record_delivery(self, name: str, done: Delivered, *, now: datetime) -> None:
        state = json.dumps({"fingerprint": done.fingerprint} | ({"record": done.record} if done.record else {}))
        with self._writing() as db:
            db.execute(
                "INSERT INTO deliveries VALUES (?, ?, ?, ?) ON CONFLICT (delivery) DO UPDATE SET "
                "version = excluded.version, delivered = excluded.delivered, state = excluded.state",
                [name, done.version, stamp_of(now), state],
            )

    def alerts(self) -> dict[str, str]:
        with self._reading() as db:
            return dict(db.execute("SELECT cause, state FROM alerts ORDER BY cause").fetchall())

    def keep_alerts(self, kept: Mapping[str, tuple[str | None, str]], gone: Iterable[str], *, lease: Lease) -> None:
        with self._writing() as db:
            check_lease(db, lease)
            db.executemany("DELETE FROM alerts WHERE cause = ?", [(cause,) for cause in gone])
            db.executemany(
                "INSERT INTO alerts VALUES (?, ?, ?) ON CONFLICT (cause) DO UPDATE SET "
                "metric = excluded.metric, state = excluded.state",
                [(cause, metric, state) for cause, (metric, state) in kept.items()],
            )
