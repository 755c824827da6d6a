"""The ledger's data about rules: evaluations, files of states, firings, collisions, and messages that were shown.

One evaluation is one commit with its own number. It does not change the version of the book."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, timedelta
from pathlib import Path
from typing import Any

import msgspec

from tallybook.storage.files import Files, FolderFiles
from tallybook.storage.ledger import Conflict, Lease, PointsFile
from tallybook.storage.sql_leases import check_lease
from tallybook.storage.sql_ledger import SqlLedger
from tallybook.storage.stored_rows import quoted_names, stamp_of
from tallybook.storage.transaction import Transaction

FIRED, WAITING, DROPPED, HOLDOUT = "fired", "waiting", "dropped", "holdout"
"""States of a firing. fired: the actions were done. waiting: until quiet hours end, or until a release. dropped:
cancelled. holdout: left out on purpose, for comparison."""
RULES_JOB = "rules"
"""The lease for evaluating rules and for writing their states."""
KEPT_EVALUATIONS = timedelta(days=3 * 366)
"""Time for which full evaluations are listed. A trial run over the past, two years or more, uses their times."""
KEPT_PARTIAL = timedelta(days=1)
"""Time for which evaluations of some entities are listed. A server makes up to one per second."""
LOOKUP = 500
"""Ids per statement."""
_FIRING = ("rule", "entity", "number", "edge", "kind", "at", "day", "values", "why", "state", "due", "restated")
_COLLISION = ("rule", "entity", "number", "kind", "at", "why", "winner")
_STATES = ("path", "kind", "number", "whole", "rows", "bytes", "sha256")


@dataclass(frozen=True, kw_only=True)
class StatesFile:
    """A Parquet file of states. `whole`: it contains every entity. Otherwise it contains the changed ones, which
    override earlier files."""

    path: str
    kind: str
    whole: bool
    rows: int
    bytes: int
    sha256: str
    number: int = 0
    """The evaluation that wrote it; 0 before it is committed."""

    @property
    def stored(self) -> PointsFile:
        """The file as a file of the book."""
        day = date(2000, 1, 1)
        return PointsFile(
            path=self.path,
            kind="rules",
            metric="",
            first=day,
            last=day,
            rows=self.rows,
            bytes=self.bytes,
            sha256=self.sha256,
        )


@dataclass(frozen=True, kw_only=True)
class KnownRule:
    """A rule that was evaluated before: its definition, and its first evaluation."""

    rule: str
    kind: str
    definition: str
    number: int


@dataclass(frozen=True, kw_only=True)
class Firing:
    """A firing of a rule for an entity. Stamps are texts, as in the ledger. `day`: the last day of its metrics."""

    rule: str
    entity: str
    number: int
    edge: str
    kind: str
    at: str
    day: date
    values: Mapping[str, Any]
    why: str
    state: str
    due: str | None = None
    restated: Mapping[str, Any] | None = None
    """The current values, if they were restated after the firing."""


@dataclass(frozen=True, kw_only=True)
class Collision:
    """A suppressed firing and the reason. `winner`: the rule that fired instead."""

    rule: str
    entity: str
    number: int
    kind: str
    at: str
    why: str
    winner: str | None = None


@dataclass(frozen=True, kw_only=True)
class RulesSnapshot:
    """Everything that an evaluation needs, from one read transaction."""

    number: int
    at: datetime | None
    version: int
    """The version of the book at the last evaluation."""
    rules: Mapping[str, KnownRule]
    files: Mapping[str, tuple[StatesFile, ...]]
    """Files of states by kind, in order."""


@dataclass(kw_only=True)
class RulesCommit:
    """The changes of one evaluation, which is atomic."""

    day: date
    version: int
    files: list[StatesFile] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    rules: list[KnownRule] = field(default_factory=list)
    gone: list[str] = field(default_factory=list)
    """Rules that are no longer declared."""
    firings: list[Firing] = field(default_factory=list)
    settled: list[Firing] = field(default_factory=list)
    """Earlier firings with a new state."""
    restated: list[Firing] = field(default_factory=list)
    collisions: list[Collision] = field(default_factory=list)
    report: Mapping[str, Any] = field(default_factory=dict)
    contents: Callable[[PointsFile], Iterable[bytes]] | None = None
    also: list[Callable[[Transaction], None]] = field(default_factory=list)
    """Functions called in the same transaction, which plan items of the outbox."""


class RuleLedger:
    """The tables of rules in a ledger. Every method is one transaction."""

    def __init__(self, ledger: SqlLedger, files: Files) -> None:
        self.ledger, self.files = ledger, files

    # -- reading -----------------------------------------------------------------------------------

    def number(self) -> int:
        """The number of the last evaluation; 0 before the first."""
        with self.ledger._reading() as db:
            return int(db.execute("SELECT coalesce(max(number), 0) FROM rule_evaluations").fetchone()[0])

    def snapshot(self) -> RulesSnapshot:
        with self.ledger._reading() as db:
            last = db.execute(
                "SELECT number, at, version FROM rule_evaluations ORDER BY number DESC LIMIT 1"
            ).fetchone()
            rules = db.execute("SELECT rule, kind, definition, number FROM rule_definitions ORDER BY rule").fetchall()
            asked = f"SELECT {quoted_names(_STATES)} FROM rule_states WHERE removed IS NULL ORDER BY number, path"
            files: dict[str, list[StatesFile]] = {}
            for row in db.execute(asked).fetchall():
                one = dict(zip(_STATES, row, strict=True))
                files.setdefault(one["kind"], []).append(StatesFile(**{**one, "whole": bool(one["whole"])}))
        known = [KnownRule(rule=r, kind=k, definition=d, number=n) for r, k, d, n in rules]
        return RulesSnapshot(
            number=last[0] if last else 0,
            at=datetime.fromisoformat(last[1]) if last else None,
            version=last[2] if last else 0,
            rules={one.rule: one for one in known},
            files={kind: tuple(several) for kind, several in files.items()},
        )

    def evaluations(self, since: datetime) -> list[tuple[datetime, date, Mapping[str, Any]]]:
        """(instant, last day of the metrics, report) of each evaluation since an instant, in order."""
        with self.ledger._reading() as db:
            rows = db.execute(
                "SELECT at, day, report FROM rule_evaluations WHERE at >= ? ORDER BY number", [stamp_of(since)]
            ).fetchall()
        return [
            (datetime.fromisoformat(at), date.fromisoformat(day), msgspec.json.decode(report))
            for at, day, report in rows
        ]

    def last_day(self) -> date:
        """The last day of the metrics at the last evaluation."""
        with self.ledger._reading() as db:
            row = db.execute("SELECT day FROM rule_evaluations ORDER BY number DESC LIMIT 1").fetchone()
        return date.fromisoformat(row[0])

    def last_report(self) -> Mapping[str, Any]:
        """The report of the last evaluation; empty before the first."""
        with self.ledger._reading() as db:
            row = db.execute("SELECT report FROM rule_evaluations ORDER BY number DESC LIMIT 1").fetchone()
        return msgspec.json.decode(row[0]) if row else {}

    def firings(
        self,
        rule: str | None = None,
        *,
        kind: str | None = None,
        entity: str | None = None,
        state: str | None = None,
        since: datetime | None = None,
    ) -> list[Firing]:
        """Firings in the order of evaluations; optionally only those of a rule, a kind, an entity, a state, or since an
        instant."""
        asked = {"rule": rule, "kind": kind, "entity": entity, "state": state}
        terms = [f"{name} = ?" for name, value in asked.items() if value is not None]
        values: list[Any] = [value for value in asked.values() if value is not None]
        if since is not None:
            terms, values = [*terms, "at >= ?"], [*values, stamp_of(since)]
        chosen = f" WHERE {' AND '.join(terms)}" if terms else ""
        with self.ledger._reading() as db:
            rows = db.execute(
                f"SELECT {quoted_names(_FIRING)} FROM firings{chosen} ORDER BY number, rule, entity, edge", values
            ).fetchall()
        return [_firing(row) for row in rows]

    def inside(self, rule: str) -> list[str]:
        """The entities that a rule has fired for when they entered, without those that have left since."""
        with self.ledger._reading() as db:
            asked = "SELECT entity, edge FROM firings WHERE rule = ? AND state = 'fired' ORDER BY number, edge"
            last = dict(db.execute(asked, [rule]).fetchall())
        return [entity for entity, edge in last.items() if edge == "enter"]

    def firings_of(self, kind: str, entities: Sequence[str]) -> list[Firing]:
        """All firings for some entities."""
        found: list[Firing] = []
        with self.ledger._reading() as db:
            for start in range(0, len(entities), LOOKUP):
                some = entities[start : start + LOOKUP]
                marks = ", ".join("?" * len(some))
                asked = f"SELECT {quoted_names(_FIRING)} FROM firings WHERE kind = ? AND entity IN ({marks})"
                found += [_firing(row) for row in db.execute(f"{asked} ORDER BY number", [kind, *some]).fetchall()]
        return found

    def collisions(
        self, rule: str | None = None, *, kind: str | None = None, entity: str | None = None
    ) -> list[Collision]:
        """Suppressed firings, in the order of evaluations."""
        asked = {"rule": rule, "kind": kind, "entity": entity}
        given = {name: value for name, value in asked.items() if value is not None}
        chosen = f" WHERE {' AND '.join(f'{name} = ?' for name in given)}" if given else ""
        with self.ledger._reading() as db:
            rows = db.execute(
                f"SELECT {quoted_names(_COLLISION)} FROM collisions{chosen} ORDER BY number, rule, entity",
                list(given.values()),
            ).fetchall()
        return [Collision(**dict(zip(_COLLISION, row, strict=True))) for row in rows]

    def forget_entity(self, kind: str, entity: str) -> int:
        """Delete the firings, collisions and messages of an entity. Returns the number of deleted rows."""
        viewer = f"{'u' if kind == 'users' else 'a'}:{entity}"
        with self.ledger._writing() as db:
            of_rules = "SELECT DISTINCT rule FROM firings WHERE kind = ?"
            gone = db.execute(
                f"DELETE FROM message_states WHERE viewer = ? OR (entity = ? AND rule IN ({of_rules}))",
                [viewer, entity, kind],
            ).rowcount
            for table in ("firings", "collisions"):
                gone += db.execute(f"DELETE FROM {table} WHERE kind = ? AND entity = ?", [kind, entity]).rowcount
        return gone

    def path(self, file: StatesFile) -> Path:
        """The path at which a file can be read on this host. Raises BadFile if that is not possible."""
        return self.files.path(file.stored)

    # -- writing -----------------------------------------------------------------------------------

    def commit(self, base: int, change: RulesCommit, *, lease: Lease, now: datetime) -> int:
        """Commit evaluation number base → base + 1. Raises Conflict if another process evaluated meanwhile, Busy if the
        lease was lost."""
        with self.ledger._keeping(_contents(change)) as db:
            check_lease(db, lease)
            current = int(db.execute("SELECT coalesce(max(number), 0) FROM rule_evaluations").fetchone()[0])
            if current != base:
                raise Conflict(f"rules are at evaluation {current}, not {base}")
            number = base + 1
            self._write(db, change, number, now)
            for also in change.also:
                also(db)
        return number

    def _write(self, db: Transaction, change: RulesCommit, number: int, now: datetime) -> None:
        report = msgspec.json.encode(change.report).decode()
        db.execute(
            "INSERT INTO rule_evaluations (number, at, day, version, report) VALUES (?, ?, ?, ?, ?)",
            [number, stamp_of(now), change.day.isoformat(), change.version, report],
        )
        for path in change.removed:
            db.execute("UPDATE rule_states SET removed = ? WHERE path = ? AND removed IS NULL", [number, path])
        db.executemany(
            f"INSERT INTO rule_states ({quoted_names(_STATES)}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            [(f.path, f.kind, number, int(f.whole), f.rows, f.bytes, f.sha256) for f in change.files],
        )
        for gone in [*change.gone, *(one.rule for one in change.rules)]:
            db.execute("DELETE FROM rule_definitions WHERE rule = ?", [gone])
        db.executemany(
            "INSERT INTO rule_definitions (rule, kind, definition, number) VALUES (?, ?, ?, ?)",
            [(one.rule, one.kind, one.definition, number) for one in change.rules],
        )
        _write_firings(db, change, number)

    def forget_files(self, before: datetime) -> list[StatesFile]:
        """Delete files that were replaced before an instant, after removing them from the ledger. Returns the files."""
        joined = "FROM rule_states s JOIN rule_evaluations e ON e.number = s.removed WHERE e.at < ?"
        names = ", ".join(f's."{name}"' for name in _STATES)
        with self.ledger._writing() as db:
            rows = db.execute(f"SELECT {names} {joined}", [stamp_of(before)]).fetchall()
            gone = [StatesFile(**dict(zip(_STATES, row, strict=True))) for row in rows]
            db.executemany("DELETE FROM rule_states WHERE path = ?", [(one.path,) for one in gone])
            self.ledger._forget_contents(db, [one.path for one in gone])
        for one in gone:
            self.files.delete(one.stored)
        return gone

    def forget_evaluations(self, now: datetime) -> int:
        """Delete old evaluations from the list, except the last one and those that replaced files. Returns their
        number."""
        needed = "SELECT removed FROM rule_states WHERE removed IS NOT NULL"
        with self.ledger._writing() as db:
            last = db.execute("SELECT coalesce(max(number), 0) FROM rule_evaluations").fetchone()[0]
            return db.execute(
                "DELETE FROM rule_evaluations WHERE number < ? AND (at < ? OR (at < ? AND report LIKE ?)) "
                f"AND number NOT IN ({needed})",
                [last, stamp_of(now - KEPT_EVALUATIONS), stamp_of(now - KEPT_PARTIAL), '{"whole":false%'],
            ).rowcount

    def strays(self) -> list[Path]:
        """Files of states that the ledger does not list: evaluations that died left them."""
        if not isinstance(self.files, FolderFiles):
            return []
        found = sorted((self.files.folder / "rules").rglob("*.parquet"))
        with self.ledger._reading() as db:
            named = {path for (path,) in db.execute("SELECT path FROM rule_states").fetchall()}
        return [path for path in found if path.relative_to(self.files.folder).as_posix() not in named]


def _write_firings(db: Transaction, change: RulesCommit, number: int) -> None:
    marks = ", ".join("?" * len(_FIRING))
    db.executemany(
        f"INSERT INTO firings ({quoted_names(_FIRING)}) VALUES ({marks})",
        [_row(one, number) for one in change.firings],
    )
    for one in change.settled:
        db.execute(
            "UPDATE firings SET state = ?, at = ?, due = ?, why = ? "
            "WHERE rule = ? AND entity = ? AND number = ? AND edge = ?",
            [one.state, one.at, one.due, one.why, one.rule, one.entity, one.number, one.edge],
        )
    for one in change.restated:
        restated = msgspec.json.encode(one.restated).decode()
        key = [one.rule, one.entity, one.number, one.edge]
        db.execute(
            "UPDATE firings SET restated = ? WHERE rule = ? AND entity = ? AND number = ? AND edge = ?",
            [restated, *key],
        )
    db.executemany(
        f"INSERT INTO collisions ({quoted_names(_COLLISION)}) VALUES (?, ?, ?, ?, ?, ?, ?)",
        [(c.rule, c.entity, number, c.kind, c.at, c.why, c.winner) for c in change.collisions],
    )


def _row(one: Firing, number: int) -> tuple[Any, ...]:
    values = msgspec.json.encode(one.values).decode()
    restated = None if one.restated is None else msgspec.json.encode(one.restated).decode()
    return (
        one.rule,
        one.entity,
        number,
        one.edge,
        one.kind,
        one.at,
        one.day.isoformat(),
        values,
        one.why,
        one.state,
        one.due,
        restated,
    )


def _firing(row: Sequence[Any]) -> Firing:
    found = dict(zip(_FIRING, row, strict=True))
    found["day"] = date.fromisoformat(found["day"])
    found["values"] = msgspec.json.decode(found["values"])
    found["restated"] = None if found["restated"] is None else msgspec.json.decode(found["restated"])
    return Firing(**found)


def _contents(change: RulesCommit) -> Iterator[tuple[str, Iterable[bytes]]]:
    """(path, pieces) of every new file, if the ledger stores the bytes."""
    if change.contents is not None:
        for one in change.files:
            yield one.path, change.contents(one.stored)
