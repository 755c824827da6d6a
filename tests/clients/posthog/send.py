"""posthog (Python), with both of its wire protocols."""

from __future__ import annotations

import sys
import uuid
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from cases import GROUP, TRAITS, Case, run
from posthog.client import Client


def posthog(case: Case, mode: str) -> str | None:
    errors: list[str] = []
    client = Client(
        case.key, host=case.host, timeout=1, flush_interval=0.05, max_retries=3, gzip=case.name == "500",
        capture_mode=mode, on_error=lambda error, _: errors.append(repr(error)),
    )  # fmt: skip
    client.set(distinct_id=case.user, properties=TRAITS, timestamp=case.at, uuid=made(case, "set"))
    client.group_identify("company", case.account, GROUP, timestamp=case.at, uuid=made(case, "group"))
    client.alias(previous_id=case.user, distinct_id=f"old-{case.own}", timestamp=case.at, uuid=made(case, "alias"))
    client.capture(
        case.client, distinct_id=case.user, properties=case.properties, groups={"company": case.account},
        timestamp=case.at, uuid=made(case, "event"),
    )  # fmt: skip
    client.flush()
    client.shutdown()
    return errors[0] if errors else None


def made(case: Case, what: str) -> str:
    return str(uuid.uuid5(uuid.NAMESPACE_URL, f"{case.own}-{what}"))


run({"posthog-py": lambda case: posthog(case, "v0"), "posthog-py-v1": lambda case: posthog(case, "v1")})
