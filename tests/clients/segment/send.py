"""segment-analytics-python and rudder-sdk-python: every call type."""

from __future__ import annotations

import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import GROUP, TRAITS, Case, run
from rudderstack.analytics.client import Client as RudderClient
from segment.analytics.client import Client as SegmentClient


def segment(case: Case) -> str | None:
    errors: list[str] = []
    client = SegmentClient(
        case.key, host=case.host, timeout=1, upload_interval=0.05, max_retries=4, gzip=case.name == "500",
        on_error=lambda error, _: errors.append(str(error)),
    )  # fmt: skip
    calls(client, case)
    client.track(
        user_id=case.user, event=case.client, properties=case.properties, timestamp=case.at,
        context={"groupId": case.account}, message_id=f"m-{case.own}",
    )  # fmt: skip
    client.screen(user_id=case.user, name="Home", timestamp=case.at, message_id=f"s-{case.own}")
    client.flush()
    client.join()
    return errors[0] if errors else None


def rudder(case: Case) -> str | None:
    errors: list[str] = []
    client = RudderClient(
        case.key, host=case.host, timeout=1, upload_interval=0.05, max_retries=4,
        on_error=lambda error, _: errors.append(str(error)),
    )  # fmt: skip
    calls(client, case)
    client.track(
        user_id=case.user, event=case.client, properties=case.properties, timestamp=case.at,
        context={"groupId": case.account}, message_id=f"m-{case.own}",
    )  # fmt: skip
    client.flush()
    client.join()
    return errors[0] if errors else None


def calls(client: SegmentClient | RudderClient, case: Case) -> None:
    client.identify(user_id=case.user, traits=TRAITS, anonymous_id=case.anonymous, timestamp=case.at)
    client.group(user_id=case.user, group_id=case.account, traits=GROUP, timestamp=case.at)
    client.page(user_id=case.user, name="Pricing", timestamp=case.at, message_id=f"p-{case.own}")
    client.alias(previous_id=f"old-{case.own}", user_id=case.user, timestamp=case.at)


run({"segment-py": segment, "rudder-py": rudder})
