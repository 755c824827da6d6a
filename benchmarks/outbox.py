"""Attributes sent to an emulator of Gainsight PX in another process, beside one request after another; and the planning
of a day with very many items."""

from __future__ import annotations

import contextlib
import json
import multiprocessing
import resource
import sys
import time
from collections.abc import Iterator
from http.client import HTTPConnection
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import duckdb

import tallybook
from benchmarks.databases import FIRST_DAY
from benchmarks.entities import _record, _row
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import open_at, write_project
from benchmarks.scene import Scene
from tallybook.storage import OutboxLedger
from tallybook_emulators.gainsight_px import PxEmulator

SENT = ("n0", "n1", "n2", "n3")
MOST = 10_000
"""Requests a second that a delivery may declare at most."""
CALM = 300


def measure(scene: Scene) -> Report:
    items, planned = (2_000, 5_000) if scene.quick else (100_000, 1_000_000)
    report = Report(
        name="outbox", what=f"{items:,} attributes of accounts sent to Gainsight PX; {planned:,} items planned"
    )
    _sending(report, scene, items)
    _planning(report, scene, planned)
    return report


# -- sending


def _sending(report: Report, scene: Scene, items: int) -> None:
    accounts = items // len(SENT)
    with _emulator(accounts) as (api, emulator):
        folder = _project(scene, api, "fast", MOST)
        with tallybook.open(folder) as book:  # the pace is of the machine's clock
            book.push_attributes("accounts", "0", attributes=_row(0))
            _fill(book, accounts)
            print_progress("  the ledger is filled")
            began, used = time.monotonic(), time.process_time()
            (done,) = book.deliver("fast")
            seconds, cpu = time.monotonic() - began, time.process_time() - used
            assert done.rows == items, done
            requests, busiest = emulator("requests"), emulator("busiest")
            assert requests == accounts + 1, requests
            nothing = min(_seconds(lambda: book.deliver("fast")) for _ in range(scene.scale.rounds))
            assert emulator("requests") == requests
        alone = _one_after_another(api, accounts // 10)
        emulator("forget")
        folder = _project(scene, api, "calm", CALM)
        with tallybook.open(folder) as book:
            book.push_attributes("accounts", "0", attributes=_row(0))
            _fill(book, min(accounts, 4 * CALM))
            book.deliver("calm")
        calm = emulator("busiest")
    report.figures |= {
        "items_per_s": items / seconds,
        "items_per_cpu_s": items / cpu,
        "requests_per_s": accounts / seconds,
        "busiest_second_requests": busiest,
        "one_after_another_items_per_s": alone,
        "nothing_new_ms": nothing * 1000,
    }
    report.budgets += [
        Budget(what="attributes sent a second", seen=items / seconds, limit=1_000, unit="items", at_least=True),
        Budget(what=f"requests in any second at rate = {CALM}", seen=calm, limit=CALM, unit="requests"),
        Budget(what="a delivery with nothing new", seen=nothing * 1000, limit=200, unit="ms"),
    ]


def _project(scene: Scene, api: str, name: str, rate: int) -> Path:
    folder = write_project(scene.new_folder(), "duckdb:///none.duckdb", {}, start=FIRST_DAY)
    wanted = ", ".join(f'{one} = "{one}__c"' for one in SENT)
    with (folder / "tallybook.toml").open("a") as file:
        file.write(f'[accounts]\n[deliveries.{name}]\nto = "gainsight_px"\napi = "{api}"\nkey = "px-emulator-key"\n')
        file.write(f'for = "account"\nattributes = {{ {wanted} }}\nrate = {rate}\n')
    return folder


def _fill(book: Any, accounts: int) -> None:
    with book.entities("accounts").ledger.ledger._writing() as db:
        db.executemany(
            "INSERT INTO entities (kind, id, row, version) VALUES ('accounts', ?, ?, 1)",
            ((str(i), _record(i)) for i in range(1, accounts)),
        )


def _one_after_another(api: str, accounts: int) -> float:
    """Items a second of a program that waits for each answer, over one connection that stays open."""
    where = urlsplit(api)
    connection = HTTPConnection(where.hostname or "", where.port)
    began = time.monotonic()
    for number in range(accounts):
        row = _row(number)
        body = json.dumps({"customAttributes": {f"{one}__c": row[one] for one in SENT}})
        headers = {"X-APTRINSIC-API-KEY": "px-emulator-key", "Content-Type": "application/json"}
        connection.request("PUT", f"{where.path}/accounts/{number}", body, headers)
        response = connection.getresponse()
        response.read()
        assert response.status < 300, response.status
    seconds = time.monotonic() - began
    connection.close()
    return accounts * len(SENT) / seconds


@contextlib.contextmanager
def _emulator(accounts: int) -> Iterator[tuple[str, Any]]:
    """An emulator in another process: (its API, what asks it)."""
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs, accounts), daemon=True)
    process.start()

    def ask(what: str) -> Any:
        ours.send(what)
        return ours.recv()

    try:
        yield ours.recv(), ask
    finally:
        ours.send("end")
        process.join(30)


def _serve(asked: Connection, accounts: int) -> None:
    with PxEmulator(limits=None) as px:
        for one in SENT:
            px.attribute("account", f"{one}__c", "NUMBER")
        for number in range(accounts):
            px.add_account(str(number))
        asked.send(px.api)
        while (what := asked.recv()) != "end":
            if what == "forget":
                px.forget_requests()
            answers = {"requests": lambda: len(px.requests), "busiest": px.busiest_second}
            asked.send(answers[what]() if what in answers else None)


# -- planning


def _planning(report: Report, scene: Scene, items: int) -> None:
    folder = scene.new_folder()
    write_project(folder, "duckdb:///calls.duckdb", {"calls": _metric(items)}, start=FIRST_DAY)
    with duckdb.connect(str(folder / "calls.duckdb")) as source:
        source.execute(
            f"CREATE TABLE calls AS SELECT DATE '{FIRST_DAY}' AS day, 'user ' || i AS user_id, i % 977 AS n "
            f"FROM range({items}) r(i)"
        )
    with open_at(folder, FIRST_DAY) as book:
        assert not book.run().failed
    with (folder / "tallybook.toml").open("a") as file:
        file.write(
            '[deliveries.hook]\nto = "webhook"\nurl = "http://127.0.0.1:9/"\nmetrics = ["calls"]\nby = ["user_id"]\n'
        )
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_plan, args=(theirs, folder), daemon=True)
    process.start()
    planned, seconds, megabytes, before = ours.recv()
    process.join(30)
    assert planned == items, planned
    report.figures |= {"planning_s": seconds, "planning_mb": megabytes, "before_planning_mb": before}
    report.budgets += [
        Budget(what=f"planning {items:,} items", seen=seconds, limit=20, unit="s"),
        Budget(what=f"memory while {items:,} items are planned", seen=megabytes, limit=300, unit="MB"),
    ]


def _metric(items: int) -> dict[str, Any]:
    return {"table": "calls", "time": "day", "measure": "sum(n)", "by": ["user_id"], "max_series": items + 1}


def _plan(answer: Connection, folder: Path) -> None:
    """Plan in a process of its own, whose largest memory is that of planning. The receiver takes nothing."""
    with open_at(folder, FIRST_DAY) as book:
        assert book.reader.has_book
        before, began = _largest(), time.monotonic()
        planned = planned_items(book)
        answer.send((planned, time.monotonic() - began, _largest(), before))


def planned_items(book: Any) -> int:
    """Plan the only delivery and send nothing. How many items wait."""
    from tallybook.deliver.deliveries import lease_job
    from tallybook.deliver.destinations.registry import open_destination
    from tallybook.deliver.leases import delivery_lease
    from tallybook.deliver.outbox_plan import OutboxPlanning
    from tallybook.deliver.outbox_rounds import outbox_task

    context = book._delivery_context()
    (delivery,) = book.project.catalog.deliveries.values()
    destination: Any = open_destination(delivery.to)
    with delivery_lease(context.ledger, lease_job(delivery), context.clock) as held:
        task = outbox_task(context, delivery, destination)
        OutboxPlanning(context, task, destination, held.lease).plan()
    return sum(OutboxLedger(book.store.ledger).counts().get(delivery.name, {}).values())


def _largest() -> float:
    """The most memory that this process had, in MB."""
    with contextlib.suppress(OSError):
        # On Linux, `ru_maxrss` begins with that of the process that started this one.
        status = Path("/proc/self/status").read_text("ascii")
        return next(int(line.split()[1]) for line in status.splitlines() if line.startswith("VmHWM")) / (1 << 10)
    used = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return used / (1 << 20 if sys.platform == "darwin" else 1 << 10)


def _seconds(work: Any) -> float:
    began = time.monotonic()
    work()
    return time.monotonic() - began
