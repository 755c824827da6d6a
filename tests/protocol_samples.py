"""A good request of every wire protocol, with its key where its clients put it, and what their contract answers."""

from __future__ import annotations

import base64
import gzip
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import quote

KEY = "tb_w_0123456789abcdefghijklmnopqrstuvwxyzABCDEFG"
"""Stands for a key; a test puts its own in its place."""
AT = "2026-03-05T11:00:00Z"
AT_MS = 1772708400000


def basic(key: str) -> str:
    return "Basic " + base64.b64encode(f"{key}:".encode()).decode()


@dataclass(frozen=True, kw_only=True)
class Sample:
    """`body` and `headers` have KEY where the key is. `status` and `says` are the answer's; `events` how many it is."""

    protocol: str
    path: str
    body: bytes
    method: str = "POST"
    headers: Mapping[str, str] = field(default_factory=dict)
    status: int = 200
    says: Any = None
    """Part of the JSON of the answer, or its text."""
    events: int = 1

    def with_key(self, key: str) -> Sample:
        """With another key in place of KEY."""
        return Sample(
            protocol=self.protocol,
            path=self.path.replace(KEY, key).replace(_packed(KEY), _packed(key)),
            body=_in_body(self.body, key),
            method=self.method,
            headers={n: v.replace(KEY, key).replace(basic(KEY), basic(key)) for n, v in self.headers.items()},
            status=self.status,
            says=self.says,
            events=self.events,
        )


def _track(key: str) -> list[dict[str, Any]]:
    properties = {"token": key, "time": AT_MS / 1000, "distinct_id": "u-1", "$insert_id": "i-1", "plan": "pro"}
    return [{"event": "signup", "properties": properties}]


def _packed(key: str) -> str:
    return quote(base64.b64encode(json.dumps(_track(key)).encode()).decode())


def _in_body(body: bytes, key: str) -> bytes:
    if body.startswith(b"\x1f\x8b"):
        return gzip.compress(gzip.decompress(body).replace(KEY.encode(), key.encode()))
    return body.replace(KEY.encode(), key.encode()).replace(_packed(KEY).encode(), _packed(key).encode())


def _json(value: Any) -> bytes:
    return json.dumps(value).encode()


BEARER = {"authorization": f"Bearer {KEY}"}
MESSAGE = {"type": "track", "event": "signup", "userId": "u-1", "messageId": "m-1", "timestamp": AT}
CLOUD_EVENT = {"specversion": "1.0", "id": "1", "source": "shop", "type": "signup", "time": AT, "subject": "acme"}
CAPTURED = {"event": "signup", "distinct_id": "u-1", "uuid": "p-1", "timestamp": AT, "properties": {"plan": "pro"}}
LOGGED = {"event_type": "signup", "user_id": "u-1", "insert_id": "a-1", "time": AT_MS}
PROFILE = {"$token": KEY, "$distinct_id": "u-1", "$time": AT_MS, "$set": {"plan": "pro"}}
FORM = {"content-type": "application/x-www-form-urlencoded"}

SAMPLES = (
    Sample(protocol="tallybook", path="/v1/events", body=_json({"event": "signup", "time": AT, "id": "1"}), headers=BEARER, says={"stored": 1}),
    Sample(protocol="gainsight_px", path="/v1/events/custom", body=_json({"eventName": "signup", "identifyId": "u-1", "propertyKey": "AP-1", "userType": "USER", "date": AT_MS}), headers={"x-aptrinsic-api-key": KEY}, status=201),
    Sample(protocol="segment", path="/v1/batch", body=_json({"batch": [MESSAGE], "writeKey": KEY}), headers={"authorization": basic(KEY)}, says={"success": True}),
    Sample(protocol="segment", path="/v1/track", body=_json({**MESSAGE, "writeKey": KEY}), says={"success": True}),
    Sample(protocol="segment", path="/v1/batch", body=gzip.compress(_json({"batch": [MESSAGE], "writeKey": KEY})), headers=FORM, says={"success": True}),
    Sample(protocol="segment", path="/v1/identify", body=_json({"userId": "u-1", "traits": {"plan": "pro"}}), headers={"x-write-key": KEY}, says={"changed": 1}, events=0),
    Sample(protocol="cloudevents", path="/cloudevents", body=_json([CLOUD_EVENT]), headers={**BEARER, "content-type": "application/cloudevents-batch+json"}, says={"stored": 1}),
    Sample(protocol="cloudevents", path="/api/v1/events", body=_json({**CLOUD_EVENT, "data": '{"tokens": 5}', "datacontenttype": "application/json"}), headers={**BEARER, "content-type": "application/cloudevents+json; charset=utf-8"}, status=204),
    Sample(protocol="cloudevents", path="/api/v1/events", body=b'{"tokens": 5}', headers={**BEARER, "ce-specversion": "1.0", "ce-id": "2", "ce-source": "shop", "ce-type": "signup", "ce-subject": "a%20b"}, status=204),
    Sample(protocol="posthog", path="/batch/", body=_json({"api_key": KEY, "batch": [CAPTURED]}), says={"status": 1}),
    Sample(protocol="posthog", path="/capture/", body=_json({"api_key": KEY, **CAPTURED}), says={"status": 1}),
    Sample(protocol="posthog", path="/e/?compression=gzip-js", body=gzip.compress(_json([{**CAPTURED, "properties": {"token": KEY}}])), headers={"content-type": "text/plain"}, says={"status": 1}),
    Sample(protocol="posthog", path="/e/?compression=base64", body=b"data=" + quote(base64.b64encode(_json({**CAPTURED, "api_key": "x"})).decode()).encode(), headers={**FORM, **BEARER}, says={"status": 1}),
    Sample(protocol="posthog", path="/i/v1/analytics/events", body=_json({"created_at": AT, "batch": [CAPTURED]}), headers={**BEARER, "posthog-request-timestamp": AT.replace("11", "12")}, says={"results": {"p-1": {"result": "ok"}}}),
    Sample(protocol="amplitude", path="/2/httpapi", body=_json({"api_key": KEY, "events": [LOGGED]}), says={"code": 200, "events_ingested": 1}),
    Sample(protocol="amplitude", path="/batch", body=_json({"api_key": KEY, "events": [LOGGED]}), says={"code": 200}),
    Sample(protocol="amplitude", path="/identify", body=f"api_key={KEY}&identification=".encode() + quote(json.dumps([{"user_id": "u-1", "user_properties": {"$set": {"plan": "pro"}}}])).encode(), headers=FORM, says={"code": 200}, events=0),
    Sample(protocol="mixpanel", path="/track", body=b"verbose=1&ip=0&data=" + quote(json.dumps(_track(KEY))).encode(), headers=FORM, says={"status": 1, "error": None}),
    Sample(protocol="mixpanel", path=f"/track?data={_packed(KEY)}&verbose=0", body=b"", method="GET", says="1"),
    Sample(protocol="mixpanel", path="/track", body=f"verbose=0&data={_packed(KEY)}".encode(), headers=FORM, says="1"),
    Sample(protocol="mixpanel", path="/import?strict=1", body=_json(_track("")), headers={"authorization": basic(KEY)}, says={"code": 200, "num_records_imported": 1, "status": "OK"}),
    Sample(protocol="mixpanel", path="/engage", body=b"verbose=1&data=" + quote(json.dumps([PROFILE])).encode(), headers=FORM, says={"status": 1}, events=0),
)  # fmt: skip


def read(key: str, ask: Callable[..., Any], sample: Sample, prefix: str = "") -> Any:
    """The answer to a sample with a key."""
    made = sample.with_key(key)
    return ask(made.method, prefix + made.path, made.body, **made.headers)
