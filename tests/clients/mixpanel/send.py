"""mixpanel (Python). Over http it never retries: its caller sends again, as is done here."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import GROUP, TRAITS, Case, run
from mixpanel import Consumer, Mixpanel, MixpanelException


def mixpanel(case: Case) -> None:
    consumer = Consumer(
        events_url=f"{case.host}/track", people_url=f"{case.host}/engage", import_url=f"{case.host}/import",
        groups_url=f"{case.host}/groups", request_timeout=1,
    )  # fmt: skip
    client = Mixpanel(case.key, consumer=consumer)
    about = {"time": case.at.timestamp(), "$insert_id": f"m-{case.own}", "company": case.account}
    at = {"$time": case.at.timestamp()}
    again(lambda: client.track(case.user, case.client, {**case.properties, **about}))
    client.import_data(
        api_key=case.key, distinct_id=case.user, event_name="imported", timestamp=case.at.timestamp(),
        properties={"case": case.name}, meta={"$insert_id": f"i-{case.own}"}, api_secret=case.key,
    )  # fmt: skip
    client.people_set(case.user, TRAITS, meta=at)
    client.people_increment(case.user, {"logins": 2}, meta=at)
    client.group_set("company", case.account, GROUP, meta=at)
    client.merge(case.key, case.user, f"old-{case.own}", api_secret=case.key)


def again(call: object) -> None:
    for tries in range(3):
        try:
            call()  # type: ignore[operator]
            return
        except MixpanelException:
            if tries == 2:
                raise


run({"mixpanel-py": mixpanel})
