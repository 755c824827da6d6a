"""Parses bodies into Python values: JSON, a list, or one value per line. Parsing never raises."""

from __future__ import annotations

import json
import math
import re
from typing import Any

import msgspec

from tallybook.core import RequestError

_AT = re.compile(r"byte (\d+)")


class NoNumber:
    """NaN or Infinity, which JSON does not allow."""

    def __init__(self, text: str) -> None:
        self.text = text

    def __repr__(self) -> str:
        return self.text


class BrokenLine:
    """A line that is not JSON."""

    def __init__(self, reason: str) -> None:
        self.reason = reason

    def __repr__(self) -> str:
        return self.reason


def body_values(body: bytes) -> list[Any] | RequestError:
    """The events of a body as Python values. The body is one object, a list, or lines."""
    start = body.lstrip(b" \t\r\n")[:1]
    if start == b"":
        return _bad_json(
            "the body is empty", seen="nothing", expected="an event, a list of events, or one on each line"
        )
    try:
        body.decode()
    except UnicodeDecodeError as error:
        return RequestError(
            status=400,
            code="bad_encoding",
            message=f"the body is not UTF-8: byte {error.start} cannot be read",
            seen=f"0x{body[error.start]:02x} at byte {error.start}",
            expected="JSON in UTF-8",
        )
    try:
        found = json_value(body)
    except ValueError as error:
        lines = _lines(body) if start == b"{" else None
        return lines or _bad_json(f"the body is not JSON: {error}", seen=_seen(body, str(error)))
    if isinstance(found, list):
        return found
    if isinstance(found, dict):
        return [found]
    return _bad_json("the body is not an event", seen=type(found).__name__, expected="an object or a list of objects")


def _bad_json(message: str, *, seen: str, expected: str = "JSON") -> RequestError:
    return RequestError(status=400, code="bad_json", message=message, seen=seen, expected=expected)


def _seen(body: bytes, said: str) -> str:
    at = _AT.search(said)
    start = max(0, int(at[1]) - 10) if at else 0
    return body[start : start + 40].decode(errors="replace")


def json_value(text: bytes) -> Any:
    """A JSON text as Python values, even if it contains NaN. Raises ValueError, which names the byte."""
    try:
        return msgspec.json.decode(text)
    except (msgspec.DecodeError, RecursionError, UnicodeError) as error:
        try:
            return json.loads(text, parse_constant=NoNumber, parse_int=_whole, parse_float=_fraction)
        except (ValueError, RecursionError) as other:
            at = getattr(other, "pos", None)
            said = str(error) if isinstance(error, msgspec.DecodeError) else "it is nested too deeply"
            raise ValueError(said if "byte" in said or at is None else f"{said} (byte {at})") from None


def _whole(text: str) -> int | NoNumber:
    return int(text) if len(text) <= 40 else NoNumber(text)


def _fraction(text: str) -> float | NoNumber:
    found = float(text)
    return found if math.isfinite(found) else NoNumber(text)


def _lines(body: bytes) -> list[Any] | None:
    """One value for each non-blank line. None if no line is JSON, so that the body counts as one broken text."""
    found: list[Any] = []
    for line in body.split(b"\n"):
        if line.strip():
            try:
                found.append(json_value(line))
            except ValueError as error:
                found.append(BrokenLine(str(error)))
    several = len(found) > 1 and any(isinstance(one, dict) for one in found)
    return found if several else None
