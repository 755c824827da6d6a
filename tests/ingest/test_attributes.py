"""Attributes that are pushed: what is kept, what is rejected by code, and files that are imported."""

from __future__ import annotations

import json
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.core import QueryError
from tallybook.ingest import decode_changes
from tests.projects import Project, project

__all__ = ["project"]

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)


@pytest.fixture
def found(project: Any) -> Project:
    made: Project = project("sqlite")
    made.declare("[accounts]\n[users]\n")
    return made


def shown(found: Project, entity_id: str = "7", kind: str = "accounts") -> dict[str, Any]:
    details = found.book.entities(kind).show(entity_id)
    return {name: one.value for name, one in details.attributes.items()}


def test_what_is_pushed_can_be_read_at_once(found: Project) -> None:
    found.book.push_attributes("accounts", "7", attributes={"plan": "pro", "address": {"city": "Bern"}, "seats": 3})
    found.book.push_attributes("accounts", "7", add={"seats": 2}, id="m1")
    found.book.push_attributes("accounts", "7", add={"seats": 2}, id="m1")
    found.book.push_attributes(
        "accounts", "7", attributes={"first": "x"}, set_once={"plan": "free", "source": "ad"}, unset=["first"]
    )
    assert shown(found) == {"plan": "pro", "address.city": "Bern", "seats": 5, "source": "ad", "first": None}
    assert found.book.entities("accounts").list("seats = 5 and source = 'ad'").rows[0][0] == "7"


def test_the_sender_s_time_decides_not_the_order_of_arrival(found: Project) -> None:
    later, earlier = NOW - timedelta(hours=1), NOW - timedelta(hours=2)
    found.book.push_attributes("accounts", "7", attributes={"plan": "pro"}, time=later)
    found.book.push_attributes("accounts", "7", attributes={"plan": "free"}, time=earlier)
    assert shown(found) == {"plan": "pro"}


@pytest.mark.parametrize(
    ("sent", "code", "field"),
    [
        ({"attributes": {"id": 1}}, "bad_name", "id"),
        ({"attributes": {"": 1}}, "bad_name", ""),
        ({"attributes": {"x": float("nan")}}, "bad_number", "x"),
        ({"attributes": {"x": 2**64}}, "bad_number", "x"),
        ({"attributes": {"x": "a" * 10_001}}, "bad_text", "x"),
        ({"attributes": {"x": [1, 2]}}, "bad_text", "x"),
        ({"add": {"x": "1"}}, "bad_number", "x"),
        ({"attributes": {"x": 1}, "time": "2024-03-06T12:00:00"}, "naive_time", "time"),
        ({"attributes": {"x": 1}, "time": "2024-03-08T12:00:00Z"}, "future", "time"),
        ({"attributes": {"x": 1}, "time": "soon"}, "bad_time", "time"),
        ({"attribute": {"x": 1}}, "bad_name", "attribute"),
        ([], "bad_json", ""),
    ],
)
def test_what_cannot_be_kept_is_rejected_by_code(sent: Any, code: str, field: str) -> None:
    (rejected,) = decode_changes("7", sent, NOW).rejected
    assert (rejected.code, rejected.field) == (code, field)


@pytest.mark.parametrize("entity_id", ["", "a" * 513, "a\x00b"])
def test_an_id_is_a_text_of_at_most_512_characters(entity_id: str) -> None:
    (rejected,) = decode_changes(entity_id, {"attributes": {"x": 1}}, NOW).rejected
    assert rejected.code == "bad_text"


def test_good_attributes_of_a_request_are_kept_beside_bad_ones() -> None:
    decoded = decode_changes("7", {"attributes": {"plan": "pro", "tags": ["a"]}}, NOW)
    assert [one.attribute for one in decoded.changes] == ["plan"]
    assert [one.field for one in decoded.rejected] == ["tags"]


def test_python_gets_the_reason_and_nothing_is_kept(found: Project) -> None:
    with pytest.raises(QueryError, match="tags: list is no type of an attribute"):
        found.book.push_attributes("accounts", "7", attributes={"plan": "pro", "tags": ["a"]})
    assert found.book.entities("accounts").list().rows == []


def test_a_csv_file_is_imported_once_however_often(found: Project, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("account_id,Owner,Segment,since\n7,Ann,big,2024-01-05\n8,Ben,,2024-02-01\n,Nobody,big,2024-02-01\n")
    asked = ["accounts", "import", str(file), "--id", "account_id", "--columns", "owner=Owner,segment=Segment,since"]
    asked += ["--project", str(found.folder), "--format", "json"]
    found.close()
    clock = {"now": lambda: datetime.now(UTC)}
    assert invoke([*asked, "--dry-run"], **clock) == 1
    assert json.loads(capsys.readouterr().out)["changed"] == 0
    assert invoke(asked, **clock) == 1
    done = json.loads(capsys.readouterr().out)
    assert (done["rows"], done["changed"], done["rejected"]) == (3, 2, 1)
    assert "id of the entity" in Path(done["errors"]).read_text()
    assert invoke(asked, **clock) == 1
    assert json.loads(capsys.readouterr().out)["changed"] == 0
    assert shown(found) == {"owner": "Ann", "segment": "big", "since": "2024-01-05T00:00:00.000000Z"}
    assert found.book.entities("accounts").list("since < '2024-01-31'").rows[0][0] == "7"


def test_of_several_rows_of_one_id_the_last_of_the_file_holds(found: Project, tmp_path: Path) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("id,plan\n7,team\n7,free\n7,pro\n7,enterprise\n")
    found.close()
    for _ in range(2):
        asked = ["accounts", "import", str(file), "--project", str(found.folder)]
        assert invoke(asked, now=lambda: datetime.now(UTC)) == 0
        assert shown(found) == {"plan": "enterprise"}


def test_a_file_without_the_column_says_which_there_are(found: Project, tmp_path: Path, capsys: Any) -> None:
    file = tmp_path / "crm.csv"
    file.write_text("account,plan\n7,pro\n")
    assert invoke(["accounts", "import", str(file), "--project", str(found.folder)]) == 2
    assert "has no column 'id'" in (printed := capsys.readouterr().err)
    assert "account, plan" in printed
