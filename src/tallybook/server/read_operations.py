"""The operations of the reading API, for `/openapi.json`."""

from __future__ import annotations

from typing import Any

from tallybook.query import CoverageCalendar, MetricDescription, MetricDetails
from tallybook.server.api_types import Operation, Query
from tallybook.server.formats import FORMATS
from tallybook.server.read_types import (
    AccountsBody,
    AlertsBody,
    AnswerBody,
    BookStatusBody,
    GoalsBody,
    QueryBody,
    RunBody,
    ShowsBody,
    UsersBody,
    WhyBody,
)

TEXT = {"type": "string"}
READ = (400, 401, 403, 429, 500, 503)
QUESTION = {"metrics": ["seats"], "scope": "month", "show": "average", "from": "2026-03-01", "to": "2026-03-31"}
WHERE: Query = {"where": (TEXT, "a filter, as plan=pro; repeats")}
SPAN: Query = {"from": (TEXT, "the first day"), "to": (TEXT, "the last day, included")}
ASKED: Query = {
    "metrics": (TEXT, "names of metrics; repeats, or has commas"),
    "scope": (TEXT, "day, week, month, quarter, year or all"),
    "by": (TEXT, "dimensions; repeats, or has commas"),
    **WHERE,
    **SPAN,
    "segments": (TEXT, "a series of its own for NAME: dim=value; repeats"),
    "last": (TEXT, "how far back instead of from: 12 weeks"),
    "show": (TEXT, "how days become one number"),
    "format": ({"type": "string", "enum": list(FORMATS)}, "instead of Accept"),
}
LISTED: Query = {
    "where": (TEXT, "a condition, as in rules: plan = 'pro' and seats > 5"),
    "find": (TEXT, "a text that an attribute contains"),
    "sort": (TEXT, "an attribute; -seats: the largest first"),
    "limit": ({"type": "integer", "minimum": 1, "maximum": 1000}, "how many; 100 unless given"),
    "offset": ({"type": "integer", "minimum": 0}, "how many to leave out"),
}
FILES = {one.media[0]: {"schema": {"type": "string"}} for one in FORMATS.values() if one.name != "json"}
"""Other formats of an answer."""


def _get(path: str, summary: str, answer: Any, query: Query) -> Operation:
    return Operation(
        method="get",
        path=path,
        summary=summary,
        answers={200: answer, 304: None},
        problems=READ,
        scopes=("read",),
        query=query,
    )


READ_OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="post",
        path="/v1/query",
        summary="The answer to a question; unchanged, 304",
        answers={200: AnswerBody, 304: None},
        problems=(*READ, 406, 408, 413, 422),
        scopes=("read",),
        body=QueryBody,
        example=QUESTION,
        more_content=FILES,
    ),
    Operation(
        method="get",
        path="/v1/query",
        summary="The same, with every option of the body as a parameter",
        answers={200: AnswerBody, 304: None},
        problems=(*READ, 406, 422),
        scopes=("read",),
        query=ASKED,
        more_content=FILES,
    ),
    _get("/v1/metrics", "The metrics, and how far they are collected", list[MetricDescription], {}),
    _get("/v1/metrics/{metric}", "One metric with its definitions and days", MetricDetails, {}),
    _get(
        "/v1/metrics/{metric}/shows",
        "Every show of one period with its number, or why it has none",
        ShowsBody,
        {"period": (TEXT, "2026, 2026-Q1, 2026-03, 2026-W10 or a day"), "scope": (TEXT, "the length"), **WHERE},
    ),
    _get(
        "/v1/why",
        "What is behind the number of one day",
        WhyBody,
        {"metric": (TEXT, "the metric"), "day": (TEXT, "the day"), "by": (TEXT, "dimensions"), **WHERE},
    ),
    _get(
        "/v1/coverage",
        "Which days are collected, and the gaps",
        list[CoverageCalendar],
        {"metrics": (TEXT, "of all, unless given"), **SPAN},
    ),
    _get(
        "/v1/runs",
        "The latest runs, newest first",
        list[RunBody],
        {"limit": ({"type": "integer", "minimum": 1}, "how many")},
    ),
    _get(
        "/v1/goals",
        "How far each goal is",
        GoalsBody,
        {"names": (TEXT, "goals; of all, unless given"), "on": (TEXT, "a day"), "last": (TEXT, "also earlier periods")},
    ),
    _get("/v1/accounts", "Accounts by a condition", AccountsBody, LISTED),
    _get("/v1/users", "Users by a condition", UsersBody, LISTED),
    _get("/v1/alerts", "What is not well now", AlertsBody, {}),
    _get("/v1/status", "The last run, what is late or failed, and what is due", BookStatusBody, {}),
)
