"""`/openapi.json` and the reading API agree: examples are executed, whatever is asked gets a documented answer, and API, command
and Python give one answer to generated questions, refusals too."""

from __future__ import annotations

import json
import os
from typing import Any
from urllib.parse import urlencode

import msgspec
import pytest
from hypothesis import HealthCheck, example, given, settings, strategies as st
from jsonschema import Draft202012Validator

from tallybook import QueryError, Refused
from tallybook.cli.failures import as_dict
from tallybook.query import question_options, read_question
from tallybook.server.api_types import Operation, ProblemBody
from tallybook.server.openapi import document
from tallybook.server.read_operations import READ_OPERATIONS
from tallybook.server.read_types import QueryBody
from tests.server.paged import company, with_people
from tests.server.served import Answer, Served, served

__all__ = ["served"]

SOAK = os.environ.get("TALLYBOOK_SOAK") == "1"
FEW = settings(max_examples=3_000 if SOAK else 50, deadline=None, suppress_health_check=list(HealthCheck))
ASKED = settings(FEW, max_examples=700 if SOAK else 30)
EXAMPLES = {
    "/v1/metrics/{metric}/shows": "?period=2024-01",
    "/v1/why": "?metric=mrr&day=2024-01-31",
    "/v1/query": "?metrics=mrr&scope=month",
}


NOT_DECLARED = ("/v1/accounts", "/v1/users")
"""What this company does not declare."""


def named(each: Operation) -> str:
    return f"{each.method} {each.path}"


def check(each: Operation, answer: Answer) -> None:
    """The answer is one of those that the document names, and its body is of the documented type."""
    assert answer.status in {*each.answers, *each.problems, 405}, (each.path, answer.status, answer.body)
    if answer.headers.get("content-type") == "application/problem+json":
        msgspec.convert(answer.json, ProblemBody)
        return
    said = document()["paths"][each.path][each.method]["responses"][str(answer.status)]
    kind = answer.headers["content-type"].partition(";")[0]
    assert kind in said["content"]
    if kind == "application/json":
        schema = {**said["content"][kind]["schema"], "components": document()["components"]}
        Draft202012Validator(schema).validate(answer.json)


@pytest.mark.parametrize("each", READ_OPERATIONS, ids=named)
def test_each_operation_answers_as_the_document_says(served: Served, each: Operation) -> None:
    path = each.path.replace("{metric}", "mrr") + EXAMPLES.get(each.path, "")
    body = {**each.example, "metrics": ["mrr"], "from": "2024-01-01", "to": "2024-01-31"} if each.example else None
    answer = served.ask(each.method.upper(), path, body)
    assert answer.status == (400 if each.path in NOT_DECLARED else 200), answer.body
    check(each, answer)
    served.peer = ("10.1.2.3", 1)
    try:
        assert served.ask(each.method.upper(), path, body).status == 401
    finally:
        served.peer = ("127.0.0.1", 1)


def test_every_answer_of_a_full_book_has_the_fields_of_its_type_and_no_others(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    """A book with goals, gaps, alerts, events, revisions and a run that failed."""
    project = with_people(company(tmp_path_factory.mktemp("documented") / "book"))
    project.execute("UPDATE subscriptions SET mrr = mrr + 1 WHERE day = '2024-03-08'")
    project.at("2024-03-11T12:00").run("mrr", from_="2024-03-08")
    served = Served(project)
    by_path = {one.path: one for one in READ_OPERATIONS if one.method == "get"}
    paths = [
        "/v1/metrics",
        "/v1/metrics/{metric}",
        "/v1/why?metric=mrr&day=2024-03-08",
        "/v1/why?metric=mrr_per_signup&day=2024-03-01&by=plan",
        "/v1/why?metric=exports&day=2024-01-25",
        "/v1/why?metric=mrr",
        "/v1/coverage",
        "/v1/runs",
        "/v1/goals?last=3+months",
        "/v1/alerts",
        "/v1/status",
        "/v1/accounts?where=plan+%3D+%27pro%27",
        "/v1/users?limit=2",
    ]
    for path in paths:
        each = by_path[path.partition("?")[0]]
        answer = served.ask("GET", path.replace("{metric}", "mrr_per_signup"))
        assert answer.status == 200, (path, answer.body)
        check(each, answer)
        msgspec.convert(answer.json, each.answers[200])
    assert served.ask("GET", "/v1/alerts").json["alerts"], "late metrics"
    untyped = [one.path for one in READ_OPERATIONS if one.answers[200] in (dict, list)]
    assert untyped == []
    served.close()


def test_the_body_of_a_question_has_the_options_that_are_read() -> None:
    from tallybook.query.asked_options import OPTIONS
    from tallybook.server.queries import HOW

    assert {one.encode_name for one in msgspec.structs.fields(QueryBody)} == {*OPTIONS, *HOW}


NAMES = st.sampled_from(["mrr", "signups", "mrr_per_signup", "mrrr"])
FILTERS = st.sampled_from(["plan=pro", "plan=free", "plan!=team", "account=a1", "plan=", "plan", "plam=pro"])
QUESTIONS = st.fixed_dictionaries(
    {"metrics": st.lists(NAMES, min_size=1, max_size=2, unique=True)},
    optional={
        "scope": st.sampled_from(["day", "week", "month", "quarter", "year", "all", "weak"]),
        "by": st.lists(st.sampled_from(["plan", "account", "weekday", "plann"]), max_size=2, unique=True),
        "where": st.lists(FILTERS, max_size=2),
        "from": st.sampled_from(["2024-01-03", "2024-02-01", "2025-01-01", "yesterday", "2024-13-01"]),
        "to": st.sampled_from(["2024-01-31", "2024-02-09", "today"]),
        "show": st.sampled_from(["total", "average", "last", "first", "min", "max", "change"]),
        "compare": st.sampled_from(["previous", "1 month"]),
        "totals": st.booleans(),
        "fill": st.booleans(),
        "top": st.integers(0, 2),
        "window": st.sampled_from(["7 days", "month to date"]),
        "limit": st.integers(1, 3),
        "having": st.sampled_from([["mrr > 50"], ["signups >= 1"], ["mrr_change < 1"]]),
        "sort": st.sampled_from([["-mrr"], ["signups", "period"], ["segment"]]),
        "segments": st.lists(st.sampled_from(["paid: plan!=free", "one: plan=pro", "bad: plam=x"]), max_size=2),
        "live": st.just(True),
    },
)


@ASKED
@given(asked=QUESTIONS)
@example(asked={"metrics": ["mrr", "mrr_per_signup"], "from": "2025-01-01", "show": "average", "live": True})
def test_api_command_and_python_give_one_answer(served: Served, asked: dict[str, Any]) -> None:
    posted = served.query(**asked)
    flags = {name: str(value).lower() if isinstance(value, bool) else value for name, value in asked.items()}
    assert served.ask("GET", f"/v1/query?{urlencode(flags, doseq=True)}").body == posted.body
    question = read_question(asked)
    assert read_question(question_options(question)) == question
    try:
        answer = json.loads(served.project.book.ask(question).to_json())
    except Refused as refused:
        assert posted.status == 422
        assert {"refused": posted.json["refused"], "ask": posted.json.get("hint", "")} == as_dict(refused)  # noqa: PT017
        for one in posted.json["ask"]:
            assert served.ask("GET", one["link"]).status == 200, one
        return
    except QueryError as error:
        assert (posted.status, posted.json["message"], posted.json.get("hint", "")) == (400, error.message, error.hint)  # noqa: PT017
        return
    assert posted.status == 200
    assert {name: value for name, value in posted.json.items() if name not in ("version", "events", "links")} == answer


WORDS = st.sampled_from(["", "mrr", "plan=pro", "2024-01", "week", "csv", "-1", "é", "\0", "%", "<script>", "' or 1=1"])


@FEW
@given(data=st.data())
def test_whatever_is_asked_gets_a_documented_answer(served: Served, data: st.DataObject) -> None:
    each: Operation = data.draw(st.sampled_from(READ_OPERATIONS))
    names = st.sampled_from([*each.query, "x", "top", "fill"])
    query = data.draw(st.dictionaries(names, WORDS | st.text(max_size=9), max_size=3))
    json_value = st.recursive(
        st.none() | st.booleans() | st.integers() | st.text(max_size=9),
        lambda inner: st.lists(inner, max_size=2) | st.dictionaries(names, inner, max_size=3),
        max_leaves=5,
    )
    body = data.draw(json_value) if each.method == "post" else None
    asked = f"{each.path.replace('{metric}', 'mrr')}?{urlencode(query, errors='replace')}"
    answer = served.ask(each.method.upper(), asked, body)
    assert answer.status not in (500, 503), answer.body
    check(each, answer)
