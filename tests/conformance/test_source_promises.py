"""What every source promises: types, rows, bounds of days, snapshots, and that nothing can be written.

    pytest tests/conformance --adapter sqlite
    pytest tests/conformance --adapter package.module:Harness

A harness is a subclass of `tests.places.Place`, which makes an empty database and writes to it. Without `--adapter` the suite runs
on every built-in one.
"""

from __future__ import annotations

import contextlib
import time
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from tallybook.collect.sources.dialect import TimeForm
from tallybook.collect.sources.values import DEC, FLOAT, INT, TEXT
from tallybook.core.errors import SourceError, SourceUnavailable
from tests.places import EVERY_MEASURE, NOW, Place, fill, numbers
from tests.projects import Project


def test_a_source_tells_the_types_of_columns_and_expressions(place: Place) -> None:
    declared = ", ".join(f"{name} {type_}" for name, (type_, _, _) in place.types.items())
    place.execute(f"create table typed ({declared})")
    with closing(place.source()) as source:
        names = list(place.types)
        for relation in ("typed", "(select * from typed) f"):
            found = source.probe(relation, names)
            assert {n: (t.kind, t.scale) for n, t in zip(names, found, strict=True)} == {
                n: (kind, scale) for n, (_, kind, scale) in place.types.items()
            }
        whole, half = source.probe("typed", ["(i + i)", "(f * 2)"])
        assert (whole.kind, half.kind) == (INT, FLOAT)


def test_a_source_tells_what_is_there(place: Place) -> None:
    place.execute(
        "create table things (id int primary key, happened timestamp null, plan varchar(9))",
        "create index i on things (happened, plan)",
    )
    with closing(place.source()) as source:
        assert "things" in source.tables()
        own = ["id", "happened", "plan"]
        assert [column for column in source.columns("things") if column in own] == own
        assert {*source.columns("things")} == {*own, *place.added}
        assert source.columns("nothing") == []
        assert {"id", "happened"} <= source.indexed_columns("things")
        if place.indexes:
            assert "plan" not in source.indexed_columns("things")


def test_a_view_is_read_as_a_table(place: Place) -> None:
    if not place.views:
        pytest.skip("nobody can make a view there")
    place.execute("create table things (id int, happened timestamp null, plan varchar(9))")
    place.execute("create view some_things as select id, plan from things")
    with closing(place.source()) as source:
        assert {"things", "some_things"} <= set(source.tables())
        assert source.columns("some_things") == ["id", "plan"]


@pytest.mark.parametrize(
    ("relation", "expression"), [("nothing_here", "1"), ("typed", "nothing_here"), ("typed", "no_such_function(i)")]
)
def test_what_is_not_there_is_told_by_name(place: Place, relation: str, expression: str) -> None:
    place.execute("create table typed (i int)")
    with closing(place.source()) as source, pytest.raises(SourceError, match=r"nothing_here|no_such_function") as told:
        source.probe(relation, [expression])
    assert not isinstance(told.value, SourceUnavailable)
    assert "`tallybook check --source` lists what is there" in told.value.hint


def test_rows_arrive_as_they_are(place: Place) -> None:
    """Text with everything in it, NULL beside '', the largest numbers, decimals to the last digit."""
    texts = ["", None, "NULL", "a,b", 'say "x"', "two\nlines", " a ", "A", "Zürich 東京 🧮", "back\\slash", "tab\there"]
    place.execute("create table wide (n int, t varchar(40), i bigint, d decimal(20, 4), f double precision)")
    money = Decimal("1234567890123456.7891")
    place.insert("wide", [(n, text, 2**63 - 1 - n, str(money - n), 0.1 * n) for n, text in enumerate(texts)])
    with closing(place.source()) as source:
        text, decimal = source.probe("wide", ["t", "d"])
        kinds = [INT, TEXT, INT, DEC if place.exact_decimals else FLOAT, FLOAT]
        exact = source.value("d", decimal) if place.exact_decimals else source.float("d")
        asked = f"select n, {source.text('t', text)}, i, {exact}, f from wide order by n"
    with closing(place.source()) as source, source.snapshot() as reader:
        found = list(zip(*(column.to_pylist() for column in pa.table(reader.table(asked, kinds)).columns), strict=True))
        assert [row[1] for row in found] == texts
        assert [row[2] for row in found] == [2**63 - 1 - number for number in range(len(texts))]
        assert [row[4] for row in found] == [0.1 * number for number in range(len(texts))]
        if place.exact_decimals:  # what can be exact elsewhere is a matter of test_traps_of_numbers
            assert [row[3] for row in found] == [
                Decimal("1234567890123456.7891") - number for number in range(len(texts))
            ]
        batches = [row for batch in reader.batches("select n from wide order by n", 4) for row in batch]
        assert [row[0] for row in batches] == list(range(len(texts)))
        assert reader.table("select n, t from wide where n < 0", [INT, TEXT]).num_rows == 0


def test_a_day_is_between_its_bounds(place: Place) -> None:
    place.execute(f"create table moments (happened {place.moment}, day date)")
    place.execute(
        "insert into moments values ('2024-02-29 22:59:59', '2024-02-29'), ('2024-02-29 23:00:00', '2024-03-01'), "
        "('2024-03-01 22:59:59', '2024-03-01'), ('2024-03-01 23:00:00', '2024-03-02')"
    )
    start = (datetime(2024, 2, 29, 23, tzinfo=UTC), date(2024, 3, 1))
    end = (datetime(2024, 3, 1, 23, tzinfo=UTC), date(2024, 3, 2))
    with closing(place.source()) as source, source.snapshot() as reader:
        forms = dict(zip(("happened", "day"), map(TimeForm, place.forms), strict=True))
        for column, form in forms.items():
            where = source.within(source.quote(column), form, start, end)
            assert int(reader.rows(f"select count(*) from moments where {where}")[0][0]) == 2


def test_a_source_knows_how_far_it_goes(place: Place) -> None:
    """A server by its own clock, a file by ours; a declared `fresh` by what it says."""
    now = datetime.now(UTC)
    with closing(place.source(fresh="select '2024-02-01 10:00:00+00:00'")) as source:
        known = source.known_until(now)
        assert abs((known - now).total_seconds()) < 5
        with source.snapshot() as reader:
            assert source.fresh_until(reader) == datetime(2024, 2, 1, 10, tzinfo=UTC)


def test_what_others_write_during_a_snapshot_is_not_seen(place: Place) -> None:
    if not place.shared:
        pytest.skip("nobody can write to it while it is read")
    place.execute("create table facts (x int)", "insert into facts values (1)")
    with closing(place.source()) as source:
        with source.snapshot() as reader:
            before = reader.rows("select count(*) from facts")[0][0]
            place.execute("insert into facts values (2)")
            after = [
                reader.rows("select count(*) from facts")[0][0],
                reader.table("select x from facts", [INT]).num_rows,
            ]
            assert source.snapshots == place.snapshots
            assert (before, after) == (1, [1, 1] if place.snapshots else [2, 2])
        if place.one_moment:
            source.close()
        with source.snapshot() as reader:
            assert reader.rows("select count(*) from facts")[0][0] == 2


def test_a_snapshot_does_not_hold_the_application_up(place: Place) -> None:
    """Rows can be changed, and in a server columns added, while and after we read."""
    if not place.shared:
        pytest.skip("nobody can write to it while it is read")
    place.execute("create table facts (x int)", "insert into facts values (1)")
    with closing(place.source()) as source:
        with source.snapshot() as reader:
            reader.rows("select * from facts")
            began = time.monotonic()
            place.execute("update facts set x = 2")
            assert time.monotonic() - began < 20
        place.execute("alter table facts add column y int")
        with source.snapshot() as reader:
            assert len(reader.rows("select * from facts")[0]) == 2


@pytest.mark.parametrize(
    "statement",
    [
        "insert into facts values (2)",
        "update facts set x = 9",
        "delete from facts",
        "create table more (x int)",
        "drop table facts",
    ],
)
def test_no_statement_can_write(place: Place, statement: str) -> None:
    """Even with an administrator's URL."""
    place.execute("create table facts (x int)", "insert into facts values (1)")
    with closing(place.source()) as source:
        with contextlib.suppress(SourceError), source.snapshot() as reader:
            reader.rows(statement)
            pytest.fail(f"{statement} was let through")
        with source.sql_connection() as connection, contextlib.suppress(Exception):
            run = getattr(connection, "exec_driver_sql", None) or connection.execute
            run(statement)
            pytest.fail(f"{statement} was let through")
    assert place.execute("select x from facts") == [(1,)]


@pytest.fixture(scope="module")
def wanted(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    """The numbers of the same facts in a SQLite file."""
    folder = tmp_path_factory.mktemp("reference")
    reference = fill(Project(folder / "reference", f"sqlite:///{folder}/reference.sqlite", now=NOW))
    reference.declare(EVERY_MEASURE, timezone="Europe/Berlin")
    reference.run()
    found = numbers(reference)
    reference.close()
    return found


@pytest.mark.cases(3)
def test_every_measure_has_the_numbers_of_another_database(place: Place, wanted: dict[str, Any]) -> None:
    project = fill(place.project())
    project.run()
    found = numbers(project)
    assert found.keys() == wanted.keys()
    for name, rows in wanted.items():
        assert found[name] == rounded(rows, exact=place.exact_sums), name
    project.close()


def rounded(value: Any, *, exact: bool) -> Any:
    """A value to compare with: floats to eleven digits, and decimals too unless `exact`; all else exactly."""
    if isinstance(value, dict):
        return {key: rounded(inner, exact=exact) for key, inner in value.items()}
    if isinstance(value, Decimal) and not exact:
        value = float(value)
    return pytest.approx(value, rel=1e-11) if isinstance(value, float) else value
