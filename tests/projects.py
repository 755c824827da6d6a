"""A project as a user has it, small enough to stand in a test: a database, a tallybook.toml, a clock.

project = Project(tmp_path, make_database("sqlite"), now="2024-03-06T12:00")
project.table("visits (day date, user_id int)", [("2024-01-01", 7)])
project.declare('''
    [metrics.users]
    table = "visits"
    time = "day"
    measure = "count(distinct user_id)"
''')
project.run()
project.ask("users", scope="month")          # {"2024-01-01": 1, "2024-02-01": 0, …}
"""

from __future__ import annotations

import textwrap
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any, TypeVar

import pytest
from sqlalchemy.engine import make_url

import tallybook
from tests.loading import open_database
from tests.servers import KINDS

Row = dict[str, Any]
Test = TypeVar("Test", bound=Callable[..., None])
everywhere = pytest.mark.parametrize("kind", ["sqlite", "duckdb", *KINDS, pytest.param("chdb", marks=pytest.mark.soak)])
"""A test with a `kind`, which is about databases: on every one; on ClickHouse in the long run."""


def sampled_everywhere(test: Test) -> Test:
    """A test with a `kind`, which is about something else: everyday on SQLite and one other database, which the seed
    chooses; on every database in the long run."""
    decorated: Test = pytest.mark.sampled(everywhere(test))
    return decorated


class Project:
    """A folder with a tallybook.toml, its database, its book, and a clock that stands still until set."""

    def __init__(self, folder: Path, url: str, *, now: str = "2024-03-06T12:00") -> None:
        self.folder, self.url = folder, url
        self.database = open_database(url)
        self.kind = "mariadb" if url.startswith("mysql") else make_url(url).drivername.partition("+")[0]
        self.at(now)
        self._book: Any = None
        folder.mkdir(parents=True, exist_ok=True)

    def at(self, now: str) -> Project:
        """Set the clock to an instant: UTC, unless `now` carries an offset."""
        instant = datetime.fromisoformat(now)
        self.now = instant if instant.tzinfo else instant.replace(tzinfo=UTC)
        return self

    # -- the database ------------------------------------------------------------------------------------

    def execute(self, *statements: str) -> None:
        """Run statements in the database, as its application would."""
        with self.database.cursor() as cursor:
            for statement in statements:
                cursor.execute(statement)

    def table(self, columns: str, rows: Iterable[Sequence[Any]] = ()) -> None:
        """Make a table, `name (column type, …)`, and put rows into it.

        `timestamp` is a time without zone on every database; so it is `datetime` on MariaDB; on
        ClickHouse it is shown in the zone of the session."""
        if self.kind == "mariadb":
            columns = columns.replace(" timestamptz", " timestamp(6) null").replace(" timestamp,", " datetime(6),")
            columns = columns.replace(" timestamp)", " datetime(6))")
        if self.kind == "chdb":
            columns = columns.replace(" timestamptz", " DateTime64(6, 'America/New_York')")
            columns = columns.replace(" timestamp,", " DateTime64(6),").replace(" timestamp)", " DateTime64(6))")
        self.execute(f"create table {columns}")
        self.insert(columns.split()[0], rows)

    def insert(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        listed = [f"({', '.join(map(literal, row))})" for row in rows]
        if listed:
            self.execute(f"insert into {table} values {', '.join(listed)}")

    def insert_in_order(self, table: str, rows: Iterable[Sequence[Any]]) -> None:
        """Insert rows that are read after those that are there, also by ClickHouse, which reads its parts in any order."""
        self.insert(table, rows)
        if self.kind == "chdb":
            self.execute(f"optimize table {table} final")

    # -- the declarations --------------------------------------------------------------------------------

    def declare(self, metrics: str, *, source: str = "", **book: str) -> None:
        """Write tallybook.toml anew: these metrics, and these keys of [book]."""
        self.close()
        keys = {"start": "2024-01-01", **book}
        head = ["[book]", *(f'{key} = "{value}"' for key, value in keys.items() if value)]
        head += ["", "[sources.app]", f'url = "{self.url}"', source, ""]
        text = "\n".join(head) + textwrap.dedent(metrics)
        (self.folder / "tallybook.toml").write_text(text, encoding="utf-8")

    # -- the book ------------------------------------------------------------------------------------------

    @property
    def book(self) -> Any:
        if self._book is None:
            self._book = tallybook.open(self.folder, now=lambda: self.now)
        return self._book

    def close(self) -> None:
        if self._book is not None:
            self._book.close()
            self._book = None

    def run(self, *metrics: str, **options: Any) -> Any:
        """Collect, and see that nothing failed. Returns the report."""
        report = self.book.run(*metrics, **options)
        assert not report.failed, [f"{m.metric}: {m.error} {m.hint}" for m in report.failed]
        return report

    def run_fails(self, *metrics: str, **options: Any) -> str:
        """Collect, and see that one metric failed and nothing of it is stored. Returns what was said."""
        report = self.book.run(*metrics, **options)
        (failed,) = report.failed
        assert not failed.days
        return f"{failed.error} {failed.hint}"

    def rows(self, *metrics: str, **question: Any) -> list[Row]:
        """The rows of an answer, with their days as ISO texts."""
        found = self.book.query(*metrics, **question).rows()
        return [{**row, "period": row["period"] and str(row["period"])} for row in found]

    def ask(self, metric: str, **question: Any) -> dict[Any, Any]:
        """The values of one metric: {"2024-01-01": 3} or, by dimensions, {("2024-01-01", "pro"): 3}.

        Rows of totals have "total" in the place of their dimensions; the one over the whole range, also in
        that of its day."""
        by = question.get("by", [])
        values: dict[Any, Any] = {}
        for row in self.rows(metric, **question):
            dims = ("total",) * bool(by) if row.get("total") else tuple(row[d] for d in by)
            key = (row["period"] or "total", *dims) if dims else row["period"] or "total"
            assert key not in values, f"two rows for {key}"
            values[key] = row[metric]
        return values

    def values(self, *metrics: str, **question: Any) -> dict[str, list[Any]]:
        """The values of several metrics, row by row; the facts in the source must say the same."""
        stored, live = (self.rows(*metrics, **question, live=live) for live in (False, True))
        found = {metric: [row[metric] for row in stored] for metric in metrics}
        assert {metric: alike([row[metric] for row in live]) for metric in metrics} == found
        return found

    def both(self, metric: str, **question: Any) -> dict[Any, Any]:
        """`ask`, after a look that the facts in the source say the same."""
        stored = self.ask(metric, **question)
        live = self.ask(metric, **question, live=True)
        assert list(live) == list(stored)
        assert alike(list(live.values())) == list(stored.values())
        return stored


def alike(values: list[Any]) -> list[Any]:
    """To compare with: doubles but for the order they were added in, everything else to the last digit."""
    return [pytest.approx(value, rel=1e-11) if isinstance(value, float) else value for value in values]


def literal(value: Any) -> str:
    """A value as it stands in an insert, in any of the databases."""
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | float | Decimal):
        return str(value)
    return "'" + str(value).replace("'", "''") + "'"


MakeProject = Callable[..., Project]


@pytest.fixture
def project(tmp_path: Path, make_database: Callable[[str], str]) -> Iterator[MakeProject]:
    """`project(kind, now=…)`: a project with an empty database of that kind."""
    made: list[Project] = []

    def make(kind: str = "sqlite", now: str = "2024-03-06T12:00") -> Project:
        made.append(Project(tmp_path / f"project{len(made)}", make_database(kind), now=now))
        return made[-1]

    yield make
    for one in made:
        one.close()
