"""Users and accounts: counts, a list by condition, and everything about one."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote

from tallybook.core import EntitySettings, Metric, QueryError, Refused, TallybookError, isolated
from tallybook.query import EntityAnswers, EntityList, Question
from tallybook.server.charts.drawing import FULL
from tallybook.server.pages.breakdown import filter_text
from tallybook.server.pages.builder_answer import single_chart
from tallybook.server.pages.builder_form import AskedSeries, BuilderForm
from tallybook.server.pages.builder_table import TableView, table_of
from tallybook.server.pages.figures import Figure, figure
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import Choice, Page, PageWork, address
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.words import Shown, number, title_of

PAGE = 20
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
MAX_COLUMNS = 8
MAX_QUICK = 6
MAX_VALUES = 8
SINGULAR = {"accounts": "account", "users": "user"}
NAME_WORDS = ("name", "title", "company", "email")


@dataclass(frozen=True, kw_only=True)
class EntityCount:
    label: str
    value: str
    more: str = ""


@dataclass(frozen=True, kw_only=True)
class EntityHead:
    """A column of the list, with the link that sorts by it."""

    name: str
    link: str
    is_number: bool
    sort: str = ""


@dataclass(frozen=True, kw_only=True)
class EntityLine:
    id: str
    link: str
    name: str
    cells: Sequence[tuple[str, bool]]


def entities_page(work: PageWork, kind: str) -> Page:
    """The page `/accounts` or `/users`. Raises QueryError where they are not declared."""
    _refuse_bound(work)
    answers = work.book.entities(kind)
    where, sort = work.ask.one("where").strip(), work.ask.one("sort", "id")
    wrong = ""
    try:
        found = answers.list(where, sort=sort)
    except QueryError as error:
        wrong = f"{error.message[:1].upper()}{error.message[1:]}. {error.hint}"
        found = answers.list(sort="id") if sort == "id" else answers.list()
    find = work.ask.one("find").strip().casefold()
    every = answers.list() if where else found
    rows = [row for row in found.rows if not find or any(find in str(cell).casefold() for cell in row)]
    start = max(0, (_whole(work.ask.one("page"), 1) - 1) * PAGE)
    return page(
        work,
        "entities.html",
        "accounts" if kind == "accounts" or "accounts" in work.catalog.entities else "users",
        kind.capitalize(),
        status=400 if wrong else 200,
        kind=kind,
        kinds=[Choice(words=one.capitalize(), link=f"/{one}", is_chosen=one == kind) for one in work.catalog.entities],
        counts=_counts(work, kind, every, found, where),
        where=where,
        wrong=wrong,
        find=work.ask.one("find"),
        quick=_quick(work, kind, every, where),
        heads=_heads(work, found, sort),
        lines=[_line(kind, found, row) for row in rows[start : start + PAGE]],
        total=len(rows),
        first=start + 1 if rows else 0,
        last=min(start + PAGE, len(rows)),
        before=work.ask.link(page=str(start // PAGE)) if start else "",
        after=work.ask.link(page=str(start // PAGE + 2)) if start + PAGE < len(rows) else "",
        unknown=found.unknown,
        today=work.book.today,
    )


def _refuse_bound(work: PageWork) -> None:
    if work.reader.is_bound:
        raise Refused("this key sees a part of the book; users and accounts are not in it")


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise


def _counts(work: PageWork, kind: str, every: EntityList, found: EntityList, where: str) -> list[EntityCount]:
    counts = [EntityCount(label=f"All {kind}", value=f"{len(every.rows):,}")]
    if where:
        share = f"{len(found.rows) / len(every.rows):.0%}" if every.rows else ""
        counts.append(EntityCount(label="Match the condition", value=f"{len(found.rows):,}", more=share))
    if found.unknown:
        counts.append(EntityCount(label="Not known", value=f"{found.unknown:,}", more="a value is missing"))
    return counts + [
        EntityCount(label="At risk, by your rules", value=f"{one.inside:,}", more=one.rule)
        for one in _rule_lines(work, SINGULAR[kind])[: 4 - len(counts)]
    ]


def _rule_lines(work: PageWork, subject: str) -> list[Any]:
    """The rules for these, with how many are inside."""
    if not any(rule.for_ == subject for rule in work.catalog.rules.values()):
        return []
    try:
        with isolated():
            return [one for one in work.book.rules.list() if one.for_ == subject]
    except TallybookError:
        return []


def _quick(work: PageWork, kind: str, every: EntityList, where: str) -> list[Choice]:
    """Conditions of rules, then values of attributes with few of them."""
    rules = [
        (one.name.replace("_", " ").capitalize(), one.when)
        for one in work.catalog.rules.values()
        if one.for_ == SINGULAR[kind]
    ]
    values = []
    for place, column in enumerate(every.columns):
        counted = Counter(row[place] for row in every.rows if isinstance(row[place], str))
        if column != "id" and 1 < len(counted) <= MAX_VALUES:
            for value, _ in counted.most_common(4):
                quoted = value.replace("'", "''")
                values.append((f"{column}: {value}", f"{column} = '{quoted}'"))
    return [
        Choice(words=words, link=address(f"/{kind}", where=text), is_chosen=text == where)
        for words, text in [*rules, *values][:MAX_QUICK]
    ]


def _shown(found: EntityList) -> list[int]:
    """The places of the columns that are shown: not the name, which is the first one."""
    name = _name_place(found)
    return [place for place in range(1, len(found.columns)) if place != name][:MAX_COLUMNS]


def _name_place(found: EntityList) -> int:
    return next((found.columns.index(word) for word in NAME_WORDS if word in found.columns), 0)


def _heads(work: PageWork, found: EntityList, sort: str) -> list[EntityHead]:
    heads = []
    for place in [_name_place(found), *_shown(found)]:
        column = found.columns[place]
        is_down = sort == column
        heads.append(
            EntityHead(
                name=column.replace("_", " "),
                link=work.ask.link(sort=f"-{column}" if is_down else column, page=None),
                is_number=_is_number(found, place),
                sort="ascending" if is_down else "descending" if sort == f"-{column}" else "",
            )
        )
    return heads


def _is_number(found: EntityList, place: int) -> bool:
    known = next((row[place] for row in found.rows if row[place] is not None), None)
    return isinstance(known, int | float) and not isinstance(known, bool)


def _line(kind: str, found: EntityList, row: Sequence[Any]) -> EntityLine:
    entity = str(row[0])
    name = row[_name_place(found)]
    cells = [(_text(row[place]), _is_number(found, place)) for place in _shown(found)]
    return EntityLine(
        id=entity, link=f"/{kind}/{quote(entity, safe='')}", name=str(name) if name else entity, cells=cells
    )


def _text(value: Any) -> str:
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}".replace("-", "−")
    text = str(value)
    return f"{text[:10]} {text[11:16]} UTC" if INSTANT.fullmatch(text) else text


# -- one -------------------------------------------------------------------------------------------


def entity_page(work: PageWork, kind: str, entity: str) -> Page:
    """The page of one user or account. Raises QueryError where there is none."""
    _refuse_bound(work)
    answers = work.book.entities(kind)
    details = answers.show(entity)
    metrics = metrics_of(work, answers.settings)
    chosen = work.metrics.get(work.ask.one("metric")) or (metrics[0][0] if metrics else None)
    scope = work.ask.one("scope", "day")
    scope = scope if scope in ("day", "week", "month") else "day"
    dim = next((dim for metric, dim in metrics if chosen is not None and metric.name == chosen.name), "")
    view = _over_time(work, chosen, dim, entity, scope) if chosen is not None and dim else None
    name = next((details.attributes[word].value for word in NAME_WORDS if word in details.attributes), None)
    return page(
        work,
        "entity.html",
        "accounts" if "accounts" in work.catalog.entities else "users",
        str(name or entity),
        kind=kind,
        singular=SINGULAR[kind],
        details=details,
        name=str(name or entity),
        attributes=[(key, _text(one.value), one.time[:10], one.origin) for key, one in details.attributes.items()],
        values=[(key, _text(one.value), one.why or "") for key, one in details.metrics.items()],
        headlines=_headlines(work, metrics[:3], entity),
        metrics=[
            Choice(
                words=title_of(metric),
                link=work.ask.link(metric=metric.name),
                is_chosen=chosen is not None and metric.name == chosen.name,
            )
            for metric, _ in metrics
        ],
        scopes=[
            Choice(words=one.capitalize(), link=work.ask.link(scope=one), is_chosen=one == scope)
            for one in ("day", "week", "month")
        ],
        view=view,
        people=_people(work, kind, entity),
        rules=_rules(work, kind, entity),
        builder=address("/q", metrics=chosen.name, where=filter_text(dim, entity)) if chosen and dim else "",
    )


def metrics_of(work: PageWork, settings: EntitySettings) -> list[tuple[Metric, str]]:
    """The metrics that have one of these as a dimension, with that dimension."""
    found = []
    for name, metric in work.metrics.items():
        dims = work.catalog.queryable_dims(name)
        dim = next((one for one in settings.dimension if one in dims), "")
        if dim:
            found.append((metric, dim))
    return found


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
    last = {"day": "60 days", "week": "27 weeks", "month": "14 months"}[scope]
    form = BuilderForm(series=(one,), scope=scope, last=last, chart="bar" if metric.adds_up else "line")
    try:
        result = work.answer(form.question(one))
    except (QueryError, Refused):
        return None
    return EntityMetric(figure=figure(single_chart(work, form, result), "c1", FULL), table=table_of(form, result))


def _people(work: PageWork, kind: str, entity: str) -> list[tuple[str, str, list[tuple[str, str]]]]:
    """(link, id, attributes) of the users of an account."""
    if kind != "accounts" or "users" not in work.catalog.entities:
        return []
    users: EntityAnswers = work.book.entities("users")
    quoted = entity.replace("'", "''")
    try:
        found = users.list(f"account = '{quoted}'", limit=PAGE)
    except QueryError:
        return []
    shown = [place for place, column in enumerate(found.columns) if column not in ("id", "account")][:4]
    return [
        (
            f"/users/{quote(str(row[0]), safe='')}",
            str(row[0]),
            [(found.columns[place], _text(row[place])) for place in shown],
        )
        for row in found.rows
    ]


def _rules(work: PageWork, kind: str, entity: str) -> list[tuple[str, str, str]]:
    """(rule, state, last firing) of each rule for one entity."""
    found = []
    for rule in work.catalog.rules.values():
        if rule.for_ != SINGULAR[kind]:
            continue
        try:
            with isolated():
                one = work.book.rules.explain(rule.name, entity)
        except TallybookError:
            continue
        found.append((rule.name, f"{one.state}; the condition is {one.outcome}", rule.when))
    return found
