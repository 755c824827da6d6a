"""Users and accounts: counts, and a list filtered by a condition."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import quote

from tallybook.core import SUBJECT_KINDS, QueryError, Refused, TallybookError, isolated
from tallybook.ingest import LastSeen, on_present_files
from tallybook.query import LAST_SEEN, EntityAnswers, EntityPage, common_texts, entity_page
from tallybook.server.pages.activity import ACTIVE_DAYS, Activity, activity_of, last_seen
from tallybook.server.pages.frame import page
from tallybook.server.pages.page import Choice, Page, PageWork, address
from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.words import begins_sentence

if TYPE_CHECKING:
    from tallybook.act import InsideRules

PAGE = 20
INSTANT = re.compile(r"\d{4}-\d\d-\d\dT[\d:.]+Z")
MAX_COLUMNS = 8
MAX_QUICK = 6
MAX_VALUES = 8
MAX_COMMON = 4
SINGULAR = {kind: subject for subject, kind in SUBJECT_KINDS.items()}
NAME_WORDS = ("name", "title", "company", "email")


@dataclass(frozen=True, kw_only=True)
class EntityCount:
    """A count in the summary. Without a `value`, `more` is a sentence that says what to declare."""

    label: str
    value: str
    more: str = ""
    link: str = ""
    code: str = ""
    """The lines to add to tallybook.toml."""


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
    rules: Sequence[str] = ()
    """The rules that the entity is inside."""


def entities_page(work: PageWork, kind: str) -> Page:
    """The page `/accounts` or `/users`. Raises QueryError if they are not declared."""
    refuse_bound(work)
    answers = work.book.entities(kind)
    where, sort = work.ask.one("where").strip(), work.ask.one("sort", "id")
    start = max(0, (_whole(work.ask.one("page"), 1) - 1) * PAGE)
    seen = last_seen(work, kind)
    has_seen = seen is not None
    found, wrong = on_present_files(lambda: _listed(work, answers, where, sort, start, seen))
    first, last = start + 1 if found.rows else 0, start + len(found.rows)
    inside = _inside(work, kind, [str(row[0]) for row in found.rows])
    return page(
        work,
        "entities.html",
        section_of(work),
        kind.capitalize(),
        status=400 if wrong else 200,
        kind=kind,
        kinds=[Choice(words=one.capitalize(), link=f"/{one}", is_chosen=one == kind) for one in work.catalog.entities],
        counts=_counts(work, kind, found, where, wrong, inside),
        where=where,
        wrong=wrong,
        find=work.ask.one("find"),
        quick=_quick(work, kind, answers, where),
        heads=_heads(work, found, sort, has_seen=has_seen),
        lines=[_line(kind, found, row, inside, has_seen=has_seen) for row in found.rows],
        total=found.found,
        first=first,
        last=last,
        before=work.ask.link(page=str(start // PAGE)) if start else "",
        after=work.ask.link(page=str(start // PAGE + 2)) if last < found.found else "",
        unknown=found.unknown,
        today=work.book.today,
    )


def _listed(
    work: PageWork, answers: EntityAnswers, where: str, sort: str, start: int, last: LastSeen | None
) -> tuple[EntityPage, str]:
    """The rows, and the problem with the condition or the sort order. If there is a problem, the rows are not filtered
    or sorted by it."""
    find = work.ask.one("find").strip()
    seen = last.relation if last is not None else None
    try:
        return entity_page(answers, where, find=find, sort=sort, start=start, limit=PAGE, seen=seen), ""
    except QueryError as error:
        wrong = page_words(f"{begins_sentence(error.message)}. {begins_sentence(error.hint)}".strip())
        return entity_page(answers, find=find, start=start, limit=PAGE, seen=seen), wrong


def refuse_bound(work: PageWork) -> None:
    """Raise Refused for a reader who sees only part of the book."""
    if work.reader.is_bound:
        raise Refused("this key sees a part of the book; users and accounts are not in it")


def section_of(work: PageWork) -> str:
    """The navigation section of these pages."""
    return "accounts" if "accounts" in work.catalog.entities else "users"


def _whole(text: str, otherwise: int) -> int:
    return int(text) if text.isascii() and text.isdigit() and len(text) < 9 else otherwise


# -- counts ----------------------------------------------------------------------------------------


def _counts(
    work: PageWork, kind: str, found: EntityPage, where: str, wrong: str, inside: InsideRules | None
) -> list[EntityCount]:
    counts = [EntityCount(label=f"All {kind}", value=f"{found.everybody:,}", link=f"/{kind}" if where else "")]
    if where and not wrong:
        more = _share(found.matching, found.everybody)
        if found.unknown:
            more = f"{more} · {found.unknown:,} not known".strip(" ·")
        counts.append(EntityCount(label="Match the condition", value=f"{found.matching:,}", more=more))
    return [*counts, _active(work, kind, found.everybody), _at_risk(work, kind, inside)]


def _share(part: int, whole: int) -> str:
    return f"{part / whole:.0%}" if whole else ""


def _active(work: PageWork, kind: str, everybody: int) -> EntityCount:
    """The number of active users or accounts, and how activity is measured."""
    label = f"Active in {ACTIVE_DAYS} days"
    activity = activity_of(work, kind)
    if activity is None:
        code = f'by = ["{work.catalog.entities[kind].dimension[0]}"]'
        return EntityCount(
            label=label,
            value="",
            more="No metric and no event shows who is active. Store their ids in a metric that counts what they do:",
            code=code,
        )
    if activity.values.why is not None:
        return EntityCount(label=label, value="–", more=activity.values.why)
    if activity.is_of_events:  # event counts change without a new version of the book
        active, unknown = _count_active(work, kind, activity)
    else:
        active, unknown = work.once(f"active {kind}", lambda: _count_active(work, kind, activity))
    more = f"{_share(active, everybody)} · {activity.words}".strip(" ·")
    if unknown:
        more += f" · {unknown:,} not known"
    link = address(f"/{kind}", where=activity.where) if activity.where else ""
    return EntityCount(label=label, value=f"{active:,}", more=more, link=link)


def _count_active(work: PageWork, kind: str, activity: Activity) -> tuple[int, int]:
    """The number of active ids, and the number of ids whose activity is unknown."""
    ids = [row[0] for row in work.book.entities(kind).list(columns=("id",)).rows]
    done = [activity.of(id_) for id_ in ids]
    return sum(1 for one in done if one), sum(1 for one in done if one is None)


def _at_risk(work: PageWork, kind: str, inside: InsideRules | None) -> EntityCount:
    """The number of users or accounts inside rules."""
    label = "At risk, by your rules"
    names = [one.name for one in work.catalog.rules.values() if one.kind == kind and not one.draft]
    if not names:
        code = f'[rules.NAME] for = "{SINGULAR[kind]}"'
        return EntityCount(
            label=label, value="", more=f"No rule is about {kind}. Add one to tallybook.toml:", code=code
        )
    if inside is None or not inside.counts:
        return EntityCount(
            label=label, value="–", more=f"{', '.join(names[:3])}: not evaluated yet. tallybook rules evaluate"
        )
    if len(inside.counts) == 1:
        more = next(iter(inside.counts))
    else:
        more = " · ".join(f"{name} {count:,}" for name, count in list(inside.counts.items())[:4])
    return EntityCount(label=label, value=f"{inside.entities:,}", more=more)


def _inside(work: PageWork, kind: str, ids: Sequence[str]) -> InsideRules | None:
    """The number of entities inside rules, and the rules of the given ids. None if it cannot be read."""
    if not any(rule.kind == kind for rule in work.catalog.rules.values()):
        return None
    try:
        with isolated():
            return work.book.rules.inside(kind, ids)
    except TallybookError:
        return None


# -- the list --------------------------------------------------------------------------------------


def _quick(work: PageWork, kind: str, answers: EntityAnswers, where: str) -> list[Choice]:
    """Quick filters: conditions of rules, followed by values of attributes that have only a few."""
    rules = [
        (one.name.replace("_", " ").capitalize(), one.when) for one in work.catalog.rules.values() if one.kind == kind
    ]
    common: Mapping[str, Sequence[str]] = work.once(f"texts of {kind}", lambda: common_texts(answers, MAX_VALUES))
    values = [
        (f"{column}: {value}", f"{column} = '" + value.replace("'", "''") + "'")
        for column, texts in common.items()
        if column.casefold() not in NAME_WORDS
        for value in texts[:MAX_COMMON]
    ]
    return [
        Choice(words=words, link=address(f"/{kind}", where=text), is_chosen=text == where)
        for words, text in [*rules, *values][:MAX_QUICK]
    ]


def _shown(found: EntityPage) -> list[int]:
    """The indexes of the columns to show. The name is left out, because it is shown first."""
    name = _name_place(found)
    return [place for place in range(1, len(found.columns)) if place != name][:MAX_COLUMNS]


def _name_place(found: EntityPage) -> int:
    columns = list(found.columns)
    return next((columns.index(word) for word in NAME_WORDS if word in columns), 0)


def _heads(work: PageWork, found: EntityPage, sort: str, *, has_seen: bool) -> list[EntityHead]:
    columns = [found.columns[place] for place in [_name_place(found), *_shown(found)]]
    heads = [
        _head(work, column, column.replace("_", " "), sort, is_number=column in found.numbers) for column in columns
    ]
    return [*heads, _head(work, LAST_SEEN, "last seen, UTC", sort, is_latest_first=True)] if has_seen else heads


def _head(
    work: PageWork, column: str, name: str, sort: str, *, is_number: bool = False, is_latest_first: bool = False
) -> EntityHead:
    """A heading that sorts by its column. If the list is already sorted by it, the order is reversed."""
    first, other = (f"-{column}", column) if is_latest_first else (column, f"-{column}")
    return EntityHead(
        name=name,
        link=work.ask.link(sort=other if sort == first else first, page=None),
        is_number=is_number,
        sort="ascending" if sort == column else "descending" if sort == f"-{column}" else "",
    )


def _line(
    kind: str, found: EntityPage, row: Sequence[Any], inside: InsideRules | None, *, has_seen: bool
) -> EntityLine:
    entity = str(row[0])
    name = row[_name_place(found)]
    cells = [(value_text(row[place]), found.columns[place] in found.numbers) for place in _shown(found)]
    if has_seen:
        cells.append((found.seen.get(entity, "–"), False))
    rules = inside.rules_of.get(entity, []) if inside is not None else []
    return EntityLine(
        id=entity, link=entity_link(kind, entity), name=str(name) if name else entity, cells=cells, rules=rules
    )


def entity_link(kind: str, entity: str) -> str:
    """The URL of the page of one user or account."""
    return f"/{kind}/{quote(entity, safe='')}"


def value_text(value: Any) -> str:
    """The value of an attribute, formatted for people."""
    if value is None:
        return "–"
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int | float):
        return f"{value:,}".replace("-", "−")
    text = str(value)
    return f"{text[:10]} {text[11:16]} UTC" if INSTANT.fullmatch(text) else text
