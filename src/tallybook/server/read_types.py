"""The bodies of the reading API as types, for `/openapi.json`."""

from __future__ import annotations

from typing import Annotated, Any

import msgspec
from msgspec import UNSET, Meta, UnsetType

from tallybook.core import SHOWS, calendar
from tallybook.monitor import DeliveryStatus, EventProblem, MetricStatus
from tallybook.query import (
    CoverageEvidence,
    DefinitionEvidence,
    PointsEvidence,
    RevisionEvidence,
    RunEvidence,
)

Texts = str | list[str] | UnsetType | None
Text = str | UnsetType | None
Flag = bool | UnsetType | None
Number = int | UnsetType | None
GOAL_STATUSES = ("reached", "ahead", "behind", "missed", "open", "unknown")
ScopeName = Annotated[str, Meta(extra_json_schema={"enum": list(calendar.SCOPES)})]
ShowName = Annotated[str, Meta(extra_json_schema={"enum": list(SHOWS)})]


class QueryBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True, rename=lambda name: name.rstrip("_")):
    """A query: the options of `tallybook query` by name. A single text is a list with one item."""

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
    """A column of an answer. `show`: how the days are combined into the number of a period."""

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
    """Every show of one period: its `value`, or the reason why it is `refused` with the number that it `would_be`."""

    metric: str
    period: str
    until: str
    scope: str
    unit: str | None
    default: str | None
    shows: list[dict[str, Any]]


class RunBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A run, an import or a deletion. `report` is what it did, metric by metric. `finished` is null while it runs."""

    run: int
    what: str
    started: str
    finished: str | None
    status: str
    report: dict[str, Any]


class GoalBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A goal in one period. The period has `days_expected` days, of which `days_gone` are over, and `days` of these are
    covered. `expected`: the value it should have by now. `difference`: how far the value is beyond that. `projection`:
    the value at the end at this rate. `status`: reached, ahead, behind, missed, open or unknown. `why`: the reason for
    one of the last two."""

    goal: str
    title: str | None
    metric: str
    where: list[str]
    scope: str
    period: str
    until: str
    at_most: bool
    target: int | float | None
    value: int | float | None
    share: float | None
    expected: int | float | None
    difference: int | float | None
    difference_share: float | None
    projection: int | float | None
    status: Annotated[str, Meta(extra_json_schema={"enum": list(GOAL_STATUSES)})]
    why: str | None
    days: int
    days_gone: int
    days_expected: int
    complete: bool
    approximate: bool
    as_of: str | None
    notes: list[str]
    explain: str
    unit: str | None
    show: str | None
    label: str | UnsetType = UNSET
    """The name of a fiscal period."""


class GoalsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """Every goal that the reader may see, or the named goals. With `last`, also in earlier periods."""

    goals: list[GoalBody]


class AlertBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """A problem, since when it exists, and the next command. `told`: how many addresses were notified. `over`: when it
    ended."""

    id: str
    kind: str
    subject: str
    said: str
    next: str
    since: str
    told: int
    over: str | UnsetType = UNSET


class AlertsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The current problems, and past problems whose end is not sent to everyone yet."""

    alerts: list[AlertBody]


class LastRunBody(msgspec.Struct, kw_only=True):
    """The last run that collected: its number, how it ended, how many days it stored, and the metrics that failed."""

    run: int
    status: str
    started: str
    finished: str | None
    days: int
    failed: list[str]


class BookStatusBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The book at an instant. `due` is the day up to which everything should be collected by now."""

    book: str
    timezone: str
    now: str
    version: int
    running: bool
    last_run: LastRunBody | None
    next_due: str | None
    due: str
    metrics: list[MetricStatus]
    deliveries: list[DeliveryStatus]
    ahead: list[str]
    events: list[EventProblem]
    older: list[str]
    unusual: list[str]
    goals_off: list[str]
    well: bool
    problems: list[str]
    remarks: list[str]


class AccountsBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The accounts that match a condition, each with its attributes. `total`: the number of matching accounts.
    `unknown`: the number of accounts for which the condition is unknown. `why`: by attribute, why its values are
    unknown."""

    accounts: list[dict[str, Any]]
    total: int
    unknown: int
    commit: int
    why: dict[str, str]


class UsersBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The users that match a condition, with the same fields as `AccountsBody`."""

    users: list[dict[str, Any]]
    total: int
    unknown: int
    commit: int
    why: dict[str, str]


class LineageBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The tree below a metric. A derived metric is `made_of` others. Any other metric reads `tables`, each with its
    columns, or is computed by a `function`. `unread` is SQL that cannot be parsed."""

    metric: str
    measure: str | None
    made_of: list[LineageBody] | UnsetType = UNSET
    source: str | UnsetType | None = UNSET
    function: str | UnsetType = UNSET
    tables: dict[str, list[str]] | UnsetType = UNSET
    unread: list[str] | UnsetType = UNSET


class EvidenceBody(msgspec.Struct, kw_only=True, forbid_unknown_fields=True):
    """The contents of the book for one collected metric on one day. `error`: why nothing can be read. A reader of only
    some series sees just the definition and the coverage."""

    metric: str
    kept_as: str | UnsetType = UNSET
    definition: DefinitionEvidence | UnsetType | None = UNSET
    coverage: CoverageEvidence | UnsetType | None = UNSET
    points: PointsEvidence | UnsetType | None = UNSET
    run: RunEvidence | UnsetType | None = UNSET
    revisions: list[RevisionEvidence] | UnsetType = UNSET
    error: str | UnsetType = UNSET
    hint: str | UnsetType = UNSET


class WhyBody(msgspec.Struct, kw_only=True):
    """Everything behind a number: the lineage of its metric, and for a day the answer and the evidence of each metric
    that it is computed from."""

    metric: str
    lineage: LineageBody
    used_by: list[str]
    day: str | UnsetType = UNSET
    behind: list[EvidenceBody] | UnsetType = UNSET
    metrics: list[str] | UnsetType = UNSET
    scope: str | UnsetType = UNSET
    timezone: str | UnsetType = UNSET
    week_starts: str | UnsetType = UNSET
    columns: list[AnswerColumnBody] | UnsetType = UNSET
    rows: list[dict[str, Any]] | UnsetType = UNSET
    explain: str | UnsetType = UNSET
    warnings: list[str] | UnsetType = UNSET
