"""Databases in the shape of known kinds of applications, with generated rows, and what a careful analyst wants of each.

The tables and columns are in words of our own. Each has what makes drafts go wrong there: due dates and disputes beside
the time of an invoice, staff beside customers, remote accounts beside local users, carts beside orders."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Any

from tallybook.draft.reserved import RESERVED
from tests.projects import Project

NOW = datetime(2026, 3, 10, 12, tzinfo=UTC)
FIRST, LAST = date(2026, 3, 3), date(2026, 3, 9)
"""The seven complete days before NOW."""
SPAN = 90
"""The rows are of so many days before NOW."""
Row = dict[str, Any]
Generator = Callable[[int, Row, random.Random], Any]


@dataclass(frozen=True)
class Table:
    """A table: its name, its number of rows, and (SQL type, generator) by column."""

    name: str
    rows: int
    columns: Mapping[str, tuple[str, Generator]]
    key: str = "id"


@dataclass(frozen=True)
class Application:
    """A database and the judgement of an analyst. `wanted`: metric → plain SQL of its value over the seven days."""

    name: str
    tables: tuple[Table, ...]
    wanted: Mapping[str, str]
    headlines: tuple[str, ...]
    harmless: frozenset[str] = field(default_factory=frozenset)
    """Metrics that may be on: right, and not what anybody asks for first."""

    def fill(self, database: Project) -> None:
        """Create the tables and insert the rows. The same application has the same rows every time."""
        dice = random.Random(self.name)
        for table in self.tables:
            columns = ", ".join(
                f"{quoted(database, name)} {kind}{' primary key' if name == table.key else ''}"
                for name, (kind, _) in table.columns.items()
            )
            database.table(f"{quoted(database, table.name)} ({columns})")
            database.insert(quoted(database, table.name), list(_rows(table, dice)))


def quoted(database: Project, name: str) -> str:
    """A name as the database has to see it: in quotes if it has capitals or may be reserved."""
    if database.kind == "mariadb":
        return f"`{name}`"
    plain = name.isidentifier() and name.islower() and name.upper() not in RESERVED
    return name if plain else f'"{name}"'


def _rows(table: Table, dice: random.Random) -> list[tuple[Any, ...]]:
    found = []
    for i in range(1, table.rows + 1):
        row: Row = {"": (i - 1) / max(1, table.rows)}
        for name, (_, make) in table.columns.items():
            row[name] = make(i, row, dice)
        row.pop("")
        found.append(tuple(row.values()))
    return found


# --- generators ---------------------------------------------------------------------------------------------------

INT, TEXT, TIME, DAY, BOOL = "int", "varchar(60)", "timestamp", "date", "boolean"


def key() -> tuple[str, Generator]:
    """1, 2, 3 …"""
    return INT, lambda i, row, dice: i


def ref(rows: int, *, nulls: float = 0.0) -> tuple[str, Generator]:
    """The key of one of the rows of another table."""
    return INT, lambda i, row, dice: None if dice.random() < nulls else dice.randint(1, rows)


def pick(*values: Any, kind: str = TEXT, weights: tuple[int, ...] = ()) -> tuple[str, Generator]:
    """One of the values."""
    return kind, lambda i, row, dice: dice.choices(values, weights or None)[0]


def number(low: int, high: int) -> tuple[str, Generator]:
    """An integer."""
    return INT, lambda i, row, dice: dice.randint(low, high)


def money(low: int, high: int, kind: str = "decimal(10,2)") -> tuple[str, Generator]:
    """An amount with two decimals."""
    return kind, lambda i, row, dice: f"{dice.randint(low * 100, high * 100) / 100:.2f}"


def share_of(column: str, share: float, kind: str = INT) -> tuple[str, Generator]:
    """A share of another amount of the row."""
    made: Callable[[float], Any] = int if kind == INT else (lambda v: f"{v:.2f}")
    return kind, lambda i, row, dice: made(float(row[column]) * share)


def text(word: str) -> tuple[str, Generator]:
    """A different text in each row."""
    return TEXT, lambda i, row, dice: f"{word} {i}"


def born(*, kind: str = TIME, shift: int = 0) -> tuple[str, Generator]:
    """A time that grows with the key, over the whole span."""

    def make(i: int, row: Row, dice: random.Random) -> str:
        seconds = row[""] * SPAN * 86_400 + dice.randint(0, 20_000)
        at = NOW - timedelta(days=SPAN + shift, seconds=1) + timedelta(seconds=min(seconds, SPAN * 86_400 - 3600))
        return f"{at:%Y-%m-%d}" if kind == DAY else f"{at:%Y-%m-%d %H:%M:%S}"

    return kind, make


def after(
    column: str, days: int, share: float = 1.0, *, least: int = 0, kind: str = TIME, future: bool = False
) -> tuple[str, Generator]:
    """A time up to so many days after another one of the row, in a share of the rows; never in the future."""

    def make(i: int, row: Row, dice: random.Random) -> str | None:
        if row[column] is None or dice.random() >= share:
            return None
        begin = datetime.fromisoformat(row[column]).replace(tzinfo=UTC)
        at = begin + timedelta(days=least, seconds=dice.randint(60, max(61, days * 86_400)))
        if at >= NOW and not future:
            return None if share < 1 else row[column]
        return f"{at:%Y-%m-%d}" if kind == DAY else f"{at:%Y-%m-%d %H:%M:%S}"

    return kind, make


def nothing(kind: str = TIME) -> tuple[str, Generator]:
    """Always null."""
    return kind, lambda i, row, dice: None


def flag(share: float) -> tuple[str, Generator]:
    """True in a share of the rows."""
    return BOOL, lambda i, row, dice: dice.random() < share


# --- plain SQL ----------------------------------------------------------------------------------------------------


def during(column: str) -> str:
    """The condition for times of the seven days."""
    return f"{column} >= '{FIRST} 00:00:00' and {column} < '{LAST + timedelta(days=1)} 00:00:00'"


def on_days(column: str) -> str:
    """The condition for dates of the seven days."""
    return f"{column} >= '{FIRST}' and {column} <= '{LAST}'"


def holding(since: str, until: str) -> str:
    """The condition for what is open at the end of the seven days."""
    end = f"'{LAST + timedelta(days=1)} 00:00:00'"
    return f"{since} < {end} and ({until} is null or {until} >= {end})"


# --- billing, on Rails --------------------------------------------------------------------------------------------

PAYING = "payments where payable_payment_status = 'succeeded'"
BILLING = Application(
    "billing",
    (
        Table("users", 5, {"id": key(), "email": text("u@x"), "password_digest": text("h"), "created_at": born()}),
        Table(
            "customers",
            220,
            {
                "id": key(),
                "organization_id": ref(2),
                "external_id": text("ext"),
                "name": text("Company"),
                "email": text("mail@x"),
                "phone": text("+49 30 1234"),
                "country": pick("DE", "FR", "US"),
                "shipping_country": pick("DE", "FR", "US"),
                "state": pick("Berlin", "Bavaria", "Texas"),
                "created_at": born(),
                "updated_at": after("created_at", 5),
                "deleted_at": after("created_at", 30, 0.05),
            },
        ),
        Table(
            "plans",
            6,
            {
                "id": key(),
                "name": text("Plan"),
                "code": text("plan"),
                "amount_cents": number(900, 9900),
                "amount_currency": pick("EUR"),
                "interval": pick("monthly", "yearly", "quarterly"),
                "created_at": born(),
            },
        ),
        Table(
            "subscriptions",
            260,
            {
                "id": key(),
                "customer_id": ref(220),
                "plan_id": ref(6),
                "status": pick(0, 1, 2, 3, kind=INT),
                "created_at": born(),
                "started_at": after("created_at", 1),
                "ending_at": nothing(),
                "canceled_at": after("started_at", 30, 0.04),
                "terminated_at": after("started_at", 40, 0.4, least=5),
            },
        ),
        Table(
            "invoices",
            500,
            {
                "id": key(),
                "customer_id": ref(220),
                "number": text("INV"),
                "issuing_date": born(kind=DAY),
                "payment_due_date": after("issuing_date", 30, kind=DAY, future=True),
                "fees_amount_cents": number(1000, 90_000),
                "taxes_amount_cents": share_of("fees_amount_cents", 0.19),
                "coupons_amount_cents": number(0, 500),
                "total_amount_cents": share_of("fees_amount_cents", 1.19),
                "currency": pick("EUR"),
                "status": pick(0, 1, 2, kind=INT, weights=(1, 8, 1)),
                "payment_overdue": flag(0.1),
                "created_at": born(),
                "payment_dispute_lost_at": after("created_at", 20, 0.24),
            },
        ),
        Table(
            "payment_provider_customers",
            40,
            {"id": key(), "customer_id": ref(220), "provider": pick("stripe", "adyen"), "created_at": born()},
        ),
        Table(
            "payments",
            420,
            {
                "id": key(),
                "invoice_id": ref(500),
                "payment_provider_customer_id": ref(40, nulls=0.5),
                "customer_id": ref(220),
                "amount_cents": number(1000, 90_000),
                "amount_currency": pick("EUR"),
                "payable_payment_status": pick("succeeded", "failed", "pending", weights=(8, 1, 1)),
                "created_at": born(),
                "updated_at": after("created_at", 3),
            },
        ),
        Table(
            "fees",
            700,
            {
                "id": key(),
                "invoice_id": ref(500),
                "subscription_id": ref(260),
                "amount_cents": number(100, 9000),
                "taxes_amount_cents": number(10, 900),
                "created_at": born(),
                "deleted_at": after("created_at", 5, 0.1),
            },
        ),
        Table(
            "credit_notes",
            30,
            {
                "id": key(),
                "invoice_id": ref(500),
                "customer_id": ref(220),
                "total_amount_cents": number(100, 900),
                "total_amount_currency": pick("EUR"),
                "reason": pick("duplicated_charge", "other"),
                "created_at": born(),
            },
        ),
        Table(
            "events",
            800,
            {
                "id": key(),
                "customer_id": ref(220),
                "code": pick("api_call", "storage"),
                "timestamp": born(),
                "created_at": after("timestamp", 1),
                "deleted_at": after("timestamp", 5, 0.03),
            },
        ),
        Table(
            "webhooks", 400, {"id": key(), "status": pick(0, 1, kind=INT), "created_at": born(), "updated_at": born()}
        ),
        Table("invites", 12, {"id": key(), "email": text("i@x"), "token": text("t"), "created_at": born()}),
    ),
    wanted={
        "signups": f"select count(*) from customers where {during('created_at')}",
        "revenue": f"select sum(amount_cents) / 100.0 from {PAYING} and {during('created_at')}",
        "mrr": (
            "select sum(case p.interval when 'yearly' then amount_cents when 'quarterly' then amount_cents * 4 "
            "else amount_cents * 12 end) / 1200.0 from subscriptions s join plans p on p.id = s.plan_id "
            f"where {holding('started_at', 'terminated_at')}"
        ),
        "active_subscriptions": f"select count(*) from subscriptions where {holding('started_at', 'terminated_at')}",
        "new_subscriptions": f"select count(*) from subscriptions where {during('started_at')}",
        "payments": f"select count(*) from {PAYING} and {during('created_at')}",
        "events": f"select count(*) from events where {during('timestamp')}",
        "active_customers": f"select count(distinct customer_id) from events where {during('timestamp')}",
    },
    headlines=("signups", "revenue", "mrr"),
    harmless=frozenset(
        {
            "terminated_subscriptions",
            "new_credit_notes",
            "new_fees",
            "invoices",
            "paying_customers",
            "invoice_total",
            "fees",
            "credit_notes",
        }
    ),
)

# --- help desk, on Rails ------------------------------------------------------------------------------------------

HELP_DESK = Application(
    "help_desk",
    (
        Table("accounts", 2, {"id": key(), "name": text("Org"), "locale": number(0, 3), "created_at": born()}),
        Table(
            "users",
            7,
            {
                "id": key(),
                "name": text("Agent"),
                "email": text("a@x"),
                "encrypted_password": text("h"),
                "availability": number(0, 2),
                "created_at": born(),
            },
        ),
        Table(
            "contacts",
            240,
            {
                "id": key(),
                "name": text("Person"),
                "email": text("p@x"),
                "phone_number": text("+1 555"),
                "account_id": ref(2),
                "country_code": pick("us", "de", "br"),
                "blocked": flag(0.02),
                "created_at": born(),
                "last_activity_at": after("created_at", 60, 0.8),
            },
        ),
        Table(
            "conversations",
            380,
            {
                "id": key(),
                "account_id": ref(2),
                "inbox_id": ref(3),
                "contact_id": ref(240),
                "assignee_id": ref(7, nulls=0.3),
                "status": pick(0, 1, 2, 3, kind=INT),
                "priority": pick("low", "medium", "high", "urgent"),
                "channel": pick("email", "chat", "phone"),
                "created_at": born(),
                "updated_at": after("created_at", 20),
                "first_reply_created_at": after("created_at", 1, 0.8),
                "resolved_at": after("created_at", 6, 0.8),
                "snoozed_until": after("created_at", 9, 0.05, future=True),
                "last_activity_at": after("created_at", 15),
            },
        ),
        Table(
            "messages",
            1200,
            {
                "id": key(),
                "account_id": ref(2),
                "conversation_id": ref(380),
                "message_type": pick(0, 1, 2, kind=INT),
                "private": flag(0.1),
                "sender_type": pick("Contact", "User"),
                "sender_id": ref(240),
                "content_type": pick("text", "form"),
                "created_at": born(),
                "updated_at": after("created_at", 1),
            },
        ),
        Table(
            "csat_survey_responses",
            90,
            {
                "id": key(),
                "conversation_id": ref(380),
                "contact_id": ref(240),
                "rating": number(1, 5),
                "feedback_message": text("ok"),
                "created_at": born(),
            },
        ),
        Table(
            "notifications",
            700,
            {
                "id": key(),
                "user_id": ref(7),
                "notification_type": pick(0, 1, kind=INT),
                "read_at": nothing(),
                "created_at": born(),
            },
        ),
        Table(
            "audits", 300, {"id": key(), "user_id": ref(7), "action": pick("create", "update"), "created_at": born()}
        ),
        Table("inboxes", 3, {"id": key(), "name": text("Inbox"), "created_at": born()}),
        Table(
            "deleted_conversations",
            40,
            {"id": key(), "conversation_id": ref(380), "deleted_at": born(), "created_at": born()},
        ),
    ),
    wanted={
        "new_conversations": f"select count(*) from conversations where {during('created_at')}",
        "open_conversations": f"select count(*) from conversations where {holding('created_at', 'resolved_at')}",
        "resolved_conversations": f"select count(*) from conversations where {during('resolved_at')}",
        "messages": f"select count(*) from messages where {during('created_at')}",
        "new_contacts": f"select count(*) from contacts where {during('created_at')}",
        "csat_survey_response_rating": f"select avg(rating) from csat_survey_responses where {during('created_at')}",
    },
    headlines=("new_conversations", "open_conversations"),
    harmless=frozenset({"new_csat_survey_responses", "active_contacts", "new_inboxes", "new_accounts"}),
)

# --- a social network, on Rails -----------------------------------------------------------------------------------

SOCIAL = Application(
    "social",
    (
        Table(
            "accounts",
            400,
            {
                "id": key(),
                "username": text("name"),
                "domain": pick(None, "other.example", "far.example", weights=(2, 1, 1)),
                "display_name": text("Name"),
                "created_at": born(),
                "updated_at": after("created_at", 9),
                "suspended_at": after("created_at", 30, 0.03),
                "actor_type": pick("Person", "Service"),
            },
        ),
        Table(
            "users",
            180,
            {
                "id": key(),
                "account_id": ref(400),
                "email": text("u@x"),
                "encrypted_password": text("h"),
                "locale": pick("en", "de", "ja"),
                "created_at": born(),
                "confirmed_at": after("created_at", 2, 0.9),
                "current_sign_in_at": after("created_at", 30, 0.9),
                "last_sign_in_at": after("created_at", 20, 0.9),
                "sign_in_count": number(1, 40),
                "disabled": flag(0.03),
                "approved": flag(0.95),
            },
        ),
        Table(
            "statuses",
            1400,
            {
                "id": key(),
                "account_id": ref(400),
                "text": text("hello"),
                "language": pick("en", "de", "ja"),
                "visibility": pick(0, 1, 2, kind=INT),
                "created_at": born(),
                "updated_at": after("created_at", 3),
                "edited_at": after("created_at", 3, 0.1),
                "deleted_at": after("created_at", 9, 0.05),
            },
        ),
        Table(
            "follows", 600, {"id": key(), "account_id": ref(400), "target_account_id": ref(400), "created_at": born()}
        ),
        Table("favourites", 900, {"id": key(), "account_id": ref(400), "status_id": ref(1400), "created_at": born()}),
        Table("blocks", 60, {"id": key(), "account_id": ref(400), "target_account_id": ref(400), "created_at": born()}),
        Table(
            "reports", 30, {"id": key(), "account_id": ref(400), "target_account_id": ref(400), "created_at": born()}
        ),
        Table("account_deletion_requests", 9, {"id": key(), "account_id": ref(400), "created_at": born()}),
        Table(
            "notifications",
            1500,
            {"id": key(), "account_id": ref(400), "type": pick("follow", "mention"), "created_at": born()},
        ),
        Table("session_activations", 500, {"id": key(), "user_id": ref(180), "ip": text("10.0"), "created_at": born()}),
        Table(
            "status_stats",
            1400,
            {
                "id": key(),
                "status_id": ref(1400),
                "replies_count": number(0, 9),
                "created_at": born(),
                "updated_at": born(),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from users where {during('created_at')}",
        "new_statuses": f"select count(*) from statuses where {during('created_at')}",
        "new_follows": f"select count(*) from follows where {during('created_at')}",
        "new_favourites": f"select count(*) from favourites where {during('created_at')}",
        "active_accounts": f"select count(distinct account_id) from statuses where {during('created_at')}",
    },
    headlines=("signups",),
    harmless=frozenset(
        {"active_users", "new_accounts", "session_activations", "new_session_activations", "new_statuses"}
    ),
)

# --- a shop, on MySQL, with a prefix ------------------------------------------------------------------------------

ORDERED = "oc_order where order_status_id in (2, 3, 5)"
SHOP = Application(
    "shop",
    (
        Table("oc_user", 2, {"user_id": key(), "username": text("admin"), "date_added": born()}, "user_id"),
        Table(
            "oc_customer",
            210,
            {
                "customer_id": key(),
                "customer_group_id": ref(2),
                "firstname": text("F"),
                "lastname": text("L"),
                "email": text("m@x"),
                "telephone": text("030"),
                "newsletter": pick(0, 1, kind=INT),
                "status": pick(0, 1, kind=INT),
                "date_added": born(),
            },
            "customer_id",
        ),
        Table(
            "oc_order_status",
            6,
            {
                "order_status_id": key(),
                "name": (
                    TEXT,
                    lambda i, row, dice: ["Pending", "Processing", "Shipped", "Canceled", "Complete", "Refunded"][
                        i - 1
                    ],
                ),
            },
            "order_status_id",
        ),
        Table(
            "oc_order",
            420,
            {
                "order_id": key(),
                "customer_id": ref(210),
                "firstname": text("F"),
                "telephone": text("030"),
                "payment_method": pick("card", "transfer"),
                "payment_country": pick("Germany", "France", "Austria"),
                "shipping_country": pick("Germany", "France", "Austria"),
                "total": money(5, 300, "decimal(15,4)"),
                "commission": money(0, 3, "decimal(15,4)"),
                "order_status_id": pick(0, 2, 3, 4, 5, 6, kind=INT, weights=(3, 2, 2, 1, 6, 1)),
                "currency_code": pick("EUR"),
                "ip": text("10.0"),
                "date_added": born(),
                "date_modified": after("date_added", 9),
            },
            "order_id",
        ),
        Table(
            "oc_order_product",
            900,
            {
                "order_product_id": key(),
                "order_id": ref(420),
                "product_id": ref(30),
                "name": text("P"),
                "quantity": number(1, 4),
                "price": money(5, 60, "decimal(15,4)"),
                "total": share_of("price", 2, "decimal(15,4)"),
                "tax": share_of("price", 0.19, "decimal(15,4)"),
            },
            "order_product_id",
        ),
        Table(
            "oc_order_history",
            800,
            {"order_history_id": key(), "order_id": ref(420), "order_status_id": number(1, 6), "date_added": born()},
            "order_history_id",
        ),
        Table(
            "oc_product",
            30,
            {
                "product_id": key(),
                "model": text("M"),
                "quantity": number(0, 90),
                "price": money(5, 60, "decimal(15,4)"),
                "date_available": born(kind=DAY),
                "date_added": born(),
            },
            "product_id",
        ),
        Table(
            "oc_cart",
            300,
            {
                "cart_id": key(),
                "customer_id": ref(210),
                "product_id": ref(30),
                "quantity": number(1, 3),
                "date_added": born(),
            },
            "cart_id",
        ),
        Table(
            "oc_review",
            70,
            {
                "review_id": key(),
                "product_id": ref(30),
                "customer_id": ref(210),
                "author": pick("Ann", "Bob", "Cid"),
                "rating": number(1, 5),
                "status": pick(0, 1, kind=INT),
                "date_added": born(),
            },
            "review_id",
        ),
        Table(
            "oc_return",
            25,
            {
                "return_id": key(),
                "order_id": ref(420),
                "telephone": text("030"),
                "quantity": number(1, 2),
                "date_added": born(),
            },
            "return_id",
        ),
        Table(
            "oc_customer_ip",
            500,
            {"customer_ip_id": key(), "customer_id": ref(210), "ip": text("10"), "date_added": born()},
            "customer_ip_id",
        ),
    ),
    wanted={
        "signups": f"select count(*) from oc_customer where {during('date_added')}",
        "revenue": f"select sum(total) from {ORDERED} and {during('date_added')}",
        "orders": f"select count(*) from {ORDERED} and {during('date_added')}",
        "buying_customers": f"select count(distinct customer_id) from {ORDERED} and {during('date_added')}",
        "order_product_sold": (
            "select sum(quantity) from oc_order_product l join oc_order o on o.order_id = l.order_id "
            f"where order_status_id in (2, 3, 5) and {during('date_added')}"
        ),
        "review_rating": f"select avg(rating) from oc_review where {during('date_added')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {"order_product_revenue", "new_reviews", "new_carts", "active_customers", "new_customer_ips", "new_returns"}
    ),
)

# --- a forum, on Rails --------------------------------------------------------------------------------------------

FORUM = Application(
    "forum",
    (
        Table(
            "users",
            260,
            {
                "id": key(),
                "username": text("name"),
                "password_hash": text("h"),
                "trust_level": number(0, 4),
                "admin": flag(0.01),
                "moderator": flag(0.02),
                "active": flag(0.95),
                "staged": flag(0.02),
                "created_at": born(),
                "last_seen_at": after("created_at", 60, 0.9),
                "last_posted_at": after("created_at", 60, 0.5),
                "suspended_at": after("created_at", 60, 0.02),
                "silenced_till": after("created_at", 60, 0.02, future=True),
            },
        ),
        Table(
            "topics",
            260,
            {
                "id": key(),
                "title": text("T"),
                "user_id": ref(260),
                "last_post_user_id": ref(260),
                "category_id": ref(6),
                "archetype": pick("regular", "private_message", weights=(5, 1)),
                "posts_count": number(1, 60),
                "views": number(1, 900),
                "like_count": number(0, 20),
                "closed": flag(0.1),
                "created_at": born(),
                "bumped_at": after("created_at", 20),
                "last_posted_at": after("created_at", 20),
                "deleted_at": after("created_at", 9, 0.04),
            },
        ),
        Table(
            "posts",
            1300,
            {
                "id": key(),
                "user_id": ref(260),
                "topic_id": ref(260),
                "post_number": number(1, 40),
                "reads": number(1, 99),
                "like_count": number(0, 9),
                "hidden": flag(0.01),
                "created_at": born(),
                "updated_at": after("created_at", 4),
                "last_version_at": after("created_at", 4),
                "deleted_at": after("created_at", 9, 0.04),
            },
        ),
        Table(
            "post_actions",
            700,
            {
                "id": key(),
                "post_id": ref(1300),
                "user_id": ref(260),
                "post_action_type_id": number(1, 8),
                "created_at": born(),
            },
        ),
        Table(
            "user_visits",
            1600,
            {
                "id": key(),
                "user_id": ref(260),
                "visited_at": born(kind=DAY),
                "posts_read": number(0, 30),
                "mobile": flag(0.4),
                "time_read": number(0, 900),
            },
        ),
        Table(
            "user_histories",
            200,
            {"id": key(), "acting_user_id": ref(260), "action": number(1, 30), "created_at": born()},
        ),
        Table(
            "email_logs",
            500,
            {"id": key(), "user_id": ref(260), "email_type": pick("digest", "reply"), "created_at": born()},
        ),
        Table(
            "notifications",
            1500,
            {
                "id": key(),
                "user_id": ref(260),
                "notification_type": number(1, 9),
                "read": flag(0.5),
                "created_at": born(),
            },
        ),
        Table(
            "application_requests",
            180,
            {
                "id": key(),
                "date": ("date", lambda i, row, dice: f"{NOW.date() - timedelta(days=90 - (i - 1) // 2)}"),
                "req_type": (INT, lambda i, row, dice: i % 2),
                "count": number(100, 9000),
            },
        ),
        Table(
            "invites",
            40,
            {
                "id": key(),
                "invited_by_id": ref(260),
                "email": text("m@x"),
                "created_at": born(),
                "expires_at": after("created_at", 30, future=True),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from users where {during('created_at')}",
        "new_topics": f"select count(*) from topics where {during('created_at')}",
        "new_posts": f"select count(*) from posts where {during('created_at')}",
        "active_users": f"select count(distinct user_id) from user_visits where {on_days('visited_at')}",
        "post_actions": f"select count(*) from post_actions where {during('created_at')}",
    },
    headlines=("signups", "active_users"),
    harmless=frozenset({"new_user_visits", "user_visits", "application_request_count", "application_requests"}),
)

# --- marts of a warehouse -----------------------------------------------------------------------------------------


def _each_day(make: Callable[[int, random.Random], Any], kind: str = INT) -> tuple[str, Generator]:
    return kind, lambda i, row, dice: make(i, dice)


MARTS = Application(
    "marts",
    (
        Table(
            "dim_customers_latest",
            240,
            {
                "customer_id": key(),
                "customer_name": text("C"),
                "country": pick("DE", "FR", "US"),
                "customer_segment": pick("smb", "enterprise"),
                "lifetime_value": money(10, 900),
                "created_at": born(),
                "dbt_updated_at": after("created_at", 1),
            },
            "customer_id",
        ),
        Table(
            "stg_customers",
            240,
            {
                "customer_id": key(),
                "country": pick("DE", "FR"),
                "created_at": born(),
                "_loaded_at": after("created_at", 1),
            },
            "customer_id",
        ),
        Table(
            "fct_orders",
            500,
            {
                "order_id": key(),
                "customer_id": ref(240),
                "ordered_at": born(),
                "status": pick("completed", "returned", "placed", weights=(7, 1, 1)),
                "order_total": money(10, 90),
                "tax_paid": money(1, 9),
                "item_count": number(1, 5),
            },
            "order_id",
        ),
        Table(
            "stg_orders",
            500,
            {
                "order_id": key(),
                "customer_id": ref(240),
                "ordered_at": born(),
                "order_total": money(10, 90),
                "_loaded_at": born(),
            },
            "order_id",
        ),
        Table(
            "fct_earnings",
            600,
            {
                "earning_key": text("k"),
                "ds": born(kind=DAY),
                "customer_id": ref(240),
                "revenue": money(10, 90),
                "created_at": after("ds", 1),
            },
            "earning_key",
        ),
        Table(
            "fct_balances",
            180,
            {
                "ds": _each_day(lambda i, dice: f"{NOW.date() - timedelta(days=90 - (i - 1) // 2)}", DAY),
                "month_start": _each_day(
                    lambda i, dice: f"{(NOW.date() - timedelta(days=90 - (i - 1) // 2)).replace(day=1)}", DAY
                ),
                "customer_id": _each_day(lambda i, dice: i % 2 + 1),
                "balance": _each_day(lambda i, dice: f"{5000 + i * 3 + dice.randint(0, 20)}.50", "decimal(12,2)"),
            },
            "",
        ),
        Table(
            "daily_export",
            89,
            {
                "day": _each_day(lambda i, dice: f"{NOW.date() - timedelta(days=90 - i)}", DAY),
                "total_membership": _each_day(lambda i, dice: 2300 + i),
                "guests": _each_day(lambda i, dice: 40 + dice.randint(0, 1)),
                "members": _each_day(lambda i, dice: 1900 + i),
                "posts_ever": _each_day(lambda i, dice: 100_000 + 500 * i),
                "percent_public": _each_day(lambda i, dice: f"{0.30 + dice.randint(0, 8) / 100:.2f}", "decimal(5,2)"),
                "uploads": _each_day(lambda i, dice: dice.randint(20, 90)),
            },
            "",
        ),
    ),
    wanted={
        "signups": f"select count(*) from dim_customers_latest where {during('created_at')}",
        "revenue": f"select sum(revenue) from fct_earnings where {on_days('ds')}",
        "orders": f"select count(*) from fct_orders where status = 'completed' and {during('ordered_at')}",
        "paying_customers": f"select count(distinct customer_id) from fct_earnings where {on_days('ds')}",
        "balance": f"select sum(balance) from fct_balances where ds = '{LAST}'",
        "total_membership": f"select total_membership from daily_export where day = '{LAST}'",
        "posts_ever": f"select posts_ever from daily_export where day = '{LAST}'",
        "percent_public": f"select avg(percent_public) from daily_export where {on_days('day')}",
        "uploads": f"select sum(uploads) from daily_export where {on_days('day')}",
    },
    headlines=("signups", "revenue", "balance"),
    harmless=frozenset({"guests", "members", "earnings", "order_total", "buying_customers"}),
)

TUNED = (BILLING, HELP_DESK, SOCIAL, SHOP, FORUM, MARTS)
"""The applications that the scores were made with."""
