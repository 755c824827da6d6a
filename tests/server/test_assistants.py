"""Assistants ask by the Model Context Protocol, with the SDK's own client, over stdio and HTTP: the known traps are met and
explained, refusals come in words, and no tool takes SQL."""

from __future__ import annotations

import asyncio
import json
import os
import sys
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Any

import httpx2
import pytest

from tallybook.query.asked_options import OPTIONS
from tallybook.server.assistant_values import with_all_digits
from tallybook.server.assistants import TOOLS
from tests.projects import Project
from tests.server.served import Served
from tests.trap_tables import EVENTS, days

if TYPE_CHECKING:  # it takes 2 s to import, which only this file's tests should
    from mcp.client.client import Client

TRAPS = """
[metrics.mrr]
kind = "level"
table = "daily_mrr"
time = "day"
measure = "sum(mrr)"
by = ["plan"]
series = ["account_id"]
carry = "3d"
title = "Monthly recurring revenue"
unit = "EUR"

[metrics.mrr_as_found]
kind = "level"
table = "daily_mrr"
time = "day"
measure = "sum(mrr)"
by = ["plan"]

[metrics.events]
table = "events"
time = "seen_at"
measure = "count(*)"
by = ["user_id"]

[metrics.users]
table = "events"
time = "seen_at"
measure = "count(distinct user_id)"

[metrics.calls]
table = "daily"
time = "day"
measure = "sum(n)"
by = ["account"]

[metrics.mean_ms]
table = "daily"
time = "day"
measure = "sum(n * avg_ms) / sum(n)"

[metrics.daily_users]
kind = "uniques"
table = "daily"
time = "day"
measure = "sum(dau)"
"""
JANUARY = {"scope": "month", "from_day": "2024-01-01", "to_day": "2024-01-31"}
WEEK = {"scope": "week", "from_day": "2024-01-01", "to_day": "2024-01-07"}
Story = Callable[["Client"], Awaitable[Any]]


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Served]:
    folder = tmp_path_factory.mktemp("assistants")
    project = Project(folder, f"sqlite:///{folder}/app.db", now="2024-03-06T12:00")
    rows: list[tuple[Any, ...]] = []
    for day in days("2024-01-01", "2024-03-05"):
        rows.append((day, 1, "pro", 100))
        rows += [(day, 2, "team", 50)] if day != "2024-01-31" else []
        rows += [(day, 3, "free", 10)] if day <= "2024-02-20" else []
    project.table("daily_mrr (day date, account_id int, plan varchar(10), mrr int)", rows)
    project.table("events (user_id int, seen_at timestamp)", EVENTS)
    project.table(
        "daily (day date, account int, n int, avg_ms int, dau int)",
        [("2024-01-01", 1, 10, 2, 5), ("2024-01-02", 1, 90, 4, 5), ("2024-01-03", 1, 100, 3, 6),
         ("2024-01-01", 2, 1, 100, 1), ("2024-01-08", 1, 50, 5, 4)],
    )  # fmt: skip
    project.declare(TRAPS)
    project.run()
    made = Served(project)
    yield made
    made.close()
    project.close()


def over_http(served: Served, story: Story, key: str | None = None) -> Any:
    from mcp.client.client import Client
    from mcp.client.streamable_http import streamable_http_client

    async def told() -> Any:
        headers = {"authorization": f"Bearer {key}"} if key else {}
        transport = httpx2.ASGITransport(app=served.app, client=("127.0.0.1", 5000))
        async with (
            httpx2.AsyncClient(transport=transport, headers=headers) as http,
            Client(streamable_http_client("http://127.0.0.1:8321/mcp", http_client=http)) as client,
        ):
            return await story(client)

    return asyncio.run(told())


def over_stdio(served: Served, story: Story) -> Any:
    from mcp.client.client import Client
    from mcp.client.stdio import StdioServerParameters, stdio_client

    async def told() -> Any:
        arguments = ["-m", "tallybook", "mcp", "--project", str(served.project.folder)]
        server = StdioServerParameters(command=sys.executable, args=arguments, env=dict(os.environ))
        async with Client(stdio_client(server)) as client:
            return await story(client)

    return asyncio.run(told())


async def called(client: Client, tool: str, **arguments: Any) -> tuple[bool, Any]:
    """(whether it is an error, the structured answer or the text of the error)."""
    found = await client.call_tool(tool, arguments)
    if found.is_error:
        return True, found.content[0].text  # type: ignore[union-attr]
    return False, found.structured_content


async def values(client: Client, metric: str, **arguments: Any) -> list[Any]:
    failed, found = await called(client, "query", metrics=[metric], **arguments)
    assert not failed, found
    return [row[metric] for row in found["rows"]]


async def every_trap(client: Client) -> None:
    """T1 to T14 as tool calls."""
    assert await values(client, "mrr", **JANUARY) == [160]
    refused, why = await called(client, "query", metrics=["mrr"], show="total", **JANUARY)
    assert refused
    assert "does not add up over time" in why
    instead = json.loads(why.split("query(")[2].partition(")\n")[0].removesuffix(")"))
    assert await values(client, **{"metric": "mrr", **{k: v for k, v in instead.items() if k != "metrics"}}) == [
        pytest.approx(160, abs=2)
    ]
    assert await values(client, "mrr_as_found", show="average", **JANUARY) == [pytest.approx(4910 / 31)]
    _, carried = await called(client, "query", metrics=["mrr"], **JANUARY)
    assert carried["rows"][0]["notes"]["mrr"]["carried"] is True
    february = {"scope": "month", "from_day": "2024-02-01", "to_day": "2024-02-29"}
    assert await values(client, "mrr", **february) == [150]
    for metric in ("mrr", "mrr_as_found"):
        split = await values(client, metric, by=["plan"], **JANUARY)
        assert sum(split) == (await values(client, metric, **JANUARY))[0]
    _, totals = await called(
        client, "query", metrics=["mrr"], scope="month", totals=True, from_day="2024-01-01", to_day="2024-03-05"
    )
    assert [row["mrr"] for row in totals["rows"] if row.get("total")] == [150]
    for to in ("2024-01-31", "2024-02-29"):
        assert await values(client, "users", scope="all", from_day="2024-01-01", to_day=to) == [3]
    assert await values(client, "calls", scope="all", from_day="2024-01-01", to_day="2024-01-07") == [201]
    assert await values(client, "mean_ms", **WEEK) == [pytest.approx(780 / 201)]
    assert (await called(client, "query", metrics=["mean_ms"], show="average", **WEEK))[0]
    _, unknown = await called(client, "query", metrics=["daily_users"], **WEEK)
    assert (unknown["rows"][0]["daily_users"], unknown["rows"][0]["notes"]["daily_users"]["bounds"]) == (None, [6, 17])
    _, top = await called(client, "query", metrics=["calls"], scope="all", by=["account"], top=1, to_day="2024-01-31")
    assert [row["calls"] for row in top["rows"]] == [250, 1]
    empty = {"scope": "week", "from_day": "2024-01-01", "to_day": "2024-02-18"}
    assert await values(client, "events", **empty) == [3, 1, 0, 0, 2, 0, 1]
    _, running = await called(
        client, "query", metrics=["mrr"], scope="week", from_day="2024-02-26", to_day="2024-03-10"
    )
    assert [(row["complete"], row["days"]) for row in running["rows"]] == [(True, 7), (False, 2)]


@pytest.mark.parametrize("transport", [over_http, over_stdio])
def test_the_known_traps_are_answered_or_refused_over_both_transports(
    served: Served, transport: Callable[..., Any]
) -> None:
    transport(served, every_trap)


def test_a_month_in_new_york_begins_at_its_own_midnight(tmp_path: Path) -> None:
    project = Project(tmp_path, f"sqlite:///{tmp_path}/app.db", now="2024-03-06T12:00")
    project.table("events (user_id int, seen_at timestamp)", EVENTS)
    project.declare(
        TRAPS[TRAPS.index("[metrics.events]") : TRAPS.index("[metrics.calls]")], timezone="America/New_York"
    )
    project.run()
    local = Served(project)

    async def story(client: Client) -> Any:
        return await values(client, "events", scope="month", from_day="2024-01-01", to_day="2024-02-29")

    assert over_http(local, story) == [6, 1]
    local.close()
    project.close()


def test_names_descriptions_and_schemas_are_what_assistants_rely_on(served: Served) -> None:
    async def story(client: Client) -> Any:
        return (await client.list_tools()).tools

    tools = {one.name: one for one in over_http(served, story)}
    assert tuple(tools) == TOOLS == ("list_metrics", "describe_metric", "query", "check_query", "why", "coverage")
    for one in tools.values():
        assert one.annotations.read_only_hint is True
        assert 40 < len(one.description) < 200
        assert "\n" not in one.description
        assert one.output_schema
        assert one.input_schema["additionalProperties"] is False
        for name, property_ in one.input_schema["properties"].items():
            assert property_.get("description"), name
        assert "sql" not in json.dumps(one.input_schema).casefold()
    query = tools["query"].input_schema
    assert "required" not in query
    own = {"from_day": "from", "to_day": "to"}
    options = {*OPTIONS} - {"live", "definition"}
    assert {own.get(name, name) for name in query["properties"]} == options
    assert query["properties"] == tools["check_query"].input_schema["properties"]


def test_metrics_are_listed_described_and_found(served: Served) -> None:
    async def story(client: Client) -> Any:
        listed = (await called(client, "list_metrics", search="recurring"))[1]
        described = (await called(client, "describe_metric", metric="mrr"))[1]
        why = (await called(client, "why", metric="mrr", day="2024-01-31"))[1]
        coverage = (await called(client, "coverage", metrics=["mrr"]))[1]
        return listed, described, why, coverage

    listed, described, why, coverage = over_http(served, story)
    (mrr,) = listed["metrics"]
    assert (mrr["name"], mrr["unit"], mrr["shows"][0], mrr["dimensions"]) == (
        "mrr",
        "EUR",
        "last",
        ["plan", "account_id"],
    )
    assert (mrr["collected_from"], mrr["collected_to"]) == ("2024-01-01", "2024-03-05")
    assert described["metric"] == mrr
    assert described["collected"] == [["2024-01-01", "2024-03-05"]]
    assert [row["mrr"] for row in why["rows"]] == [160]
    assert coverage["metrics"][0]["metric"] == "mrr"


@pytest.mark.parametrize(
    ("tool", "arguments", "said"),
    [
        ("query", {"metrics": ["mrrr"]}, "did you mean 'mrr'?"),
        ("query", {"metrics": ["mrr"], "by": ["plam"]}, "did you mean 'plan'?"),
        ("query", {"metrics": ["mrr"], "scope": "weak"}, "did you mean 'week'?"),
        ("query", {"metrics": ["mrr"], "from": "2024-01-01"}, "from"),
        ("query", {"metrics": ["mrr"], "sql": "select 1"}, "sql"),
        ("query", {"metrics": "mrr'; drop table users"}, ""),
        ("describe_metric", {"metric": "nothing"}, "there is no metric"),
        ("why", {"metric": "mrr", "day": "someday"}, "is not a day"),
        ("coverage", {"metrics": ["x"]}, "there is no metric"),
        ("run_sql", {"sql": "select 1"}, ""),
    ],
)
def test_mistakes_reach_the_assistant_in_words(served: Served, tool: str, arguments: Any, said: str) -> None:
    async def story(client: Client) -> Any:
        try:
            return await called(client, tool, **arguments)
        except Exception as error:  # noqa: BLE001  # an unknown tool may be an error of the protocol
            return True, str(error)

    failed, text = over_http(served, story)
    assert failed
    assert said in text
    assert "Traceback" not in text


def test_check_query_says_why_not_and_what_to_ask(served: Served) -> None:
    async def story(client: Client) -> Any:
        return [
            (await called(client, "check_query", metrics=["mrr"], show=show, scope="month"))[1]
            for show in ("last", "total")
        ] + [(await called(client, "check_query", metrics=["mrrr"]))[1]]

    right, refused, unknown = over_http(served, story)
    assert right == {"can_be_answered": True, "why_not": "", "hint": "", "ask_instead": []}
    assert "does not add up" in refused["why_not"]
    assert [one["query"]["show"] for one in refused["ask_instead"]] == ["last", "average"]
    assert (unknown["can_be_answered"], "did you mean 'mrr'?" in unknown["hint"]) == (False, True)


def test_a_bound_key_bounds_its_assistant(served: Served) -> None:
    key = served.key("pro", metrics=("mrr",), where=("plan=pro",))

    async def story(client: Client) -> Any:
        names = [one["name"] for one in (await called(client, "list_metrics"))[1]["metrics"]]
        hidden = await called(client, "query", metrics=["events"])
        beyond = await called(client, "query", metrics=["mrr"], where=["plan=free"])
        return names, await values(client, "mrr", **JANUARY), hidden, beyond

    names, mrr, hidden, beyond = over_http(served, story, key)
    assert (names, mrr) == (["mrr"], [100])
    assert hidden[0]
    assert beyond[0]


def test_assistants_need_a_key_elsewhere_and_no_page_may_ask_for_them(served: Served) -> None:
    body = {"jsonrpc": "2.0", "id": 1, "method": "tools/list", "params": {}}
    accepts = {"accept": "application/json, text/event-stream", "content_type": "application/json"}
    assert served.ask("POST", "/mcp", body, **accepts).status == 200
    assert served.ask("POST", "/mcp", body, **accepts, origin="https://evil.example").status == 403
    assert served.ask("POST", "/mcp", body, **accepts, host="evil.example").status == 401
    assert served.ask("GET", "/mcp").status == 405
    served.peer = ("10.1.2.3", 1)
    try:
        assert served.ask("POST", "/mcp", body, **accepts).status == 401
    finally:
        served.peer = ("127.0.0.1", 1)


def test_query_has_order_limit_conditions_segments_and_events(served: Served) -> None:
    async def story(client: Client) -> Any:
        asked = {"metrics": ["mrr"], "scope": "month", "by": ["plan"], "sort": ["-mrr"], "having": ["mrr > 0"]}
        ranked = (await called(client, "query", **asked, limit=2, fill=True))[1]
        segments = (await called(client, "query", metrics=["mrr"], scope="all", segments=["pro: plan=pro"]))[1]
        event = await called(client, "query", event="nothing", count=True)
        return ranked, segments, event

    ranked, segments, event = over_http(served, story)
    values = [row["mrr"] for row in ranked["rows"]]
    assert len(values) == 2
    assert values == sorted(values, reverse=True)
    assert [row["segment"] for row in segments["rows"]] == ["pro"]
    assert event[0]
    assert "no event 'nothing' was ever received" in str(event[1])


def test_numbers_that_a_client_would_round_are_texts() -> None:
    row = {"a": 0.1, "b": float("12345678901234567.89"), "c": 2**60 + 1, "d": 3, "e": None, "f": True}
    exact = {"a": "0.1", "b": "12345678901234567.89", "c": 2**60 + 1, "d": 3, "e": None, "f": True}
    found = {"a": 0.1, "b": "12345678901234567.89", "c": "1152921504606846977", "d": 3, "e": None, "f": True}
    assert with_all_digits(row, exact) == found
