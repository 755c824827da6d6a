"""Treats the linked ids of one user as one person: they have one state, and the firings of all ids count together."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from tallybook.act.state import HOLDING, INSIDE, OUT, UNDECIDED, UNKNOWN_IN, UNKNOWN_OUT
from tallybook.core import ENTER, LEAVE, USERS
from tallybook.query import IS_GONE, Subjects
from tallybook.storage import FIRED, Firing, IdentityLinks, LinkedId, RuleLedger, identifier, stamp_of

if TYPE_CHECKING:
    import duckdb

LINKS, LINKED = "rules_links", "rules_linked"
"""Engine tables: the links, and the ids whose states a step merges."""
ORDER = (INSIDE, UNKNOWN_IN, HOLDING, UNDECIDED, UNKNOWN_OUT, OUT)
"""Codes of states, by precedence: when ids of one person are merged, the first code in this order wins."""
MIN_ENDED, SHARE_OF_LINKS = 500, 0.2
"""With more ids that ended and have states than these, and than this share of all links, all links are read at once."""
CODE, SINCE, PAUSED, DAY = "s:", "h:", "p:", "d:"
"""Prefixes of the columns of states."""


@dataclass(frozen=True)
class People:
    """The links between user ids, by the id that was linked."""

    links: Mapping[str, LinkedId] = field(default_factory=dict)

    @classmethod
    def of(cls, ledger: RuleLedger, kind: str, ids: Iterable[str]) -> People:
        """The links of the people to whom the given ids belong, including their other ids."""
        found = IdentityLinks(ledger.ledger).of_people(list(ids)) if kind == USERS else []
        return cls({one.alias: one for one in found})

    def user(self, id_: str) -> str:
        """The id of the user that an id is linked to, or the id itself."""
        return self.links[id_].canonical if id_ in self.links else id_

    def every_id(self, ids: Iterable[str]) -> list[str]:
        """The given ids and all other ids of the same people."""
        given = list(dict.fromkeys(ids))
        return list(dict.fromkeys([*given, *map(self.user, given), *self.links]))

    def firings(self, ledger: RuleLedger, kind: str, ids: Iterable[str]) -> list[Firing]:
        """The firings of rules for the people of the given ids, in the order of evaluations."""
        return sorted(ledger.firings_of(kind, self.every_id(ids)), key=lambda one: one.number)

    def inside(self, firings: Sequence[Firing]) -> dict[str, Firing]:
        """By rule, the last firing of one person if the person has not left since. A user who leaves after the link
        leaves for all ids."""
        found: dict[tuple[str, str], Firing] = {}
        for one in firings:
            if one.edge == LEAVE:
                for key in [(one.rule, one.entity), *((one.rule, id_) for id_ in self._linked_before(one))]:
                    found.pop(key, None)
            elif one.state == FIRED and one.edge == ENTER:
                found.pop((one.rule, one.entity), None)
                found[one.rule, one.entity] = one
        return {rule: one for (rule, _), one in found.items()}

    def _linked_before(self, left: Firing) -> list[str]:
        return [id_ for id_, one in self.links.items() if one.canonical == left.entity and stamp_of(one.at) <= left.at]


def with_linked_ids(ledger: RuleLedger, ids: Sequence[str], waiting: Sequence[Firing]) -> list[str]:
    """The given user ids with all ids linked to them. Also the users to which the ids of waiting firings are linked."""
    entities = [one.entity for one in waiting if one.kind == USERS]
    linked = People.of(ledger, USERS, entities).links
    every = [*ids, *(id_ for id_ in entities if id_ in linked)]
    return People.of(ledger, USERS, every).every_id(every)


def ended_ids(engine: duckdb.DuckDBPyConnection, ids: Iterable[str], subjects: Subjects) -> frozenset[str]:
    """The given ids that are no longer users of their own."""
    asked = f"SELECT id FROM {subjects.sql} e WHERE NOT {identifier(IS_GONE)} AND id IN (SELECT unnest(?::VARCHAR[]))"
    given = list(ids)
    return frozenset(given) - {id_ for (id_,) in (engine.execute(asked, [given]).fetchall() if given else [])}


def merge_states(
    engine: duckdb.DuckDBPyConnection,
    ledger: RuleLedger,
    states: str,
    types: Mapping[str, str],
    subjects: Subjects,
) -> str:
    """Merge the states of linked ids that have ended into the states of their users, in the relation of states before a
    step. Returns the relation with the ids of both, or an empty text if nothing is merged."""
    wanted = [
        *(f"s.{identifier(name)} NOT IN ({OUT}, {UNKNOWN_OUT})" for name in types if name.startswith(CODE)),
        *(f"s.{identifier(name)} IS NOT NULL" for name in types if name.startswith(DAY)),
    ]
    if subjects.kind != USERS or not wanted:
        return ""
    there = f"SELECT id FROM {subjects.sql} e WHERE NOT {identifier(IS_GONE)}"
    has_state = " OR ".join(wanted)
    pairs = _linked_pairs(engine, ledger, f'FROM {states} s WHERE ({has_state}) AND s."s id" NOT IN ({there})')
    if not pairs:
        return ""
    aliases, users = zip(*pairs, strict=True)
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {LINKS} AS SELECT unnest(?::VARCHAR[]) AS id, unnest(?::VARCHAR[]) AS user_id",
        [list(aliases), list(users)],
    ).fetchall()
    engine.execute(
        f"CREATE OR REPLACE TEMP TABLE {LINKED} AS SELECT l.id, l.user_id FROM {LINKS} l JOIN {states} s "
        f'ON s."s id" = l.id WHERE ({has_state}) AND l.id NOT IN ({there}) AND l.user_id IN ({there})'
    ).fetchall()
    engine.execute(f"INSERT INTO {LINKED} SELECT DISTINCT user_id, user_id FROM {LINKED}").fetchall()
    if not engine.execute(f"SELECT count(*) FROM {LINKED}").fetchall()[0][0]:
        return ""
    columns = ", ".join(f"{_merged(name)} AS {identifier(name)}" for name in types)
    engine.execute(
        f'CREATE OR REPLACE TEMP TABLE {LINKED}_states AS SELECT l.user_id AS "s id", {columns} FROM {states} s '
        f'JOIN {LINKED} l ON l.id = s."s id" GROUP BY l.user_id'
    ).fetchall()
    engine.execute(f'DELETE FROM {states} WHERE "s id" IN (SELECT id FROM {LINKED})').fetchall()
    engine.execute(f"INSERT INTO {states} BY NAME SELECT * FROM {LINKED}_states").fetchall()
    return LINKED


def _linked_pairs(engine: duckdb.DuckDBPyConnection, ledger: RuleLedger, ended: str) -> list[tuple[str, str]]:
    """(id, user) of the links of ids that ended and still have a state. `ended`: FROM and WHERE of these.

    Once an id has handed over its state it has none, so they are few, however many links there are."""
    (number,) = engine.execute(f"SELECT count(*) {ended}").fetchall()[0]
    if not number:
        return []
    links = IdentityLinks(ledger.ledger)
    if number > MIN_ENDED and number > links.count() * SHARE_OF_LINKS:
        return links.pairs()
    ids = [id_ for (id_,) in engine.execute(f'SELECT s."s id" {ended} ORDER BY 1').fetchall()]
    return links.pairs_of(ids)


def _merged(name: str) -> str:
    """SQL of one state column of a person, merged from the rows of several ids."""
    rule, column = name[2:], f"s.{identifier(name)}"
    if name.startswith(CODE):
        ranked = " ".join(f"WHEN {code} THEN {place}" for place, code in enumerate(ORDER))
        return f"arg_min({column}, CASE {column} {ranked} END)"
    if name.startswith((SINCE, PAUSED)):
        # The longest wait counts, and so does the time in which it was unknown.
        held, since = f"s.{identifier(CODE + rule)} = {HOLDING}", f"s.{identifier(SINCE + rule)}"
        return f'first({column} ORDER BY {since}, s."s id") FILTER ({held})'
    # The value seen last; a value seen under the user's own id goes first.
    seen = f"s.{identifier(DAY + rule)}"
    order = f"l.id <> l.user_id, {seen} DESC, l.id"
    return f"first({column} ORDER BY {order}) FILTER ({seen} IS NOT NULL)"
