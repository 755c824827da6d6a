"""The bodies of the reading API as types, for `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tallybook.core import SHOWS, calendar

Texts = str | list[str] | UnsetType | None
Text = str | UnsetType | None
Flag = bool | UnsetType | None
Number = int | UnsetType | None
ScopeName = Annotated[str, Meta(extra_json_schema={"enum": list(calendar.SCOPES)})]
ShowName = Annotated[str, Meta(extra_json_schema={"enum": list(SHOWS)})]


class QueryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename=lambda name: name.rstrip("_")):
    """A question: the options of `tallybook query` by name. A text is a list of one."""

    metrics: Texts = UNSET
    scope: ScopeName | UnsetType | None = UNSET
    by: Texts = UNSET
    where: Texts = UNSET
    from_: Text = UNSET
    to: Text = UNSET
    last: Text = UNSET
    show: ShowName | UnsetType | None = UNSET
    fill: Flag = UNSET
    totals: Flag = UNSET
    as_of: Text = UNSET
    definition: Text = UNSET
    live: Flag = UNSET
    week_starts: Text = UNSET
    window: Text = UNSET
    compare: Text = UNSET
    top: Number = UNSET
    sort: Texts = UNSET
    limit: Number = UNSET
    having: Texts = UNSET
    segments: Texts = UNSET
    event: Text = UNSET
    count: Flag = UNSET
    sum: Texts = UNSET
    avg: Texts = UNSET
    distinct: Texts = UNSET
    min: Texts = UNSET
    max: Texts = UNSET
    median: Texts = UNSET
    p50: Texts = UNSET
    p75: Texts = UNSET
    p90: Texts = UNSET
    p95: Texts = UNSET
    p99: Texts = UNSET
    format: Text = UNSET
    exact: Flag = UNSET
    explain: Flag = UNSET
    sql: Flag = UNSET


class AnswerColumnBody(msgspec.Struct, kw_only=True):
    """A column of an answer. `show`: how its days became the number of a period."""

    name: str
    role: str
    type: str
    unit: str | None
    show: str | None


class AnswerBody(msgspec.Struct, kw_only=True):
    """The JSON of `tallybook query`, with the version of the book, the commit of events, and a link for each format."""

    metrics: list[str]
    scope: str
    timezone: str
    week_starts: str
    columns: list[AnswerColumnBody]
    rows: list[dict[str, Any]]
    explain: str
    version: int
    events: int
    links: dict[str, str]
    warnings: list[str] | UnsetType = UNSET


class ShowsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every show of one period: its `value`, or why it is `refused` and the number that it `would_be`."""

    metric: str
    period: str
    until: str
    scope: str
    unit: str | None
    default: str | None
    shows: list[dict[str, Any]]
