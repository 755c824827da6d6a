"""A wire protocol of another package: the example of docs/extending.md, installed as a real package."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from tallybook.core import EventRequest, ProtocolKind
from tallybook.ingest import EventProtocol
from tests.installed import installed

LINES = [
    '10.0.0.1 - ann [01/Mar/2026:10:00:00 +0100] "GET /pricing?x=1 HTTP/1.1" 200 512',
    "something else",
    '10.0.0.1 - - [01/Mar/2026:10:00:01 +0100] "POST /signup HTTP/1.1" 500 -',
]


STORES = """
import json, sys
from datetime import UTC, datetime
from pathlib import Path
from tallybook.core import PROTOCOLS
from tallybook.ingest import Compactor, EventExport, GroupCommit, LogRow, SqliteLogs, decode_row, export_events
from tallybook.server import event_ledger
from tallybook.storage import BookLocation

(name,) = [kind.name for kind in PROTOCOLS.kinds() if "/logs/access" in kind.paths]
folder, now = Path(sys.argv[1]), datetime(2026, 3, 5, tzinfo=UTC)
events, logs = event_ledger(BookLocation(folder=folder)), SqliteLogs(folder)
commit = GroupCommit(logs)
for body in (sys.argv[2], sys.argv[2]):
    row = LogRow(received=now, key="web", protocol=name, path="/logs/access", headers="{}", body=body.encode())
    print(json.dumps([one.as_json() for one in decode_row(row).rejected]))
    commit.append(row).result(10)
while Compactor(events, logs, zone="UTC", clock=lambda: now).step():
    pass
export_events(events, EventExport(), sys.stdout.write)
commit.close()
"""


def test_a_protocol_of_another_package_is_found_and_its_events_are_stored_once(tmp_path: Path) -> None:
    command = [sys.executable, "-c", STORES, str(tmp_path / "book"), "\n".join(LINES)]
    env = {**os.environ, "PYTHONPATH": str(installed("tally_access_log"))}
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=env, timeout=120)
    assert done.returncode == 0, done.stderr
    rejected, _, *lines = map(json.loads, done.stdout.splitlines())
    assert rejected == [{"index": 1, "code": "bad_text", "reason": "not a line of the common log format"}]
    assert [(one["time"][:19], one.get("user"), one["properties"]) for one in lines] == [
        ("2026-03-01T09:00:00", "ann", {"method": "GET", "path": "/pricing", "status": 200, "bytes": 512}),
        ("2026-03-01T09:00:01", None, {"method": "POST", "path": "/signup", "status": 500, "bytes": 0}),
    ]


class Odd(EventProtocol):
    """Yields what its body says, or fails."""

    kind = ProtocolKind(name="odd", title="odd", paths=("/odd",))

    @staticmethod
    def events(request: EventRequest) -> Any:
        yield from eval(request.body)  # written below


@pytest.mark.parametrize(
    ("body", "codes"),
    [
        ('[{"event": "a", "properties": {"x": float("nan")}}, {"event": "a"}, "why", {"event": ""}]',
         ["bad_number", None, "bad_text", "no_event"]),
        ('[{"event": "a", "properties": {"x": 2**70}}]', ["bad_number"]),
        ('[{"event": "a", "time": __import__("datetime").datetime(2026, 3, 1)}]', ["naive_time"]),
        ('[{"event": "a", "properties": {"x": object()}}]', "not of the protocol odd"),
        ('[7]', "not of the protocol odd"),
        ('1 / 0', "division by zero"),
        ("[]", []),
    ],
)  # fmt: skip
def test_no_protocol_can_store_what_our_own_would_reject(body: str, codes: Any) -> None:
    found = Odd.decode(EventRequest(body=body.encode(), path="/odd", received=datetime(2026, 3, 5, tzinfo=UTC)))
    if isinstance(codes, str):
        assert found.error is not None
        assert codes in found.error.message
        return
    assert found.error is None
    by_index = {one.index: one.code for one in found.rejected} | {index: None for index, _ in found.events}
    assert [by_index[index] for index in range(len(codes))] == codes


class Greedy(EventProtocol):
    """Claims our own paths."""

    kind = ProtocolKind(name="greedy", title="greedy", paths=("/v1/events", "/healthz", "/greedy"), prefix="/v1")

    @staticmethod
    def events(request: EventRequest) -> Any:
        yield {"event": "greedy"}


def test_a_protocol_cannot_take_our_own_paths(monkeypatch: pytest.MonkeyPatch) -> None:
    from tallybook.core import PROTOCOLS
    from tallybook.server.protocol_routes import ProtocolRoutes

    monkeypatch.setitem(PROTOCOLS.__dict__, "installed", {"greedy": "x:Greedy"})
    monkeypatch.setitem(PROTOCOLS._classes, "greedy", Greedy)
    routes = ProtocolRoutes()
    assert [routes.find(path) for path in ("/v1/events", "/healthz", "/v1/no/such", "/v1/days/a/2026-03-01")] == [
        None
    ] * 4
    found = routes.find("/greedy")
    assert found is not None
    assert found.owner.name == "greedy"
