"""One value is asked from Python, the command and programs, with the same options everywhere."""

from __future__ import annotations

import dataclasses
import inspect
from typing import get_type_hints

import click
import msgspec
import pytest

from tallybook import Book
from tallybook.cli.asking import QUESTION, export, query
from tallybook.collect import ImportOptions, ImportRequest
from tallybook.query import Question, QuestionOptions
from tests.projects import MakeProject, Project, project

__all__ = ["project"]

METRICS = """
[metrics.n]
table = "facts"
time = "at"
measure = "count(*)"
by = ["plan"]
"""


@pytest.fixture
def facts(project: MakeProject) -> Project:
    made = project("sqlite", now="2024-03-05T12:00")
    made.table("facts (at text, plan text)", [(f"2024-03-{day:02} 10:00:00", "ab"[day % 2]) for day in range(1, 5)])
    made.declare(METRICS, start="2024-03-01")
    made.run()
    return made


@pytest.mark.parametrize(
    ("value", "options", "own"),
    [(Question, QuestionOptions, {"metrics"}), (ImportRequest, ImportOptions, {"metric", "file"})],
)
def test_the_keyword_arguments_of_a_verb_are_the_fields_of_its_value(value: type, options: type, own: set[str]) -> None:
    hints = get_type_hints(value)
    assert get_type_hints(options) == {name: kind for name, kind in hints.items() if name not in own}


def test_query_shows_each_option_with_its_default() -> None:
    shown = inspect.signature(Book.query).parameters
    assert list(shown) == ["self", "metrics", *(f.name for f in dataclasses.fields(Question) if f.name != "metrics")]
    assert (shown["scope"].default, shown["top"].default, shown["fill"].default) == ("day", None, False)
    assert list(inspect.signature(Book.csv).parameters) == list(shown)


@pytest.mark.parametrize("verb", [query, export])
def test_the_command_has_an_option_for_each_field(verb: click.Command) -> None:
    assert QUESTION
    assert {f.name for f in dataclasses.fields(Question)} <= {one.name for one in verb.params}


def test_an_option_that_does_not_exist_is_an_error(facts: Project) -> None:
    with pytest.raises(TypeError, match="scopes"):
        facts.book.query("n", scopes="week")  # type: ignore[call-arg]


def test_a_question_from_json_gets_the_answer_of_the_same_arguments(facts: Project) -> None:
    sent = b'{"metrics": ["n"], "scope": "week", "by": ["plan"], "from_": "2024-03-01", "totals": true}'
    question = Question(**msgspec.json.decode(sent))
    expected = facts.book.query("n", scope="week", by="plan", from_="2024-03-01", totals=True)
    assert facts.book.ask(question).to_json() == expected.to_json()


def test_a_single_text_is_one_name_not_its_letters() -> None:
    question = Question(metrics="signups", by="plan", where="plan=pro", sort="-signups", having="signups > 1")
    assert (question.metrics, question.by, question.where) == (("signups",), ("plan",), ("plan=pro",))
    assert (question.sort, question.having) == (("-signups",), ("signups > 1",))


def test_a_question_is_a_value() -> None:
    one, other = (Question(metrics=names, by=["plan"]) for names in (["n"], ("n",)))
    assert (one, hash(one)) == (other, hash(other))
    with pytest.raises(dataclasses.FrozenInstanceError):
        one.scope = "week"  # type: ignore[misc]


@pytest.mark.parametrize(
    "option",
    [
        {"where": ["plan=a"]}, {"fill": True}, {"totals": True}, {"as_of": "2024-03-05"}, {"live": True}, {"top": 1},
        {"sort": ["-n"]}, {"limit": 1}, {"having": ["n > 0"]}, {"window": "2 days"}, {"compare": "previous"},
    ],
)  # fmt: skip
def test_a_csv_without_a_result_is_written_of_plain_questions_only(facts: Project, option: dict) -> None:
    assert facts.book.csv("n", by="plan") == facts.book.query("n", by="plan").to_csv()
    assert facts.book.csv("n", by="plan", **option) is None


def test_the_documented_values_have_a_schema_and_are_frozen(facts: Project) -> None:
    """The API will publish them."""
    book = facts.book
    values = [
        book.why("n", "2024-03-02"), *book.coverage(), *book.diff("n"), *book.metrics(), book.metric("n"), *book.runs(),
    ]  # fmt: skip
    for value in values:
        assert msgspec.json.schema(type(value))["$defs"]
        assert msgspec.json.encode(value.to_dict())
        with pytest.raises(AttributeError, match="immutable"):
            value.metric = "other"


def test_the_values_have_the_attributes_of_their_json(facts: Project) -> None:
    book = facts.book
    why, (covered,), (described,), details = (
        book.why("n", "2024-03-02"),
        book.coverage(),
        book.metrics(),
        book.metric("n"),
    )
    assert why.behind[0].points is not None
    assert (why.day, why.behind[0].points.facts, why.lineage.tables) == ("2024-03-02", 1, {"facts": ["at", "plan"]})
    assert (covered.from_, covered.to, covered.days) == ("2024-03-01", "2024-03-04", 4)
    assert covered.to_dict()["from"] == described.from_ == details.to_dict()["from"] == "2024-03-01"
    assert [one.days for one in details.definitions] == [4]
    (run,) = book.runs()
    assert (run.what, run.status, run.report["metrics"][0]["days"]) == ("collect", "done", 4)
