"""PUT, GET and DELETE of one account: what is answered with 200 can be read at once."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.ingest import GroupCommit, KeyRing, KeyTerms, SqliteLogs, create_key
from tallybook.server.app import EventsApp
from tallybook.server.entities import EntityDoor
from tallybook.storage import EntityLedger, EventLedger
from tests.ledgers import LEDGERS

NOW = datetime(2026, 3, 1, 12, tzinfo=UTC)


class Accounts:
    """The door, called without a network."""

    def __init__(self, folder: Path) -> None:
        events = self.events = EventLedger(LEDGERS["sqlite"](folder))  # type: ignore[arg-type]
        self.key = create_key(events, "crm", KeyTerms(scopes=("write", "read")), now=NOW)
        self.commit = GroupCommit(SqliteLogs(folder))
        entities = EntityDoor(EntityLedger(events.ledger), lambda: NOW)
        self.app = EventsApp(self.commit, KeyRing(events, lambda: NOW), events, clock=lambda: NOW, entities=entities)

    def ask(self, method: str, path: str, body: Any = None, key: str | None = None) -> tuple[int, Any]:
        sent: list[Any] = []
        raw = body if isinstance(body, bytes) else json.dumps(body).encode()

        async def receive() -> dict[str, Any]:
            return {"type": "http.request", "body": raw, "more_body": False}

        async def send(message: Any) -> None:
            sent.append(message)

        headers = [(b"authorization", f"Bearer {key or self.key}".encode())]
        scope = {"type": "http", "method": method, "path": path, "raw_path": path.encode(), "headers": headers}
        asyncio.run(self.app(scope, receive, send))
        return sent[0]["status"], json.loads(sent[1]["body"]) if sent[1]["body"] else None


@pytest.fixture
def accounts(tmp_path: Path) -> Iterator[Accounts]:
    made = Accounts(tmp_path)
    yield made
    made.commit.close()
    made.events.close()


def test_what_is_put_can_be_read_at_once_and_deleted(accounts: Accounts) -> None:
    sent = {"attributes": {"plan": "pro"}, "time": "2026-03-01T10:00:00Z"}
    assert accounts.ask("PUT", "/v1/accounts/a%2F7", sent) == (200, {"kept": 1, "rejected": []})
    status, found = accounts.ask("GET", "/v1/accounts/a%2F7")
    assert (status, found["id"], found["deleted"]) == (200, "a/7", None)
    assert found["attributes"]["plan"] == {
        "value": "pro", "time": "2026-03-01T10:00:00.000000Z", "received": "2026-03-01T12:00:00.000000Z", "from": "pushed"
    }  # fmt: skip
    assert accounts.ask("GET", "/v1/users/a%2F7")[0] == 404
    for path in ("/v1/accounts/a%FF", "/v1/accounts/a%FE"):  # not UTF-8: both would be one id
        assert accounts.ask("PUT", path, {"attributes": {"plan": "x"}})[0] == 404
    assert accounts.ask("DELETE", "/v1/accounts/a%2F7") == (204, None)
    assert accounts.ask("GET", "/v1/accounts/a%2F7")[1]["deleted"] == "2026-03-01T12:00:00.000000Z"


@pytest.mark.parametrize(
    ("body", "status", "code"),
    [
        (b"{", 400, "bad_json"),
        (b"\xff", 400, "bad_json"),
        ({"attributes": {"x": [1]}}, 422, "bad_text"),
        ({"attributes": {"x": 1}, "time": "2026-03-01T10:00:00"}, 422, "naive_time"),
        (["x"], 422, "bad_json"),
    ],
)
def test_what_cannot_be_kept_has_a_code(accounts: Accounts, body: Any, status: int, code: str) -> None:
    found = accounts.ask("PUT", "/v1/accounts/7", body)
    assert found[0] == status
    assert code in json.dumps(found[1])
    assert accounts.ask("GET", "/v1/accounts/7")[0] == 404


def test_keys_need_the_scope_and_may_be_bound_to_accounts(accounts: Accounts) -> None:
    reader = create_key(accounts.events, "reader", KeyTerms(scopes=("read",)), now=NOW)
    bound = create_key(accounts.events, "acme", KeyTerms(scopes=("write",), accounts=("7",)), now=NOW)
    sent = {"attributes": {"plan": "pro"}}
    assert accounts.ask("PUT", "/v1/accounts/7", sent, reader)[1]["code"] == "wrong_scope"
    assert accounts.ask("PUT", "/v1/accounts/8", sent, bound)[1]["code"] == "not_bound"
    assert accounts.ask("PUT", "/v1/accounts/7", sent, bound)[0] == 200
    assert accounts.ask("PUT", "/v1/accounts/7", sent, "tb_w_nothing")[0] == 401
    assert accounts.ask("POST", "/v1/accounts/7", sent)[0] == 405
