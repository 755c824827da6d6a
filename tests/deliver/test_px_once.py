"""Each event reaches Gainsight PX once, and attributes have their newest value, whatever fails and whenever a process ends.

The emulator applies requests and hides it, cuts connections, refuses; the delivering process is killed at a step of its
ledger. Afterwards the delivery is made again, later. The seed chooses the cases; the long run has all of them."""

from __future__ import annotations

import shutil
import socket
import time
from collections import Counter
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.storage import PLANNED, SENDING, UNKNOWN_OUTCOME, OutboxLedger
from tallybook_emulators.gainsight_px import PxEmulator
from tests.conftest import sampled
from tests.crash import Driver, job
from tests.projects import Project

NOW = "2024-03-06T12:00"
USERS = 4
CALLS = [(f"2024-03-0{day} 10:00:00", f"u{user}", 10 * day + user) for day in (4, 5) for user in range(USERS)]
EXPECTED = {(f"u{user}", f"2024-03-0{day}", 10 * day + user): 1 for day in (4, 5) for user in range(USERS)}
TOML = """
    [metrics.calls]
    table = "calls"
    time = "at"
    measure = "sum(n)"
    by = ["user_id"]
    [users]
    dimension = ["user_id"]
    [users.metrics]
    calls_2d = { metric = "calls", last = "2 days" }
"""
DELIVERIES = """
    [deliveries.px]
    to = "gainsight_px"
    api = "API"
    key = "px-emulator-key"
    product = "AP-X-2"
    metrics = ["calls"]
    identify = "{user}"
    read_back = 0
    rate = 2000
    [deliveries.px_users]
    to = "gainsight_px"
    api = "API"
    key = "px-emulator-key"
    product = "AP-X-2"
    for = "user"
    attributes = { calls_2d = "calls__c" }
    create = true
    read_back = 0
    rate = 2000
"""
FAULTS: list[dict[str, Any]] = [
    *({"answer": code, "after": after} for code in (429, 500, 503, 403, 502) for after in (False, True)),
    *({kind: True, "after": after} for kind in ("cut", "reset") for after in (False, True)),
    {"delay": 0.3},
]
CASES = [{**fault, "nth": nth} for fault in FAULTS for nth in (1, 2, 5)]


def names(value: Any) -> str:
    return "-".join(f"{name}={one}" for name, one in value.items()) if isinstance(value, dict) else str(value)


@pytest.fixture(scope="module")
def driver() -> Iterator[Driver]:
    with Driver() as made:
        yield made


@pytest.fixture(scope="module")
def px() -> Iterator[PxEmulator]:
    with PxEmulator(limits=None) as made:
        made.attribute("user", "calls__c", "NUMBER")
        yield made
        assert made.mistakes == []


@pytest.fixture(scope="module")
def collected(tmp_path_factory: pytest.TempPathFactory, px: PxEmulator) -> Path:
    """A project with two collected days and nothing delivered."""
    folder = tmp_path_factory.mktemp("px")
    project = Project(folder, f"sqlite:///{folder / 'app.db'}", now=NOW)
    project.table("calls (at timestamp, user_id varchar(9), n int)", CALLS)
    project.declare(TOML, start="2024-03-04")
    project.run()
    project.declare(TOML + DELIVERIES.replace("API", px.api), start="2024-03-04")
    project.close()
    return folder


@pytest.fixture
def world(collected: Path, tmp_path: Path, px: PxEmulator) -> Path:
    """A copy of the project, and an emulator that has nothing."""
    settle(px)
    px.faults.clear()
    px.forget_requests()
    for kept in (px._api.subscription.events, px._api.subscription.users):
        kept.clear()
    return Path(shutil.copytree(collected, tmp_path / "book"))


def settle(px: PxEmulator) -> None:
    """Wait until the emulator has done what killed processes had sent to it. Gainsight's own delay is longer: deliveries
    read back after minutes, here at once (`read_back = 0`)."""
    with socket.create_connection(("127.0.0.1", int(px.url.rpartition(":")[2])), timeout=60) as last:
        last.sendall(b"GET / HTTP/1.1\r\nConnection: close\r\n\r\n")  # connections are taken in their order
        while last.recv(4096):
            pass
    for _ in range(6000):
        if not px._server.connections:
            return
        time.sleep(0.01)
    raise AssertionError("a connection stays open")


def later(hours: float) -> str:
    return (datetime.fromisoformat(NOW) + timedelta(hours=hours)).isoformat()


def left(folder: Path) -> int:
    """Items that are still to be sent."""
    import tallybook

    with tallybook.open(folder) as book:
        states = OutboxLedger(book.store.ledger).counts().values()
    return sum(one.get(state, 0) for one in states for state in (PLANNED, SENDING, UNKNOWN_OUTCOME))


def finish(driver: Driver, folder: Path) -> None:
    """Deliver again, each time some hours later, until nothing is left."""
    for attempt in range(1, 8):
        said = driver.do(folder, "deliver", now=later(7 * attempt))
        assert said.get("kind") != "bug", said
        if said["exit"] == 0 and not left(folder):
            return
    raise AssertionError(f"still to be sent: {left(folder)}; {said}")


def check(px: PxEmulator) -> None:
    found = Counter((one["identifyId"], one["attributes"]["day"], one["attributes"]["calls"]) for one in px.events)
    assert found == EXPECTED
    values = {name: one["customAttributes"]["calls__c"] for name, one in px.users.items()}
    assert values == {f"u{user}": 90 + 2 * user for user in range(USERS)}


@pytest.mark.parametrize("case", sampled(CASES, 3, "faults of px"), ids=names)
def test_a_fault_of_any_kind_neither_loses_nor_doubles_an_event(
    driver: Driver, world: Path, px: PxEmulator, case: dict[str, Any]
) -> None:
    px.fault(**case, path="/v1/(events|users)")
    driver.do(world, "deliver", now=NOW)
    finish(driver, world)
    check(px)


@pytest.mark.parametrize("case", [None, *sampled(CASES, 1, "faults with kills of px")], ids=names)
def test_a_process_that_is_killed_anywhere_neither_loses_nor_doubles_an_event(
    driver: Driver, world: Path, px: PxEmulator, case: dict[str, Any] | None, tmp_path: Path, collected: Path
) -> None:
    whole = driver.do(world, "deliver", now=NOW)
    assert whole["exit"] == 0, whole
    check(px)
    for at in sampled(range(1, int(whole["steps"]) + 1), 2, f"kills of px {case}"):
        shutil.rmtree(world)
        shutil.copytree(collected, world)
        for kept in (px._api.subscription.events, px._api.subscription.users):
            kept.clear()
        px.faults.clear()
        if case is not None:
            px.fault(**case, path="/v1/(events|users)")
        driver.do(world, "deliver", now=NOW, at=at)
        settle(px)
        finish(driver, world)
        check(px)


def test_two_processes_at_once_send_each_event_once(driver: Driver, world: Path, px: PxEmulator) -> None:
    px.fault(delay=0.05, times=None, path="/v1/(events|users)")
    driver.together([job(world, "deliver", now=NOW), job(world, "deliver", now=NOW)])
    px.faults.clear()
    finish(driver, world)
    check(px)
