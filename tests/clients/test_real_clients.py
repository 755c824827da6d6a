"""Clients of other services, unmodified, at pinned versions: whatever happens to a request, its messages are stored once.

Each family has an environment of its own (`tests/clients/FAMILY/requirements.lock`) and one process for all of its cases."""

from __future__ import annotations

import json
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

from tallybook.storage import BookLocation, EntityLedger, open_store
from tests.clients.environment import client_python, node_modules
from tests.clients.faults import CASES, faulty_proxy
from tests.ingest.servers import Server

AT = "2026-03-01T10:00:00.250000+00:00"
FAMILIES = {
    "segment": ("segment-py", "rudder-py"),
    "posthog": ("posthog-py", "posthog-py-v1"),
    "mixpanel": ("mixpanel-py",),
    "amplitude": ("amplitude-py",),
    "openmeter": ("openmeter-py",),
    "cloudevents": ("cloudevents-py",),
    "node": ("segment-js", "rudder-js", "posthog-js", "mixpanel-js", "amplitude-js"),
}
CLIENTS = [client for clients in FAMILIES.values() for client in clients]
FOLDER = Path(__file__).resolve().parent
PROPERTIES = {"plan": "pro", "seats": 5, "ratio": 1.5, "trial": True}
TOML = """
[accounts]
groups = "company"
[users]
"""


@dataclass
class Stored:
    """What the server has of all clients."""

    outcomes: dict[str, dict[str, str]] = field(default_factory=dict)
    skipped: dict[str, str] = field(default_factory=dict)
    events: dict[str, list[dict[str, Any]]] = field(default_factory=dict)
    users: dict[str, dict[str, Any]] = field(default_factory=dict)
    accounts: dict[str, dict[str, Any]] = field(default_factory=dict)


def processes(given: dict[str, Any], found: Stored) -> Iterator[tuple[str, subprocess.Popen[str]]]:
    """(family, its process), for each family that can be installed."""
    for family in FAMILIES:
        try:
            if family == "node":
                node, modules = node_modules()
                command = [node, FOLDER / "node" / "send.js", json.dumps({**given, "modules": str(modules)})]
            else:
                command = [client_python(family), FOLDER / family / "send.py", json.dumps(given)]
        except pytest.skip.Exception as why:
            found.skipped[family] = str(why)
            continue
        pipe = subprocess.PIPE
        yield family, subprocess.Popen(list(map(str, command)), stdout=pipe, stderr=pipe, text=True)


@pytest.fixture(scope="module")
def stored(tmp_path_factory: pytest.TempPathFactory) -> Stored:
    """One server, and one process for each family."""
    found = Stored()
    server = Server(tmp_path_factory.mktemp("clients") / "acme", TOML)
    key = server.key("clients")
    reader = server.key("reader", "read")
    server.start()
    try:
        with faulty_proxy(server.port) as proxy:
            given = {"key": key, "at": AT, "cases": proxy.listen(CLIENTS)}
            for family, process in list(processes(given, found)):
                try:
                    out, err = process.communicate(timeout=60)
                except subprocess.TimeoutExpired:
                    process.kill()
                    out, err = process.communicate()
                assert out.strip(), f"{family}: {err[-2000:]}"
                found.outcomes |= json.loads(out.strip().splitlines()[-1])
            time.sleep(1.5)  # requests that are answered late
        read_all(server, reader, found)
    finally:
        server.kill()
    read_entities(server.folder, found)
    return found


def read_all(server: Server, reader: str, found: Stored) -> None:
    """Read what is stored, once all of it is compacted."""
    deadline, start = time.monotonic() + 60, time.time()
    while time.monotonic() < deadline:
        _, now = server.ask("GET", "/v1/events?limit=1", key=reader)
        if now["until"] and now["until"] > time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(start)):
            break
        time.sleep(0.1)
    cursor, more = "", True
    while more:
        _, page = server.ask("GET", f"/v1/events?limit=1000{cursor}", key=reader)
        cursor, more = f"&cursor={page['cursor']}", page["more"]
        for one in page["events"]:
            found.events.setdefault(one["event"], []).append(one)


def read_entities(folder: Path, found: Stored) -> None:
    """Read users and accounts from the ledger."""
    store = open_store(BookLocation(folder=folder / "book"))
    entities = EntityLedger(store.ledger)  # type: ignore[arg-type]
    for kind, kept in (("users", found.users), ("accounts", found.accounts)):
        kept |= {one.id: one.record.effective() for one in entities.every(kind)[1]}
    store.ledger.close()


IDS = {
    "segment-py": ("m-{}",),
    "rudder-py": ("m-{}",),
    "segment-js": ("m-{}",),
    "rudder-js": ("m-{}",),
    "mixpanel-py": ("m-{}",),
    "mixpanel-js": ("m-{}",),
    "amplitude-py": ("m-{}",),
    "amplitude-js": ("m-{}",),
    "openmeter-py": ("shop b-{}", "shop j-{}", "shop m-{}"),
    "cloudevents-py": ("shop b-{}", "shop m-{}"),
}
"""The ids of a case's events; the others are made by the clients."""
PAGES = ("segment-py", "rudder-py", "segment-js", "rudder-js")
GIVES_UP = {("amplitude-js", "cut"), ("rudder-js", "late")}
"""Clients that report an error although their request was stored, and do not send it again."""


@pytest.mark.cases(6)
@pytest.mark.parametrize("client", CLIENTS)
def test_whatever_happens_to_a_request_its_messages_are_stored_once(stored: Stored, client: str) -> None:
    family = next(name for name, clients in FAMILIES.items() if client in clients)
    if family in stored.skipped:
        pytest.skip(stored.skipped[family])
    events = stored.events.get(client, [])
    for case in CASES:
        own = f"{client}-{case}"
        if (client, case) not in GIVES_UP:
            assert stored.outcomes[client][case] == "sent", own
        found = [one for one in events if one["properties"].get("case") == case]
        if client in IDS:
            assert sorted(one["id"] for one in found) == [one.format(own) for one in IDS[client]], own
        else:
            assert len(found) == 1, own
        for one in found:
            assert (one["user"], one["account"], one["time"]) == (
                f"u-{own}",
                f"acme-{own}",
                "2026-03-01T10:00:00.250000Z",
            )
            kept = {name: one["properties"].get(name) for name in PROPERTIES}
            assert kept == PROPERTIES, own
            assert {name: type(value) for name, value in kept.items()} == {n: type(v) for n, v in PROPERTIES.items()}
    assert len(events) == len(CASES) * len(IDS.get(client, ("one",)))


@pytest.mark.parametrize("client", [one for one in CLIENTS if one not in ("openmeter-py", "cloudevents-py")])
def test_users_and_accounts_have_what_was_said_of_them(stored: Stored, client: str) -> None:
    family = next(name for name, clients in FAMILIES.items() if client in clients)
    if family in stored.skipped:
        pytest.skip(stored.skipped[family])
    for case in CASES:
        own = f"{client}-{case}"
        user, account = stored.users[f"u-{own}"], stored.accounts[f"acme-{own}"]
        assert {name: user.get(name) for name in ("email", "age")} == {"email": "a@b.c", "age": 30}, own
        assert account == {"plan": "pro", "seats": 12}, own
        if client == "mixpanel-py":
            assert user["logins"] == 2  # not added again where the request was
        if client in PAGES:
            assert user["account"] == f"acme-{own}"
            pages = [one for one in stored.events["page"] if one["user"] == f"u-{own}"]
            assert [one["properties"]["name"] for one in pages] == ["Pricing"]
