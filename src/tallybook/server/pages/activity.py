"""Activity of users and accounts over the last closed days, and their latest events.

Activity is counted by an attribute over 28 days, or else by a metric with the ids, or else by stored events. If one of
the days is not collected, the activity is unknown, and nobody counts as inactive."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from datetime import timedelta
from typing import Any

import msgspec

from tallybook.core import (
    FLOW,
    NUMBER_VALUE,
    ONE_DAY,
    USERS,
    EntitySettings,
    Metric,
    MetricAttribute,
    QueryError,
    Refused,
    plus_days,
)
from tallybook.ingest import EventSearch, LastSeen, SeenSummaries, search_events
from tallybook.query import LAST_SEEN, MetricValues, Question, metric_values
from tallybook.server.pages.breakdown import filter_text
from tallybook.server.pages.event_names import known_events
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.words import title_of
from tallybook.storage import EventLedger, IdentityLinks

ACTIVE_DAYS, EVENT_DAYS = 28, 90
LAST = f"{ACTIVE_DAYS} days"
MAX_EVENTS = 12
"""Maximum number of usage events that are queried one by one if no metric counts them."""
LATEST = 10
USER_DIMENSIONS = ("user_id", "user")
EVENT_COLUMN = {"accounts": "account", "users": "user"}
"""The event column with the ids, by kind."""


@dataclass(frozen=True, kw_only=True)
class Activity:
    """How much each id used the product. `words` describe what is counted. `where` is the condition that lists active
    ids."""

    words: str
    values: MetricValues
    where: str = ""
    is_of_events: bool = False
    """Whether stored events were counted, because no metric counts activity."""

    def of(self, id_: str) -> float | None:
        """The activity of one id, or None if it is unknown."""
        value = self.values.of(id_)[0]
        return None if value is None else float(value)


def activity_of(work: PageWork, kind: str) -> Activity | None:
    """The activity of users or accounts. None if no declaration and no stored event shows it."""
    settings = work.catalog.entities[kind]
    name, attribute = _attribute(work, settings)
    if attribute is None:
        return _by_events(work, kind)
    activity: Activity | None = work.once(f"activity of {kind}", lambda: _by_metric(work, settings, name, attribute))
    return activity


def usage_metrics(work: PageWork, settings: EntitySettings) -> list[Metric]:
    """Metrics that count activity of these entities. Metrics of usage events come first."""
    found = [
        metric
        for name, metric in work.metrics.items()
        if metric.kind == FLOW
        and not metric.derived
        and metric.adds_up
        and any(dim in work.catalog.queryable_dims(name) for dim in settings.dimension)
    ]
    return sorted(found, key=lambda one: one.event is None)


def _attribute(work: PageWork, settings: EntitySettings) -> tuple[str, MetricAttribute | None]:
    """(name, attribute): a declared attribute over the counted days, or else an attribute of the first suitable
    metric."""
    usage = usage_metrics(work, settings)
    names = {one.name for one in usage}
    for name, one in settings.metrics.items():
        if one.last == LAST and one.metric in names and one.show in (None, "total"):
            return name, one
    return "", MetricAttribute(metric=usage[0].name, last=LAST) if usage else None


def _by_metric(work: PageWork, settings: EntitySettings, name: str, attribute: MetricAttribute) -> Activity | None:
    key = name or "activity"
    asked = msgspec.structs.replace(settings, metrics={key: attribute})
    service = work.book.entities(settings.kind).service
    try:
        values = metric_values(service, work.catalog, asked, work.book.today - ONE_DAY)[key]
    except (QueryError, Refused):
        return None
    words = title_of(work.metrics[attribute.metric])
    return Activity(words=words, values=values, where=f"{name} <> 0" if name else "")


def _by_events(work: PageWork, kind: str) -> Activity | None:
    """The number of events of any name from each id."""
    rows = _of_all_events(work, EVENT_COLUMN[kind])
    return None if rows is None else replace(_summed("events of any name", rows), is_of_events=True)


def _summed(words: str, rows: Iterable[tuple[str, float]]) -> Activity:
    """The activity summed from some rows. It is unknown if the rows cannot be read."""
    counted: dict[str, float] = {}
    why = None
    try:
        for id_, count in rows:
            counted[id_] = counted.get(id_, 0) + count
    except Refused as refused:
        why = refused.why
    except QueryError as error:
        why = error.message
    values = MetricValues(
        name="activity", type=NUMBER_VALUE, values=counted if why is None else {}, whys={}, empty=0, why=why
    )
    return Activity(words=words, values=values)


def _of_all_events(work: PageWork, column: str, where: Sequence[str] = ()) -> Iterator[tuple[str, float]] | None:
    """(id, count) for each event, one event at a time. None if the book has no events or too many."""
    events = known_events(work)
    if not events or len(events) > MAX_EVENTS:
        return None
    return (row for event in events for row in _counts(work, event, column, where))


def _counts(work: PageWork, event: str, column: str, where: Sequence[str] = ()) -> Iterator[tuple[str, float]]:
    """(id, count) for one event. Raises QueryError and Refused."""
    yield from _rows(work, Question(metrics=(), event=event, count=True, by=[column], where=where), column)


def _rows(work: PageWork, question: Question, column: str) -> Iterator[tuple[str, float]]:
    """(id, value) over the counted days. Raises Refused if one of these days is unknown."""
    last = work.book.today - ONE_DAY
    first = plus_days(last, 1 - ACTIVE_DAYS)
    result = work.answer(replace(question, scope="all", from_=first, to=last))
    name = result.metric_columns[0].name
    for row in result.data:
        if row["days"] < row["days_expected"]:
            raise Refused(f"{row['days']} of the {row['days_expected']} days to {last} are known")
        if row[column] is not None and not row.get("total"):
            yield str(row[column]), float(row[name] or 0)


def users_by_activity(work: PageWork, account: str) -> Activity | None:
    """The activity of the users of one account, from a metric or events with the ids of both. For users whose account
    is not an attribute. None if nothing has both ids."""
    accounts, users = work.catalog.entities["accounts"], work.catalog.entities.get("users")
    user_dimensions = users.dimension if users else USER_DIMENSIONS
    for metric in usage_metrics(work, accounts):
        dims = work.catalog.queryable_dims(metric.name)
        user = next((dim for dim in user_dimensions if dim in dims), "")
        own = next((dim for dim in accounts.dimension if dim in dims), "")
        if user and own:
            question = Question(metrics=[metric.name], by=[user], where=[filter_text(own, account)])
            return _summed(title_of(metric), _rows(work, question, user))
    rows = _of_all_events(work, "user", [filter_text("account", account)])
    return None if rows is None else _summed("events of any name", rows)


# -- events ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class LatestEvents:
    """The latest events of one user or account, and the number of events in the last days."""

    rows: Sequence[Mapping[str, Any]]
    total: int
    days: int = EVENT_DAYS


def last_seen(work: PageWork, kind: str) -> LastSeen | None:
    """When users or accounts were last seen. None if the book has no events, or if a declared attribute has this
    time."""
    attributes = {one.casefold() for one in work.book.entities(kind).attributes()}
    if LAST_SEEN in attributes or not known_events(work):
        return None
    store = work.book.reader.store
    summaries = SeenSummaries.of(work.book.project.place)
    return LastSeen(events=EventLedger(store.ledger, store.files), kind=kind, now=work.now, summaries=summaries)


def latest_events(work: PageWork, kind: str, id_: str) -> LatestEvents | None:
    """The latest events of one user or account. None if the book has no events."""
    if not known_events(work):
        return None
    store = work.book.reader.store
    events = EventLedger(store.ledger, store.files)
    linked = IdentityLinks(store.ledger).aliases_of(id_) if kind == USERS else []
    search = EventSearch(
        start=work.now - timedelta(days=EVENT_DAYS),
        end=work.now,
        condition=f'"{EVENT_COLUMN[kind]}" IN (SELECT unnest(?))',
        values=([id_, *linked],),
        order='"time" DESC',
        limit=LATEST,
        needs_user=False,
    )
    found = search_events(events, search)
    return LatestEvents(rows=found.events, total=found.total)
