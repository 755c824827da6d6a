"""One page of a list of users or accounts. The engine counts, searches and sorts; only the page's rows are fetched."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from tallybook.core import INSTANT_VALUE, INTEGER_VALUE, NUMBER_VALUE, TEXT_VALUE
from tallybook.query.entity_table import shown_column
from tallybook.storage import identifier

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    import duckdb

    from tallybook.config import ConditionColumn
    from tallybook.query.entity_answers import EntityAnswers
    from tallybook.query.entity_export import ChosenEntities

    Seen = Callable[[duckdb.DuckDBPyConnection], str]

LAST_SEEN = "last_seen"
"""The sort key for the time of the latest event, unless an attribute has this name."""


@dataclass(frozen=True, kw_only=True)
class EntityPage:
    """Some rows of a list, and the counts of the whole list. `unknown`: the number for which the condition is
    unknown."""

    columns: Sequence[str]
    numbers: frozenset[str]
    """The columns that contain numbers."""
    rows: Sequence[tuple[Any, ...]]
    found: int
    """The number of entities that match the condition and the search text."""
    matching: int
    everybody: int
    unknown: int
    number: int
    """The commit of users and accounts that was read."""
    whys: Mapping[str, str]
    """Why the values of an attribute are unknown, by attribute."""
    seen: Mapping[str, str] = field(default_factory=dict)
    """The time at which each row's id was last seen, in UTC. Ids that were never seen are absent."""


def entity_page(
    answers: EntityAnswers,
    where: str = "",
    *,
    find: str = "",
    sort: str = "id",
    start: int = 0,
    limit: int = 20,
    seen: Seen | None = None,
) -> EntityPage:
    """The rows of a condition, from `start` on.

    `find`: a text that one of the columns must contain, in any case. `seen`: returns SQL with a row for each id and
    the time at which it was last seen, which `LAST_SEEN` sorts by. Raises QueryError for an invalid condition or an
    unknown attribute."""
    by_seen = seen is not None and sort.removeprefix("-") == LAST_SEEN
    with answers.chosen(where, sort="id" if by_seen else sort) as chosen:
        last = seen(chosen.engine) if seen is not None else ""
        matching = _count(chosen, chosen.matching)
        values = [f"%{_literally(find)}%"] if find else []
        searched = f" WHERE {_contains(chosen.columns)}" if find else ""
        shown = ", ".join(shown_column(name, column) for name, column in chosen.columns.items())
        asked = f"(SELECT * FROM {chosen.matching}){searched}"
        found = chosen.engine.execute(f"SELECT count(*) FROM {asked}", values).fetchall()[0][0] if find else matching
        ordered = f"(SELECT * FROM {asked}) {_by_seen(last, sort)}" if by_seen else f"{asked}{chosen.order}"
        page = f"SELECT {shown} FROM {ordered} LIMIT {limit} OFFSET {start}"
        rows = chosen.engine.execute(page, values).fetchall()
        return EntityPage(
            columns=[*chosen.columns],
            numbers=frozenset(
                name for name, one in chosen.columns.items() if one.type in (INTEGER_VALUE, NUMBER_VALUE)
            ),
            rows=rows,
            seen=seen_among(chosen.engine, last, [str(row[0]) for row in rows]) if last else {},
            found=found,
            matching=matching,
            everybody=_count(chosen, chosen.everybody) if where else matching,
            unknown=chosen.unknown,
            number=chosen.number,
            whys=chosen.whys,
        )


def _by_seen(last: str, sort: str) -> str:
    """SQL that sorts by the time at which ids were last seen. Ids that were never seen come last."""
    direction = "DESC" if sort.startswith("-") else "ASC"
    joined = f"e LEFT JOIN ({last}) AS s(tallybook_id, tallybook_at) ON s.tallybook_id = e.id"
    return f"{joined} ORDER BY s.tallybook_at {direction} NULLS LAST, id"


def seen_among(engine: duckdb.DuckDBPyConnection, last: str, ids: Sequence[str]) -> dict[str, str]:
    """The time at which each id was last seen, such as 2026-03-02 10:15. `last`: SQL with a row for each id and its
    time."""
    shown = "strftime(s.seen, '%Y-%m-%d %H:%M')"
    asked = f"SELECT s.id, {shown} FROM ({last}) AS s(id, seen) WHERE s.id IN (SELECT unnest(?))"
    return dict(engine.execute(asked, [list(ids)]).fetchall())


def common_texts(answers: EntityAnswers, most: int) -> dict[str, list[str]]:
    """The texts of each attribute with two to `most` different texts, the most frequent first."""
    names = answers.attributes()
    if not names:
        return {}
    with answers.chosen(columns=names) as chosen:
        texts = {name: one.sql for name, one in chosen.columns.items() if one.type == TEXT_VALUE and name != "id"}
        if not texts:
            return {}
        # Estimates find the few candidates, because an exact count of the texts in long columns would take seconds.
        counted = ", ".join(f"approx_count_distinct({one})" for one in texts.values())
        sizes = chosen.engine.execute(f"SELECT {counted} FROM {chosen.everybody}").fetchall()[0]
        found = {}
        for (name, sql), size in zip(texts.items(), sizes, strict=True):
            if size <= 2 * most:
                grouped = f"SELECT {sql} FROM {chosen.everybody} WHERE {sql} IS NOT NULL GROUP BY 1"
                rows = chosen.engine.execute(f"{grouped} ORDER BY count(*) DESC, 1").fetchall()
                found[name] = [row[0] for row in rows]
        return {name: listed for name, listed in found.items() if 1 < len(listed) <= most}


def _count(chosen: ChosenEntities, relation: str) -> int:
    count: int = chosen.engine.execute(f"SELECT count(*) FROM {relation}").fetchall()[0][0]
    return count


def _contains(columns: Mapping[str, ConditionColumn]) -> str:
    """The SQL condition that one of the columns, in its displayed form, contains the text of the parameter."""
    texts = [
        f"strftime({identifier(name)}, '%Y-%m-%d %H:%M')" if one.type == INSTANT_VALUE else f"{identifier(name)}"
        for name, one in columns.items()
    ]
    listed = " || chr(1) || ".join(f"coalesce(CAST({text} AS VARCHAR), '')" for text in texts)
    return rf"lower({listed}) LIKE lower(?) ESCAPE '\'"


def _literally(text: str) -> str:
    """The text escaped for LIKE, so that no character is a wildcard."""
    return text.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_")
