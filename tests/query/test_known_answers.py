"""Questions about data that none of us made, with answers that others have published or computed.

`../shared/data/known_answers.json` holds twelve. Each is asked of the SQLite files as they are and of the same
rows in PostgreSQL, through a tallybook.toml such as a user would write, and once more of the facts themselves. In the
everyday run each of the three databases is of one kind, which the seed chooses.
"""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date, timedelta
from decimal import Decimal
from itertools import product
from pathlib import Path
from typing import Any

import pytest

from tests import servers
from tests.conftest import sampled
from tests.projects import Project

# --------------------------------------------------------------------------------------- as a user declares

METABASE = """
    [metrics.payments]
    table = "invoices"
    time = "date_received"
    measure = "sum(payment)"
    unit = "USD"

    [metrics.payments_received]
    table = "invoices"
    time = "date_received"
    measure = "count(*)"

    [metrics.open_accounts]
    kind = "level"
    table = "accounts"
    from = "created_at"
    until = "canceled_at"
    measure = "count(*)"
    by = ["plan"]

    [metrics.open_seats]
    kind = "level"
    table = "accounts"
    from = "created_at"
    until = "canceled_at"
    measure = "sum(seats)"
    by = ["plan"]

    [metrics.active_accounts]
    table = "analytic_events"
    time = "timestamp"
    measure = "count(distinct account_id)"

    [metrics.usage]
    table = "analytic_events"
    time = "timestamp"
    measure = "count(*)"
    by = ["event"]

    [metrics.orders]
    table = "orders"
    time = "created_at"
    measure = "count(*)"

    [metrics.order_total]
    table = "orders"
    time = "created_at"
    measure = "round(sum(total), 2)"
    unit = "USD"
"""

CHINOOK = """
    [metrics.invoices]
    table = "{Invoice}"
    time = "{InvoiceDate}"
    measure = "count(*)"

    [metrics.invoiced]
    table = "{Invoice}"
    time = "{InvoiceDate}"
    measure = "sum({Total})"
    by = ["{BillingCountry}"]
    unit = "USD"

    [metrics.customers]
    table = "{Invoice}"
    time = "{InvoiceDate}"
    measure = "count(distinct {CustomerId})"

    [metrics.billing_countries]
    table = "{Invoice}"
    time = "{InvoiceDate}"
    measure = "count(distinct {BillingCountry})"
"""
IN_SNAKE_CASE = {
    "Invoice": "invoice",
    "InvoiceDate": "invoice_date",
    "Total": "total",
    "BillingCountry": "billing_country",
    "CustomerId": "customer_id",
}

RAILS = """
    [metrics.changes]
    table = "events"
    time = "ts"
    {stored}
    measure = "count(*)"

    [metrics.mean_insertions]
    table = "events"
    time = "ts"
    {stored}
    where = "event = 'commit'"
    measure = "avg(insertions)"
    start = "2023-01-01"

    [metrics.middle_insertions]
    table = "events"
    time = "ts"
    {stored}
    where = "event = 'commit'"
    measure = "percentile_cont(0.5) within group (order by insertions)"
    start = "2023-01-01"

    [metrics.many_insertions]
    table = "events"
    time = "ts"
    {stored}
    where = "event = 'commit'"
    measure = "p95(insertions)"
    start = "2023-01-01"

    [metrics.authors]
    table = "events"
    time = "ts"
    {stored}
    measure = 'count(distinct "user")'
    start = "2024-01-01"
"""


# ------------------------------------------------------------------------------------------- the databases


def collected(kind: str, name: str, data: Path, server: servers.Server | None) -> Project:
    """The project over one of the databases: loaded and collected once a run, by whoever asks first."""
    folder = Path(os.environ["TALLYBOOK_TEST_RUN"]) / "known_answers" / f"{name}_{kind}"
    folder.mkdir(parents=True, exist_ok=True)
    ready = folder / "url"
    with (folder / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not ready.exists():
            project = Project(folder, load(name, folder, data, server), now=CLOCKS[name])
            declare(project, name)
            for metrics, days in BACKFILLS[name]:
                project.run(*metrics, **days)
            project.close()
            ready.write_text(project.url)
    return Project(folder, ready.read_text(), now=CLOCKS[name])


def load(name: str, folder: Path, data: Path, server: servers.Server | None) -> str:
    """Load one of the databases; its URL."""
    if server:
        database = server.create_database()
        with server.connect(database) as connection:
            IN_POSTGRESQL[name](connection, data)
        return server.url(database)
    path = folder / "app.sqlite"
    path.unlink(missing_ok=True)
    if name == "rails":
        commits_into_sqlite(path, data)
    else:
        shutil.copyfile(data / f"{FILES[name]}.sqlite", path)
    return f"sqlite:///{path}"


FILES = {"metabase": "saas_metabase", "chinook": "chinook"}
CLOCKS = {"metabase": "2026-05-01T12:00", "chinook": "2026-01-02T12:00", "rails": "2026-01-02T12:00"}
BACKFILLS: dict[str, list[tuple[list[str], dict[str, str]]]] = {
    "metabase": [
        (
            ["payments", "payments_received", "open_accounts", "open_seats", "active_accounts", "usage"],
            {"from_": "2022-01-01", "to": "2022-12-31"},
        ),
        (["orders", "order_total"], {}),
    ],
    "chinook": [([], {})],
    "rails": [([], {})],
}


def declare(project: Project, name: str) -> None:
    sqlite = project.kind == "sqlite"
    match name:
        case "metabase":
            project.declare(METABASE, start="2022-01-01")
        case "chinook":
            names = {camel: camel if sqlite else snake for camel, snake in IN_SNAKE_CASE.items()}
            project.declare(CHINOOK.format(**names), start="2021-01-01")
        case "rails":
            project.declare(RAILS.format(stored='stored = "offset"' if sqlite else ""), start="2019-01-01")


def unpacked(path: Path) -> str:
    import zstandard

    with path.open("rb") as packed, zstandard.ZstdDecompressor().stream_reader(packed) as stream:
        return bytes(stream.read()).decode()


COLUMNS = ["id", "event", "ts", "author_ts", "user", "account", "parents", "self_committed"]
COLUMNS += ["files", "insertions", "deletions", "binary_files"]


def commits(data: Path) -> Iterator[list[Any]]:
    for line in unpacked(data / "rails_commits.ndjson.zst").splitlines():
        event = json.loads(line)
        event |= event.pop("props")
        yield [event.get(column) for column in COLUMNS]


def commits_into_sqlite(path: Path, data: Path) -> None:
    with closing(sqlite3.connect(path)) as connection, connection:
        connection.execute(
            'create table events (id text primary key, event text, ts text, author_ts text, "user" text, '
            "account text, parents integer, self_committed boolean, files integer, insertions integer, "
            "deletions integer, binary_files integer)"
        )
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(f"insert into events values ({marks})", commits(data))


def commits_into_postgresql(connection: Any, data: Path) -> None:
    connection.execute(
        'create table events (id text primary key, event text, ts timestamptz, author_ts timestamptz, "user" text, '
        "account text, parents int, self_committed boolean, files int, insertions bigint, deletions bigint, "
        "binary_files int)"
    )
    with connection.cursor() as cursor, cursor.copy("copy events from stdin") as copy:
        for row in commits(data):
            copy.write_row(row)


def dump_into_postgresql(name: str) -> Callable[[Any, Path], None]:
    def load(connection: Any, data: Path) -> None:
        """What psql would do: statements, and the lines after a `copy … from stdin` as its data."""
        statements: list[str] = []
        lines = iter(unpacked(data / f"{name}_pg.sql.zst").splitlines(keepends=True))
        for line in lines:
            if not line.lower().rstrip().endswith("from stdin;"):
                statements.append(line)
                continue
            connection.execute("".join(statements))
            statements = []
            with connection.cursor() as cursor, cursor.copy(line) as copy:
                for row in iter(lines.__next__, "\\.\n"):
                    copy.write(row)
        connection.execute("".join(statements))

    return load


IN_POSTGRESQL: dict[str, Callable[[Any, Path], None]] = {
    "metabase": dump_into_postgresql("saas_metabase"),
    "chinook": dump_into_postgresql("chinook"),
    "rails": commits_into_postgresql,
}


@pytest.fixture
def project_on(kind: str, shared_data: Path, request: pytest.FixtureRequest) -> Iterator[Callable[[str], Project]]:
    """`project_on("chinook")`: the project over that database, in `kind`."""
    server = request.getfixturevalue("postgresql_server") if kind == "postgresql" else None
    opened: list[Project] = []

    def project(name: str) -> Project:
        opened.append(collected(kind, name, shared_data, server))
        return opened[-1]

    yield project
    for one in opened:
        one.close()


KINDS = ("sqlite", "postgresql")
EVERY_WAY = [
    dict(zip(CLOCKS, kinds, strict=True)) for kinds in product(KINDS, repeat=len(CLOCKS)) if set(kinds) == set(KINDS)
]
ON_KINDS = sorted({pair for way in sampled(EVERY_WAY, 1, "known answers") for pair in way.items()})
"""(database, kind): in the everyday run each database is of one kind, and both kinds are there; the long run has all."""


# ------------------------------------------------------------------------------------------- the questions

Ask = Callable[..., list[list[Any]]]
"""`ask(*metrics, scope=…, …)`: rows of the period, the dimensions and the values."""


def payments_a_month(ask: Ask) -> list[list[Any]]:
    return ask("payments", "payments_received", scope="month", from_="2022-01-01", to="2022-12-31")


def open_accounts_at_month_ends(ask: Ask) -> list[list[Any]]:
    months = ask("open_accounts", scope="month", from_="2022-01-01", to="2022-06-30")
    return [[last_day(month), number] for month, number in months]


def last_day(month: str) -> str:
    first = date.fromisoformat(month)
    return str((first + timedelta(days=31)).replace(day=1) - timedelta(days=1))


def active_accounts_a_week(ask: Ask) -> list[list[Any]]:
    days = {"from_": "2022-05-02", "to": "2022-06-05"}
    ((_, over_all),) = ask("active_accounts", scope="all", **days)
    return [*ask("active_accounts", scope="week", **days), ["all", over_all]]


def events_of_each_kind_a_month(ask: Ask) -> list[list[Any]]:
    return ask("usage", scope="month", by=["event"], from_="2022-01-01", to="2022-12-31")


def seats_by_plan(ask: Ask) -> list[list[Any]]:
    rows = ask("open_seats", "open_accounts", by=["plan"], from_="2022-06-30", to="2022-06-30")
    return [row[1:] for row in rows]


def all_orders(ask: Ask) -> list[list[Any]]:
    return [row[1:] for row in ask("orders", "order_total", scope="all", from_="2022-01-01", to="2026-04-30")]


def invoices_a_year(ask: Ask) -> list[list[Any]]:
    rows = ask("invoiced", "invoices", scope="year", from_="2021-01-01", to="2025-12-31")
    return [[int(year[:4]), *values] for year, *values in rows]


def all_invoices(ask: Ask) -> list[list[Any]]:
    metrics = ("invoices", "invoiced", "customers", "billing_countries")
    return [row[1:] for row in ask(*metrics, scope="all", from_="2021-01-01", to="2025-12-31")]


def top_countries(ask: Ask) -> list[list[Any]]:
    rows = ask("invoiced", scope="all", by=["BillingCountry"], from_="2021-01-01", to="2025-12-31")
    return sorted((row[1:] for row in rows), key=lambda row: -row[1])[:3]


def changes_a_year(ask: Ask) -> list[list[Any]]:
    rows = ask("changes", scope="year", from_="2019-01-01", to="2025-12-31")
    return [[int(year[:4]), number] for year, number in rows]


def insertions_a_year(ask: Ask) -> list[list[Any]]:
    metrics = ("mean_insertions", "middle_insertions", "many_insertions")
    rows = ask(*metrics, scope="year", from_="2023-01-01", to="2025-12-31")
    return [[int(year[:4]), *values] for year, *values in rows]


def authors_a_quarter(ask: Ask) -> list[list[Any]]:
    days = {"from_": "2024-01-01", "to": "2024-12-31"}
    quarters = ask("authors", scope="quarter", **days)
    named = [[f"2024-Q{n}", authors] for n, (_, authors) in enumerate(quarters, 1)]
    return [[year[:4], authors] for year, authors in ask("authors", scope="year", **days)] + named


QUESTIONS: dict[str, tuple[str, Callable[[Ask], list[list[Any]]]]] = {
    "DEV01": ("metabase", payments_a_month),
    "DEV02": ("metabase", open_accounts_at_month_ends),
    "DEV03": ("metabase", active_accounts_a_week),
    "DEV04": ("metabase", events_of_each_kind_a_month),
    "DEV05": ("metabase", seats_by_plan),
    "DEV06": ("metabase", all_orders),
    "DEV07": ("chinook", invoices_a_year),
    "DEV08": ("chinook", all_invoices),
    "DEV09": ("chinook", top_countries),
    "DEV10": ("rails", changes_a_year),
    "DEV11": ("rails", insertions_a_year),
    "DEV12": ("rails", authors_a_quarter),
}


def asking(project: Project, *, live: bool) -> Ask:
    """Asks the book, or the facts, and sees that every answer is of whole periods and exact."""

    def ask(*metrics: str, by: list[str] | None = None, **question: Any) -> list[list[Any]]:
        own = [b if project.kind == "sqlite" else IN_SNAKE_CASE.get(b, b) for b in by or []]
        rows = project.rows(*metrics, by=own, live=live, **question)
        assert all(row["complete"] and not row["approximate"] for row in rows)
        return [[row["period"], *(row[key] for key in (*own, *metrics))] for row in rows]

    return ask


@pytest.fixture(scope="module")
def known(shared_data: Path) -> dict[str, dict[str, Any]]:
    listed = json.loads((shared_data / "known_answers.json").read_text())
    return {one["id"]: one for one in listed}


def test_every_known_question_is_asked(known):
    assert set(known) == set(QUESTIONS)


@pytest.mark.cases(5)
@pytest.mark.parametrize(
    ("number", "kind"),
    [(number, kind) for number, (name, _) in QUESTIONS.items() for on, kind in ON_KINDS if on == name],
)
def test_the_answer_is_the_known_one_in_the_book_and_live(project_on, known, number):
    database, question = QUESTIONS[number]
    project = project_on(database)
    stored = question(asking(project, live=False))
    assert as_told(stored) == known[number]["expected"], known[number]["question"]
    assert agree(question(asking(project, live=True)), stored)


def as_told(rows: list[list[Any]]) -> list[list[Any]]:
    """Doubles as they are told, to four digits; exact decimals must need no rounding."""
    return [[round(v, 4) if isinstance(v, float) else as_json(v) for v in row] for row in rows]


def as_json(value: Any) -> Any:
    return float(value) if isinstance(value, Decimal) else value


def agree(live: list[list[Any]], stored: list[list[Any]]) -> bool:
    """Whole numbers and decimals to the last digit; doubles to 1e-12."""
    return len(live) == len(stored) and all(
        [pytest.approx(v, rel=1e-12) if isinstance(v, float) else v for v in old] == new
        for new, old in zip(live, stored, strict=True)
    )


@pytest.mark.parametrize("kind", [kind for name, kind in ON_KINDS if name == "chinook"])
def test_the_money_of_chinook_is_exact(project_on):
    project = project_on("chinook")
    question = {"scope": "all", "from_": "2021-01-01", "to": "2025-12-31"}
    assert project.both("invoiced", **question) == {"2021-01-01": Decimal("2328.60")}
    assert [c.type for c in project.book.query("invoiced", **question).metric_columns] == ["decimal"]
