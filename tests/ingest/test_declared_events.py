"""What `[events]` and `[events.NAME]` declare is held against each event: types, required keys, allowed texts, limits."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

import tallybook
from tallybook.core import PROTOCOLS, EventLimits, EventRequest, EventRules, EventSettings
from tallybook.ingest import decode_row
from tests.ingest.test_event_log import ROW
from tests.ingest.test_event_metrics import HEAD, EventBook

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
CALL = {"event": "call", "time": "2026-03-01T12:00:00Z"}
STRICT = """
[events.call]
schema = "strict"
required = ["ms", "account"]
properties = { ms = "number", api = ["rest", "soap"], at = "time", "geo.zip" = "text", ok = "flag" }
"""
CALLS = '\n[metrics.calls]\nevent = "call"\nmeasure = "sum(ms)"\n'


def settings(folder: Path, text: str) -> EventSettings:
    (folder / "tallybook.toml").write_text(HEAD + text)
    with tallybook.open(folder) as book:
        return book.project.catalog.events


def decoded(found: EventSettings, *events: dict[str, Any], path: str = "/v1/events") -> Any:
    import json

    row = ROW.__class__(
        received=NOW, key="k", protocol="tallybook", path=path, headers="{}", body=json.dumps(list(events)).encode()
    )
    return decode_row(row, EventRules(settings=found, zone="Europe/Berlin"))


@pytest.mark.parametrize(
    ("properties", "field", "said"),
    [
        ({}, "properties.ms", "needs the property 'ms'"),
        ({"ms": "5"}, "properties.ms", "'ms' of call is a number, not text"),
        ({"ms": 5, "api": "grpc"}, "properties.api", "is one of rest, soap, not 'grpc'"),
        ({"ms": 5, "api": 3}, "properties.api", "is text, not an integer"),
        ({"ms": 5, "at": "2026-03-01T12:00:00"}, "properties.at", "a time with a zone"),
        ({"ms": 5, "geo": {"zip": 10115}}, "properties.geo.zip", "is text, not an integer"),
        ({"ms": 5, "ok": 1}, "properties.ok", "is true or false, not an integer"),
        ({"ms": [5]}, "properties.ms", "not a list or an object"),
    ],
)
def test_a_strict_event_that_is_not_as_declared_is_rejected_by_field(
    tmp_path: Path, properties: dict[str, Any], field: str, said: str
) -> None:
    found = decoded(settings(tmp_path, STRICT), {**CALL, "account": "a", "properties": properties})
    (rejection,) = found.rejected
    assert (rejection.code, rejection.field) == ("schema", field)
    assert said in rejection.reason
    assert not found.events


def test_events_as_declared_and_other_events_are_good(tmp_path: Path) -> None:
    strict = settings(tmp_path, STRICT)
    good = {"ms": 5, "API": "soap", "at": "2026-03-01T12:00:00+01:00", "geo": {"zip": "1"}, "more": 1}
    found = decoded(strict, {**CALL, "account": "a", "properties": good}, {"event": "other"})
    assert (len(found.events), [*found.rejected, *found.warnings]) == (2, [])


def test_an_event_that_is_warned_of_is_stored_and_off_says_nothing(tmp_path: Path) -> None:
    warn = decoded(settings(tmp_path, STRICT.replace('schema = "strict"\n', "")), {**CALL, "properties": {"ms": 1}})
    assert (len(warn.events), [one.field for one in warn.warnings]) == (1, ["properties.account"])
    off = decoded(settings(tmp_path, STRICT.replace("strict", "off")), {**CALL, "properties": {"ms": 1}})
    assert (len(off.events), [*off.warnings]) == (1, [])


@pytest.mark.parametrize(
    ("limit", "event", "code"),
    [
        ({"max_name": 3}, {"event": "call"}, "bad_name"),
        ({"max_id": 3}, {"event": "x", "user": "long"}, "bad_text"),
        ({"max_text": 3}, {"event": "x", "properties": {"a": "long"}}, "bad_text"),
        ({"max_key": 3}, {"event": "x", "properties": {"long": 1}}, "bad_name"),
        ({"max_depth": 1}, {"event": "x", "properties": {"a": {"b": 1}}}, "too_deep"),
        ({"max_properties": 1}, {"event": "x", "properties": {"a": 1, "b": 1}}, "too_many_properties"),
        ({"max_event": 20}, {"event": "x", "properties": {"a": "a" * 30}}, "too_large"),
    ],
)
def test_each_limit_is_a_key_of_events(limit: dict[str, int], event: dict[str, Any], code: str) -> None:
    (rejection,) = decoded(EventSettings(limits=EventLimits(**limit)), event).rejected
    assert rejection.code == code
    assert not decoded(EventSettings(), event).rejected


def test_limits_of_a_request_refuse_all_of_it(tmp_path: Path) -> None:
    found = decoded(settings(tmp_path, "[events]\nmax_batch = 1\n"), {"event": "a"}, {"event": "b"})
    assert found.error.status == 413
    assert "at most 1" in found.error.expected


@pytest.mark.parametrize(
    ("naive", "time"), [("utc", "2026-03-01T10:00:00+00:00"), ("book", "2026-03-01T09:00:00+00:00"), ("refuse", None)]
)
def test_a_time_without_a_zone_is_what_naive_says(naive: str, time: str | None) -> None:
    found = decoded(EventSettings(naive=naive), {"event": "x", "time": "2026-03-01T10:00:00"})
    assert [one.code for one in found.rejected] == ([] if time else ["naive_time"])
    assert [event.time.isoformat() for _, event in found.events] == ([time] if time else [])


def test_future_says_how_far_ahead_an_event_may_be() -> None:
    ahead = {"event": "x", "time": "2026-03-05T14:00:00Z"}
    (rejection,) = decoded(EventSettings(future=3600), ahead).rejected
    assert rejection.reason == "time '2026-03-05T14:00:00Z' is more than 1 h after its receipt"
    request = EventRequest(body=b'{"event": "x", "time": "2026-03-05T14:00:00Z"}', path="/v1/events", received=NOW)
    assert len(PROTOCOLS.adapter("tallybook").decode(request).events) == 1


@pytest.fixture
def book(tmp_path: Path) -> Iterator[EventBook]:
    made = EventBook(tmp_path / "p", STRICT + CALLS)
    yield made
    made.book.close()
    made.ingest.commit.close()


def test_compaction_rejects_what_is_not_as_declared_and_pins_declared_types(book: EventBook) -> None:
    found = book.book.project.catalog.events
    book.ingest.send({**CALL, "account": "a", "properties": {"ms": 5}}, {**CALL, "properties": {"ms": 1}})
    book.ingest.send({**CALL, "account": "a", "properties": {"ms": 0.5}})
    book.ingest.compact(settings=found)
    assert book.ingest.stored("call", "ms") == [(0.5,), (5.0,)]
    (pinned,) = book.ingest.events.snapshot().properties["call"]
    assert (pinned.type, pinned.conflicts) == ("number", 0)
    book.run()
    assert book.ask("calls")["2026-03-01"] == 5.5


def test_an_event_of_one_name_too_many_is_rejected_and_kept(book: EventBook) -> None:
    book.ingest.send({"event": "a"}, {"event": "b"}, {"event": "a"}, {"event": "c"})
    book.ingest.compact(settings=EventSettings(max_events=2))
    book.ingest.send({"event": "c"}, {"event": "b"})
    book.ingest.compact(settings=EventSettings(max_events=2))
    assert [len(book.ingest.stored(name)) for name in "abc"] == [2, 2, 0]
    assert len(book.ingest.stored("", "body")) == 2


def test_metrics_in_files_of_sql_read_events(tmp_path: Path) -> None:
    files = {
        "big": '-- source = "events"\n-- time = "time"\n-- measure = "sum(ms)"\nselect time, ms from call where ms > 1\n',
        "calls": '-- event = "call"\n-- measure = "count(*)"\n',
    }
    book = EventBook(tmp_path / "p", "", files={f"metrics/{name}.sql": text for name, text in files.items()})
    book.send(*({**CALL, "properties": {"ms": ms}} for ms in (1, 5)))
    book.run()
    assert (book.ask("big")["2026-03-01"], book.ask("calls")["2026-03-01"]) == (5, 2)
    book.book.close()
    book.ingest.commit.close()


def test_a_declared_event_and_its_properties_are_there_before_the_first_value(tmp_path: Path) -> None:
    declared = '[events.call]\nproperties = { ms = "number", Plan = "text" }\n'
    book = EventBook(tmp_path / "p", declared + CALLS + 'by = ["Plan"]\n')
    book.send({"event": "other"})
    book.run()
    assert book.ask("calls")["2026-03-01"] == 0
    book.send({**CALL, "properties": {"ms": 7}})
    book.run()
    assert book.ask("calls")["2026-03-01"] == 7
    book.book.close()
    book.ingest.commit.close()


def test_check_knows_the_events_that_came(tmp_path: Path) -> None:
    book = EventBook(tmp_path / "p", CALLS.replace('"call"', '"cal"'))
    book.send({**CALL, "properties": {"ms": 7}})
    ((problem,),) = (look.problems for look in book.book.look())
    assert (problem.path, problem.paste) == ("metrics.calls.event", 'event = "call"')
    book.book.close()
    book.ingest.commit.close()


def test_a_wire_protocol_that_is_not_there_is_reported_with_the_one_that_was_meant(tmp_path: Path) -> None:
    assert settings(tmp_path, '[events]\nprotocols = ["tallybook", "segment"]').protocols == (
        "tallybook",
        "segment",
    )
    with pytest.raises(tallybook.DeclarationError, match="there is no such wire protocol") as raised:
        settings(tmp_path, '[events]\nprotocols = ["segmnt"]')
    assert "did you mean 'segment'?" in f"{raised.value} {raised.value.hint}"


def test_metrics_and_accounts_say_which_events_are_daily_and_which_group_is_the_account(tmp_path: Path) -> None:
    seats = '[metrics.seats]\nevent = "seats"\ndaily_aggregate = true\nmeasure = "sum(value)"\n'
    text = f'\n[accounts]\ngroups = "workspace"\n{seats}'
    found = settings(tmp_path, text)
    assert (found.groups, found.daily, found.is_daily("seats"), found.is_daily("signup")) == (
        "workspace",
        ("seats",),
        True,
        False,
    )
