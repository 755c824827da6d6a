"""Events from the command line: one by `track`, files by `events import`, and back by `events export`."""

from __future__ import annotations

import csv
import io
import json
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

import tallybook
from tallybook.cli import invoke
from tallybook.ingest import LocalSender
from tests.ingest.test_event_log import Ingest

NOW = datetime(2026, 3, 5, 12, tzinfo=UTC)
TOML = """
[book]
name = "Acme"
timezone = "Europe/Berlin"
start = "2026-03-01"

[metrics.signups]
event = "signup"
measure = "count(*)"
by = ["plan"]
"""
Command = Callable[..., tuple[int, str, str]]


@pytest.fixture
def command(tmp_path: Path) -> Command:
    (tmp_path / "p").mkdir()
    (tmp_path / "p" / "tallybook.toml").write_text(TOML)

    def run(*words: str, now: datetime = NOW) -> tuple[int, str, str]:
        out, err = io.StringIO(), io.StringIO()
        code = invoke(["--project", str(tmp_path / "p"), *words], now=lambda: now, stdout=out, stderr=err, env={})
        return code, out.getvalue(), err.getvalue()

    return run


def rows_of(command: Command, *words: str) -> list[dict[str, Any]]:
    code, out, err = command("query", "--event", *words, "--format", "json")
    assert code == 0, err
    found: list[dict[str, Any]] = json.loads(out)["rows"]
    return found


def imported(command: Command, *words: str) -> dict[str, Any]:
    _, out, err = command("events", "import", *words, "--format", "json")
    assert out, err
    found: dict[str, Any] = json.loads(out)
    return found


def test_tracked_events_are_answered_at_once_without_a_server(command: Command) -> None:
    yesterday = ("--time", "2026-03-04T12:00:00Z")
    assert command("track", "signup", "plan=pro", "seats=5", 'zip="01234"', *yesterday, "--id", "s-1")[0] == 0
    again = command("track", "signup", "plan=pro", "seats=6", "ok=true", *yesterday, "--id", "s-1")
    assert again[:2] == (0, "Stored before, with the id s-1.\n")
    assert command("track", "signup", "plan=free", "seats=7", *yesterday, "--user", "u")[0] == 0
    (row,) = rows_of(command, "signup", "--count", "--sum", "seats", "--distinct", "user")
    assert (row["period"], row["count"], row["sum_seats"], row["distinct_user"]) == ("2026-03-04", 2, 12, 1)
    code, _out, _ = command("run", "signups", "--quiet")
    assert code == 0
    assert (
        json.loads(command("query", "signups", "--from", "2026-03-03", "--format", "json")[1])["rows"][-1]["signups"]
        == 2
    )
    schema = json.loads(command("events", "schema", "--format", "json")[1])["events"]["signup"]
    assert schema["properties"] == {"plan": "text", "seats": "integer", "zip": "text"}
    assert (schema["events"], schema["metrics"]) == (2, ["signups"])
    assert "seats" in command("events", "schema", "signup")[1]


def test_what_cannot_be_tracked_is_refused_with_its_reason(command: Command) -> None:
    for words, reason in (
        (("signup", "--time", "2026-03-04T12:00:00"), "has no zone"),
        (("signup", "plan"), "write KEY=VALUE"),
        (("signup", "--server", "http://127.0.0.1:1"), "needs a key in TALLYBOOK_KEY"),
    ):
        code, _, err = command("track", *words)
        assert (code, reason in err) == (2, True), err
    assert "no event 'signup'" in command("query", "--event", "signup", "--count")[2]


def csv_file(folder: Path, rows: list[dict[str, Any]], name: str = "old.csv") -> str:
    with (folder / name).open("w", newline="") as file:
        writer = csv.DictWriter(file, list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
    return str(folder / name)


def test_rows_of_a_csv_file_are_stored_once_however_often_they_are_imported(command: Command, tmp_path: Path) -> None:
    rows = [
        {"created_at": f"2026-03-0{1 + i % 3}T10:00:00Z", "plan": "pro", "zip": "01234", "amount": i % 2, "vip": "true"}
        for i in range(12)
    ]
    file = csv_file(tmp_path, rows)
    how = (file, "--event", "signup", "--time", "created_at")
    dry = imported(command, *how, "--dry-run")
    assert (dry["rows"], dry["stored"], dry["rejected"]) == (12, 0, 0)
    assert dry["types"] == {"created_at": "text", "plan": "text", "zip": "text", "amount": "integer", "vip": "flag"}
    assert dry["example"]["properties"] == {"plan": "pro", "zip": "01234", "amount": 0, "vip": True}
    first, again = imported(command, *how), imported(command, *how)
    assert (first["stored"], first["known"]) == (12, 0)
    assert (again["stored"], again["known"]) == (0, 12)
    csv_file(tmp_path, [*rows, rows[0]])  # the file grew by a row like its first one
    grown = imported(command, *how)
    assert (grown["stored"], grown["known"]) == (1, 12)
    days = rows_of(command, "signup", "--count", "--sum", "amount")
    assert [(row["count"], row["sum_amount"]) for row in days] == [(5, 2), (4, 2), (4, 2), (0, 0)]


def test_a_column_with_the_same_value_as_the_column_properties_is_kept(command: Command, tmp_path: Path) -> None:
    row = {"time": "2026-03-04T12:00:00Z", "properties": 1, "seats": 1, "plan": "pro"}
    (tmp_path / "in.ndjson").write_text(json.dumps(row) + "\n")
    example = imported(command, str(tmp_path / "in.ndjson"), "--event", "signup", "--dry-run")["example"]
    assert example["properties"] == {"properties": 1, "seats": 1, "plan": "pro"}


def test_an_import_that_was_killed_goes_on_where_it_was(
    command: Command, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tallybook.ingest.importing.MAX_BATCH", 10)
    file = csv_file(tmp_path, [{"time": "2026-03-02T10:00:00Z", "n": n} for n in range(35)])
    send, calls = LocalSender.send, []

    def dies(self: LocalSender, events: Any) -> Any:
        calls.append(len(events))
        if len(calls) == 3:
            raise KeyboardInterrupt
        return send(self, events)

    monkeypatch.setattr(LocalSender, "send", dies)
    monkeypatch.setattr(LocalSender, "close", lambda self: self.log.close())  # nothing is compacted
    command("events", "import", file, "--event", "signup")
    monkeypatch.undo()
    done = imported(command, file, "--event", "signup")
    assert (done["stored"], done["known"]) == (15, 20)
    assert sum(row["count"] for row in rows_of(command, "signup", "--count")) == 35


def test_ids_are_known_for_longer_than_compaction_remembers_them(command: Command, tmp_path: Path) -> None:
    file = csv_file(tmp_path, [{"time": "2026-03-02T10:00:00Z", "id": n} for n in range(3)])
    assert imported(command, file, "--event", "signup")["stored"] == 3
    later = datetime(2026, 9, 1, tzinfo=UTC)
    _, out, _ = command("events", "import", file, "--event", "signup", "--format", "json", now=later)
    assert json.loads(out)["known"] == 3


def test_bad_rows_are_listed_and_written_and_good_ones_are_stored(command: Command, tmp_path: Path) -> None:
    lines = [
        '{"ts": "2026-03-02T10:00:00Z", "props": {"n": 1, "user": "x"}}',
        "not json",
        '{"ts": "2026-03-02T10:00:00", "props": {"n": 2}}',
        '{"ts": "2026-03-02", "props": {"n": 3}}',
        '{"ts": "2027-01-01T00:00:00Z", "props": {"n": 4}}',
        '{"ts": "2026-03-02T10:00:00Z", "props": {"n": 5}, "user": "%s"}' % ("u" * 600),
    ]
    (tmp_path / "in.ndjson").write_text("\n".join(lines))
    errors = tmp_path / "bad.ndjson"
    words = (str(tmp_path / "in.ndjson"), "--event", "commit", "--time", "ts", "--properties", "props.*")
    code, out, err = command("events", "import", *words, "--errors", str(errors))
    assert (code, "6 rows: 2 stored, 0 stored before, 4 rejected." in out) == (1, True)
    found = [json.loads(line) for line in errors.read_text().splitlines()]
    assert sorted((one["row"], one["code"]) for one in found) == [
        (2, "row"),
        (3, "row"),
        (5, "future"),
        (6, "bad_text"),
    ]
    assert "--zone UTC" in err
    assert [row["sum_n"] for row in rows_of(command, "commit", "--sum", "n", "--to", "2026-03-02")] == [4]


def test_events_with_one_name_too_many_are_not_called_stored(command: Command, tmp_path: Path) -> None:
    toml = tmp_path / "p" / "tallybook.toml"
    toml.write_text(toml.read_text() + "\n[events]\nmax_events = 2\n")
    file = tmp_path / "some.ndjson"
    lines = [{"event": name, "time": "2026-03-04T10:00:00Z", "id": name} for name in "abca"]
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    found = imported(command, str(file))
    assert (found["stored"], found["rejected"]) == (3, 1)
    code, _, err = command("track", "d")
    assert (code, "2 names" in err) == (2, True)
    with tallybook.Client(book=tmp_path / "p") as client:
        client.track("e")
        report = client.flush()
        assert (report.stored, report.rejected) == (0, 1)
        with pytest.raises(tallybook.EventsLost):
            client.close()


def test_an_import_keeps_to_the_limit_of_events_in_a_request(command: Command, tmp_path: Path) -> None:
    toml = tmp_path / "p" / "tallybook.toml"
    toml.write_text(toml.read_text() + "\n[events]\nmax_batch = 2\n")
    file = tmp_path / "some.ndjson"
    lines = [{"event": "e", "time": "2026-03-04T10:00:00Z", "id": str(n)} for n in range(5)]
    lines[3]["time"] = "2027-03-04T10:00:00Z"  # ahead
    file.write_text("".join(f"{json.dumps(one)}\n" for one in lines))
    errors = tmp_path / "bad.ndjson"
    found = imported(command, str(file), "--errors", str(errors))
    assert (found["stored"], found["rejected"]) == (4, 1)
    assert [json.loads(line)["row"] for line in errors.read_text().splitlines()] == [4]


def test_parquet_is_imported_and_exported_with_its_types(command: Command, tmp_path: Path) -> None:
    times = pa.array(
        [datetime(2026, 3, 2, 10, tzinfo=UTC), datetime(2026, 3, 3, 10, tzinfo=UTC)], pa.timestamp("us", "UTC")
    )
    table = pa.table({"at": times, "who": ["a", "b"], "n": pa.array([2**60, 7], pa.int64()), "x": [0.5, None]})
    pq.write_table(table, tmp_path / "in.parquet")
    words = ("--event", "click", "--time", "at", "--user", "who")
    assert imported(command, str(tmp_path / "in.parquet"), *words)["stored"] == 2
    wrong = command("events", "import", str(tmp_path / "in.parquet"), "--event", "click", "--user", "whom")
    assert (wrong[0], "did you mean 'who'?" in wrong[2]) == (2, True)
    out = tmp_path / "out.parquet"
    code, _, err = command(
        "events", "export", "--event", "click", "--from", "2026-03-02", "--to", "2026-03-02", "-o", str(out)
    )
    assert code == 0, err
    (row,) = pq.read_table(out).to_pylist()
    assert list(row) == ["time", "day", "received", "user", "account", "id", "key", "n", "x", "rest"]
    assert (row["user"], row["n"], row["x"], row["key"]) == ("a", 2**60, 0.5, "import")


def test_exported_lines_are_imported_into_another_book_with_their_ids(command: Command, tmp_path: Path) -> None:
    command("track", "signup", "plan=pro", "seats=5", "--time", "2026-03-04T12:00:00Z", "--id", "s-1")
    command("track", "signup", "seats=many", "--time", "2026-03-04T13:00:00Z", "--account", "acme")
    assert command("events", "export", "-o", str(tmp_path / "all.ndjson"))[0] == 0
    lines = [json.loads(line) for line in (tmp_path / "all.ndjson").read_text().splitlines()]
    assert [(one["properties"], one.get("account")) for one in lines] == [
        ({"plan": "pro", "seats": 5}, None),
        ({"seats": "many"}, "acme"),
    ]
    assert lines[0]["id"] == "s-1"
    assert json.loads(command("events", "export", "--account", "acme")[1])["id"] == lines[1]["id"]
    (tmp_path / "other").mkdir()
    (tmp_path / "other" / "tallybook.toml").write_text(TOML)
    other = ("--project", str(tmp_path / "other"))
    for stored in (2, 0):
        assert imported(command, str(tmp_path / "all.ndjson"), *other)["stored"] == stored
    _code, out, _ = command("events", "export", *other)
    again = [json.loads(line) for line in out.splitlines()]
    left_out = ("received", "key")
    assert [{k: v for k, v in one.items() if k not in left_out} for one in again] == [
        {k: v for k, v in one.items() if k not in left_out} for one in lines
    ]


def test_hosts_are_listed_and_declared_gone(command: Command) -> None:
    assert "No host has served yet" in command("events", "hosts")[1]
    code, _, err = command("events", "hosts", "--gone", "web-1")
    assert (code, "there is no host 'web-1'" in err) == (2, True)


def test_stored_and_rejected_events_are_shown_and_replayed(command: Command, tmp_path: Path) -> None:
    for n in range(3):
        assert command("track", "signup", f"n={n}", "--time", f"2026-03-04T1{n}:00:00Z", "--user", "u")[0] == 0
    lines = command("events", "tail", "-n", "2")[1].splitlines()
    assert lines == ["2026-03-04T11:00:00Z  signup  user=u  n=1", "2026-03-04T12:00:00Z  signup  user=u  n=2"]
    found = [json.loads(line) for line in command("events", "tail", "--format", "json")[1].splitlines()]
    assert [one["properties"]["n"] for one in found] == [0, 1, 2]
    assert command("events", "tail", "--event", "other")[1] == ""
    ingest = Ingest(tmp_path / "p" / "book")
    ingest.send({"event": "signup", "time": "2026-03-07T00:00:00Z"}, {"event": "signup", "time": "2026-03-04T00:00:00"})
    ingest.compact()
    ingest.commit.close()
    assert "naive_time" in command("events", "rejected")[1]
    one = json.loads(command("events", "rejected", "--code", "future", "--format", "json")[1])["rejected"]
    assert [(why["key"], why["code"]) for why in one] == [("loader", "future")]
    assert command("events", "rejected", "--to", "2026-03-04")[1] == "No event was rejected.\n"
    later = datetime(2026, 3, 8, tzinfo=UTC)
    assert json.loads(command("events", "replay", "--format", "json", now=later)[1]) == {
        "stored": 1, "duplicates": 0, "rejected": 1
    }  # fmt: skip


def test_the_declaration_of_an_event_is_that_of_commands_too(command: Command, tmp_path: Path) -> None:
    toml = tmp_path / "p" / "tallybook.toml"
    toml.write_text(TOML + '\n[events.signup]\nschema = "strict"\nrequired = ["plan"]\n')
    at = ("--time", "2026-03-04T10:00:00Z")
    code, _, err = command("track", "signup", "seats=1", *at)
    assert (code, "plan" in err) == (2, True)
    ingest = Ingest(tmp_path / "p" / "book")
    ingest.send({"event": "signup", "time": "2026-03-07T00:00:00Z"})  # too far ahead, and without a plan
    ingest.compact()
    ingest.commit.close()
    later = datetime(2026, 3, 8, tzinfo=UTC)
    assert json.loads(command("events", "replay", "--format", "json", now=later)[1])["rejected"] == 1
