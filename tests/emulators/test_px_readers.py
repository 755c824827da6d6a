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

import pandas as pd
import pytest
import requests

from tallybook_emulators.gainsight_px import PxEmulator
from tests.clients.environment import client_python
from tests.ingest.servers import Server
from tests.projects import Project

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


def until_readable(api: str, key: str, count: int) -> None:
    """Stored events can be read a moment later."""
    start = round((datetime.now(UTC) - timedelta(days=30)).timestamp() * 1000)
    for _ in range(300):
        headers = {"X-APTRINSIC-API-KEY": key}
        page = requests.get(f"{api}/events/custom", {"dateRangeStart": str(start)}, headers=headers, timeout=10)
        if page.json()["totalHits"] == count:
            return
        time.sleep(0.2)


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
    until_readable(api, key, EVENTS)
    check(tapped(tmp_path, catalog, api, key), sent)


# -- deliveries, read by the tap ---------------------------------------------------------------------------------------

TODAY = datetime.now(UTC).replace(hour=12, minute=0, second=0, microsecond=0)
CALLS = [
    (
        (TODAY - timedelta(days=days, minutes=user)).strftime("%Y-%m-%d %H:%M:%S"),
        f"u{user}",
        f"a{user % 3}",
        10 * days + user,
    )
    for days in range(1, 6)
    for user in range(9)
]
DECLARED = """
    [metrics.calls]
    table = "calls"
    time = "at"
    measure = "sum(n)"
    by = ["user_id", "account_id"]
    [accounts]
    dimension = ["account_id"]
    [accounts.metrics]
    calls_7d = { metric = "calls", last = "5 days" }
    [users]
    dimension = ["user_id"]
"""


def to_px(name: str, api: str, key: str) -> str:
    """Two deliveries to a PX: events and attributes."""
    return f"""
    [deliveries.{name}_events]
    to = "gainsight_px"
    api = "{api}"
    key = "{key}"
    product = "AP-X-2"
    metrics = ["calls"]
    identify = "{{user}}"
    by = ["account_id"]
    rate = 1000
    [deliveries.{name}_accounts]
    to = "gainsight_px"
    api = "{api}"
    key = "{key}"
    product = "AP-X-2"
    for = "account"
    attributes = {{ calls_7d = "calls7d" }}
    create = true
    rate = 1000
    """


def asked(project: Project, dimension: str) -> dict[str, int]:
    """What the book says of all days, by a dimension."""
    found = project.ask("calls", scope="all", by=[dimension])
    return {key[-1]: value for key, value in found.items()}


def test_one_delivery_to_the_emulator_and_to_our_server_is_read_back_as_the_book_has_it(
    tmp_path: Path, catalog: Path, server: Server
) -> None:
    key = server.key("px", "read", "write")
    ours = f"http://{server.address}/v1"
    # The catalogue of our server has what was seen once.
    for verb, path, body in (
        ("POST", "/accounts", {"id": "a0", "name": "a0", "propertyKeys": ["P"], "customAttributes": {"calls7d": 0}}),
    ):
        requests.request(
            verb, ours + path, json=body, headers={"X-APTRINSIC-API-KEY": key}, timeout=10
        ).raise_for_status()
    with PxEmulator(limits=None) as px:
        px.attribute("account", "calls7d", "NUMBER")
        project = Project(tmp_path / "app", f"sqlite:///{tmp_path / 'app.db'}", now=datetime.now(UTC).isoformat())
        project.table("calls (at timestamp, user_id varchar(9), account_id varchar(9), n int)", CALLS)
        project.declare(
            DECLARED + to_px("theirs", px.api, px.key) + to_px("ours", ours, key),
            start=(TODAY - timedelta(days=5)).date().isoformat(),
        )
        report = project.run()
        assert [d.error for d in report.deliveries] == [None] * 4
        until_readable(ours, key, len(CALLS))
        for number, (api, secret) in enumerate([(px.api, px.key), (ours, key)]):
            folder = tmp_path / str(number)
            folder.mkdir()
            read = tapped(folder, catalog, api, secret)
            events = pd.DataFrame([{**one, **one["attributes"]} for one in read["custom_events"]])
            assert len(events) == len(CALLS)
            by_day = events.groupby("day")["calls"].sum().to_dict()
            assert by_day == {str(day): value for day, value in project.ask("calls", scope="day").items()}
            by_user = events.groupby("identifyId")["calls"].sum().to_dict()
            assert by_user == asked(project, "user_id")
            shown = {one["id"]: one["customAttributes"]["calls7d"] for one in read["accounts"]}
            assert shown == asked(project, "account_id")
        project.close()
