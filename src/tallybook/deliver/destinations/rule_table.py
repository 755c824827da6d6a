"""A table in your own database with a row for each rule and entity that the rule fires for.

A batch of rows is one transaction. A row is replaced only by a newer one, so a batch that is sent twice or late changes
nothing."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from datetime import UTC, date, datetime
from typing import TYPE_CHECKING, Any

from tallybook.config import read_own_table, read_text
from tallybook.core import DestinationKind, DestinationRefused, Option
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.outgoing.channel import OutgoingRequest
from tallybook.deliver.outgoing.failures import ARRIVED, SendVerdict

if TYPE_CHECKING:
    from sqlalchemy import Connection, Engine, Table

    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel
    from tallybook.storage import OutboxRow

AT_ONCE = 500
ID, OWN = "tallybook_id", "tallybook_rule"
"""The column of the key and the column of the rule. The key is a hash of rule and entity, because databases compare
texts differently."""


class RuleTable(OutboxDestination):
    """A table with the entities of rules. For actions of rules, not for deliveries of metrics."""

    kind = DestinationKind(
        name="rule_table",
        noun="a table of a rule",
        place="table",
        uses=(),
        outbox=True,
        options=(
            Option(
                name="url", read=read_text, example='"${WAREHOUSE_URL}"', default="", secret=True, help="its database"
            ),
            Option(name="table", read=read_own_table, example='"reporting.quiet_trials"', default="", help="its name"),
        ),
    )
    threads = 1
    claimed = 2000

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target("https://database.invalid")  # rows are sent through a database driver

    def groups(self, rows: Sequence[OutboxRow], task: OutboxTask) -> list[Sequence[OutboxRow]]:
        return [rows] if rows else []

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        """The rows as a request, for a dry run."""
        return OutgoingRequest(method="ROWS", path="", body=json.dumps([json.loads(row.body) for row in rows]).encode())

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        from tallybook.deliver.destinations.own_table import own_database

        with own_database(task.options["url"], task.folder) as engine:
            table = _table_in(engine, task.options["table"])
            with engine.begin() as connection:
                _write(connection, table, [json.loads(row.body) for row in rows])
        return SendVerdict(outcome=ARRIVED, said="committed")


def _table_in(engine: Engine, name: str) -> Table:
    """The table, created if it is missing."""
    from tallybook.deliver.destinations.own_table import in_own_transaction

    return in_own_transaction(engine, lambda connection: _made_table(connection, name))


def _made_table(connection: Connection, name: str) -> Table:
    """The table, created if it is missing. Raises DestinationRefused if the table belongs to something else."""
    from sqlalchemy import BigInteger, Column, Date, DateTime, MetaData, String, Table, Text, inspect

    schema, _, bare = name.rpartition(".")
    metadata = MetaData(schema=schema or None)
    table = Table(
        bare,
        metadata,
        Column(ID, String(32), primary_key=True),
        Column(OWN, String(190), nullable=False),
        Column("entity", String(512), nullable=False),
        Column("kind", String(20), nullable=False),
        Column("state", String(20), nullable=False),
        Column("at", DateTime, nullable=False),
        Column("day", Date, nullable=False),
        Column("attributes", Text, nullable=False),
        Column("tallybook_number", BigInteger, nullable=False),
    )
    there = inspect(connection)
    if not there.has_table(bare, schema=schema or None):
        metadata.create_all(connection, checkfirst=True)
    elif ID not in {column["name"] for column in there.get_columns(bare, schema=schema or None)}:
        raise DestinationRefused(
            f"the table {name} is there already, and no rule made it",
            hint='name another one: table = "tallybook_rules"',
        )
    return table


def _write(connection: Connection, table: Table, rows: Sequence[dict[str, Any]]) -> None:
    """Replace and delete rows, except where the stored row is newer."""
    newest = _newest(connection, table, [_id(row) for row in rows])
    due = {_id(row): row for row in rows if row["number"] >= newest.get(_id(row), 0)}
    ids = list(due)
    for start in range(0, len(ids), AT_ONCE):
        some = ids[start : start + AT_ONCE]
        connection.execute(table.delete().where(table.c[ID].in_(some)))
        if kept := [_values(due[id_]) for id_ in some if not due[id_].get("gone")]:
            connection.execute(table.insert(), kept)


def _newest(connection: Connection, table: Table, ids: Sequence[str]) -> dict[str, int]:
    """The numbers of the existing rows, locked if the database can lock them."""
    from sqlalchemy import select

    found: dict[str, int] = {}
    for start in range(0, len(ids), AT_ONCE):
        asked = select(table.c[ID], table.c.tallybook_number).where(table.c[ID].in_(ids[start : start + AT_ONCE]))
        found |= {row[0]: row[1] for row in connection.execute(asked.with_for_update())}
    return found


def _id(row: dict[str, Any]) -> str:
    return hashlib.blake2b(json.dumps([row["rule"], row["entity"]]).encode(), digest_size=16).hexdigest()


def _values(row: dict[str, Any]) -> dict[str, Any]:
    return {
        ID: _id(row),
        OWN: row["rule"],
        "entity": row["entity"],
        "kind": row["kind"],
        "state": row["state"],
        "at": datetime.fromisoformat(row["at"]).astimezone(UTC).replace(tzinfo=None),
        "day": date.fromisoformat(row["day"]),
        "attributes": json.dumps(row["attributes"], ensure_ascii=False, sort_keys=True),
        "tallybook_number": row["number"],
    }
