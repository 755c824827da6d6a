"""`/v1/query` answers exactly what the command answers, refusals too; an unchanged answer costs no engine."""

from __future__ import annotations

import io
import json
from typing import Any
from urllib.parse import urlencode

import pyarrow.ipc
import pyarrow.parquet
import pytest

from tallybook.cli import invoke
from tallybook.server.queries import QueryDoor
from tests.projects import MakeProject, project
from tests.server.served import METRICS, Served, own, served

__all__ = ["own", "project", "served"]


def command(served: Served, *words: str) -> tuple[int, str]:
    out = io.StringIO()
    folder = ["--project", str(served.project.folder)]
    code = invoke(["query", *words, *folder], stdout=out, stderr=io.StringIO(), now=lambda: served.project.now)
    return code, out.getvalue()


QUESTIONS: list[tuple[dict[str, Any], list[str]]] = [
    ({"metrics": ["mrr"]}, ["mrr"]),
    ({"metrics": "mrr", "scope": "month", "show": "average"}, ["mrr", "--scope", "month", "--show", "average"]),
    (
        {"metrics": ["mrr", "signups"], "scope": "week", "by": ["plan"], "totals": True, "from": "2024-01-10"},
        ["mrr,signups", "--scope", "week", "--by", "plan", "--totals", "--from", "2024-01-10"],
    ),
    (
        {"metrics": ["signups"], "where": ["plan=pro"], "last": "2 weeks", "compare": "previous", "scope": "week"},
        ["signups", "--where", "plan=pro", "--last", "2 weeks", "--compare", "previous", "--scope", "week"],
    ),
    (
        {"metrics": ["mrr"], "by": ["account"], "top": 1, "scope": "month"},
        ["mrr", "--by", "account", "--top", "1", "--scope", "month"],
    ),
    ({"metrics": ["mrr_per_signup"], "scope": "all", "exact": True}, ["mrr_per_signup", "--scope", "all", "--exact"]),
]


@pytest.mark.parametrize(("asked", "words"), QUESTIONS)
def test_the_answer_is_the_json_of_the_command(served: Served, asked: dict[str, Any], words: list[str]) -> None:
    posted = served.query(**asked)
    got = served.ask("GET", f"/v1/query?{urlencode(asked, doseq=True)}")
    _, said = command(served, *words, "--format", "json")
    assert (posted.status, got.status) == (200, 200)
    assert posted.json == got.json
    found = {name: value for name, value in posted.json.items() if name not in ("version", "events", "links")}
    assert found == json.loads(said)
    assert (posted.json["version"], posted.json["events"]) == (served.project.book.reader.version, 0)


def test_each_format_has_a_link_and_the_bytes_of_the_command(served: Served) -> None:
    asked = {"metrics": ["mrr"], "scope": "month", "by": ["plan"]}
    links = served.query(**asked).json["links"]
    for form in ("csv", "ndjson", "markdown"):
        answer = served.ask("GET", links[form])
        assert answer.body.decode() == command(served, "mrr", "--scope", "month", "--by", "plan", "--format", form)[1]
    rows = [row["mrr"] for row in served.query(**asked).json["rows"]]
    parquet = pyarrow.parquet.read_table(io.BytesIO(served.ask("GET", links["parquet"]).body))
    arrow = pyarrow.ipc.open_stream(served.ask("GET", links["arrow"]).body).read_all()
    assert parquet["mrr"].to_pylist() == arrow["mrr"].to_pylist() == rows
    assert arrow.schema.metadata[b"tallybook"]
    assert served.ask("GET", links["xlsx"]).body[:2] == b"PK"


@pytest.mark.parametrize(
    ("accept", "expected"),
    [
        ("*/*", "application/json"), ("", "application/json"), ("text/csv", "text/csv; charset=utf-8"),
        ("text/csv;q=0.5, application/x-ndjson", "application/x-ndjson"), ("text/*", "text/csv; charset=utf-8"),
        ("application/vnd.apache.arrow.stream, */*;q=0.1", "application/vnd.apache.arrow.stream"),
        ("image/png, application/json;q=0.2", "application/json"), ("text/markdown", "text/markdown; charset=utf-8"),
    ],
)  # fmt: skip
def test_accept_chooses_the_format(served: Served, accept: str, expected: str) -> None:
    answer = served.ask("POST", "/v1/query", {"metrics": ["mrr"]}, accept=accept)
    assert (answer.status, answer.headers["content-type"]) == (200, expected)


def test_a_type_that_we_do_not_have_is_406_and_an_unknown_format_400(served: Served) -> None:
    assert served.ask("POST", "/v1/query", {"metrics": ["mrr"]}, accept="image/png").status == 406
    assert served.ask("POST", "/v1/query", {"metrics": ["mrr"]}, accept="application/json;q=0").status == 406
    wrong = served.query(metrics=["mrr"], format="cvs")
    assert (wrong.status, wrong.json["field"], wrong.json["hint"]) == (400, "format", "did you mean 'csv'?")


def test_a_refusal_is_422_with_the_questions_to_ask_instead(served: Served) -> None:
    refused = served.query(metrics=["mrr"], scope="month", show="total")
    code, said = command(served, "mrr", "--scope", "month", "--show", "total", "--format", "json")
    assert (refused.status, code) == (422, 3)
    assert refused.headers["content-type"] == "application/problem+json"
    body = refused.json
    assert (body["code"], body["refused"], body["hint"]) == ("refused", *json.loads(said).values())
    assert [one["say"] for one in body["ask"]] == ["the last day of each period", "the average day"]
    for one in body["ask"]:
        linked, posted = served.ask("GET", one["link"]), served.query(**one["query"])
        assert (linked.status, linked.json) == (200, posted.json)
    assert body["ask"][1]["query"] == {"metrics": ["mrr"], "scope": "month", "show": "average"}


@pytest.mark.parametrize(
    ("asked", "field", "hint"),
    [
        ({"metrics": ["mrrr"]}, "metrics", "did you mean 'mrr'?"),
        ({"metrics": ["mrr"], "by": ["plann"]}, "by", "did you mean 'plan'?"),
        ({"metrics": ["mrr"], "where": ["plam=pro"]}, "where", "did you mean 'plan'?"),
        ({"metrics": ["mrr"], "scope": "weak"}, "scope", "did you mean 'week'?"),
        ({"metrics": ["mrr"], "show": "averag"}, "show", "did you mean 'average'?"),
        ({"metrics": ["mrr"], "from": "2024-02-31"}, "from", "write 2026-03-01"),
        ({"metrics": ["mrr"], "to": "tomorow"}, "to", "write 2026-03-01"),
        ({"metrics": ["mrr"], "as_of": "x"}, "as_of", "write 2026-03-01"),
        ({"metrics": ["mrr"], "scopes": "week"}, "scopes", "did you mean 'scope'?"),
        ({"metrics": ["mrr"], "top": "3"}, "top", "a whole number"),
        ({"metrics": ["mrr"], "fill": "yes"}, "fill", "true or false"),
        ({"metrics": [1]}, "metrics", "a text or a list of texts"),
        ({}, "metrics", ""),
    ],
)  # fmt: skip
def test_what_is_not_declared_is_400_beside_its_field(
    served: Served, asked: dict[str, Any], field: str, hint: str
) -> None:
    answer = served.query(**asked)
    assert (answer.status, answer.json["code"], answer.json["field"]) == (400, "bad_question", field)
    assert hint in answer.json.get("hint", "")


@pytest.mark.parametrize("body", [b"", b"[]", b"{", b'"mrr"', b"\xff", b"[" * 5000])
def test_a_body_that_is_no_question_is_400(served: Served, body: bytes) -> None:
    answer = served.ask("POST", "/v1/query", body)
    assert (answer.status, answer.json["code"]) == (400, "bad_question")


def test_an_unchanged_answer_is_304_for_post_too_and_no_engine_is_asked(own: Served) -> None:
    asked = {"metrics": ["mrr"], "scope": "week"}
    first = own.query(**asked)
    own.book._opened.book.ask = None  # type: ignore[union-attr]
    again = own.ask("POST", "/v1/query", asked, if_none_match=f'"other", W/{first.headers["etag"]}')
    assert (again.status, again.body, again.headers["etag"]) == (304, b"", first.headers["etag"])


def test_the_tag_changes_with_the_day_the_version_the_declarations_the_question_and_the_format(own: Served) -> None:
    def tag(**asked: Any) -> str:
        found: str = own.query(**({"metrics": ["mrr"]} | asked)).headers["etag"]
        return found

    tags = [tag(), tag(scope="week"), tag(format="csv"), tag(exact=True)]
    own.project.at("2024-02-11T12:00")
    tags.append(tag())
    own.project.book.run()
    tags.append(tag())
    text = (own.project.folder / "tallybook.toml").read_text()
    (own.project.folder / "tallybook.toml").write_text(text.replace('unit = "EUR"', 'unit = "USD"'))
    tags.append(tag())
    assert len(set(tags)) == len(tags)
    assert own.query(metrics=["mrr"]).json["columns"][1]["unit"] == "USD"
    assert tag() == tags[-1]


def test_declarations_that_cannot_be_read_leave_the_book_of_before(own: Served) -> None:
    file = own.project.folder / "tallybook.toml"
    before, text = own.query(metrics=["mrr"]).json, file.read_text()
    file.write_text(text + "[metrics.new\n")
    assert own.query(metrics=["mrr"]).json == before
    assert own.query(metrics=["mrr"]).status == 200
    assert len(own.errors) == 1
    file.write_text(text + '[metrics.new]\ntable = "users"\ntime = "at"\nmeasure = "count(*)"\n')
    assert own.query(metrics=["new"]).json["message"] == "nothing of new is collected yet"
    assert own.book.problem is None


def test_a_fault_of_ours_is_500_with_a_reference_and_neither_sql_nor_path(own: Served) -> None:
    own.query(metrics=["mrr"])

    def ask(_: Any) -> Any:
        raise RuntimeError("SELECT secret FROM /var/lib/points/2024.parquet")

    own.book._opened.book.ask = ask  # type: ignore[union-attr]
    answer = own.query(metrics=["mrr"], scope="year")
    assert (answer.status, answer.json["code"]) == (500, "engine")
    assert b"SELECT" not in answer.body
    assert b"/" not in answer.body.replace(b"urn:", b"")
    (logged,) = own.errors
    assert answer.json["reference"] in str(logged)


def test_too_many_rows_are_422_with_what_to_narrow(own: Served) -> None:
    own.app.doors = [QueryDoor(book=own.book, clock=lambda: own.project.now, max_rows=10)]
    answer = own.query(metrics=["mrr"], by=["plan"])
    assert (answer.status, answer.json["code"]) == (422, "too_many_rows")
    assert "a shorter range" in answer.json["hint"]
    assert own.query(metrics=["mrr"], by=["plan"], limit=10).status == 200


def test_a_book_without_a_run_answers_what_to_type(project: MakeProject) -> None:
    made = project("sqlite", now="2024-02-10T12:00")
    made.table("users (at text, plan text)")
    made.declare(METRICS)
    own = Served(made)
    answer = own.query(metrics=["signups"])
    assert answer.status == 400
    assert "tallybook run" in answer.json["hint"]
    own.close()


def test_segments_are_answered_over_http_by_both_methods_and_in_each_format(served: Served) -> None:
    asked = {"metrics": ["mrr"], "scope": "month", "segments": ["paid: plan!=free", "free: plan=free"]}
    posted = served.query(**asked)
    got = served.ask(
        "GET", f"/v1/query?{urlencode({**asked, 'segment': asked['segments'], 'segments': []}, doseq=True)}"
    )
    words = ["mrr", "--scope", "month", "--segment", "paid: plan!=free", "--segment", "free: plan=free"]
    assert posted.json["rows"] == got.json["rows"] == json.loads(command(served, *words, "--format", "json")[1])["rows"]
    assert [(row["segment"], row["mrr"]) for row in posted.json["rows"][:2]] == [("paid", 150), ("free", 10)]
    parquet = pyarrow.parquet.read_table(io.BytesIO(served.ask("GET", posted.json["links"]["parquet"]).body))
    assert parquet["segment"].to_pylist() == ["paid", "free"] * 2
    wrong = served.query(metrics=["mrr"], segments=["paid: plna=pro"])
    assert (wrong.status, wrong.json["field"]) == (400, "segments")
    assert "did you mean 'plan'?" in wrong.json["hint"]


def test_a_bound_key_asks_no_segment_beyond_its_values(own: Served) -> None:
    key = own.key("pro", where=("plan=pro",))
    own.peer = ("10.0.0.5", 1)
    other = own.query(key, metrics=["mrr"], segments=["free: plan=free"])
    assert (other.status, other.json["code"]) == (403, "not_bound")
    mine = own.query(key, metrics=["mrr"], scope="month", segments=["all: plan!=x", "others: plan!=pro"])
    assert [row["mrr"] for row in mine.json["rows"]] in ([100, 0, 100, 0], [100, None, 100, None])
    assert "free" not in mine.body.decode()
