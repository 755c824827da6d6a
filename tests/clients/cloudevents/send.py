"""cloudevents 2.x: it makes requests and sends none, so its caller sends again."""

from __future__ import annotations

import sys
import urllib.error
import urllib.request
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import Case, run
from cloudevents.core.bindings import http
from cloudevents.core.formats.json import JSONFormat
from cloudevents.core.v1.event import CloudEvent


def cloudevents(case: Case) -> None:
    for make, id_ in ((http.to_structured, "m"), (http.to_binary, "b")):
        about = {"type": case.client, "source": "shop", "id": f"{id_}-{case.own}", "subject": case.account}
        event = CloudEvent({**about, "time": case.at, "specversion": "1.0", "userid": case.user}, case.properties)
        made = make(event, JSONFormat())
        headers = {**made.headers, "Authorization": f"Bearer {case.key}"}
        request = urllib.request.Request(f"{case.host}/cloudevents", made.body, headers)
        for tries in range(3):
            try:
                urllib.request.urlopen(request, timeout=1).read()
                break
            except (urllib.error.URLError, OSError):
                if tries == 2:
                    raise


run({"cloudevents-py": cloudevents})
