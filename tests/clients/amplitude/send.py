"""amplitude-analytics (Python)."""

from __future__ import annotations

import sys
import time
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from amplitude import Amplitude, BaseEvent, EventOptions, Identify, constants
from cases import GROUP, TRAITS, Case, run

constants.CONNECTION_TIMEOUT = 1


def amplitude(case: Case) -> str | None:
    answers: list[str] = []
    client = Amplitude(case.key)
    client.configuration.server_url = f"{case.host}/2/httpapi"
    client.configuration.flush_interval_millis = 50
    client.configuration.callback = lambda _, code, message: answers.append(f"{code} {message}")
    at = int(case.at.timestamp() * 1000)
    said = Identify()
    for name, value in TRAITS.items():
        said.set(name, value)
    client.identify(said, EventOptions(user_id=case.user, time=at, insert_id=f"i-{case.own}"))
    group = Identify()
    for name, value in GROUP.items():
        group.set(name, value)
    client.group_identify("company", case.account, group, EventOptions(time=at, insert_id=f"g-{case.own}"))
    client.track(
        BaseEvent(
            case.client, user_id=case.user, time=at, insert_id=f"m-{case.own}", event_properties=case.properties,
            groups={"company": case.account},
        )
    )  # fmt: skip
    client.flush()
    for _ in range(25):  # of a connection that was cut it says nothing
        if len(answers) >= 3:
            break
        time.sleep(0.1)
    client.shutdown()
    wrong = [one for one in answers if not one.startswith("200")]
    return wrong[0] if wrong else None


run({"amplitude-py": amplitude})
