"""`POST /v1/import/csv`: files as data loaders have them, their mapping, types, times and mistakes."""

from __future__ import annotations

import csv
import io
import json
import tracemalloc
from collections.abc import Iterator
from pathlib import Path
from typing import Any
from urllib.parse import urlencode

import pytest

from tallybook.core import EventDeclaration, EventRules, EventSettings
from tallybook.ingest import CsvMapping, rows_of_csv
from tallybook.server.entities import EntityDoor
from tallybook.storage import EntityLedger
from tests.ingest.doors import Answer, HttpDoor

DAILY = """day,email,company,Tarif,apiCalls,zip,active
2026-02-27,ann@acme.com,acme,pro,1200,01234,true
2026-02-28,ann@acme.com,acme,pro,1300,81234,false
2026-02-28,bob@beta.io,beta,free,7,,TRUE
"""
MAPPING = {
    "event": "dailyApiCalls",
    "user": "email",
    "account": "company",
    "properties": "plan=Tarif,apiCalls,zip,active",
}


@pytest.fixture
def door(tmp_path: Path) -> Iterator[HttpDoor]:
    made = HttpDoor(tmp_path / "book")
    made.app.entities = EntityDoor(EntityLedger(made.events.ledger), lambda: made.now)
    yield made
    made.commit.close()
    made.events.close()


def load(door: HttpDoor, text: str | bytes, key: str | None = None, **mapping: str) -> Answer:
    body = text if isinstance(text, bytes) else text.encode()
    return door.ask("POST", f"/v1/import/csv?{urlencode(mapping)}", body, key or door.writer)


def events(door: HttpDoor, event: str) -> list[tuple[Any, ...]]:
    door.compact(settings=door.app.rules.settings)
    reads = door.app.reads
    assert reads is not None
    found = door.ask("GET", f"/v1/events?event={event}&limit=1000", key=door.reader).json["events"]
    return [
        (one["time"].replace(".000000", "").replace("00000Z", "Z"), one["user"], one["account"], one["properties"])
        for one in found
    ]


def test_columns_become_events_with_the_types_that_all_their_cells_have(door: HttpDoor) -> None:
    answer = load(door, DAILY, **MAPPING, zone="Europe/Berlin")
    assert (answer.status, answer.json["stored"], answer.json["rejected"]) == (200, 3, [])
    assert sorted(events(door, "dailyApiCalls")) == [
        ("2026-02-26T23:00:00Z", "ann@acme.com", "acme", {"plan": "pro", "apiCalls": 1200, "zip": "01234", "active": True}),
        ("2026-02-27T23:00:00Z", "ann@acme.com", "acme", {"plan": "pro", "apiCalls": 1300, "zip": "81234", "active": False}),
        ("2026-02-27T23:00:00Z", "bob@beta.io", "beta", {"plan": "free", "apiCalls": 7, "active": True}),
    ]  # fmt: skip


def test_a_file_that_is_loaded_again_is_stored_once_and_equal_rows_are_several(door: HttpDoor) -> None:
    text = "time,event\n2026-02-28T10:00:00Z,click\n2026-02-28T10:00:00Z,click\n"
    for _ in range(2):
        assert load(door, text).json["rejected"] == []
    longer = load(door, text + "2026-02-28T11:00:00Z,click\n")
    assert longer.status == 200
    assert len(events(door, "click")) == 3


def test_daily_values_replace_those_of_the_same_day(door: HttpDoor) -> None:
    for seats in (100, 160):
        text = f"day,account,seats\n2026-02-28,acme,{seats}\n"
        assert load(door, text, type="values", event="seats").json["stored"] == 1
    found = [properties["seats"] for *_, properties in events(door, "seats")]
    assert found == [100, 160]  # both were received; the latest counts


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2026-02-28", "2026-02-28"),
        ("2026-02-28 00:00:00", "2026-02-28"),
        ("2026-02-28T00:00:00+05:00", "2026-02-28"),
        ("2026-02-28T23:30:00Z", None),  # the next day in Berlin
        ("2026-02-28x", None),
        ("28.02.2026", None),
    ],
)
def test_a_daily_value_has_a_day_and_no_time_of_day(door: HttpDoor, text: str, day: str | None) -> None:
    answer = load(door, f"day,value\n{text},5\n", type="values", event="seats")
    assert (answer.status, [one["code"] for one in answer.json["rejected"]]) == (
        (200, []) if day else (422, ["bad_time"])
    )
    door.compact()
    assert [str(one) for (one,) in door.stored("seats", "day")] == ([day] if day else [])


def test_declared_integers_may_have_64_bits(door: HttpDoor) -> None:
    text = "n,time\n9007199254740993,2026-02-28T10:00:00Z\n9223372036854775807,2026-02-28T11:00:00Z\n"
    assert load(door, text, event="e", types="n=integer").json["stored"] == 2
    assert [one[3] for one in events(door, "e")] == [{"n": 9007199254740993}, {"n": 9223372036854775807}]


def test_users_and_accounts_get_attributes_in_the_words_of_the_vendors_loader_too(door: HttpDoor) -> None:
    assert load(door, "id,email,seats\n7,ann@acme.com,5\n8,,\n", type="USER").json["kept"] == 1
    text = "Account;Plan\nacme;team\nacme;pro\n"  # the last row holds
    assert load(door, text, type="accounts", id="Account", delimiter=";").json["kept"] == 1
    found = door.ask("GET", "/v1/users/7", key=door.reader).json["attributes"]
    assert {name: one["value"] for name, one in found.items()} == {"email": "ann@acme.com", "seats": 5}
    assert door.ask("GET", "/v1/accounts/acme", key=door.reader).json["attributes"]["Plan"]["value"] == "pro"
    bound = door.new_key("bound", scopes=("write",), accounts=("acme",))
    door.keys.refresh()
    assert load(door, "id,plan\nbeta,pro\n", bound, type="accounts").json["code"] == "not_bound"


def test_a_cell_of_another_type_is_left_out_with_a_warning_and_strict_rejects_its_row(door: HttpDoor) -> None:
    text = "day,calls\n2026-02-27,12\n2026-02-28,n/a\n2026-02-28,Infinity\n"
    answer = load(door, text, event="calls", types="calls=number", dry_run="true")
    assert [one["index"] for one in answer.json["warnings"]] == [1, 2]
    assert answer.json["example"]["properties"] == {"calls": 12}
    strict = load(door, text, event="calls", types="calls=number", strict="true")
    assert [(one["index"], one["code"], one["field"]) for one in strict.json["rejected"]] == [
        (1, "bad_number", "calls"), (2, "bad_number", "calls"),
    ]  # fmt: skip
    assert [one[3] for one in events(door, "calls")] == [{"calls": 12}]  # the dry run stored nothing
    declared = EventDeclaration(name="declared", types={"calls": "number"}, spelled={"calls": "calls"})
    door.app.set_rules(EventRules(settings=EventSettings(declared={"declared": declared})))
    answer = load(door, "day,calls\n2026-02-28,many\n", event="declared")
    assert (answer.json["stored"], answer.json["warnings"][0]["field"]) == (1, "calls")


TIMES = {
    "2026-02-28": ("2026-02-27T23:00:00Z", {}),
    "2026-02-28 10:30:00": ("2026-02-28T09:30:00Z", {}),
    "2026-02-28T10:30:00.5": ("2026-02-28T09:30:00.5Z", {}),
    "2026-02-28T10:30:00+05:30": ("2026-02-28T05:00:00Z", {}),
    "1772271000": ("2026-02-28T09:30:00Z", {"unit": "s"}),
    "1772271000000": ("2026-02-28T09:30:00Z", {"unit": "ms"}),
}


@pytest.mark.parametrize(("text", "time", "more"), [(text, *one) for text, one in TIMES.items()], ids=TIMES)
def test_times_are_of_the_zone_unless_they_name_one(door: HttpDoor, text: str, time: str, more: dict[str, str]) -> None:
    answer = load(door, f"time,event\n{text},x\n", zone="Europe/Berlin", **more)
    assert answer.json["rejected"] == []
    assert [one[0] for one in events(door, "x")] == [time]


def test_rows_that_are_no_events_are_rejected_by_their_number_and_the_others_stored(door: HttpDoor) -> None:
    now, naive = "2026-02-28T10:00:00Z", "2026-02-28T10:00:00"
    rows = [f"{now},a,1", "soon,a,2", f"{naive},a,3", f"{now},a", f"{now},,5", "2099-01-01T00:00:00Z,a,6", f"{now},a,7"]
    text = "\n".join(["time,event,n", *rows])
    answer = load(door, text)
    assert answer.status == 200
    assert [(one["index"], one["code"]) for one in answer.json["rejected"]] == [
        (1, "bad_time"), (2, "naive_time"), (3, "bad_text"), (4, "no_event"), (5, "future"),
    ]  # fmt: skip
    assert sorted(one[3]["n"] for one in events(door, "a")) == [1, 7]
    assert load(door, "time,event\nsoon,a\n").status == 422


MISTAKES: dict[str, tuple[bytes, dict[str, str], int, str]] = {
    "no body": (b"", {}, 400, "bad_text"),
    "no headings": (b"\n", {}, 400, "bad_text"),
    "not UTF-8": ("größe\n".encode("latin-1"), {}, 400, "bad_encoding"),
    "an open quote": (b'event,x\na,"b\n', {}, 400, "bad_text"),
    "a column that is not there": (b"event,mail\na,b\n", {"user": "email"}, 400, "bad_name"),
    "no name of the events": (b"x\n1\n", {}, 400, "bad_name"),
    "a column twice": (b"event,x,x\na,1,2\n", {}, 400, "bad_name"),
    "users without an id": (b"email\na\n", {"type": "users"}, 400, "bad_name"),
    "values without a day": (b"event,value\na,1\n", {"type": "values"}, 400, "bad_name"),
    "a parameter that is none": (b"event\na\n", {"sep": ";"}, 400, "bad_name"),
    "a zone that is none": (b"event\na\n", {"zone": "Mars/Olympus"}, 400, "bad_text"),
    "a type that is none": (b"event,x\na,1\n", {"types": "x=money"}, 400, "bad_text"),
    "a long delimiter": (b"event\na\n", {"delimiter": "||"}, 400, "bad_text"),
    "a flag that is none": (b"event\na\n", {"strict": "perhaps"}, 400, "bad_text"),
}


@pytest.mark.parametrize(("body", "mapping", "status", "code"), MISTAKES.values(), ids=MISTAKES)
def test_a_file_or_mapping_that_cannot_be_read_is_refused(
    door: HttpDoor, body: bytes, mapping: dict[str, str], status: int, code: str
) -> None:
    answer = load(door, body, **mapping)
    assert (answer.status, answer.json["code"]) == (status, code)
    assert answer.json["message"]


def test_a_file_of_a_spreadsheet_with_a_mark_quotes_and_line_breaks_is_read_as_it_was_written(door: HttpDoor) -> None:
    rows = [
        {"event": "note", "text": 'two\nlines, "quoted"', "who": "Zoë"},
        {"event": "note", "text": "=1+1", "who": ""},
    ]
    file = io.StringIO(newline="")
    writer = csv.DictWriter(file, list(rows[0]), dialect="excel")
    writer.writeheader()
    writer.writerows(rows)
    assert load(door, b"\xef\xbb\xbf" + file.getvalue().encode()).json["stored"] == 2
    found = [json.dumps(one[3], ensure_ascii=False, sort_keys=True) for one in events(door, "note")]
    wanted = [{name: value for name, value in row.items() if value and name != "event"} for row in rows]
    assert sorted(found) == sorted(json.dumps(one, ensure_ascii=False, sort_keys=True) for one in wanted)


def test_only_keys_that_may_write_load_files_and_not_too_many_rows(door: HttpDoor) -> None:
    assert load(door, DAILY, door.reader).status == 403
    page = door.new_key("page", scopes=("browser",))
    door.keys.refresh()
    assert load(door, DAILY, page).status == 403
    assert door.ask("GET", "/v1/import/csv", key=door.writer).status == 405
    full = "event\n" + "a\n" * 10_000
    assert load(door, full).json["stored"] == 10_000
    refused = load(door, full + "\na\n")
    assert (refused.status, refused.json["code"], refused.json["seen"]) == (413, "too_large", "more than 10,000 rows")


@pytest.mark.parametrize("size", [5_000_001, 1_000_000])
@pytest.mark.parametrize(
    ("kind", "command"),
    [
        ("CUSTOM_EVENT", "tallybook events import FILE --server URL"),
        ("values", "tallybook events import FILE --server URL"),
        ("ACCOUNT", "tallybook accounts import FILE"),
    ],
)
def test_the_refusal_of_a_large_file_names_the_command_for_any_size(
    door: HttpDoor, size: int, kind: str, command: str
) -> None:
    refused = load(door, ("id,day,x\n" + "7,2026-03-01,1\n" * (size // 15 + 1)), type=kind, event="e")
    assert (refused.status, refused.json["code"], command in refused.json["message"]) == (413, "too_large", True)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"event\n" + b"a\n" * 2_000_000, "too_large"),  # rows
        (b"event" + b",a" * 2_000_000, "bad_text"),  # columns
        (b'event\na,"' + b'a\n","' * 800_000 + b'"', "bad_text"),  # cells of one row over many lines
    ],
)
def test_reading_a_file_needs_little_memory_whatever_is_in_it(body: bytes, code: str) -> None:
    tracemalloc.start()
    try:
        found = rows_of_csv(body, CsvMapping(), EventRules())
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert (found.error is not None and found.error.code) == code
    assert peak < 64_000_000
