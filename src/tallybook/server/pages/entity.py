"""Everything about one user or account: numbers over time, its users, its events, and firings of rules."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tallybook.core import (
    LEAVE,
    EntitySettings,
    Metric,
    QueryError,
    Refused,
    TallybookError,
    did_you_mean,
    isolated,
)
from tallybook.query import EntityDetails, Question
from tallybook.server.charts.drawing import FULL
from tallybook.server.charts.sparks import bar
from tallybook.server.pages.activity import (
    ACTIVE_DAYS,
    LatestEvents,
    activity_of,
    last_seen,
    latest_events,
    users_by_activity,
)
from tallybook.server.pages.breakdown import filter_text
from tallybook.server.pages.builder_answer import single_chart
from tallybook.server.pages.builder_form import AskedSeries, BuilderForm
from tallybook.server.pages.builder_table import TableView, table_of
from tallybook.server.pages.entities import NAME_WORDS, SINGULAR, entity_link, refuse_bound, section_of, value_text
from tallybook.server.pages.figures import Figure, figure
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import Choice, Page, PageWork, address
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.templates import markup
from tallybook.server.pages.words import Shown, number, title_of
from tallybook.storage import DROPPED, FIRED, HOLDOUT, WAITING

MAX_FIRINGS, MAX_PROPERTIES = 10, 120
ENDS = 5
"""Number of most active users and of least active users to show."""
FIRING_WORDS = {FIRED: "Done", WAITING: "Waits", DROPPED: "Left before it was done", HOLDOUT: "Holdout: nothing done"}
STATE_WORDS = {
    "in": "inside",
    "out": "outside",
    "held": "waits until the condition has been true long enough",
    "unknown-was-in": "unknown now, inside before",
    "unknown-was-out": "unknown now, outside before",
}
SPANS = {"day": "60 days", "week": "27 weeks", "month": "14 months"}


def entity_page(work: PageWork, kind: str, entity: str) -> Page:
    """The page of one user or account. Raises QueryError for an unknown one."""
    refuse_bound(work)
    answers = work.book.entities(kind)
    details = answers.show(entity)
    seen = last_seen(work, kind)
    metrics = metrics_of(work, answers.settings)
    chosen = _chosen_metric(work) or (metrics[0][0] if metrics else None)
    scope = work.ask.one("scope") or "day"
    if scope not in SPANS:
        raise QueryError(f"there is no scope {scope[:40]!r}", hint=f"one of {', '.join(SPANS)}", field="scope")
    dim = next((dim for metric, dim in metrics if chosen is not None and metric.name == chosen.name), "")
    name = next((details.attributes[word].value for word in NAME_WORDS if word in details.attributes), None)
    return page(
        work,
        "entity.html",
        section_of(work),
        str(name or entity),
        kind=kind,
        singular=SINGULAR[kind],
        details=details,
        name=str(name or entity),
        account=_account(work, kind, details),
        has_seen=seen is not None,
        last_seen=seen.of([entity]).get(entity) if seen is not None else None,
        attributes=[(key, value_text(one.value), one.time[:10], one.origin) for key, one in details.attributes.items()],
        values=[(key, value_text(one.value), one.why or "") for key, one in details.metrics.items()],
        headlines=_headlines(work, metrics[:3], entity),
        metrics=[
            Choice(
                words=title_of(metric),
                link=work.ask.link(metric=metric.name),
                is_chosen=chosen is not None and metric.name == chosen.name,
            )
            for metric, _ in metrics
        ],
        scopes=[Choice(words=one.capitalize(), link=work.ask.link(scope=one), is_chosen=one == scope) for one in SPANS],
        view=_over_time(work, chosen, dim, entity, scope) if chosen is not None and dim else None,
        dimension=answers.settings.dimension[0],
        people=_with_last_seen(work, _people(work, kind, entity)),
        events=_events(work, kind, entity),
        rules=_rules(work, kind, entity),
        firings=_firings(work, kind, entity),
        has_rules=any(rule.kind == kind for rule in work.catalog.rules.values()),
        builder=address("/q", metrics=chosen.name, where=filter_text(dim, entity)) if chosen and dim else "",
    )


def _chosen_metric(work: PageWork) -> Metric | None:
    """The metric that the address names. Raises QueryError."""
    name = work.ask.one("metric")
    if name and name not in work.metrics:
        raise QueryError(f"there is no metric {name[:80]!r}", hint=did_you_mean(name, work.metrics), field="metric")
    return work.metrics.get(name)


def metrics_of(work: PageWork, settings: EntitySettings) -> list[tuple[Metric, str]]:
    """The metrics that have the ids of these entities as a dimension, with that dimension."""
    found = []
    for name, metric in work.metrics.items():
        dims = work.catalog.queryable_dims(name)
        dim = next((one for one in settings.dimension if one in dims), "")
        if dim:
            found.append((metric, dim))
    return found


def _account(work: PageWork, kind: str, details: EntityDetails) -> tuple[str, str] | None:
    """(link, id) of the account of a user."""
    found = details.attributes.get("account")
    if kind != "users" or "accounts" not in work.catalog.entities or found is None or found.value is None:
        return None
    return entity_link("accounts", str(found.value)), str(found.value)


# -- numbers ---------------------------------------------------------------------------------------


def _headlines(work: PageWork, metrics: Sequence[tuple[Metric, str]], entity: str) -> list[tuple[str, Shown]]:
    found = []
    period = shown_period(work, "week")
    for metric, dim in metrics:
        question = Question(
            metrics=[metric.name], scope="week", where=[filter_text(dim, entity)], from_=period.start, to=period.end
        )
        try:
            result = work.answer(question)
        except (QueryError, Refused):
            continue
        value = result.data[-1][metric.name] if result.data else None
        found.append((f"{title_of(metric)}, {period.phrase}", number(value, result.metric_columns[0], brief=True)))
    return found


@dataclass(frozen=True, kw_only=True)
class EntityMetric:
    """A metric of one entity over time."""

    figure: Figure
    table: TableView


def _over_time(work: PageWork, metric: Metric, dim: str, entity: str, scope: str) -> EntityMetric | None:
    one = AskedSeries(letter="A", metric=metric.name, where=(filter_text(dim, entity),))
    form = BuilderForm(series=(one,), scope=scope, last=SPANS[scope], chart="bar" if metric.adds_up else "line")
    try:
        result = work.answer(form.question(one))
    except (QueryError, Refused):
        return None
    return EntityMetric(figure=figure(single_chart(work, form, result), "c1", FULL), table=table_of(form, result))


# -- users -----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class UserLine:
    """A user of an account. `more`: an attribute. `value`: the user's activity."""

    id: str
    link: str
    name: str
    more: str
    value: str
    bar: Any
    seen: str = ""


@dataclass(frozen=True, kw_only=True)
class AccountUsers:
    """The users of an account by activity: the most active ones, and also the least active ones if there are too many
    to show. `words`: what is counted, empty if no activity is known; then `most` are the first ones by name. `why`: why
    activity is unknown."""

    total: int
    most: Sequence[UserLine]
    least: Sequence[UserLine]
    words: str
    why: str
    attribute: str
    days: int = ACTIVE_DAYS
    has_seen: bool = False


def _people(work: PageWork, kind: str, entity: str) -> AccountUsers | None:
    """The users of an account. None if it is unknown who they are."""
    if kind != "accounts":
        return None
    users = work.book.entities("users") if "users" in work.catalog.entities else None
    known = {one.casefold(): one for one in users.attributes()} if users is not None else {}
    if users is None or "account" not in known:
        return _people_by_activity(work, entity)
    named = next((known[word] for word in NAME_WORDS if word in known), None)
    other = next((one for one in known.values() if one.casefold() not in ("account", *NAME_WORDS)), None)
    quoted = entity.replace("'", "''")
    found = users.list(f"account = '{quoted}'", columns=[one for one in (named, other) if one is not None] or ["id"])
    activity = activity_of(work, "users")
    why = activity.values.why or "" if activity is not None else ""
    counted = activity if not why else None
    places = {name: place for place, name in enumerate(found.columns)}
    lines = [
        _Person(
            id=row[0],
            name=str((row[places[named]] if named else None) or row[0]),
            more=row[places[other]] if other else None,
            value=counted.of(row[0]) if counted is not None else None,
        )
        for row in found.rows
    ]
    return _account_users(lines, counted.words if counted is not None else "", why, other or "")


def _people_by_activity(work: PageWork, entity: str) -> AccountUsers | None:
    """The users who were active for the account in the last days."""
    activity = users_by_activity(work, entity)
    if activity is None:
        return None
    lines = [_Person(id=id_, name=id_, value=value) for id_, value in activity.values.values.items()]
    return _account_users(
        lines, activity.words, activity.values.why or "", "", has_pages="users" in work.catalog.entities
    )


def _with_last_seen(work: PageWork, people: AccountUsers | None) -> AccountUsers | None:
    """The users, each with the time when the user was last seen."""
    seen = last_seen(work, "users") if people is not None and "users" in work.catalog.entities else None
    if people is None or seen is None:
        return people
    times = seen.of([one.id for one in (*people.most, *people.least)])
    most, least = (
        [replace(one, seen=times.get(one.id, "")[:10]) for one in lines] for lines in (people.most, people.least)
    )
    return replace(people, most=most, least=least, has_seen=True)


@dataclass(frozen=True, kw_only=True)
class _Person:
    id: str
    name: str
    more: Any = None
    value: float | None = None


def _account_users(
    people: list[_Person], words: str, why: str, attribute: str, *, has_pages: bool = True
) -> AccountUsers:
    people.sort(key=lambda one: (one.value is None, -(one.value or 0.0), one.name, one.id))
    top = max((one.value for one in people if one.value is not None), default=0.0)
    shown = _ends(people) if words else people[: 2 * ENDS]
    lines = [_user_line(one, top, has_pages=has_pages) for one in shown]
    is_whole = len(lines) == len(people) or not words
    return AccountUsers(
        total=len(people),
        most=lines if is_whole else lines[:ENDS],
        least=[] if is_whole else lines[ENDS:],
        words=words,
        why=why,
        attribute=attribute.replace("_", " "),
    )


def _ends(people: list[_Person]) -> list[_Person]:
    return people if len(people) <= 2 * ENDS else [*people[:ENDS], *people[-ENDS:]]


def _user_line(one: _Person, top: float, *, has_pages: bool) -> UserLine:
    return UserLine(
        id=one.id,
        link=entity_link("users", one.id) if has_pages else "",
        name=one.name,
        more=value_text(one.more),
        value="–" if one.value is None else f"{one.value:,.10g}",
        bar=markup(bar(one.value / top)) if one.value is not None and top > 0 else "",
    )


# -- events and rules ------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class EventLine:
    time: str
    event: str
    who: str
    link: str
    properties: str


@dataclass(frozen=True, kw_only=True)
class EventsView:
    """The latest events. `who`: the column with the other id, of a user or account."""

    who: str
    lines: Sequence[EventLine]
    total: int
    days: int


def _events(work: PageWork, kind: str, entity: str) -> EventsView | None:
    """The latest events of one user or account. None if the book has no events."""
    found: LatestEvents | None = latest_events(work, kind, entity)
    if found is None:
        return None
    who = "user" if kind == "accounts" else "account"
    return EventsView(
        who=who, lines=[_event_line(work, row, who) for row in found.rows], total=found.total, days=found.days
    )


def _event_line(work: PageWork, row: Mapping[str, Any], who: str) -> EventLine:
    other = row[who]
    known = f"{who}s" in work.catalog.entities and other is not None
    texts = [f"{name}={value_text(value)}" for name, value in row["properties"].items()]
    listed = ", ".join(texts)
    return EventLine(
        time=f"{row['time'][:10]} {row['time'][11:16]}",
        event=row["event"],
        who=str(other) if other is not None else "–",
        link=entity_link(f"{who}s", str(other)) if known else "",
        properties=listed if len(listed) <= MAX_PROPERTIES else f"{listed[: MAX_PROPERTIES - 1]}…",
    )


def _rules(work: PageWork, kind: str, entity: str) -> list[tuple[str, str, str]]:
    """(rule, state, condition) of each rule for one entity."""
    found = []
    for rule in work.catalog.rules.values():
        if rule.kind != kind:
            continue
        try:
            with isolated():
                one = work.book.rules.explain(rule.name, entity)
        except TallybookError:
            continue
        found.append((rule.name, f"{STATE_WORDS.get(one.state, one.state)}; the condition is {one.outcome}", rule.when))
    return found


@dataclass(frozen=True, kw_only=True)
class FiringLine:
    rule: str
    at: str
    what: str
    values: str


def _firings(work: PageWork, kind: str, entity: str) -> list[FiringLine]:
    """The firings of rules for one user or account, newest first."""
    found = work.book.rules.firings_of(kind, entity)[::-1][:MAX_FIRINGS]
    return [
        FiringLine(
            rule=one.rule,
            at=f"{one.at[:10]} {one.at[11:16]}",
            what=f"{'Left' if one.edge == LEAVE else 'Entered'}. {FIRING_WORDS.get(one.state, one.state)}",
            values=", ".join(f"{name} {value_text(value)}" for name, value in one.values.items()),
        )
        for one in found
    ]
