"""Tallybook's own protocol: any bytes give verdicts and never an exception; the limits and codes are the documented ones."""

from __future__ import annotations

import gzip
import json
import zlib
from datetime import UTC, date, datetime
from typing import Any

import pytest
import zstandard
from hypothesis import given, settings, strategies as st

from tallybook.core import DecodedEvents, EventRequest, RequestError
from tallybook.ingest.protocols.tallybook import TallybookProtocol
from tallybook.ingest.unpacking import unpack

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)


def decode(body: bytes | Any, path: str = "/v1/events") -> DecodedEvents:
    text = body if isinstance(body, bytes) else json.dumps(body).encode()
    return TallybookProtocol.decode(EventRequest(body=text, path=path, received=NOW))


def codes(body: bytes | Any, path: str = "/v1/events") -> list[tuple[int, str, str]]:
    return [(one.index, one.code, one.field) for one in decode(body, path).rejected]


def nested(depth: int) -> Any:
    return {"a": nested(depth - 1)} if depth else 1


@given(st.binary(max_size=200) | st.text(alphabet='[]{}:,"eventim 0\\un\n').map(str.encode))
def test_any_bytes_are_decoded_without_an_exception(body: bytes) -> None:
    for path in ("/v1/events", "/v1/values"):
        found = decode(body, path)
        assert found.error is None or not (found.events or found.rejected)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=5), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(["event", "time", "user", "account", "id", "properties", "day", "value", "dimensions", "x"])


@settings(max_examples=50)
@given(st.lists(st.dictionaries(FIELDS, JSON, max_size=6), max_size=4))
def test_each_event_of_any_list_gets_one_verdict_and_can_be_stored(events: list[Any]) -> None:
    for path in ("/v1/events", "/v1/values"):
        found = decode(events, path)
        assert sorted([i for i, _ in found.events] + [one.index for one in found.rejected]) == list(range(len(events)))
        json.dumps([one.as_json() for one in found.rejected]).encode()
        for _, event in found.events:
            assert event.name
            json.dumps(event.properties, allow_nan=False).encode()


def test_an_object_a_list_and_lines_are_read_alike() -> None:
    one = {"event": "signup", "time": "2026-03-04T10:00:00+02:00", "user": 7, "properties": {"plan": "pro"}}
    text = json.dumps(one).encode()
    for body in (text, b"[" + text + b"]", text + b"\n\n" + text + b"\n", json.dumps(one, indent=1).encode()):
        found = decode(body)
        assert not found.rejected
        event = found.events[0][1]
        assert (event.name, event.user, event.properties) == ("signup", "7", {"plan": "pro"})
        assert event.time == datetime(2026, 3, 4, 8, tzinfo=UTC)
    assert len(decode(text + b"\n" + text).events) == 2


EVENT = {"event": "e"}


@pytest.mark.parametrize(
    ("event", "code", "field"),
    [
        ({}, "no_event", "event"),
        ({"event": ""}, "no_event", "event"),
        ({"event": 7}, "bad_name", "event"),
        ({"event": "x" * 2001}, "bad_name", "event"),
        ({"event": "a\nb"}, "bad_name", "event"),
        ({**EVENT, "props": {}}, "bad_name", "props"),
        ({**EVENT, "time": "2026-03-04T10:00:00"}, "naive_time", "time"),
        ({**EVENT, "time": "2026-03-04"}, "naive_time", "time"),
        ({**EVENT, "time": "yesterday"}, "bad_time", "time"),
        ({**EVENT, "time": 1_700_000_000}, "bad_time", "time"),
        ({**EVENT, "time": "2026-02-30T00:00:00Z"}, "bad_time", "time"),
        ({**EVENT, "time": "0001-01-01T00:00:00+14:00"}, "bad_time", "time"),
        ({**EVENT, "time": "2026-03-06T12:00:01Z"}, "future", "time"),
        ({**EVENT, "user": True}, "bad_text", "user"),
        ({**EVENT, "id": "x" * 513}, "bad_text", "id"),
        ({**EVENT, "account": "a\x00"}, "bad_text", "account"),
        ({**EVENT, "properties": []}, "schema", "properties"),
        ({**EVENT, "properties": {"a": 10**40}}, "bad_number", "properties.a"),
        ({**EVENT, "properties": {"a": 2**63}}, "bad_number", "properties.a"),
        ({**EVENT, "properties": {"a": float("nan")}}, "bad_number", "properties.a"),
        ({**EVENT, "properties": {"a": float("inf")}}, "bad_number", "properties.a"),
        ({**EVENT, "properties": {"a": "x" * 10_001}}, "bad_text", "properties.a"),
        ({**EVENT, "properties": {"a": "\ud800"}}, "bad_text", "properties.a"),
        ({**EVENT, "properties": {"k" * 1025: 1}}, "bad_name", "properties"),
        ({**EVENT, "properties": {str(i): i for i in range(501)}}, "too_many_properties", "properties"),
        ({**EVENT, "properties": {str(i): "x" * 9_999 for i in range(101)}}, "too_large", "properties"),
        ({**EVENT, "properties": nested(6)}, "too_deep", "properties.a.a.a.a.a"),
        ("signup", "bad_json", ""),
    ],
)
def test_a_bad_event_is_rejected_by_its_code_and_its_neighbors_are_kept(event: Any, code: str, field: str) -> None:
    found = decode([EVENT, event, EVENT])
    assert [i for i, _ in found.events] == [0, 2]
    assert [(one.index, one.code, one.field) for one in found.rejected] == [(1, code, field)]


def test_what_is_within_the_limits_is_stored() -> None:
    good = [
        {**EVENT, "time": "2026-03-06T11:59:59Z"},
        {**EVENT, "event": "x" * 2000, "id": "x" * 512},
        {**EVENT, "properties": nested(5)},
        {**EVENT, "properties": {str(i): i for i in range(500)}},
        {**EVENT, "properties": {"a": 2**63 - 1, "b": "x" * 10_000, "c": None, "d": [1, 2]}},
        {**EVENT, "time": "1969-12-31T23:59:59.999999-12:00", "user": None, "properties": None},
    ]
    assert codes(good) == []


@pytest.mark.parametrize(
    ("body", "status", "code", "said"),
    [
        (b"", 400, "bad_json", "empty"),
        (b"\xff{}", 400, "bad_encoding", "byte 0"),
        (b'[{"event": "a"},', 400, "bad_json", "16"),
        (b'{"event": }', 400, "bad_json", "byte 10"),
        (b'"text"', 400, "bad_json", "not an event"),
        (b"[" * 100_000, 400, "bad_json", ""),
        (b"[" + b'{"event":"a"},' * 10_000 + b'{"event":"a"}]', 413, "too_large", "too many events"),
    ],
)
def test_a_body_that_cannot_be_read_is_refused_as_a_whole(body: bytes, status: int, code: str, said: str) -> None:
    error = decode(body).error
    assert error is not None
    assert (error.status, error.code) == (status, code)
    assert said in error.message + error.seen


def test_a_broken_line_costs_itself_only() -> None:
    assert codes(b'{"event": "a"}\n{"event": \n{"event": "b"}\n') == [(1, "bad_json", "")]


def test_a_daily_value_has_a_day_and_no_zone() -> None:
    values = [
        {
            "event": "seats",
            "day": "2026-03-01",
            "value": 160,
            "account": "a1",
            "dimensions": {"region": "eu", "tier": 3},
        },
        {"event": "seats", "day": "2026-03-02", "properties": {"used": 1, "free": 2}},
    ]
    first, second = (event for _, event in decode(values, "/v1/values").events)
    assert (first.day, first.time, first.properties) == (
        date(2026, 3, 1),
        None,
        {"value": 160, "region": "eu", "tier": "3"},
    )
    assert second.properties == {"used": 1, "free": 2}


@pytest.mark.parametrize(
    ("value", "code", "field"),
    [
        ({"day": "2026-03-01"}, "schema", "value"),
        ({"day": "2026-03-01", "value": 1, "properties": {}}, "schema", "value"),
        ({"day": "2026-03-01", "value": "1"}, "bad_number", "value"),
        ({"day": "2026-03-01", "value": True}, "bad_number", "value"),
        ({"day": "2026-03-01T00:00:00Z", "value": 1}, "bad_time", "day"),
        ({"day": "2026-02-30", "value": 1}, "bad_time", "day"),
        ({"value": 1}, "bad_time", "day"),
        ({"day": "2026-03-08", "value": 1}, "future", "day"),
        ({"day": "2026-03-01", "value": 1, "dimensions": {"value": "x"}}, "bad_name", "dimensions.value"),
        ({"day": "2026-03-01", "value": 1, "time": "2026-03-01T00:00:00Z"}, "bad_name", "time"),
    ],
)
def test_a_bad_value_is_rejected_by_its_code(value: Any, code: str, field: str) -> None:
    assert codes([{"event": "seats", **value}], "/v1/values") == [(0, code, field)]


# --- compression -------------------------------------------------------------------------------------------------------


def bare(body: bytes) -> bytes:
    deflate = zlib.compressobj(wbits=-15)
    return deflate.compress(body) + deflate.flush()


PACKERS = {
    "gzip": gzip.compress,
    "deflate": zlib.compress,
    "bare deflate": bare,
    "zstd": zstandard.ZstdCompressor().compress,
    "two members": lambda body: gzip.compress(body[:5]) + gzip.compress(body[5:]),
}
ENCODINGS = {"bare deflate": "deflate", "two members": "gzip"}


@pytest.mark.parametrize("name", PACKERS)
def test_a_compressed_body_is_unpacked_and_a_cut_or_changed_one_refused(name: str) -> None:
    body = json.dumps([{"event": f"event {i}"} for i in range(50)]).encode()
    packed, encoding = PACKERS[name](body), ENCODINGS.get(name, name)
    assert unpack(packed, encoding) == body
    for end in range(1, len(packed), 7):
        found = unpack(packed[:end], encoding)
        assert found != body
        # Of two members the first may be whole.
        assert isinstance(found, RequestError) or (name == "two members" and len(found) == 5)
        assert isinstance(found, bytes) or "byte" in found.message
    refused = unpack(b"\x00\x01garbage", encoding)
    assert isinstance(refused, RequestError)
    assert (refused.status, refused.code) == (400, "bad_encoding")


@pytest.mark.parametrize("name", ["gzip", "deflate", "zstd"])
def test_a_bomb_is_refused_and_costs_little_memory(name: str) -> None:
    import tracemalloc

    packed = PACKERS[name](b"0" * 60_000_000)
    tracemalloc.start()
    found = unpack(packed, name)
    peak = tracemalloc.get_traced_memory()[1]
    tracemalloc.stop()
    assert isinstance(found, RequestError)
    assert (found.status, found.code) == (413, "too_large")
    assert peak < 45_000_000


def test_an_unknown_encoding_is_named() -> None:
    found = unpack(b"x", "br")
    assert isinstance(found, RequestError)
    assert found.expected == "gzip, deflate, zstd"
