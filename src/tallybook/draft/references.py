"""Finds which column refers to which table, and who did what a row describes. Scored by names, keys and sampled
values."""

from __future__ import annotations

import re
from collections.abc import Sequence

from tallybook.draft.column_words import ACTORS, ALIASES, OBJECTS, SYSTEM_ACTORS
from tallybook.draft.evidence import Scored, best_of, null_share, scored
from tallybook.draft.people import has_contacts, is_people
from tallybook.draft.row_filters import is_flag
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.table_words import ACCOUNTS, INTERNAL, PEOPLE
from tallybook.draft.words import head, singular, words

_PREFIXED = re.compile(r"([a-z]{2,12})_\w*\d")
_ASKS = (("is",), ("has",), ("was",), ("can",), ("allow",))
"""First words of flags: is_guest does not refer to guests."""
MIN_ACTORS = 5
"""If many rows have fewer different values than this, the values are tenants or staff."""
MIN_IN_BOTH_HALVES = 10
"""With fewer values in both halves of a sample, the number of all values is not estimated."""
MIN_PARTNERS = 0.5
"""Below this share of sampled values with a partner, a reference by name is not one."""


def references(seen: Seen, table: SeenTable, column: SeenColumn) -> list[Scored[tuple[SeenTable, SeenColumn]]]:
    """(table, key) that a column can refer to, with scores, best first."""
    if column.refers:
        other = seen.table(column.refers[0])
        key = other.column(column.refers[1]) if other else None
        return [Scored((other, key), 2.0, ("a foreign key",))] if other and key else []
    if column.words[:1] in _ASKS and is_flag(column):
        return []
    if (typed := _of_its_type(seen, table, column)) is not None:
        return [Scored(typed, 1.5, ("the table is named by its type",))]
    named = tuple(singular(word) for word in column.words)
    if column.key and len(table.unique) == 1 and named[:-1] in ((), tuple(map(singular, words(table.bare)))):
        return []
    if named[-1:] not in (("id",), ("uuid",), ("guid",), ("key",)):
        whole = tuple(map(singular, column.words))
        named = (*whole, "id") if whole[-1:] and whole[-1] in PEOPLE else named
    if named[-1:] not in (("id",), ("uuid",), ("guid",), ("key",)) and _has_prefix(column):
        named = (*map(singular, column.words), "id")
    if named[-1:] not in (("id",), ("uuid",), ("guid",), ("key",)) or len(named) < 2:
        return []
    found = [
        s for other in seen.tables if (s := _reference(other, column, named[:-1])) is not None and other is not table
    ]
    return sorted(found, key=lambda s: -s.score)


def _of_its_type(seen: Seen, table: SeenTable, column: SeenColumn) -> tuple[SeenTable, SeenColumn] | None:
    """The (table, key) of an id whose table is the only value of the column with its type: causer_id is a user if
    causer_type is always App.User."""
    if column.words[-1:] != ("id",) or len(column.words) < 2:
        return None
    type_ = next((c for c in table.columns if c.words == (*column.words[:-1], "type") and c.textual), None)
    if type_ is None or len(type_.texts) != 1:
        return None
    noun = re.split(r"\W+", type_.texts[0].strip())[-1]
    for other in seen.tables:
        if other is not table and tuple(map(singular, words(other.bare))) == tuple(map(singular, words(noun))):
            key = _key_of(other, column)
            if key is not None and key.type.kind == column.type.kind:
                return other, key
    return None


def reference(seen: Seen, table: SeenTable, column: SeenColumn) -> tuple[SeenTable, SeenColumn] | None:
    """The (table, key) that a column most likely refers to."""
    key = (table.name, column.name)
    if key not in seen.references:
        best = best_of(references(seen, table, column))
        seen.references[key] = best.candidate if best else None
    found: tuple[SeenTable, SeenColumn] | None = seen.references[key]
    return found


def _has_prefix(column: SeenColumn) -> bool:
    """Whether the values are ids with the same letters before them: sub_1, sub_2."""
    found = {match[1] if (match := _PREFIXED.match(text)) else "" for text in column.texts} if column.textual else set()
    return len(found) == 1 and "" not in found and len(column.texts) > 1


def _reference(
    other: SeenTable, column: SeenColumn, noun: tuple[str, ...]
) -> Scored[tuple[SeenTable, SeenColumn]] | None:
    """The score of a reference by name: the longest match wins, and sampled values must find a partner."""
    entity = tuple(map(singular, words(other.bare)))
    matched = _same_end(noun, entity)
    key = _key_of(other, column)
    if not matched or key is None or key.type.kind != column.type.kind:
        return None
    partners = partner_share(other, column, key)
    if partners is not None and partners < MIN_PARTNERS:
        return None
    return scored(
        (other, key),
        (matched / max(len(noun), 1), f"named after {other.name}"),
        (-0.3 * (len(entity) - matched), "a longer table name"),
        (0.3 if partners else 0.0, "its values are found there"),
    )


def _same_end(left: Sequence[str], right: Sequence[str]) -> int:
    """How many last words are the same."""
    number = 0
    while number < min(len(left), len(right)) and left[-1 - number] == right[-1 - number]:
        number += 1
    return number


def _key_of(other: SeenTable, column: SeenColumn) -> SeenColumn | None:
    own = f"{singular(words(other.bare)[-1])}_id" if words(other.bare) else ""
    for name in ("id", column.name, own, "ID", "uuid"):
        key = other.column(name)
        if key and may_be_key(other, key):
            return key
    return next((c for c in other.columns if c.key), None)


def may_be_key(table: SeenTable, key: SeenColumn) -> bool:
    """Whether a column is unique by the catalog, or in the sample of a table without unique keys."""
    return table.unique_by(key.name) or (len(set(key.values)) == len(key.values) and not table.unique)


def partner_share(other: SeenTable, column: SeenColumn, key: SeenColumn) -> float | None:
    """The share of sampled values that are keys of the other table; None if its sample does not have all rows."""
    if other.total > other.rows or not column.values:
        return None
    keys = set(map(str, key.values))
    known = [str(value) for value in column.values if value not in (0, "")]
    return sum(value in keys for value in known) / len(known) if known else 0.0


def referring(seen: Seen) -> dict[str, int]:
    """How many columns of other tables refer to each table."""
    found: dict[str, int] = {}
    for table in seen.tables:
        for other in {r[0].name for c in table.columns if c.an_id and c.values and (r := reference(seen, table, c))}:
            found[other] = found.get(other, 0) + 1
    return found


# --- actors ----------------------------------------------------------------------------------------------------


def actor_candidates(seen: Seen, table: SeenTable) -> list[Scored[tuple[SeenColumn, str]]]:
    """(column, entity) for columns that say who did what a row describes, best first."""
    found = []
    for column in table.columns:
        if column.key or column.time is not None or not column.values:
            continue
        entity = _entity(seen, table, column)
        if entity is None:
            continue
        others = {singular(w) for w in column.words[:-1]} if len(column.words) > 1 else set()
        known = len(set(map(str, column.values)))
        found.append(
            scored(
                (column, entity),
                (1.0 - 0.02 * ACTORS.index(entity) if entity in ACTORS else 0.5, f"{column.name} is who did it"),
                (
                    -0.8 if others & (SYSTEM_ACTORS | OBJECTS) or set(column.words) & {"by", "to"} else 0.0,
                    "not who did it",
                ),
                (-0.6 * null_share(column), "null in some rows"),
                (-1.0 if known < MIN_ACTORS and len(column.values) > 20 else 0.0, f"only {known} values"),
            )
        )
    return sorted(found, key=lambda s: -s.score)


def actors_of(seen: Seen, table: SeenTable) -> list[tuple[SeenColumn, str]]:
    """(column, entity) of who did what a row describes, one for each entity, best first."""
    found: dict[str, SeenColumn] = {}
    for candidate in actor_candidates(seen, table):
        column, entity = candidate.candidate
        if candidate.score > 0.35:
            found.setdefault(entity, column)
    return [(column, entity) for entity, column in found.items()]


def actor_of(seen: Seen, table: SeenTable) -> tuple[SeenColumn, str] | None:
    """The (column, entity) of who did what a row describes."""
    return next(iter(actors_of(seen, table)), None)


def _entity(seen: Seen, table: SeenTable, column: SeenColumn) -> str | None:
    named = [singular(word) for word in column.words]
    last = named[-2] if len(named) > 1 and named[-1] in ("id", "uuid", "guid", "key") else named[-1]
    found = reference(seen, table, column)
    if found and has_contacts(found[0]):
        return head(found[0].bare)
    if found:
        noun = head(found[0].bare)
        if is_people(found[0]) and not set(map(singular, words(found[0].bare))) & INTERNAL:
            whole = [singular(word) for word in words(found[0].bare)]
            noun = whole[-2] if noun == "profile" and whole[-2:-1] and whole[-2] in ACCOUNTS else noun
            return last if last in ACCOUNTS and noun in ACCOUNTS else noun
        return None
    if column.an_id and last in ACTORS:
        return "user" if last in ALIASES and _are_users(seen, column) else last
    return last if last in ACCOUNTS and len(named) == 1 and len(set(column.values)) > 2 and not column.number else None


def _are_users(seen: Seen, column: SeenColumn) -> bool:
    """Whether the ids of a column are those of the only table of users."""
    users = [table for table in seen.tables if words(table.bare) in (("user",), ("users",))]
    users = users or [table for table in seen.tables if words(table.bare) in (("person",), ("people",))]
    if len(users) != 1 or (key := _key_of(users[0], column)) is None or key.type.kind != column.type.kind:
        return False
    share = partner_share(users[0], column, key)
    return share is None or share >= MIN_PARTNERS


def rows_per_actor(seen: Seen, table: SeenTable, column: SeenColumn) -> float:
    """Rows per actor: as sampled, or all rows divided by all rows of the table that the column refers to.

    A sample of a large table has few rows of each actor, however many rows the table has."""
    found = reference(seen, table, column)
    sampled = rows_per_entity(column)
    if table.total <= table.rows:
        return sampled
    if found is None:
        return max(sampled, table.total * (1 - null_share(column)) / people_by_halves(column))
    return max(sampled, table.total * (1 - null_share(column)) / max(1, found[0].total))


def people_by_halves(column: SeenColumn) -> float:
    """An estimate of the number of different values in all rows: the more values of the first half of the sample
    are in its second half, the fewer there are. Infinite if hardly any is."""
    half = len(column.values) // 2
    first, second = set(map(str, column.values[:half])), set(map(str, column.values[half:]))
    both = len(first & second)
    return len(first) * len(second) / both if both >= MIN_IN_BOTH_HALVES else float("inf")


def rows_per_entity(column: SeenColumn) -> float:
    """Sampled rows for each different value."""
    return len(column.values) / max(1, len(set(map(str, column.values))))
