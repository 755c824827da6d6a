"""Metrics, shows, why, coverage, runs, goals, alerts and status over HTTP: the JSON of their commands."""

from __future__ import annotations

import io
import json
from decimal import Decimal
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.server.metric_shows import added_up, mean_of
from tests.server.served import Served, own, served

__all__ = ["own", "served"]


def command(served: Served, *words: str) -> Any:
    out = io.StringIO()
    folder = ["--format", "json", "--project", str(served.project.folder)]
    invoke([*words, *folder], stdout=out, stderr=io.StringIO(), now=lambda: served.project.now)
    return json.loads(out.getvalue())


@pytest.mark.parametrize(
    ("path", "words"),
    [
        ("/v1/metrics", ["metrics"]),
        ("/v1/coverage", ["coverage"]),
        ("/v1/coverage?metrics=mrr&from=2024-01-05&to=2024-01-20", ["coverage", "mrr", "--from", "2024-01-05", "--to", "2024-01-20"]),
        ("/v1/goals", ["goals"]),
        ("/v1/alerts", ["alerts"]),
        ("/v1/status", ["status"]),
    ],
)  # fmt: skip
def test_the_answer_is_the_json_of_the_command(served: Served, path: str, words: list[str]) -> None:
    answer = served.ask("GET", path)
    assert (answer.status, answer.json) == (200, command(served, *words))
    assert served.ask("GET", path, if_none_match=answer.headers["etag"]).status == 304


def test_why_is_that_of_the_command_without_the_statements_which_ask_the_source(served: Served) -> None:
    found = served.ask("GET", "/v1/why?metric=mrr_per_signup&day=2024-01-31&where=plan%3Dpro").json
    said = command(served, "why", "mrr_per_signup", "2024-01-31", "--where", "plan=pro")
    for one in said["behind"]:
        del one["statements"], one["unasked"]
    assert found == said


def test_runs_do_not_name_the_machine(served: Served) -> None:
    (run,) = served.ask("GET", "/v1/runs").json
    (said,) = command(served, "runs")
    assert run == {name: value for name, value in said.items() if name not in ("host", "pid")}


def test_every_show_of_a_period_has_its_number_or_its_reason_and_the_number_it_would_be(served: Served) -> None:
    found = served.ask("GET", "/v1/metrics/mrr/shows?period=2024-01").json
    shows = {one["show"]: one for one in found["shows"]}
    assert (found["period"], found["until"], found["scope"], found["unit"]) == (
        "2024-01-01",
        "2024-01-31",
        "month",
        "EUR",
    )
    assert (shows["last"]["value"], shows["average"]["value"], shows["max"]["value"]) == (160, 160, 160)
    assert (shows["total"]["value"], shows["total"]["would_be"]) == (None, 31 * 160)
    assert "does not add up" in shows["total"]["refused"]
    pro = served.ask("GET", "/v1/metrics/mrr/shows?period=2024-01&where=plan%3Dpro").json
    assert {one["show"]: one for one in pro["shows"]}["total"]["would_be"] == 3100


@pytest.mark.parametrize(
    ("period", "expected"),
    [
        ("2024", ["2024-01-01", "2024-12-31", "year"]), ("2024-Q1", ["2024-01-01", "2024-03-31", "quarter"]),
        ("2024-W05", ["2024-01-29", "2024-02-04", "week"]), ("2024-02-03", ["2024-02-03", "2024-02-03", "day"]),
        ("2024-02-03&scope=week", ["2024-01-29", "2024-02-04", "week"]),
    ],
)  # fmt: skip
def test_a_period_is_named_as_people_do(served: Served, period: str, expected: list[str]) -> None:
    found = served.ask("GET", f"/v1/metrics/signups/shows?period={period}").json
    assert [found[name] for name in ("period", "until", "scope")] == expected


@pytest.mark.parametrize(
    ("path", "field"),
    [
        ("/v1/metrics/mrrr", "metric"), ("/v1/metrics/mrr/shows", "period"), ("/v1/metrics/mrr/shows?period=x", "period"),
        ("/v1/metrics/mrr/shows?period=2024-13", "period"), ("/v1/metrics/mrr/shows?period=2024&scope=all", "scope"),
        ("/v1/why?metric=mrr&day=2024-02-31", ""), ("/v1/why", "metric"), ("/v1/coverage?metrics=mrrr", "metric"),
        ("/v1/runs?limit=0", "limit"), ("/v1/runs?limt=1", "limt"), ("/v1/goals?names=x", "goal"),
    ],
)  # fmt: skip
def test_what_is_not_there_is_400_beside_its_field(served: Served, path: str, field: str) -> None:
    answer = served.ask("GET", path)
    assert (answer.status, answer.json.get("field", "")) == (400, field)


def test_other_paths_and_methods_are_404_and_405(served: Served) -> None:
    assert served.ask("GET", "/v1/metrics/mrr/other").status == 404
    assert served.ask("GET", "/v1/metrics/..%2f..%2fetc%2fpasswd").status == 400
    assert served.ask("POST", "/v1/status").status == 405


def test_bound_keys_see_their_metrics_and_no_word_of_the_others(own: Served) -> None:
    own.peer = ("10.1.2.3", 1)
    key = own.key("signups", metrics=("signups",))
    found = {path: own.ask("GET", path, key=key) for path in (
        "/v1/metrics", "/v1/metrics/signups", "/v1/coverage", "/v1/why?metric=signups&day=2024-01-31", "/v1/goals",
    )}  # fmt: skip
    assert {answer.status for answer in found.values()} == {200}
    assert not [path for path, answer in found.items() if b"mrr" in answer.body]
    for path in ("/v1/metrics/mrr", "/v1/why?metric=mrr", "/v1/coverage?metrics=mrr"):
        assert own.ask("GET", path, key=key).status == 400
    for path in ("/v1/runs", "/v1/alerts", "/v1/status"):
        assert own.ask("GET", path, key=key).status == 403


def test_why_of_a_filtered_key_counts_nothing_of_other_series(own: Served) -> None:
    key = own.key("pro", where=("plan=pro",))
    found = own.ask("GET", "/v1/why?metric=mrr&day=2024-01-31", key=key).json
    assert [row["mrr"] for row in found["rows"]] == [100]
    (behind,) = found["behind"]
    assert not {"points", "revisions", "run"} & {*behind}
    shows = own.ask("GET", "/v1/metrics/mrr/shows?period=2024-01", key=key).json["shows"]
    assert {one["show"]: one["value"] for one in shows}["last"] == 100
    assert own.ask("GET", "/v1/goals", key=key).status == 403


@pytest.mark.parametrize(
    "path",
    [
        "/v1/metrics",
        "/v1/why?metric=mrr",
        "/v1/coverage",
        "/v1/runs",
        "/v1/goals",
        "/v1/alerts",
        "/v1/status",
        "/v1/query?metrics=mrr",
        "/v1/metrics/mrr/shows?period=2024",
    ],
)
def test_nothing_is_read_without_a_key(own: Served, path: str) -> None:
    own.peer = ("10.1.2.3", 1)
    assert own.ask("GET", path).status == 401


@pytest.mark.parametrize(
    ("values", "total", "mean"),
    [([1, 2, 6], 9, 3.0), ([Decimal("0.10"), Decimal("0.20")], Decimal("0.30"), 0.15), ([0.1, 0.2], 0.3, 0.15)],
)
def test_what_a_refused_show_would_give_has_the_type_of_the_daily_values(values: Any, total: Any, mean: float) -> None:
    assert (added_up(values), type(added_up(values))) == (total, type(total))
    assert mean_of(values) == mean
