"""What every client does in its own environment: each case in a thread, against an address that misbehaves at first.

    python tests/clients/segment/send.py '{"key": "…", "at": "2026-03-01T10:00:00.250000+00:00", "cases": {"normal": "http://…"}}'

Prints as JSON what became of each (client, case): "sent", or the error that the client raised."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any

PROPERTIES = {"plan": "pro", "seats": 5, "ratio": 1.5, "trial": True}
TRAITS = {"email": "a@b.c", "age": 30}
GROUP = {"plan": "pro", "seats": 12}


@dataclass(frozen=True)
class Case:
    """One client in one case. Ids have its name, so that nothing of it is mixed up with another."""

    client: str
    name: str
    host: str
    key: str
    at: datetime

    @property
    def own(self) -> str:
        return f"{self.client}-{self.name}"

    @property
    def user(self) -> str:
        return f"u-{self.own}"

    @property
    def account(self) -> str:
        return f"acme-{self.own}"

    @property
    def anonymous(self) -> str:
        return f"cookie-{self.own}"

    @property
    def properties(self) -> dict[str, Any]:
        return {**PROPERTIES, "case": self.name}


def run(clients: Mapping[str, Callable[[Case], object]]) -> None:
    """Run all cases of some clients at once."""
    given = json.loads(sys.argv[1])
    outcomes: dict[str, dict[str, str]] = {name: {} for name in clients}

    def one(client: str, name: str, host: str) -> None:
        case = Case(client, name, host, given["key"], datetime.fromisoformat(given["at"]))
        try:
            found = clients[client](case)
            outcomes[client][name] = found if isinstance(found, str) else "sent"
        except Exception as error:  # noqa: BLE001  # whatever a client raises is what its user sees
            outcomes[client][name] = f"{type(error).__name__}: {error}"[:300]

    threads = [
        threading.Thread(target=one, args=(client, name, hosts[client]), daemon=True)
        for client in clients
        for name, hosts in given["cases"].items()
    ]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(30)
    print(json.dumps(outcomes), flush=True)
    sys.stdout.flush()
    # Threads of clients that never give up do not hold up the test.
    import os

    os._exit(0)
