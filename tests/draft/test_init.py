"""`tallybook init`: what it drafts is collected as it is, and its numbers are those of plain SQL over the same rows.

The schemas are of the kinds that many applications have, in words of our own, small enough to be looked through.
"""

from __future__ import annotations

import io
import json
import shutil
import sqlite3
import tomllib
from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from tallybook.cli import invoke
from tallybook.demo import saas
from tests.conftest import DATABASES
from tests.projects import Project
from tests.query.test_known_answers import IN_POSTGRESQL

pytestmark = pytest.mark.sampled

NOW = datetime(2024, 3, 6, 12, tzinfo=UTC)
Rows = list[tuple[Any, ...]]


class Drafted:
    """A folder in which `tallybook init URL` was typed."""

    def __init__(self, folder: Path, url: str, now: datetime = NOW) -> None:
        self.folder, self.url, self.now = folder, url, now
        folder.mkdir(exist_ok=True)
        self.env = {} if url.startswith(("sqlite", "duckdb")) else {"DATABASE_URL": url}
        self.said = self.type("init", url)
        self.text = (folder / "tallybook.toml").read_text()
        self.toml = tomllib.loads(self.text)
        self.metrics = self.toml["metrics"]

    def type(self, *words: str, code: int = 0) -> str:
        out, err = io.StringIO(), io.StringIO()
        arguments = [words[0], "--project", str(self.folder), *words[1:]]
        ended = invoke(arguments, now=lambda: self.now, stdout=out, stderr=err, env=self.env)
        assert ended == code, out.getvalue() + err.getvalue()
        return out.getvalue() + err.getvalue()

    def collected(self) -> Drafted:
        """As drafted, not a letter changed: `check --source` and `run`."""
        self.type("check", "--source")
        self.type("run", "--quiet")
        return self

    def value(self, metric: str, scope: str = "all", by: str = "", to: str = "") -> Any:
        words = ["query", metric, "--scope", scope, "--format", "json", "--exact", *(["--to", to] if to else [])]
        rows = json.loads(self.type(*words, *(["--by", by] if by else [])))["rows"]
        if by:
            return {row[by]: exact(row[metric]) for row in rows}
        return exact(rows[-1][metric])


def exact(value: Any) -> Any:
    return Decimal(str(value)) if isinstance(value, str | int | float) else value


def filled(database: Project, tables: dict[str, tuple[str, Rows]]) -> Project:
    for name, (columns, rows) in tables.items():
        database.table(f"{name} ({columns})", rows)
    return database


def answers(database: Project, sql: str) -> Any:
    """One value, by the database itself."""
    with database.database.cursor() as cursor:
        cursor.execute(sql)
        value = cursor.fetchone()[0]
    return exact(round(value, 6) if isinstance(value, float) else value)  # SQLite adds decimals as floats


def at(day: int, hour: int = 10) -> str:
    """A time so many days after 1 January 2024."""
    return f"{datetime(2024, 1, 1) + timedelta(days=day, hours=hour):%Y-%m-%d %H:%M:%S}"


@pytest.fixture
def database(database_url: str, tmp_path: Path) -> Iterator[Project]:
    found = Project(tmp_path / "elsewhere", database_url)
    yield found
    found.close()


# ------------------------------------------------------------------------------------- a shop

SHOP: dict[str, tuple[str, Rows]] = {
    "customers": (
        "id int primary key, email varchar(60), country varchar(2), created_at timestamp, updated_at timestamp",
        [(i, f"c{i}@example.org", ["DE", "FR", "AT"][i % 3], at(i), at(40)) for i in range(1, 31)],
    ),
    "orders": (
        (
            "id int primary key, customer_id int, financial_status varchar(12), currency varchar(3), "
            "total_price decimal(10, 2), total_tax decimal(10, 2), created_at timestamp, cancelled_at timestamp"
        ),
        [
            (
                i,
                i % 30 + 1,
                ["paid", "pending", "paid", "voided"][i % 4],
                "EUR",
                f"{i}.{i % 10}5",
                "1.00",
                at(i % 50, i % 24),
                None,
            )
            for i in range(1, 90)
        ],
    ),
    "line_items": (
        "id int primary key, order_id int, sku varchar(20), price decimal(10, 2), quantity int",
        [(i, i % 89 + 1, f"S{i}", f"{i % 7}.99", i % 4 + 1) for i in range(1, 200)],
    ),
}


def test_a_shop(database: Project, tmp_path: Path) -> None:
    filled(database, SHOP)
    drafted = Drafted(tmp_path / "project", database.url).collected()
    assert drafted.toml["book"]["start"] == "2024-01-01"
    assert drafted.value("signups") == 30
    assert drafted.value("revenue") == answers(
        database, "select sum(total_price) from orders where financial_status = 'paid'"
    )
    assert drafted.metrics["revenue"]["unit"] == "EUR"
    assert drafted.metrics["revenue"]["join"] == "customers on customers.id = customer_id"
    assert drafted.value("revenue", by="country")["DE"] == answers(
        database,
        "select sum(o.total_price) from orders o join customers c on c.id = o.customer_id "
        "where c.country = 'DE' and o.financial_status = 'paid'",
    )
    paid = "from line_items l join orders o on o.id = l.order_id where o.financial_status = 'paid'"
    assert drafted.value("line_item_revenue") == answers(database, f"select sum(l.price * l.quantity) {paid}")
    assert drafted.value("line_item_sold") == answers(database, f"select sum(l.quantity) {paid}")
    named = json.dumps(drafted.metrics)
    assert "email" not in named
    assert "sku" not in named
    assert "c1@example.org" not in drafted.text


def test_a_shop_that_declares_no_keys_is_joined_under_a_look_at_every_run(database: Project, tmp_path: Path) -> None:
    filled(database, {name: (columns.replace(" primary key", ""), rows) for name, (columns, rows) in SHOP.items()})
    drafted = Drafted(tmp_path / "project", database.url).collected()
    assert drafted.metrics["line_item_revenue"]["join"] == "orders on orders.id = order_id"
    paid = "from line_items l join orders o on o.id = l.order_id where o.financial_status = 'paid'"
    assert drafted.value("line_item_revenue") == answers(database, f"select sum(l.price * l.quantity) {paid}")
    database.insert("orders", [(7, 3, "paid", "EUR", "5.00", "1.00", at(3), None)])
    assert "several rows of orders have id = 7" in drafted.type("run", code=1)


# ------------------------------------------------------------------------------------- a billing system

BILLING: dict[str, tuple[str, Rows]] = {
    "customers": (
        "id varchar(20) primary key, name varchar(60), created bigint",
        [(f"cus_{i}", f"Person {i}", 1_704_103_200 + i * 86_400) for i in range(20)],
    ),
    "subscriptions": (
        (
            "id varchar(20) primary key, customer varchar(20), plan varchar(9), "
            "quantity int, status varchar(9), created bigint, "
            "canceled_at bigint, current_period_end bigint"
        ),
        [
            (
                f"sub_{i}",
                f"cus_{i % 20}",
                ["basic", "pro"][i % 2],
                i % 5 + 1,
                ["active", "canceled"][i % 3 == 0],
                1_704_103_200 + i * 86_400,
                1_704_103_200 + (i + 20) * 86_400 if i % 3 == 0 else None,
                1_720_000_000,
            )
            for i in range(30)
        ],
    ),
    "charges": (
        (
            "id varchar(20) primary key, customer varchar(20), amount bigint, amount_refunded bigint, "
            "currency varchar(3), "
            "status varchar(12), created bigint"
        ),
        [
            (
                f"ch_{i}",
                f"cus_{i % 20}",
                1999 + i,
                0,
                ["eur", "usd"][i % 2],
                ["succeeded", "failed"][i % 5 == 0],
                1_704_103_200 + i * 43_200,
            )
            for i in range(60)
        ],
    ),
}


def test_a_billing_system_that_counts_cents_and_seconds(database: Project, tmp_path: Path) -> None:
    filled(database, BILLING)
    drafted = Drafted(tmp_path / "project", database.url).collected()
    assert {m.get("stored", "-") for m in drafted.metrics.values()} == {"epoch_s"}
    assert drafted.value("signups") == 20
    assert drafted.metrics["revenue"]["minor_units"] is True
    assert drafted.metrics["revenue"]["unit_from"] == "currency"
    assert "do not add up" in drafted.text
    assert drafted.value("revenue", by="currency") == {
        currency: answers(
            database, f"select sum(amount) / 100.0 from charges where status = 'succeeded' and currency = '{currency}'"
        )
        for currency in ("usd", "eur")
    }
    assert drafted.metrics["active_subscriptions"]["until"] == "canceled_at"
    end = 1_706_745_600  # 1 February 2024
    holds = f"where created < {end} and (canceled_at is null or canceled_at >= {end})"
    asked = {"to": "2024-01-31"}
    assert drafted.value("active_subscriptions", **asked) == answers(
        database, f"select count(*) from subscriptions {holds}"
    )
    assert drafted.value("subscription_quantity", **asked) == answers(
        database, f"select sum(quantity) from subscriptions {holds}"
    )


# ------------------------------------------------------------------------------------- a tracker

TRACKER: dict[str, tuple[str, Rows]] = {
    "users": (
        "id int primary key, login varchar(30), is_admin boolean, created_at timestamptz",
        [(i, f"u{i}", i % 9 == 0, at(i)) for i in range(1, 25)],
    ),
    "issues": (
        ("id int primary key, reporter_id int, title varchar(80), body text, priority varchar(9), status varchar(9), "
        "created_at timestamptz, updated_at timestamptz, closed_at timestamptz"),
        [
            (i, i % 24 + 1, f"It does not work, case {i}", "…", ["low", "high", "urgent"][i % 3],
             ["open", "closed"][i % 2], at(i % 40, i % 24), at(60), at(i % 40 + 3, i % 24) if i % 2 else None)
            for i in range(1, 80)
        ],
    ),
    "comments": (
        "id int primary key, issue_id int, author_id int, body text, created_at timestamptz",
        [(i, i % 79 + 1, i % 24 + 1, "…", at(i % 45, i % 24)) for i in range(1, 120)],
    ),
    "login_events": (
        "id int primary key, user_id int, platform varchar(9), occurred_at timestamptz",
        [(i, i * 7 % 24 + 1, ["web", "ios"][i % 2], at(i % 60, i % 24)) for i in range(1, 150)],
    ),
    "schema_migrations": ("version varchar(20)", [("20240101",)]),
}  # fmt: skip


def test_a_tracker(database: Project, tmp_path: Path) -> None:
    if database.kind == "sqlite":
        for name in ("users", "issues", "comments", "login_events"):
            columns, rows = TRACKER[name]
            database.table(f"{name} ({columns.replace('timestamptz', 'timestamp')})", rows)
    else:
        filled(database, TRACKER)
    drafted = Drafted(tmp_path / "project", database.url).collected()
    assert drafted.value("signups") == 24
    assert drafted.value("new_issues") == 79
    assert drafted.value("active_users") == answers(database, "select count(distinct user_id) from login_events")
    assert drafted.value("login_events", by="platform")["web"] == answers(
        database, "select count(*) from login_events where platform = 'web'"
    )
    open_at_the_end = (
        "select count(*) from issues where created_at < '2024-02-01 00:00:00' "
        "and (closed_at is null or closed_at >= '2024-02-01 00:00:00')"
    )
    if database.kind == "postgresql":
        open_at_the_end = open_at_the_end.replace("00:00:00'", "00:00:00+00'")
    assert drafted.value("open_issues", to="2024-01-31") == answers(database, open_at_the_end)
    assert "title" not in json.dumps(drafted.metrics)


# ------------------------------------------------------------------------------------- a video store

VIDEO_STORE: dict[str, tuple[str, Rows]] = {
    "customer": (
        (
            "customer_id int primary key, store_id int, first_name varchar(20), active int, "
            "create_date timestamp, last_update timestamp"
        ),
        [(i, i % 2 + 1, f"F{i}", 1, at(i % 3), at(50)) for i in range(1, 40)],
    ),
    "rental": (
        (
            "rental_id int primary key, rental_date timestamp, inventory_id int, customer_id int, "
            "return_date timestamp, last_update timestamp"
        ),
        [(i, at(i % 40, i % 24), i, i % 39 + 1, at(i % 40 + 4) if i % 8 else None, at(50)) for i in range(1, 100)],
    ),
    "payment": (
        "payment_id int primary key, customer_id int, rental_id int, amount decimal(5, 2), payment_date timestamp",
        [(i, i % 39 + 1, i, f"{i % 9}.99", at(i % 40, i % 24)) for i in range(1, 100)],
    ),
    "daily_balances": (
        "balance_date date, account_id int, balance decimal(12, 2), primary key (balance_date, account_id)",
        [(at(day)[:10], account, f"{account * 100 + day}.50") for day in range(60) for account in (1, 2)],
    ),
}


def test_a_video_store_and_its_balances(database: Project, tmp_path: Path) -> None:
    filled(database, VIDEO_STORE)
    drafted = Drafted(tmp_path / "project", database.url).collected()
    assert drafted.value("signups") == 39
    assert drafted.value("revenue") == answers(database, "select sum(amount) from payment")
    rented = (
        "select count(*) from rental where rental_date < '2024-02-01 00:00:00' "
        "and (return_date is null or return_date >= '2024-02-01 00:00:00')"
    )
    assert drafted.value("active_rentals", to="2024-01-31") == answers(database, rented)
    (balance,) = (name for name, keys in drafted.metrics.items() if keys.get("table") == "daily_balances")
    assert drafted.metrics[balance]["kind"] == "level"
    assert drafted.value(balance, to="2024-01-31") == answers(
        database, "select sum(balance) from daily_balances where balance_date = '2024-01-31'"
    )
    assert '# carry = "3d"' in drafted.text


# ------------------------------------------------------------------------------------- an importer's office


def test_names_in_two_cases_and_with_a_blank(database: Project, tmp_path: Path) -> None:
    quote = "`" if database.kind == "mariadb" else '"'

    def quoted(name: str) -> str:
        return f"{quote}{name}{quote}"

    orders, lines, customers = quoted("Orders"), quoted("Order Details"), quoted("Customers")
    columns = [
        quoted(c)
        for c in ("OrderID", "CustomerID", "OrderDate", "RequiredDate", "ShippedDate", "ShipCountry", "Freight")
    ]
    database.execute(
        f"create table {customers} ({quoted('CustomerID')} varchar(5) primary key, "
        f"{quoted('CompanyName')} varchar(40))",
        f"create table {orders} ({columns[0]} int primary key, {columns[1]} varchar(5), "
        f"{columns[2]} date, {columns[3]} date, "
        f"{columns[4]} date, {columns[5]} varchar(15), {columns[6]} decimal(10, 2), "
        f"foreign key ({columns[1]}) references "
        f"{customers} ({quoted('CustomerID')}))",
        f"create table {lines} ({quoted('OrderID')} int, {quoted('ProductID')} int, "
        f"{quoted('UnitPrice')} decimal(10, 2), "
        f"{quoted('Quantity')} smallint, {quoted('Discount')} decimal(4, 2), "
        f"primary key ({quoted('OrderID')}, {quoted('ProductID')}), "
        f"foreign key ({quoted('OrderID')}) references {orders} ({quoted('OrderID')}))",
    )
    database.insert(customers, [("ALFKI", "A"), ("BONAP", "B")])
    days = [(i, ["ALFKI", "BONAP"][i % 2], at(i % 30)[:10], at(i % 30 + 20)[:10], None) for i in range(1, 60)]
    database.insert(orders, [(*day, ["Germany", "France", "Peru"][day[0] % 3], "3.50") for day in days])
    database.insert(lines, [(i % 59 + 1, i, f"{i % 9}.25", i % 5 + 1, "0.00") for i in range(1, 120)])
    drafted = Drafted(tmp_path / "project", database.url).collected()
    price, quantity = quoted("UnitPrice"), quoted("Quantity")
    assert drafted.value("revenue") == answers(database, f"select sum({price} * {quantity}) from {lines}")
    assert drafted.value("orders") == 59
    assert drafted.value("orders", by="ShipCountry")["Peru"] == answers(
        database, f"select count(*) from {orders} where {columns[5]} = 'Peru'"
    )
    assert "discounts are not subtracted" in drafted.text


# ------------------------------------------------------------------------------------- databases of others


def test_chinook(tmp_path: Path, shared_data: Path) -> None:
    shutil.copyfile(shared_data / "chinook.sqlite", tmp_path / "app.sqlite")
    drafted = Drafted(tmp_path, f"sqlite:///{tmp_path}/app.sqlite", datetime(2026, 1, 2, 12, tzinfo=UTC)).collected()
    assert drafted.toml["sources"]["app"]["url"] == "sqlite:///app.sqlite"
    assert drafted.toml["book"]["start"] == "2021-01-01"
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as database:
        ((total, count),) = database.execute("select round(sum(Total), 2), count(*) from Invoice").fetchall()
    assert drafted.value("revenue") == drafted.value("invoice_line_revenue") == exact(total) == Decimal("2328.6")
    assert drafted.value("invoices") == count
    assert "join Invoice p on p.InvoiceId = l.InvoiceId" in drafted.metrics["invoice_line_revenue"]["sql"]


def test_chinook_in_postgresql(
    tmp_path: Path, shared_data: Path, postgresql_server: Any, make_database: Callable[[str], str]
) -> None:
    url = make_database("postgresql")
    with closing(postgresql_server.connect(url.rpartition("/")[2])) as connection:
        IN_POSTGRESQL["chinook"](connection, shared_data)
    drafted = Drafted(tmp_path / "project", url, datetime(2026, 1, 2, 12, tzinfo=UTC)).collected()
    assert drafted.value("revenue") == drafted.value("invoice_line_revenue") == Decimal("2328.60")
    assert drafted.metrics["revenue"]["stored"] == "date"


def test_the_demo(tmp_path: Path) -> None:
    saas.write(tmp_path / "app.db", end=date(2024, 3, 5), years=1, scale=0.1)
    drafted = Drafted(tmp_path, f"sqlite:///{tmp_path}/app.db").collected()
    end, reach = "2024-03-01", {"to": "2024-02-29"}
    since = drafted.toml["book"]["start"]
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        one = lambda sql: exact(database.execute(sql).fetchone()[0])  # noqa: E731
        paid = f"status = 'paid' and paid_at >= '{since}' and paid_at < '{end}'"
        assert drafted.value("revenue", **reach) == round(one(f"select sum(amount) from invoices where {paid}"), 2)
        assert drafted.value("signups", **reach) == one(f"select count(*) from accounts where created_at < '{end}'")
        holds = f"started_at < '{end}' and (cancelled_at is null or cancelled_at >= '{end}')"
        assert drafted.value("mrr", **reach) == round(one(f"select sum(mrr) from subscriptions where {holds}"), 2)
        assert drafted.value("seats", **reach) == one("select sum(seats) from daily_seats where day = '2024-02-29'")
        assert drafted.value("active_users", **reach) == one(
            f"select count(distinct user_id) from api_calls where called_at < '{end}'"
        )
        opened = f"opened_at < '{end}' and (closed_at is null or closed_at >= '{end}')"
        assert drafted.value("open_tickets", **reach) == one(f"select count(*) from tickets where {opened}")
    assert drafted.metrics["open_tickets"]["join"] == "accounts on accounts.id = account_id"


def test_the_saas_sample(tmp_path: Path, shared_data: Path) -> None:
    shutil.copyfile(shared_data / "saas_metabase.sqlite", tmp_path / "app.sqlite")
    drafted = Drafted(tmp_path, f"sqlite:///{tmp_path}/app.sqlite", datetime(2023, 1, 2, 12, tzinfo=UTC)).collected()
    with closing(sqlite3.connect(tmp_path / "app.sqlite")) as database:
        one = lambda sql: exact(database.execute(sql).fetchone()[0])  # noqa: E731
        until = "< '2023-01-01'"
        assert drafted.value("signups", to="2022-12-31") == one(
            f"select count(*) from accounts where created_at {until}"
        )
        paid = one(f"select round(sum(payment), 2) from invoices where date_received {until}")
        assert round(drafted.value("revenue", to="2022-12-31"), 2) == paid
        assert drafted.value("active_accounts", to="2022-12-31") == one(
            f"select count(distinct account_id) from analytic_events where timestamp {until}"
        )
        assert drafted.value("current_accounts", to="2022-12-31") == one(
            f"select count(*) from accounts where created_at {until} "
            "and (canceled_at is null or canceled_at >= '2023-01-01')"
        )


# ------------------------------------------------------------------------------------- the command


@pytest.fixture
def small(tmp_path: Path) -> Path:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database:
        database.executescript("""
            create table users (id integer primary key, plan text, created_at text);
            insert into users values (1, 'pro', '2024-01-01 10:00:00'), (2, 'free', '2024-01-02 10:00:00');
            create table payments (id integer primary key, amount real, paid_at text);
            insert into payments values (1, 0.1, '2024-01-01 10:00:00'), (2, 0.2, '2024-01-02 10:00:00');
        """)
    return tmp_path


def test_money_in_floats_becomes_exact_where_no_value_has_more_digits(small: Path) -> None:
    drafted = Drafted(small, f"sqlite:///{small}/app.db").collected()
    assert drafted.metrics["revenue"]["decimals"] == 2
    assert drafted.value("revenue") == Decimal("0.3")
    with closing(sqlite3.connect(small / "app.db")) as database, database:
        database.execute("insert into payments values (3, 0.1234567, '2024-01-02 10:00:00')")
    (small / "tallybook.toml").unlink()
    again = Drafted(small, f"sqlite:///{small}/app.db")
    assert "decimals" not in again.metrics["revenue"]
    assert "so their sum is not exact" in again.text


def test_a_file_that_is_there_is_not_written_over(small: Path) -> None:
    drafted = Drafted(small, f"sqlite:///{small}/app.db")
    (small / "tallybook.toml").write_text("# mine\n")
    said = drafted.type("init", drafted.url, code=2)
    assert "already" in said
    assert "--force" in said
    assert (small / "tallybook.toml").read_text() == "# mine\n"
    drafted.type("init", drafted.url, "--to", str(small / "draft.toml"))
    assert (small / "draft.toml").read_text() == drafted.text
    drafted.type("init", drafted.url, "--force")
    assert (small / "tallybook.toml").read_text() == drafted.text


def test_as_json(small: Path) -> None:
    drafted = Drafted(small, f"sqlite:///{small}/app.db")
    told = json.loads(drafted.type("init", drafted.url, "--force", "--format", "json", "--source", "shop"))
    assert [m["metric"] for m in told["metrics"]] == list(drafted.metrics)
    assert told["next"] == ["tallybook check --source", "tallybook run"]
    assert "[sources.shop]" in (small / "tallybook.toml").read_text()


@pytest.mark.parametrize("kind", [k for k in DATABASES if k not in ("sqlite", "duckdb")])
def test_a_password_is_neither_written_nor_shown(
    kind: str, make_database: Callable[[str], str], tmp_path: Path
) -> None:
    database = filled(Project(tmp_path / "elsewhere", make_database(kind)), SHOP)
    drafted = Drafted(tmp_path / "project", database.url)
    assert 'url = "${DATABASE_URL}"' in drafted.text
    assert ".env" in drafted.said
    password = database.database.url.password
    assert password
    assert password not in drafted.text + drafted.said


def test_a_database_that_is_not_there(tmp_path: Path) -> None:
    out, err = io.StringIO(), io.StringIO()
    words = ["init", f"sqlite:///{tmp_path}/none.db", "--project", str(tmp_path)]
    assert invoke(words, stdout=out, stderr=err, env={}) == 4
    assert "there is no file" in err.getvalue()
    assert not (tmp_path / "tallybook.toml").exists()
    assert invoke(["init", "app.db", "--project", str(tmp_path)], stdout=out, stderr=err, env={}) == 2
    assert "sqlite:///app.db" in err.getvalue()


def test_what_stands_in_a_database_cannot_break_the_file(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database, database:
        database.execute('create table "odd\ntable" ("a b" text, "plan""x" text, status text, created_at text)')
        rows = [
            ("x\ny = 1", "p\"'", "new\n[metrics.evil]", "2024-01-01 10:00:00"),
            ("z", "q", "old", "2024-01-02 10:00:00"),
        ]
        database.executemany('insert into "odd\ntable" values (?, ?, ?, ?)', rows * 5)
    out = io.StringIO()
    words = ["init", f"sqlite:///{tmp_path}/app.db", "--project", str(tmp_path)]
    assert invoke(words, now=lambda: NOW, stdout=out, stderr=out, env={}) == 0, out.getvalue()
    assert "evil" not in tomllib.loads((tmp_path / "tallybook.toml").read_text()).get("metrics", {})


def test_a_database_without_tables_is_told_and_no_run_is_asked_for(tmp_path: Path) -> None:
    sqlite3.connect(tmp_path / "app.db").close()
    (tmp_path / "app.db").touch()
    out = io.StringIO()
    words = ["init", f"sqlite:///{tmp_path / 'app.db'}", "--project", str(tmp_path)]
    assert invoke(words, now=lambda: NOW, stdout=out, stderr=out, env={}) == 1
    assert "this user sees no tables in this database. No file is written" in out.getvalue()
    assert not (tmp_path / "tallybook.toml").exists()
    assert "tallybook run" not in out.getvalue()
