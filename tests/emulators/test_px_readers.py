"""A reader of Gainsight PX that is not ours, tap-gainsightpx, reads the emulator and our server: nothing is missing."""

from __future__ import annotations

import json
import subprocess
import time
from collections import defaultdict
from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests

from tallybook_emulators.gainsight_px import PxEmulator
from tests.clients.environment import client_python
from tests.ingest.servers import Server

STREAMS = ("users", "accounts", "custom_events")
EVENTS, USERS, ACCOUNTS = 37, 23, 104
"""The tap reads events and users by 10 here, accounts always by 100."""


@pytest.fixture(scope="module")
def catalog(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The streams that are read, as the tap describes them. It asks no server for that."""
    folder = tmp_path_factory.mktemp("tap")
    (folder / "config.json").write_text(json.dumps({"api_key": "none"}))
    words = [tap(), "--config", str(folder / "config.json"), "--discover"]
    found = json.loads(subprocess.run(words, capture_output=True, text=True, check=True, timeout=60).stdout)
    found["streams"] = [one for one in found["streams"] if one["stream"] in STREAMS]
    (folder / "catalog.json").write_text(json.dumps(found))
    return folder / "catalog.json"


def tap() -> str:
    return str(client_python("gainsight_px").parent / "tap-gainsightpx")


def tapped(folder: Path, catalog: Path, api: str, key: str) -> dict[str, list[dict[str, Any]]]:
    """The records that the tap reads, by stream."""
    now = datetime.now(UTC)
    config = {
        "api_url": api,
        "api_key": key,
        "page_size": 10,
        "start_date": f"{now - timedelta(days=30):%Y-%m-%dT%H:%M:%SZ}",
        "end_date": f"{now + timedelta(hours=1):%Y-%m-%dT%H:%M:%SZ}",
    }
    (folder / "config.json").write_text(json.dumps(config))
    words = [tap(), "--config", str(folder / "config.json"), "--catalog", str(catalog)]
    done = subprocess.run(words, capture_output=True, text=True, check=False, timeout=120)
    assert done.returncode == 0, done.stderr[-3000:]
    records: dict[str, list[dict[str, Any]]] = defaultdict(list)
    for line in done.stdout.splitlines():
        message = json.loads(line)
        if message["type"] == "RECORD":
            records[message["stream"]].append(message["record"])
    return records


def fill(api: str, key: str) -> list[dict[str, Any]]:
    """Send users, accounts and events as a sender of PX does. The events."""
    now = round(datetime.now(UTC).timestamp() * 1000)
    events = []
    with requests.Session() as session:
        session.headers["X-APTRINSIC-API-KEY"] = key

        def send(path: str, body: dict[str, Any]) -> None:
            session.post(f"{api}{path}", json=body, timeout=10).raise_for_status()

        for number in range(USERS):
            user = {"identifyId": f"u{number}", "propertyKeys": ["AP-X-2"], "accountId": f"a{number % 3}"}
            send("/users", {**user, "customAttributes": {"seats": number}} if number else user)
        for number in range(ACCOUNTS):
            send("/accounts", {"id": f"a{number}", "name": f"Account {number}", "propertyKeys": ["AP-X-2"]})
        for number in range(EVENTS):
            event = {"eventName": "dailyApiCalls", "identifyId": f"u{number % USERS}", "propertyKey": "AP-X-2"}
            event |= {"userType": "USER", "date": now - number * 7_000_000, "accountId": f"a{number % 3}"}
            events.append({**event, "attributes": {"apiCalls": number, "apiType": "RESTful", "late": number % 2 == 0}})
            send("/events/custom", events[-1])
    return events


def check(read: dict[str, list[dict[str, Any]]], sent: list[dict[str, Any]]) -> None:
    assert sorted(one["identifyId"] for one in read["users"]) == sorted(f"u{number}" for number in range(USERS))
    assert sorted(one["id"] for one in read["accounts"]) == sorted(f"a{number}" for number in range(ACCOUNTS))
    assert next(one for one in read["accounts"] if one["id"] == "a1")["numberOfUsers"] == 8
    assert len({one["eventId"] for one in read["custom_events"]}) == len(read["custom_events"])
    shown = [{name: one[name] for name in sent[0]} for one in read["custom_events"]]
    assert sorted(shown, key=lambda one: one["date"]) == sorted(sent, key=lambda one: one["date"])


def test_the_tap_reads_the_emulator_whole(tmp_path: Path, catalog: Path) -> None:
    with PxEmulator(limits=None) as px:
        px.attribute("user", "seats", "NUMBER")
        sent = fill(px.api, px.key)
        check(tapped(tmp_path, catalog, px.api, px.key), sent)
        assert px.mistakes == []


@pytest.fixture
def server(tmp_path: Path) -> Iterator[Server]:
    server = Server(tmp_path / "book").start()
    yield server
    server.stop()


def test_the_tap_reads_our_server_whole(tmp_path: Path, catalog: Path, server: Server) -> None:
    key = server.key("px", "read", "write")
    api = f"http://{server.address}/v1"
    sent = fill(api, key)
    # Stored events can be read a moment later.
    for _ in range(100):
        page = requests.get(
            f"{api}/events/custom",
            {"dateRangeStart": str(sent[-1]["date"] - 1)},
            headers={"X-APTRINSIC-API-KEY": key},
            timeout=10,
        )
        if page.json()["totalHits"] == EVENTS:
            break
        time.sleep(0.2)
    check(tapped(tmp_path, catalog, api, key), sent)
