"""The demo's database: two years of a small software company, in SQLite.

Times are naive UTC text, business hours are Berlin's. The rows depend only on the arguments of `write`, so the same
arguments give the same rows."""

import sqlite3
from collections.abc import Iterable
from contextlib import closing
from datetime import date, datetime, timedelta
from pathlib import Path
from random import Random

from tallybook.demo.clock import DAY, Workday, days, local, midnight
from tallybook.demo.company import Account, Company, Invoice, Subscription, Ticket, User
from tallybook.demo.traffic import Gateway, count_seats

BEFORE = timedelta(days=540)
"""The age of the company when the API calls and counts of seats begin."""

SCHEMA = """
create table accounts (
    id integer primary key, name text not null, plan text not null, country text,
    created_at timestamp not null);
create table users (
    id integer primary key, account_id integer not null references accounts, role text not null,
    plan text not null, country text, created_at timestamp not null);
create table subscriptions (
    id integer primary key, account_id integer not null references accounts, plan text not null,
    mrr decimal(10,2) not null, seats integer not null,
    started_at timestamp not null, cancelled_at timestamp);
create table invoices (
    id integer primary key, account_id integer not null references accounts, plan text not null,
    status text not null, currency text not null, issued_at timestamp not null, paid_at timestamp,
    amount decimal(12,2) not null);
create table tickets (
    id integer primary key, account_id integer not null references accounts, priority text not null,
    opened_at timestamp not null, closed_at timestamp);
create table api_calls (
    id integer primary key, account_id integer not null references accounts,
    user_id integer references users, plan text not null, endpoint text not null,
    called_at timestamp not null, latency_ms integer not null, status integer not null,
    inserted_at timestamp not null);
create table daily_seats (
    day date not null, account_id integer not null references accounts, seats integer not null);
"""
INDEXES = """
create index users_created_at on users (created_at);
create index invoices_issued_at on invoices (issued_at);
create index invoices_paid_at on invoices (paid_at);
create index api_calls_called_at on api_calls (called_at);
create unique index daily_seats_day on daily_seats (day, account_id);
"""
TABLES = ("accounts", "users", "subscriptions", "invoices", "tickets", "api_calls", "daily_seats")

Row = tuple[object, ...]


def write(
    path: Path | str,
    *,
    seed: int = 7,
    end: date,
    years: int = 2,
    first: date | None = None,
    scale: float = 1.0,
    now: datetime | None = None,
) -> dict[str, int]:
    """Write a new database to `path`. Returns how many rows each table has.

    The data stops at the end of the local day `end`, or at `now` (naive UTC) when given: what happens later is not
    known yet. It begins with `first`, by default `first_day(end, years)`; with the same `first`, a later stop adds rows
    and changes some in place, as a living company's database does. `scale` multiplies the customers, and with them
    everything."""
    until = now or midnight(end + DAY)
    first = first or first_day(end, years)
    company = Company(founded=first - BEFORE, until=until, scale=scale)
    delete(Path(path))
    with closing(sqlite3.connect(path, isolation_level=None)) as db:
        db.executescript(f"pragma journal_mode = off; pragma synchronous = off; begin; {SCHEMA}")
        live(company, db, first, seed)
        record(company, db)
        db.execute(f"pragma user_version = {first:%Y%m%d}")
        db.execute("commit")
        db.executescript(f"{INDEXES} analyze; pragma journal_mode = wal;")
        return {table: db.execute(f"select count(*) from {table}").fetchone()[0] for table in TABLES}


def first_day(end: date, years: int = 2) -> date:
    """The first day with API calls: the first of `end`'s month, `years` years before."""
    return date(end.year - years, end.month, 1)


def first_day_in(path: Path) -> date:
    """The first day with API calls of the database at `path`, as recorded by `write`."""
    with closing(sqlite3.connect(path)) as db:
        (noted,) = db.execute("pragma user_version").fetchone()
        return datetime.strptime(f"{noted} +0000", "%Y%m%d %z").date()


def delete(path: Path) -> None:
    """Delete a database and the files that SQLite keeps beside it, because a stale -wal would corrupt the new one."""
    for suffix in ("", "-wal", "-shm", "-journal"):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def live(company: Company, db: sqlite3.Connection, first: date, seed: int) -> None:
    """Simulate every day. From `first` on, API calls and seats are written as they occur."""
    gateway = Gateway(company)
    for day in days(company.founded, local(company.until).date()):
        today, rng = Workday(day), Random(f"{seed} {day}")
        if day >= first:
            insert(db, "api_calls", ((None, *call) for call in gateway.calls(today, rng)), columns=9)
            insert(db, "daily_seats", count_seats(company, today, rng), columns=3)
        company.live(today, rng)


def record(company: Company, db: sqlite3.Connection) -> None:
    """Write the tables whose rows changed while the company lived."""
    until = company.until
    insert(db, "accounts", map(account_row, company.accounts), columns=5)
    insert(db, "users", map(user_row, company.users), columns=6)
    insert(db, "subscriptions", map(subscription_row, company.subscriptions), columns=7)
    insert(db, "invoices", (invoice_row(one, until) for one in company.invoices), columns=8)
    insert(db, "tickets", (ticket_row(one, until) for one in company.tickets), columns=5)


def insert(db: sqlite3.Connection, table: str, rows: Iterable[Row], *, columns: int) -> None:
    db.executemany(f"insert into {table} values ({', '.join('?' * columns)})", rows)


def account_row(one: Account) -> Row:
    return one.id, one.name, one.plan, one.country, text(one.created_at)


def user_row(one: User) -> Row:
    return one.id, one.account_id, one.role, one.plan, one.country, text(one.created_at)


def subscription_row(one: Subscription) -> Row:
    money, start, end = euros(one.mrr), text(one.started_at), text(one.cancelled_at)
    return one.id, one.account_id, one.plan, money, one.seats, start, end


def invoice_row(one: Invoice, until: datetime) -> Row:
    booked = one.booked_at is not None and one.booked_at < until
    refunded = one.refunded_at is not None and one.refunded_at < until
    status = "refunded" if refunded else "paid" if booked else "open"
    paid_at = text(one.paid_at) if booked else None
    return one.id, one.account_id, one.plan, status, "EUR", text(one.issued_at), paid_at, euros(one.amount)


def ticket_row(one: Ticket, until: datetime) -> Row:
    closed_at = text(one.closed_at) if one.closed_at < until else None
    return one.id, one.account_id, one.priority, text(one.opened_at), closed_at


def text(instant: datetime | None) -> str | None:
    """'YYYY-MM-DD HH:MM:SS', as most applications store it; None stays NULL."""
    return None if instant is None else instant.isoformat(sep=" ")


def euros(cents: int) -> str:
    """Cents as decimal text; the column's DECIMAL affinity makes it a number."""
    return f"{cents // 100}.{cents % 100:02}"
