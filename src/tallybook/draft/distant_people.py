"""Active people whose id is not in the rows of use, but in what the rows refer to: use of a license, of an account."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from tallybook.draft.columns import dimensions
from tallybook.draft.references import actor_of, actors_of, reference
from tallybook.draft.row_filters import counted_rows
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.table_guesses import Idea, Topic, in_join, is_customer_table, is_negative, join_text
from tallybook.draft.table_roles import USE_ROLE, is_activity, role_of
from tallybook.draft.time_words import BORN, DONE, PAID
from tallybook.draft.times import time_of
from tallybook.draft.words import plural

if TYPE_CHECKING:
    from tallybook.draft.guess import Guesser

MIN_ROWS_FOR_EACH = 1.5
"""With fewer rows of use for each of the people there are, the rows do not show use."""


def distant_people(guesser: Guesser) -> Iterator[Idea]:
    """Active people of tables of use without an actor, over the only reference that leads to one."""
    for table in guesser.seen.tables:
        time = time_of(table, DONE + BORN + PAID)
        if time is None or is_negative(table) or not is_activity(table) or role_of(guesser.seen, table) != USE_ROLE:
            continue
        if actor_of(guesser.seen, table) is None and (path := _path(guesser, table)) is not None:
            yield _active(guesser, table, time, *path)


def _path(guesser: Guesser, table: SeenTable) -> tuple[SeenColumn, SeenTable, SeenColumn, SeenColumn, str] | None:
    """(column, what it refers to, the key there, who that belongs to, their noun); None unless there is one path."""
    found = []
    for column in table.columns:
        linked = reference(guesser.seen, table, column) if column.an_id and column.values else None
        if linked is None or linked[0] is table or not linked[0].unique_by(linked[1].name):
            continue
        for actor, entity in actors_of(guesser.seen, linked[0])[:1]:
            owner = reference(guesser.seen, linked[0], actor)
            if owner is None or not is_customer_table(owner[0]) or guesser._are_staff(owner[0]):
                continue
            if table.total >= MIN_ROWS_FOR_EACH * owner[0].total:
                found.append((column, linked[0], linked[1], actor, entity))
    return found[0] if len(found) == 1 else None


def _active(
    guesser: Guesser,
    table: SeenTable,
    time: SeenColumn,
    column: SeenColumn,
    other: SeenTable,
    key: SeenColumn,
    actor: SeenColumn,
    entity: str,
) -> Idea:
    counted = f"{in_join(other.name)}.{guesser.as_sql(actor.name)}"
    keys, why = guesser._facts(table, time, f"count(distinct {counted})")
    if other.column(time.name):
        keys["time"] = f"{table.name}.{time.name}"
    keys["join"] = join_text(table, column, other, key.name)
    why["join"] = f"{key.name} is unique in {other.name}, whose {actor.name} says who it was, as of the run"
    by = [c.name for c in dimensions(table)[:1] if other.column(c.name) is None]
    if by:
        keys["by"] = by
    about = f"counts distinct {actor.name} of {other.name} in the rows of {table.name}"
    idea = Idea(f"active_{plural(entity)}", keys, why, about, topic=Topic.ACTIVE, of=table.name)
    idea.entity, idea.score = entity, 0.1
    guesser._filtered(idea, counted_rows(table, guesser.as_sql, deleted_count=True, absent_count=False))
    return idea
