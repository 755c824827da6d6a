"""What every wire protocol promises.

    pytest tests/conformance --adapter segment

`--adapter` also takes the name of a protocol of an installed package. Without it the suite runs on all that are installed.
Requests of built-in protocols are in `tests/protocol_samples.py`; those of others are random bytes."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings, strategies as st

from tallybook.core import PROTOCOLS, DecodedEvents, EventRequest, ProtocolAnswer, RequestError
from tallybook.ingest import decode_row, unpack
from tallybook.server.access_log import AccessLog
from tallybook.server.protocol_routes import method_of
from tests.ingest.doors import HttpDoor
from tests.protocol_samples import KEY, SAMPLES, Sample, read

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    adapter = metafunc.config.getoption("--adapter", None)
    if "protocol" in metafunc.fixturenames:
        names = [kind.name for kind in PROTOCOLS.kinds()]
        metafunc.parametrize("protocol", [name for name in names if adapter in (None, name)])
    if "sample" in metafunc.fixturenames:
        chosen = [one for one in SAMPLES if adapter in (None, one.protocol)]
        ids = [f"{one.protocol} {one.method} {one.path.partition('?')[0]} {n}" for n, one in enumerate(chosen)]
        metafunc.parametrize("sample", chosen, ids=ids)


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    door = HttpDoor(tmp_path)
    yield door
    door.commit.close()
    door.events.close()


def values_of(protocol: str) -> list[Any]:
    """The bodies of samples, unpacked and plain, as JSON."""
    found = []
    for one in SAMPLES:
        if one.protocol == protocol and one.method == "POST":
            body = unpack(one.body, "gzip") if one.body.startswith(b"\x1f\x8b") else one.body
            assert isinstance(body, bytes)
            sent = EventRequest(body=body, path=one.path.partition("?")[0].rstrip("/"), received=NOW)
            found.append(json.loads(method_of(PROTOCOLS.kind(protocol), "plain")(sent)))
    return found


def changed(value: Any, draw: Any) -> Any:
    """A value with something else somewhere in it."""
    if isinstance(value, dict) and value and draw(st.integers(0, 4)):
        name = draw(st.sampled_from(sorted(value)))
        return {**value, name: changed(value[name], draw)}
    if isinstance(value, list) and value and draw(st.integers(0, 4)):
        return [changed(value[0], draw), *value[1:]]
    return draw(JSON)


@st.composite
def bodies(draw: Any, protocol: str) -> bytes:
    """Random bytes, random JSON, and requests of which a part is something else."""
    samples = values_of(protocol)
    kind = draw(st.integers(0, 3 if samples else 1))
    if kind == 0:
        return bytes(draw(st.binary(max_size=60)))
    value = draw(JSON) if kind == 1 else changed(draw(st.sampled_from(samples)), draw)
    return json.dumps(value).encode()


def all_answers(protocol: str, request: EventRequest) -> DecodedEvents:
    """Everything that a protocol says of a request. Raises where it raises, or answers something else."""
    kind = PROTOCOLS.kind(protocol)
    assert isinstance(method_of(kind, "plain")(request), bytes)
    assert isinstance(method_of(kind, "is_own")(request), bool)
    assert isinstance(method_of(kind, "key_of")(request), str | None)
    found = PROTOCOLS.adapter(protocol).decode(request)
    assert isinstance(found, DecodedEvents)
    error = found.error or RequestError(status=503, code="disk", message="full")
    assert isinstance(method_of(kind, "refused")(request, error), ProtocolAnswer)
    verdicts = {"stored": len(found.events), "duplicates": 0, "receipt": "R"}
    verdicts["rejected"] = [one.as_json() for one in found.rejected]
    verdicts["warnings"] = [one.as_json() for one in found.warnings]
    assert isinstance(method_of(kind, "answered")(request, verdicts), ProtocolAnswer)
    return found


def test_it_never_raises_and_the_same_bytes_give_the_same(protocol: str) -> None:
    kind = PROTOCOLS.kind(protocol)
    headers = st.sampled_from(
        [
            {},
            {"content-type": "application/json"},
            {"ce-id": "1", "ce-source": "\xff", "ce-type": "%ff", "ce-time": "x"},
        ]
    )

    @settings(max_examples=50, deadline=None)
    @given(body=bodies(protocol), path=st.sampled_from(kind.paths), headers=headers)
    def judged(body: bytes, path: str, headers: dict[str, str]) -> None:
        request = EventRequest(body=body, path=path, received=NOW, headers=headers)
        first, second = all_answers(protocol, request), all_answers(protocol, request)
        assert repr(first) == repr(second)
        if first.error is None:
            for index, event in first.events:
                assert index >= 0
                assert event.name
                assert event.time is None or event.time.tzinfo is not None

    judged()


@pytest.mark.parametrize(
    "body",
    [
        b"", b"[]", b"{}", b"null", b"0", b'"', b"\xff\xfe", b"[[[]]]", b'{"batch": {}}', b'{"events": [null]}',
        b'{"batch": [{"type": "identify", "userId": {"a": 1}, "traits": [1]}]}', b"data=", b"data=%ff%00", b"data=e30=",
        b"[" * 5000 + b"]" * 5000, b'{"a":' * 5000 + b"1" + b"}" * 5000, b'{"batch": [NaN, 1e999, Infinity]}',
        b'{"batch": [{"type": "track", "event": "a", "timestamp": 1e300, "properties": {"x": 1' + b"0" * 50 + b"}}]}",
        b'{"event": "\\ud800", "type": "track"}', b'[{"event": "a", "properties": {"time": -1e17, "distinct_id": [1]}}]',
        b'{"batch": [{"type": "identify", "userId": "u", "traits": ' + b'{"a":' * 900 + b"1" + b"}" * 900 + b"}]}",
    ],
)  # fmt: skip
def test_bytes_that_broke_others_get_a_verdict(protocol: str, body: bytes) -> None:
    for path in PROTOCOLS.kind(protocol).paths:
        all_answers(protocol, EventRequest(body=body, path=path, received=NOW))


def test_what_it_answers_is_what_its_clients_insist_on(door: HttpDoor, sample: Sample) -> None:
    prefix = PROTOCOLS.kind(sample.protocol).prefix
    for start in dict.fromkeys(("", prefix)):
        answer = read(door.writer, door.ask, sample, start)
        assert answer.status == sample.status, answer.json
        if isinstance(sample.says, dict):
            assert {name: answer.json[name] for name in sample.says} == sample.says
        elif sample.says is not None:
            assert (answer.json if isinstance(answer.json, str | None) else str(answer.json)) == sample.says


def test_the_log_gives_the_events_of_the_door_and_has_no_key(door: HttpDoor, sample: Sample, tmp_path: Path) -> None:
    lines = tmp_path / "access.log"
    with lines.open("wb") as output:
        door.app.watching.access = AccessLog(output.fileno())
        read(door.writer, door.ask, sample)
        door.app.watching.access.close()
    assert lines.read_bytes().count(b"\n") == 1
    (name,) = door.logs.names()
    (row,) = door.logs.open(name).read(0, 10**9)
    assert row.protocol == sample.protocol
    found = decode_row(row)
    assert (len(found.events), list(found.rejected), found.error) == (sample.events, [], None)
    kind, made = PROTOCOLS.kind(sample.protocol), sample.with_key(door.writer)
    raw = made.path.partition("?")[2].encode() if made.method == "GET" else made.body
    body = unpack(raw, "gzip") if raw.startswith(b"\x1f\x8b") else raw
    assert isinstance(body, bytes)
    path = made.path.partition("?")[0].rstrip("/")
    sent = EventRequest(body=body, path=path, received=row.received, headers=made.headers)
    sent = EventRequest(body=method_of(kind, "plain")(sent), path=path, received=row.received, headers=made.headers)
    assert repr(PROTOCOLS.adapter(sample.protocol).decode(sent).events) == repr(found.events)
    door.compact()
    for path_ in (*door.folder.rglob("*"), lines):
        if path_.is_file():
            content = path_.read_bytes()
            assert door.writer.encode() not in content, path_
            assert KEY.encode() not in content, path_


def test_a_rejected_request_shows_no_key_to_those_who_read(door: HttpDoor, protocol: str) -> None:
    bodies = [one for one in SAMPLES if one.protocol == protocol and one.method == "POST" and KEY.encode() in one.body]
    for sample in bodies:
        broken = sample.with_key(door.writer).body.replace(b'"signup"', b'""').replace(b"2026-03-05", b"2099-03-05")
        door.ask("POST", sample.path, broken)
    door.compact()
    answer = door.ask("GET", "/v1/rejected?limit=100", key=door.reader)
    assert answer.status == 200
    assert door.writer not in json.dumps(answer.json)


def test_errors_are_in_its_own_shape_with_our_code_beside(door: HttpDoor, protocol: str) -> None:
    kind = PROTOCOLS.kind(protocol)
    unkeyed = door.ask("POST", kind.paths[0], b"{}")
    assert unkeyed.status in (400, 401)
    assert "no_key" in json.dumps(unkeyed.json) + unkeyed.headers.get("x-tallybook-code", "")
    if kind.prefix:
        unknown = door.ask("POST", f"{kind.prefix}/no/such/path", b"{}", door.writer)
        assert unknown.status == 404
        assert "not_found" in json.dumps(unknown.json) + unknown.headers.get("x-tallybook-code", "")
    wrong = door.ask("DELETE", kind.paths[0], key=door.writer)
    assert wrong.status == 405
    slow = door.new_key("slow", rate=1)
    door.keys.refresh()
    samples = [one for one in SAMPLES if one.protocol == protocol and one.events]
    for sample in samples[:1]:
        assert [read(slow, door.ask, sample).status for _ in range(3)][-1] == 429
        limited = read(slow, door.ask, sample)
        assert 1 <= int(limited.headers["retry-after"]) <= 10
