"""Requests that are decoded at once, and columns that are filled at once: both as one value after the other."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given, strategies as st

from tallybook.core import EventRequest, EventRules, EventSettings
from tallybook.ingest.columns import PlacedProperties, PropertyTypes
from tallybook.ingest.protocols.plain_events import plain_events
from tallybook.ingest.protocols.tallybook import _closely_decoded
from tallybook.storage import Property
from tests.conftest import COSTLY

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)

TEXTS = st.one_of(
    st.text(max_size=5),
    st.sampled_from(["", " a", "é" * 512, "é" * 513, "x" * 10_001, "\x7f", "a\nb", "\\", '"', "a/b", "\x00"]),
)
NUMBERS = st.one_of(
    st.integers(-5, 5), st.sampled_from([2**63 - 1, 2**63, -(2**63), 10**30, 1e300, -0.0, 1.5, float("nan")])
)
VALUES = st.recursive(
    st.one_of(TEXTS, NUMBERS, st.booleans(), st.none()),
    lambda inner: st.one_of(st.lists(inner, max_size=2), st.dictionaries(TEXTS, inner, max_size=2)),
    max_leaves=4,
)
TIMES = st.sampled_from(
    [
        *("2026-03-05T12:00:00Z", "2026-03-05 12:00:00.5+02:00", "2026-03-05T12:00:00", "2026-03-05"),
        *("2026-03-07T12:00:00Z", "0001-01-01T00:00:00+05:00", "1969-12-31T23:59:59Z", "", "now"),
    ]
)
EVENTS = st.fixed_dictionaries(
    {"event": st.one_of(st.sampled_from(["signup", "a b"]), TEXTS)},
    optional={
        "time": st.one_of(TIMES, st.none(), NUMBERS),
        "user": VALUES,
        "account": st.one_of(TEXTS, NUMBERS),
        "id": st.one_of(TEXTS, NUMBERS, st.booleans()),
        "properties": st.one_of(st.dictionaries(TEXTS, VALUES, max_size=3), VALUES),
        "evnt": st.just(1),
    },
)


@COSTLY
@given(
    events=st.lists(EVENTS, max_size=3), form=st.sampled_from(["list", "lines", "one", "spread"]), ascii_=st.booleans()
)
def test_what_is_decoded_at_once_is_what_one_value_after_the_other_gives(
    events: list[Any], form: str, ascii_: bool
) -> None:
    texts = [json.dumps(one, ensure_ascii=ascii_) for one in events]
    joined = {"list": f"[{','.join(texts)}]", "lines": "\n".join(texts), "one": "".join(texts[:1])}
    text = joined.get(form, json.dumps(events, indent=1, ensure_ascii=ascii_))
    same(text.encode(errors="surrogatepass"))


def same(body: bytes) -> bool:
    """Whether a body is decoded at once; then the result is that of the long way."""
    kept = EventRules(settings=EventSettings(keep=31))
    return [_same(EventRequest(body=body, path="/v1/events", received=NOW, rules=one)) for one in (kept, EventRules())][
        1
    ]


def _same(request: EventRequest) -> bool:
    found = plain_events(request)
    if found is not None:
        long_way = _closely_decoded(request)
        assert (found, []) == (list(long_way.events), long_way.rejected)
        assert repr(found) == repr(long_way.events)  # 1 is not 1.0 or true
    return found is not None


@pytest.mark.parametrize(
    ("body", "at_once"),
    [
        (
            b'[{"event":"x","time":"2026-03-05T12:00:00Z","id":7,"properties":{"a":1,"b":2.5,"c":"\xc3\xa9","d":true}}]',
            1,
        ),
        (b'{"event":"x"}', 1),
        (b'{"event":"x"}\n\n{"event":"y","user":""}\r\n', 1),
        (b'{"event":"x","properties":{"a":"C:\\\\d \\"q\\" a\\/b"}}', 1),
        (b'{"event":"x"} {"event":"y"}', 0),
        (b'{"event":"x",\n"id":"a"}\n{"event":"y"}', 0),
        (b'{"event":"x"} {"event":\n"y"}', 0),
        (b'{"event":"x","properties":{"a":"line\\nline"}}', 0),
        (b'{"event":"x","properties":{"a":NaN}}', 0),
        (b'{"event":"\xff"}', 0),
        (b"", 0),
        (b"[" + b",".join([b'{"event":"x"}'] * 10_001) + b"]", 0),
        (b'{"event":"x","properties":{' + b",".join(b'"%d":1' % i for i in range(501)) + b"}}", 0),
        (b'{"event":"x","properties":{"a":"' + "é".encode() * 10_000 + b'"}}', 1),
        (b'{"event":"x","properties":{"a":"' + "é".encode() * 10_001 + b'"}}', 0),
    ],
)
def test_usual_requests_are_decoded_at_once(body: bytes, at_once: int) -> None:
    assert same(body) == bool(at_once)


NAMES = st.sampled_from(["a", "b", "A", "a.b", "user", "properties.user"])
SCALARS = st.one_of(
    st.integers(-2, 2), st.sampled_from([1.0, 2.5]), st.sampled_from(["x", "1"]), st.booleans(), st.none()
)
INNER = st.one_of(SCALARS, st.lists(SCALARS, max_size=1), st.dictionaries(NAMES, SCALARS, max_size=2))


@COSTLY
@given(
    rows=st.lists(st.dictionaries(NAMES, st.one_of(INNER, st.dictionaries(NAMES, INNER, max_size=2)), max_size=3)),
    known=st.dictionaries(st.sampled_from(["a", "b"]), st.sampled_from(["integer", "number", "text", "flag"])),
)
def test_columns_filled_at_once_are_those_filled_one_by_one(rows: list[Any], known: dict[str, str]) -> None:
    def types() -> PropertyTypes:
        made = {name: Property(event="x", name=name, type=type_, spelled=name) for name, type_ in known.items()}
        return PropertyTypes("x", made)

    at_once, one_by_one = types(), types()
    columns, rests = PlacedProperties.of(rows, at_once)
    placed = PlacedProperties(one_by_one, {}, [None] * len(rows))
    for row, properties in enumerate(rows):
        placed._one_by_one(row, properties)

    def shown(columns: dict[str, list[Any]]) -> dict[str, str]:
        return {name: repr(values) for name, values in columns.items() if any(value is not None for value in values)}

    assert shown(columns) == shown(placed.columns)
    assert [sorted(map(repr, (rest or {}).items())) for rest in rests] == [
        sorted(map(repr, (rest or {}).items())) for rest in placed.rests
    ]
    assert at_once.known == one_by_one.known
    assert at_once.conflicts == one_by_one.conflicts
