"""Extracts the messages in request bodies of other protocols, which may be forms or base64."""

from __future__ import annotations

import base64
from collections.abc import Mapping
from typing import Any
from urllib.parse import parse_qs, unquote

from tallybook.core import EventRequest, RequestError
from tallybook.ingest.protocols.json_values import body_values


def objects_of(request: EventRequest) -> list[Any] | RequestError:
    """The JSON values of a body that is an object, a list, or lines."""
    found = body_values(request.body)
    if isinstance(found, list) and len(found) > (most := request.rules.limits.max_batch):
        return too_many(len(found), most)
    return found


def too_many(count: int, most: int) -> RequestError:
    return RequestError(
        status=413,
        code="too_large",
        message="the request has too many messages; send them in several requests",
        seen=f"{count:,} messages",
        expected=f"at most {most:,}",
    )


def form_value(body: bytes, name: str) -> bytes:
    """A form field as JSON, decoded from base64 if needed. The body itself if it is not a form with this field."""
    start = body.lstrip()[:1]
    if start in (b"{", b"[", b"") or name.encode() + b"=" not in body:
        return body
    try:
        fields = parse_qs(body.decode("ascii"), max_num_fields=100, errors="strict")
    except ValueError:
        return body
    if name not in fields:
        return body
    text = fields[name][0].strip()
    if text[:1] in ("{", "["):
        return text.encode("utf-8", "replace")
    try:
        # An unescaped plus sign was decoded as a space.
        packed = text.replace(" ", "+").replace("-", "+").replace("_", "/").rstrip("=")
        return base64.b64decode(packed + "=" * (-len(packed) % 4), validate=True)
    except ValueError:
        return body


def unescaped(value: str) -> str:
    """The text of a header with its percent-encoding decoded."""
    return unquote(value.strip().strip('"'), errors="replace")


def form_fields(text: bytes) -> dict[str, str]:
    """The fields of a form or a query string. Empty if the text is neither."""
    if text.lstrip()[:1] in (b"{", b"["):
        return {}
    try:
        return {name: values[0] for name, values in parse_qs(text.decode("ascii"), max_num_fields=100).items()}
    except ValueError:
        return {}


def only_object(request: EventRequest, field: str) -> tuple[dict[str, Any], list[Any]] | RequestError:
    """The object in the body, and the list in one of its fields."""
    found = objects_of(request)
    if isinstance(found, RequestError):
        return found
    one = found[0] if len(found) == 1 else None
    listed = one.get(field) if isinstance(one, dict) else None
    if not isinstance(one, dict) or not isinstance(listed, list):
        return RequestError(
            status=400,
            code="bad_json",
            message=f"the body has no list `{field}`",
            expected=f'{{"{field}": […]}}',
        )
    if len(listed) > (most := request.rules.limits.max_batch):
        return too_many(len(listed), most)
    return one, listed


def kept_count(verdicts: Mapping[str, Any]) -> int:
    """How many parts of a request are stored."""
    return sum(verdicts.get(name, 0) for name in ("stored", "duplicates", "changed", "linked"))


def as_object(value: Any) -> dict[str, Any]:
    """A value that should be an object. Any other value becomes an empty object."""
    return value if isinstance(value, dict) else {}


def first_of(found: Mapping[str, Any], *names: str) -> Any:
    """The first of the given fields that is present and not empty."""
    for name in names:
        if (value := found.get(name)) not in (None, ""):
            return value
    return None
