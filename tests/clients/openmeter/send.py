"""openmeter (Python), and cloudevents 1.x: structured and as a batch."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import Case, run
from cloudevents.conversion import to_dict
from cloudevents.http import CloudEvent
from corehttp.exceptions import BaseError
from openmeter import Client


def openmeter(case: Case) -> None:
    client = Client(endpoint=case.host, retry_backoff_factor=0.05, read_timeout=1, connection_timeout=1)
    headers = {"Authorization": f"Bearer {case.key}"}
    for tries in range(3):
        try:
            client.events.ingest_event(to_dict(event(case, f"m-{case.own}")), headers=headers)
            break
        except BaseError:  # what it does not send again by itself
            if tries == 2:
                raise
    client.events.ingest_events([to_dict(event(case, f"b-{case.own}"))], headers=headers)
    client.events.ingest_events_json([to_dict(event(case, f"j-{case.own}"))], headers=headers)


def event(case: Case, id_: str) -> CloudEvent:
    about = {"type": case.client, "source": "shop", "id": id_, "subject": case.account, "time": case.at.isoformat()}
    return CloudEvent({**about, "userid": case.user}, case.properties)


run({"openmeter-py": openmeter})
