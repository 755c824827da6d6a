"""More databases in the shape of known applications, over two years with growth: a team chat with many organizations,
books of small companies, a shop on Rails, federated links, a pipeline of sales, assets of a company, a hotel, and a
lender. They have imported rows, bots, remote people, several currencies, documents of two directions, and transactions
whose type is a number."""

from __future__ import annotations

import random
from datetime import datetime, timedelta
from typing import Any

from tests.draft.applications import (
    DAY,
    INT,
    LAST,
    NOW,
    TEXT,
    TIME,
    Application,
    Generator,
    Row,
    Table,
    after,
    during,
    flag,
    holding,
    key,
    money,
    nothing,
    number,
    on_days,
    pick,
    ref,
    share_of,
    text,
)
from tests.draft.newcomers import only_if

DAYS = 730
"""The rows are of two years."""


def grown(*, kind: str = TIME, imported: float = 0.0, shift: int = 0) -> tuple[str, Generator]:
    """A time that grows with the key, in rows that become more frequent. The first share of the rows was imported in
    one hour."""

    def make(i: int, row: Row, dice: random.Random) -> str:
        share = max(0.0, row[""] - imported) / (1 - imported)
        seconds = DAYS * 86_400 * share**0.5 + dice.randint(0, 20_000 if row[""] >= imported else 3600)
        at = NOW - timedelta(days=DAYS + shift, seconds=1) + timedelta(seconds=min(seconds, DAYS * 86_400 - 3600))
        return f"{at:%Y-%m-%d}" if kind == DAY else f"{at:%Y-%m-%d %H:%M:%S}"

    return kind, make


def unless(
    column: str, values: tuple[Any, ...], made: tuple[str, Generator], other: Any = None
) -> tuple[str, Generator]:
    """What is made, unless another column has one of the values."""
    kind, make = made
    return kind, lambda i, row, dice: other if row[column] in values else make(i, row, dice)


def day_of(column: str, *, before: int = 0) -> tuple[str, Generator]:
    """The day of another time, or some days before it."""

    def make(i: int, row: Row, dice: random.Random) -> str | None:
        if row[column] is None:
            return None
        return f"{datetime.fromisoformat(row[column]) - timedelta(days=dice.randint(0, before)):%Y-%m-%d}"

    return DAY, make


def mark(prefix: str) -> tuple[str, Generator]:
    """A text key of its own."""
    return TEXT, lambda i, row, dice: f"{prefix}-{i:06d}"


def mark_of(prefix: str, rows: int, *, nulls: float = 0.0) -> tuple[str, Generator]:
    """The text key of a row of another table."""
    return TEXT, lambda i, row, dice: None if dice.random() < nulls else f"{prefix}-{dice.randint(1, rows):06d}"


def skewed(rows: int) -> tuple[str, Generator]:
    """The key of a row of another table, the first ones more often."""
    return INT, lambda i, row, dice: 1 + int(rows * dice.random() ** 2)


def bit(share: float) -> tuple[str, Generator]:
    """1 in a share of the rows, else 0."""
    return "smallint", lambda i, row, dice: int(dice.random() < share)


# --- a team chat with many organizations, on Django -------------------------------------------------------------

MAIL = (TEXT, lambda i, row, dice: f"person{i}@example.org")
REALMS = Application(
    "realms",
    (
        Table(
            "zerver_realm",
            60,
            {
                "id": key(),
                "name": text("Org"),
                "string_id": text("org"),
                "date_created": grown(),
                "deactivated": flag(0.1),
                "plan_type": pick(1, 2, 3, kind=INT),
                "org_type": pick(10, 20, 30, kind=INT),
            },
        ),
        Table(
            "zerver_userprofile",
            900,
            {
                "id": key(),
                "password": text("h"),
                "last_login": nothing(),
                "email": MAIL,
                "delivery_email": MAIL,
                "full_name": text("N"),
                "date_joined": grown(imported=0.1),
                "is_active": flag(0.9),
                "is_staff": flag(0.01),
                "is_bot": flag(0.06),
                "bot_type": only_if("is_bot", True, pick(1, 2, kind=INT)),
                "is_mirror_dummy": flag(0.04),
                "realm_id": ref(60),
                "role": pick(200, 400, 600, kind=INT, weights=(1, 9, 1)),
                "tos_version": pick("1.0", "2.0"),
            },
        ),
        Table("zerver_recipient", 150, {"id": key(), "type": pick(1, 2, 3, kind=INT), "type_id": number(1, 900)}),
        Table(
            "zerver_stream",
            90,
            {
                "id": key(),
                "name": text("S"),
                "realm_id": ref(60),
                "date_created": grown(),
                "deactivated": flag(0.1),
                "invite_only": flag(0.3),
            },
        ),
        Table(
            "zerver_subscription",
            2500,
            {
                "id": key(),
                "user_profile_id": ref(900),
                "recipient_id": ref(150),
                "active": flag(0.9),
                "is_user_active": flag(0.95),
                "is_muted": flag(0.1),
                "color": pick("#c2c2c2", "#76ce90"),
            },
        ),
        Table(
            "zerver_message",
            4000,
            {
                "id": key(),
                "sender_id": skewed(900),
                "recipient_id": ref(150),
                "realm_id": ref(60),
                "subject": text("topic"),
                "content": text("hello"),
                "date_sent": grown(imported=0.2),
                "last_edit_time": after("date_sent", 1, 0.05),
                "sending_client_id": pick(1, 2, 3, kind=INT),
                "has_attachment": flag(0.05),
                "has_link": flag(0.2),
            },
        ),
        Table(
            "zerver_archivedmessage",
            300,
            {
                "id": key(),
                "sender_id": ref(900),
                "recipient_id": ref(150),
                "realm_id": ref(60),
                "content": text("gone"),
                "date_sent": grown(),
                "archive_transaction_id": number(1, 40),
            },
        ),
        Table(
            "zerver_useractivity",
            1500,
            {
                "id": key(),
                "user_profile_id": ref(900),
                "client_id": pick(1, 2, 3, kind=INT),
                "query": pick("get_events", "update_message_flags", "home_real"),
                "count": number(1, 900),
                "last_visit": grown(),
            },
        ),
        Table(
            "zerver_useractivityinterval",
            5000,
            {
                "id": key(),
                "user_profile_id": skewed(900),
                "start": grown(),
                "end": (TIME, lambda i, row, dice: minutes_after(row["start"], dice.randint(15, 90))),
            },
        ),
        Table(
            "zerver_realmauditlog",
            1200,
            {
                "id": key(),
                "realm_id": ref(60),
                "acting_user_id": ref(900, nulls=0.3),
                "modified_user_id": ref(900, nulls=0.3),
                "event_type": pick(101, 103, 122, 301, kind=INT),
                "event_time": grown(),
                "backfilled": flag(0.05),
                "extra_data": text("x"),
            },
        ),
        Table(
            "zerver_preregistrationuser",
            200,
            {
                "id": key(),
                "email": MAIL,
                "referred_by_id": ref(900),
                "realm_id": ref(60),
                "invited_at": grown(),
                "status": pick(0, 1, 2, kind=INT),
            },
        ),
        Table(
            "analytics_realmcount",
            2400,
            {
                "id": key(),
                "realm_id": ref(60),
                "property": pick("messages_sent:is_bot:hour", "active_users_audit:is_bot:day", "1day_actives::day"),
                "subgroup": pick("true", "false", None),
                "end_time": (TIME, lambda i, row, dice: f"{(NOW - timedelta(days=240 - i // 10)):%Y-%m-%d} 00:00:00"),
                "value": number(1, 400),
            },
        ),
        Table(
            "corporate_customer",
            25,
            {"id": key(), "realm_id": ref(60), "stripe_customer_id": text("cus"), "default_discount": nothing(INT)},
        ),
        Table(
            "corporate_customerplan",
            30,
            {
                "id": key(),
                "customer_id": ref(25),
                "automanage_licenses": flag(0.5),
                "price_per_license": pick(667, 800, 8000, kind=INT),
                "fixed_price": nothing(INT),
                "billing_cycle_anchor": grown(),
                "billing_schedule": pick(1, 2, kind=INT),
                "next_invoice_date": after("billing_cycle_anchor", 900, future=True),
                "tier": pick(1, 2, kind=INT),
                "status": pick(1, 11, kind=INT),
            },
        ),
        Table(
            "corporate_licenseledger",
            300,
            {
                "id": key(),
                "plan_id": ref(30),
                "is_renewal": flag(0.2),
                "event_time": grown(),
                "licenses": number(5, 90),
                "licenses_at_next_renewal": number(5, 90),
            },
        ),
    ),
    wanted={
        "signups": "select count(*) from zerver_userprofile where is_bot = false and is_mirror_dummy = false "
        f"and {during('date_joined')}",
        "messages": f"select count(*) from zerver_message where {during('date_sent')}",
        "active_users": f"select count(distinct user_profile_id) from zerver_useractivityinterval where {during('start')}",
        "new_realms": f"select count(*) from zerver_realm where {during('date_created')}",
    },
    headlines=("signups", "active_users"),
    harmless=frozenset({"streams", "new_useractivityintervals", "new_realmauditlogs", "new_corporate_licenseledgers"}),
)


def minutes_after(start: str, minutes: int) -> str:
    return f"{datetime.fromisoformat(start) + timedelta(minutes=minutes):%Y-%m-%d %H:%M:%S}"


# --- the books of small companies, on Laravel -------------------------------------------------------------------

GONE = {"updated_at": after("created_at", 9), "deleted_at": after("created_at", 60, 0.04)}
DOUBLE = "decimal(15,4)"
CURRENCIES = pick("USD", "EUR", "GBP", weights=(5, 3, 1))
ACCOUNTING = Application(
    "accounting",
    (
        Table(
            "ak_companies", 40, {"id": key(), "domain": text("d"), "enabled": bit(0.9), "created_at": grown(), **GONE}
        ),
        Table(
            "ak_users",
            130,
            {
                "id": key(),
                "name": text("N"),
                "email": MAIL,
                "password": text("h"),
                "last_logged_in_at": nothing(),
                "landing_page": pick("dashboard", "invoices"),
                "enabled": bit(0.95),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_contacts",
            700,
            {
                "id": key(),
                "company_id": ref(40),
                "type": pick("customer", "vendor", "employee", weights=(7, 3, 1)),
                "name": text("N"),
                "email": MAIL,
                "user_id": nothing(INT),
                "tax_number": text("T"),
                "currency_code": CURRENCIES,
                "enabled": bit(0.95),
                "created_from": pick("core::ui", "core::import"),
                "created_by": ref(130),
                "created_at": grown(imported=0.2),
                **GONE,
            },
        ),
        Table(
            "ak_categories",
            20,
            {
                "id": key(),
                "company_id": ref(40),
                "name": text("C"),
                "type": pick("income", "expense"),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_accounts",
            90,
            {
                "id": key(),
                "company_id": ref(40),
                "type": pick("bank", "credit_card"),
                "name": text("Bank"),
                "number": text("1"),
                "currency_code": CURRENCIES,
                "opening_balance": money(0, 9000, DOUBLE),
                "enabled": bit(0.95),
                "created_by": ref(130),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_documents",
            1800,
            {
                "id": key(),
                "company_id": ref(40),
                "type": pick("invoice", "bill", "invoice-recurring", weights=(7, 4, 1)),
                "document_number": text("INV"),
                "status": pick("draft", "sent", "partial", "paid", "cancelled", weights=(1, 3, 1, 8, 1)),
                "issued_at": grown(),
                "due_at": after("issued_at", 30, future=True),
                "amount": money(50, 5000, DOUBLE),
                "currency_code": CURRENCIES,
                "currency_rate": (DOUBLE, lambda i, row, dice: "1.0000" if row["currency_code"] == "USD" else "0.9000"),
                "category_id": ref(20),
                "contact_id": ref(700),
                "contact_name": text("N"),
                "contact_email": (TEXT, lambda i, row, dice: f"person{row['contact_id']}@example.org"),
                "parent_id": number(0, 0),
                "created_by": ref(130),
                "created_at": day_of("issued_at"),
                **GONE,
            },
        ),
        Table(
            "ak_document_items",
            3600,
            {
                "id": key(),
                "company_id": ref(40),
                "type": pick("invoice", "bill", weights=(7, 4)),
                "document_id": ref(1800),
                "item_id": ref(30),
                "name": text("N"),
                "quantity": number(1, 9),
                "price": money(5, 500, DOUBLE),
                "tax": money(0, 50, DOUBLE),
                "discount_rate": number(0, 0),
                "total": money(5, 4500, DOUBLE),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_transactions",
            2200,
            {
                "id": key(),
                "company_id": ref(40),
                "type": pick("income", "expense", "income-transfer", "expense-transfer", weights=(8, 6, 1, 1)),
                "number": text("TRA"),
                "account_id": ref(90),
                "paid_at": grown(),
                "amount": money(20, 4000, DOUBLE),
                "currency_code": CURRENCIES,
                "currency_rate": (DOUBLE, lambda i, row, dice: "1.0000" if row["currency_code"] == "USD" else "0.9000"),
                "document_id": ref(1800, nulls=0.4),
                "contact_id": ref(700, nulls=0.2),
                "category_id": ref(20),
                "payment_method": pick("cash", "bank_transfer"),
                "reconciled": bit(0.5),
                "created_by": ref(130),
                "created_at": day_of("paid_at"),
                **GONE,
            },
        ),
        Table(
            "ak_items",
            30,
            {
                "id": key(),
                "company_id": ref(40),
                "name": text("I"),
                "sale_price": money(5, 500, DOUBLE),
                "purchase_price": money(2, 300, DOUBLE),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_transfers",
            60,
            {
                "id": key(),
                "company_id": ref(40),
                "expense_transaction_id": ref(2200),
                "income_transaction_id": ref(2200),
                "created_at": grown(),
                **GONE,
            },
        ),
        Table(
            "ak_reconciliations",
            120,
            {
                "id": key(),
                "company_id": ref(40),
                "account_id": ref(90),
                "started_at": grown(),
                "ended_at": after("started_at", 31, least=27, future=True),
                "closing_balance": money(100, 90_000, DOUBLE),
                "reconciled": bit(0.9),
                "created_at": after("started_at", 1),
                **GONE,
            },
        ),
        Table(
            "ak_recurring",
            70,
            {
                "id": key(),
                "company_id": ref(40),
                "recurable_type": pick("App\\Models\\Document\\Document"),
                "recurable_id": ref(1800),
                "frequency": pick("monthly", "yearly", "weekly"),
                "interval": number(1, 1),
                "started_at": grown(),
                "status": pick("active", "ended", "completed"),
                "count": number(0, 12),
                "created_at": after("started_at", 1),
                **GONE,
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from ak_users where {during('created_at')}",
        **{
            f"revenue {currency}": "select sum(amount) from ak_transactions where type = 'income' and deleted_at is null "
            f"and currency_code = '{currency}' and {during('paid_at')}"
            for currency in ("EUR", "GBP", "USD")
        },
        "issued_invoices": "select count(*) from ak_documents where type = 'invoice' and deleted_at is null "
        f"and status not in ('draft', 'cancelled') and {during('issued_at')}",
        **{
            f"expenses {currency}": "select sum(amount) from ak_transactions where type = 'expense' and deleted_at is null "
            f"and currency_code = '{currency}' and {during('paid_at')}"
            for currency in ("EUR", "GBP", "USD")
        },
        "new_customers": f"select count(*) from ak_contacts where type = 'customer' and {during('created_at')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {
            "transactions",
            "invoices",
            "transfers",
            "paying_companies",
            "new_categories",
            "new_contacts",
            "new_companies",
            "new_accounts",
            *(f"{name} {code}" for name in ("document_amount", "bills") for code in ("EUR", "GBP", "USD")),
        }
    ),
)

# --- a shop on Rails ---------------------------------------------------------------------------------------------

STAMPS = {"created_at": grown(), "updated_at": after("created_at", 9)}
ORDER_STATES = ("cart", "address", "payment", "complete", "canceled", "returned")
DONE_STATES = ("complete", "canceled", "returned")
BOUGHT = "state not in ('canceled', 'returned') and completed_at is not null"
SHOP_MONEY = "decimal(10,2)"
STOREFRONT = Application(
    "storefront",
    (
        Table(
            "spree_users",
            800,
            {
                "id": key(),
                "email": MAIL,
                "encrypted_password": text("h"),
                "login": MAIL,
                "sign_in_count": number(0, 40),
                "last_sign_in_at": nothing(),
                "deleted_at": nothing(),
                **STAMPS,
            },
        ),
        Table("spree_roles", 2, {"id": key(), "name": pick("admin", "user")}),
        Table("spree_role_users", 6, {"id": key(), "role_id": ref(2), "user_id": ref(800)}),
        Table(
            "spree_addresses",
            1500,
            {
                "id": key(),
                "firstname": text("F"),
                "lastname": text("L"),
                "address1": text("Street"),
                "city": text("City"),
                "zipcode": text("1"),
                "phone": text("+1"),
                "country_id": pick(1, 2, kind=INT),
                "user_id": ref(800, nulls=0.3),
                **STAMPS,
            },
        ),
        Table(
            "spree_orders",
            2600,
            {
                "id": key(),
                "number": text("R"),
                "item_total": money(10, 400, SHOP_MONEY),
                "total": share_of("item_total", 1.2, SHOP_MONEY),
                "state": pick(*ORDER_STATES, weights=(6, 2, 2, 12, 1, 1)),
                "adjustment_total": share_of("item_total", 0.1, SHOP_MONEY),
                "user_id": ref(800, nulls=0.3),
                "created_at": grown(),
                "updated_at": after("created_at", 9),
                "completed_at": unless("state", ("cart", "address", "payment"), after("created_at", 1)),
                "payment_total": share_of("total", 1.0, SHOP_MONEY),
                "shipment_state": pick("shipped", "ready", "pending", None),
                "payment_state": unless(
                    "state", ("cart", "address", "payment"), pick("paid", "balance_due", "void", weights=(20, 2, 1))
                ),
                "email": MAIL,
                "currency": pick("USD", "EUR", weights=(3, 1)),
                "created_by_id": ref(800, nulls=0.5),
                "shipment_total": share_of("item_total", 0.1, SHOP_MONEY),
                "additional_tax_total": share_of("item_total", 0.08, SHOP_MONEY),
                "promo_total": share_of("item_total", -0.05, SHOP_MONEY),
                "channel": pick("spree", "pos"),
                "item_count": number(1, 6),
                "approver_id": ref(3, nulls=0.95),
                "approved_at": nothing(),
                "confirmation_delivered": flag(0.6),
                "considered_risky": flag(0.02),
                "canceled_at": only_if("state", "canceled", after("completed_at", 3)),
                "store_id": pick(1, 2, kind=INT),
            },
        ),
        Table(
            "spree_line_items",
            5000,
            {
                "id": key(),
                "variant_id": ref(60),
                "order_id": ref(2600),
                "quantity": number(1, 4),
                "price": money(5, 90, SHOP_MONEY),
                "cost_price": money(2, 50, SHOP_MONEY),
                "currency": pick("USD", "EUR", weights=(3, 1)),
                "adjustment_total": money(0, 3, SHOP_MONEY),
                "pre_tax_amount": money(5, 90, SHOP_MONEY),
                **STAMPS,
            },
        ),
        Table(
            "spree_payments",
            2000,
            {
                "id": key(),
                "amount": money(10, 400, SHOP_MONEY),
                "order_id": ref(2600),
                "source_type": pick("Spree::CreditCard", "Spree::StoreCredit"),
                "payment_method_id": pick(1, 2, kind=INT),
                "state": pick("completed", "checkout", "failed", "void", "invalid", weights=(12, 2, 2, 1, 2)),
                "number": text("P"),
                **STAMPS,
            },
        ),
        Table(
            "spree_refunds",
            140,
            {
                "id": key(),
                "payment_id": ref(2000),
                "amount": money(5, 90, SHOP_MONEY),
                "transaction_id": text("re"),
                "refund_reason_id": pick(1, 2, kind=INT),
                **STAMPS,
            },
        ),
        Table(
            "spree_shipments",
            1700,
            {
                "id": key(),
                "number": text("H"),
                "cost": money(3, 20, SHOP_MONEY),
                "order_id": ref(2600),
                "state": pick("shipped", "ready", "canceled", weights=(8, 1, 1)),
                **STAMPS,
                "shipped_at": only_if("state", "shipped", after("created_at", 3)),
                "tracking": text("T"),
            },
        ),
        Table(
            "spree_store_credits",
            120,
            {
                "id": key(),
                "user_id": ref(800),
                "category_id": pick(1, 2, kind=INT),
                "created_by_id": ref(3),
                "amount": money(5, 90, SHOP_MONEY),
                "amount_used": money(0, 4, SHOP_MONEY),
                "currency": pick("USD", "EUR"),
                **STAMPS,
                "deleted_at": nothing(),
            },
        ),
        Table(
            "spree_products",
            70,
            {
                "id": key(),
                "name": text("P"),
                "slug": text("p"),
                "available_on": grown(),
                "deleted_at": nothing(),
                **STAMPS,
            },
        ),
        Table(
            "spree_prices",
            90,
            {"id": key(), "variant_id": ref(60), "amount": money(5, 90), "currency": pick("USD", "EUR")},
        ),
        Table(
            "spree_stock_movements",
            3000,
            {
                "id": key(),
                "stock_item_id": ref(60),
                "quantity": number(-4, 4),
                "originator_type": pick("Spree::Shipment"),
                **STAMPS,
            },
        ),
        Table(
            "spree_state_changes",
            4000,
            {
                "id": key(),
                "name": pick("order", "payment"),
                "previous_state": pick("cart", "payment"),
                "next_state": pick("payment", "complete"),
                "stateful_id": ref(2600),
                "stateful_type": pick("Spree::Order"),
                "user_id": ref(800, nulls=0.3),
                **STAMPS,
            },
        ),
        Table(
            "spree_log_entries",
            900,
            {
                "id": key(),
                "source_type": pick("Spree::Payment"),
                "source_id": ref(2000),
                "details": text("d"),
                **STAMPS,
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from spree_users where {during('created_at')}",
        "revenue EUR": f"select sum(total) from spree_orders where {BOUGHT} and currency = 'EUR' and {during('completed_at')}",
        "revenue USD": f"select sum(total) from spree_orders where {BOUGHT} and currency = 'USD' and {during('completed_at')}",
        "orders": f"select count(*) from spree_orders where {BOUGHT} and {during('completed_at')}",
        "buying_users": f"select count(distinct user_id) from spree_orders where {BOUGHT} and {during('completed_at')}",
        "shipments": f"select count(*) from spree_shipments where state = 'shipped' and {during('shipped_at')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {
            "payments",
            "payment_amount EUR",
            "payment_amount USD",
            "line_item_sold",
            "new_shipments",
            "new_store_credits",
        }
    ),
)

# --- federated links ---------------------------------------------------------------------------------------------

SEEN = {"published": grown(), "updated": after("published", 9, 0.1)}
LINKS = Application(
    "links",
    (
        Table(
            "instance", 80, {"id": key(), "domain": text("example"), **SEEN, "software": pick("lemmy", "kbin", "mbin")}
        ),
        Table(
            "person",
            1500,
            {
                "id": key(),
                "name": text("n"),
                "display_name": text("N"),
                "banned": flag(0.02),
                **SEEN,
                "actor_id": text("https://x/u"),
                "local": flag(0.25),
                "public_key": text("k"),
                "last_refreshed_at": after("published", 20),
                "deleted": flag(0.04),
                "bot_account": flag(0.03),
                "instance_id": ref(80),
            },
        ),
        Table(
            "local_user",
            370,
            {
                "id": key(),
                "person_id": (INT, lambda i, row, dice: 4 * i),
                "password_encrypted": text("h"),
                "email": MAIL,
                "show_nsfw": flag(0.4),
                "theme": pick("browser", "darkly"),
                "email_verified": flag(0.9),
                "accepted_application": flag(0.9),
                "admin": flag(0.01),
            },
        ),
        Table(
            "registration_application",
            370,
            {
                "id": key(),
                "local_user_id": key(),
                "answer": text("because"),
                "admin_id": pick(1, 2, kind=INT),
                "deny_reason": pick(None, "spam", weights=(9, 1)),
                "published": grown(),
            },
        ),
        Table(
            "community",
            150,
            {
                "id": key(),
                "name": text("c"),
                "title": text("C"),
                "removed": flag(0.03),
                **SEEN,
                "deleted": flag(0.02),
                "nsfw": flag(0.1),
                "local": flag(0.2),
                "hidden": flag(0.01),
                "instance_id": ref(80),
            },
        ),
        Table(
            "post",
            3000,
            {
                "id": key(),
                "name": text("post"),
                "url": text("https://x"),
                "creator_id": skewed(1500),
                "community_id": ref(150),
                "removed": flag(0.03),
                "locked": flag(0.01),
                **SEEN,
                "deleted": flag(0.03),
                "nsfw": flag(0.1),
                "ap_id": text("https://x/p"),
                "local": flag(0.25),
                "language_id": pick(0, 37, kind=INT),
            },
        ),
        Table(
            "comment",
            6000,
            {
                "id": key(),
                "creator_id": skewed(1500),
                "post_id": ref(3000),
                "content": text("c"),
                "removed": flag(0.03),
                **SEEN,
                "deleted": flag(0.03),
                "ap_id": text("https://x/c"),
                "local": flag(0.25),
                "path": text("0"),
                "distinguished": flag(0.01),
            },
        ),
        Table(
            "post_like",
            8000,
            {
                "id": key(),
                "post_id": ref(3000),
                "person_id": ref(1500),
                "score": pick(1, -1, kind=INT, weights=(9, 1)),
                "published": grown(),
            },
        ),
        Table(
            "community_follower",
            2500,
            {
                "id": key(),
                "community_id": ref(150),
                "person_id": ref(1500),
                "published": grown(),
                "pending": flag(0.05),
            },
        ),
        Table(
            "post_report",
            90,
            {
                "id": key(),
                "creator_id": ref(1500),
                "post_id": ref(3000),
                "reason": text("bad"),
                "resolved": flag(0.8),
                "resolver_id": pick(1, 2, kind=INT),
                **SEEN,
            },
        ),
        Table(
            "post_aggregates",
            3000,
            {
                "id": key(),
                "post_id": key(),
                "comments": number(0, 30),
                "score": number(-5, 90),
                "upvotes": number(0, 95),
                "downvotes": number(0, 5),
                "published": grown(),
                "newest_comment_time": after("published", 4),
                "creator_id": ref(1500),
                "community_id": ref(150),
            },
        ),
        Table(
            "person_aggregates",
            1500,
            {
                "id": key(),
                "person_id": key(),
                "post_count": number(0, 20),
                "post_score": number(0, 90),
                "comment_count": number(0, 60),
            },
        ),
        Table(
            "site_aggregates",
            1,
            {"id": key(), "users": number(370, 370), "posts": number(3000, 3000), "users_active_day": number(20, 20)},
        ),
        Table("received_activity", 9000, {"id": key(), "ap_id": text("https://x/a"), "published": grown()}),
        Table(
            "sent_activity",
            5000,
            {
                "id": key(),
                "ap_id": text("https://x/s"),
                "data": text("{}"),
                "sensitive": flag(0.1),
                "published": grown(),
            },
        ),
        Table(
            "mod_remove_post",
            70,
            {
                "id": key(),
                "mod_person_id": pick(1, 2, kind=INT),
                "post_id": ref(3000),
                "reason": text("r"),
                "removed": flag(0.9),
                "when_": grown(),
            },
        ),
        Table(
            "private_message",
            500,
            {
                "id": key(),
                "creator_id": ref(1500),
                "recipient_id": ref(1500),
                "content": text("m"),
                "deleted": flag(0.02),
                "read": flag(0.8),
                **SEEN,
                "local": flag(0.5),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from person where local = true and bot_account = false and deleted = false "
        f"and {during('published')}",
        "new_posts": f"select count(*) from post where local = true and removed = false and deleted = false and {during('published')}",
        "new_comments": f"select count(*) from comment where local = true and removed = false and deleted = false and {during('published')}",
        "active_users": f"select count(distinct creator_id) from comment where local = true and {during('published')}",
        "new_post_reports": f"select count(*) from post_report where {during('published')}",
    },
    headlines=("signups", "active_users"),
    harmless=frozenset(
        {
            "new_registration_applications",
            "new_communities",
            "new_community_followers",
            "new_instances",
            "new_post_likes",
            "private_messages",
        }
    ),
)

# --- a pipeline of sales, with names in camel case ------------------------------------------------------------------

CAMEL = {"createdAt": grown(), "updatedAt": after("createdAt", 9), "deletedAt": after("createdAt", 40, 0.04)}
SOURCE = {"createdBySource": pick("IMPORT", "MANUAL", "EMAIL", weights=(5, 3, 2)), "createdByName": text("M")}
WHEN_MADE = during('"createdAt"')
STAGES = pick("NEW", "SCREENING", "MEETING", "PROPOSAL", "CUSTOMER")
CLOSED = f"""from opportunity where stage = 'CUSTOMER' and "deletedAt" is null and {during('"closeDate"')}"""
PIPELINE = Application(
    "pipeline",
    (
        Table(
            "workspaceMember",
            9,
            {
                "id": mark("m"),
                "nameFirstName": text("F"),
                "nameLastName": text("L"),
                "userEmail": MAIL,
                "userId": mark("u"),
                "locale": pick("en", "fr"),
                **CAMEL,
            },
        ),
        Table(
            "company",
            500,
            {
                "id": mark("c"),
                "name": text("C"),
                "domainNamePrimaryLinkUrl": text("https://c"),
                "employees": number(3, 900),
                "annualRecurringRevenueAmountMicros": ("bigint", lambda i, row, dice: dice.randint(1, 900) * 10**9),
                "annualRecurringRevenueCurrencyCode": pick("USD", "EUR"),
                "idealCustomerProfile": flag(0.4),
                "accountOwnerId": mark_of("m", 9),
                **SOURCE,
                "createdAt": grown(imported=0.3),
                "updatedAt": after("createdAt", 9),
                "deletedAt": after("createdAt", 40, 0.04),
            },
        ),
        Table(
            "person",
            1100,
            {
                "id": mark("p"),
                "nameFirstName": text("F"),
                "nameLastName": text("L"),
                "emailsPrimaryEmail": MAIL,
                "jobTitle": pick("CEO", "CTO", "Buyer"),
                "phonesPrimaryPhoneNumber": text("+1"),
                "city": text("City"),
                "companyId": mark_of("c", 500),
                **SOURCE,
                "createdAt": grown(imported=0.3),
                "updatedAt": after("createdAt", 9),
                "deletedAt": after("createdAt", 40, 0.04),
            },
        ),
        Table(
            "opportunity",
            900,
            {
                "id": mark("o"),
                "name": text("O"),
                "amountAmountMicros": ("bigint", lambda i, row, dice: dice.randint(100, 9000) * 10**6 + 500_000),
                "amountCurrencyCode": pick("USD", "EUR", weights=(3, 1)),
                "createdAt": grown(),
                "updatedAt": after("createdAt", 9),
                "deletedAt": after("createdAt", 40, 0.04),
                "closeDate": after("createdAt", 90, future=True),
                "stage": STAGES,
                "pointOfContactId": mark_of("p", 1100),
                "companyId": mark_of("c", 500),
                **SOURCE,
            },
        ),
        Table(
            "task",
            900,
            {
                "id": mark("t"),
                "title": text("T"),
                "dueAt": grown(shift=-7),
                "status": pick("TODO", "IN_PROGRESS", "DONE"),
                "assigneeId": mark_of("m", 9),
                **SOURCE,
                **CAMEL,
            },
        ),
        Table("note", 600, {"id": mark("n"), "title": text("N"), "bodyV2Markdown": text("b"), **SOURCE, **CAMEL}),
        Table(
            "message",
            3000,
            {
                "id": mark("e"),
                "subject": text("S"),
                "text": text("T"),
                "receivedAt": grown(),
                "messageThreadId": mark_of("th", 900),
                **CAMEL,
            },
        ),
        Table(
            "calendarEvent",
            800,
            {
                "id": mark("ce"),
                "title": text("M"),
                "isCanceled": flag(0.1),
                "isFullDay": flag(0.1),
                "startsAt": grown(shift=-20),
                "endsAt": after("startsAt", 1, future=True),
                **CAMEL,
            },
        ),
        Table(
            "timelineActivity",
            4000,
            {
                "id": mark("ta"),
                "happensAt": grown(),
                "name": pick("company.created", "person.updated", "opportunity.updated"),
                "workspaceMemberId": mark_of("m", 9),
                "targetPersonId": mark_of("p", 1100, nulls=0.5),
                "targetCompanyId": mark_of("c", 500, nulls=0.5),
                **CAMEL,
            },
        ),
        Table(
            "workflowRun",
            700,
            {
                "id": mark("wr"),
                "name": text("#"),
                "status": pick("COMPLETED", "FAILED"),
                "enqueuedAt": grown(),
                "startedAt": after("enqueuedAt", 1),
                "endedAt": after("startedAt", 1),
                **CAMEL,
            },
        ),
        Table(
            "favorite",
            60,
            {"id": mark("f"), "position": number(0, 9), "forWorkspaceMemberId": mark_of("m", 9), **CAMEL},
        ),
    ),
    wanted={
        "new_opportunities": f"""select count(*) from opportunity where "deletedAt" is null and {WHEN_MADE}""",
        "new_companies": f"""select count(*) from company where {WHEN_MADE}""",
        "new_persons": f"""select count(*) from person where {WHEN_MADE}""",
        "won_opportunities": f"select count(*) {CLOSED}",
        "won_amount EUR": f"""select sum("amountAmountMicros") / 1000000.0 {CLOSED} and "amountCurrencyCode" = 'EUR'""",
        "won_amount USD": f"""select sum("amountAmountMicros") / 1000000.0 {CLOSED} and "amountCurrencyCode" = 'USD'""",
    },
    headlines=("new_opportunities",),
    harmless=frozenset({"messages", "new_tasks", "new_notes", "calendar_events", "timeline_activities"}),
)

# --- the assets of a company -----------------------------------------------------------------------------------------

SNIPE = {"created_at": grown(), "updated_at": after("created_at", 9), "deleted_at": after("created_at", 90, 0.03)}
ASSETS = Application(
    "assets",
    (
        Table(
            "users",
            420,
            {
                "id": key(),
                "email": MAIL,
                "password": text("h"),
                "activated": bit(0.9),
                "last_login": nothing(),
                "first_name": text("F"),
                "last_name": text("L"),
                "company_id": ref(3),
                "department_id": ref(8),
                "manager_id": ref(420, nulls=0.1),
                "employee_num": text("E"),
                "username": text("u"),
                "ldap_import": bit(0.8),
                "start_date": nothing(DAY),
                "end_date": nothing(DAY),
                "remote": bit(0.2),
                "created_at": grown(imported=0.4),
                "updated_at": after("created_at", 9),
                "deleted_at": after("created_at", 300, 0.1),
            },
        ),
        Table("companies", 3, {"id": key(), "name": text("C"), **SNIPE}),
        Table("departments", 8, {"id": key(), "name": text("D"), **SNIPE}),
        Table("models", 40, {"id": key(), "name": text("M"), "eol": number(24, 60), "category_id": ref(6), **SNIPE}),
        Table(
            "status_labels",
            5,
            {
                "id": key(),
                "name": text("S"),
                "deployable": bit(0.5),
                "pending": bit(0.2),
                "archived": bit(0.2),
                **SNIPE,
            },
        ),
        Table(
            "assets",
            1400,
            {
                "id": key(),
                "name": text("Laptop"),
                "asset_tag": mark("A"),
                "model_id": ref(40),
                "serial": mark("S"),
                "created_at": grown(imported=0.4),
                "updated_at": after("created_at", 9),
                "deleted_at": after("created_at", 300, 0.05),
                "purchase_date": day_of("created_at", before=20),
                "purchase_cost": money(100, 3000),
                "order_number": text("PO"),
                "assigned_to": ref(420, nulls=0.3),
                "assigned_type": pick("App\\Models\\User"),
                "created_by": ref(5),
                "status_id": ref(5),
                "archived": bit(0.05),
                "warranty_months": pick(12, 24, 36, kind=INT),
                "supplier_id": ref(9),
                "requestable": bit(0.2),
                "last_checkout": after("created_at", 200, 0.7),
                "last_checkin": after("created_at", 300, 0.4),
                "expected_checkin": nothing(DAY),
                "company_id": ref(3),
                "last_audit_date": after("created_at", 200, 0.3),
                "next_audit_date": nothing(DAY),
                "location_id": ref(7),
                "checkin_counter": number(0, 4),
                "checkout_counter": number(0, 5),
                "asset_eol_date": nothing(DAY),
            },
        ),
        Table(
            "action_logs",
            4500,
            {
                "id": key(),
                "created_by": ref(5),
                "action_type": pick("create", "update", "checkout", "checkin from", "audit", weights=(4, 5, 4, 3, 1)),
                "target_id": ref(420, nulls=0.5),
                "target_type": pick("App\\Models\\User", "App\\Models\\Location"),
                "note": text("n"),
                "item_type": pick("App\\Models\\Asset", "App\\Models\\License"),
                "item_id": ref(1400),
                "expected_checkin": nothing(DAY),
                "created_at": grown(),
                "updated_at": after("created_at", 9),
                "deleted_at": nothing(),
                "action_date": after("created_at", 1),
                "action_source": pick("gui", "api"),
                "company_id": ref(3),
            },
        ),
        Table(
            "licenses",
            60,
            {
                "id": key(),
                "name": text("L"),
                "serial": mark("K"),
                "purchase_date": grown(kind=DAY),
                "purchase_cost": money(50, 9000),
                "seats": number(1, 80),
                "license_email": MAIL,
                "expiration_date": after("purchase_date", 700, least=300, kind=DAY, future=True),
                "termination_date": nothing(DAY),
                "supplier_id": ref(9),
                **SNIPE,
            },
        ),
        Table(
            "license_seats",
            900,
            {
                "id": key(),
                "license_id": ref(60),
                "assigned_to": ref(420, nulls=0.4),
                "asset_id": nothing(INT),
                "created_by": ref(5),
                **SNIPE,
            },
        ),
        Table(
            "checkout_requests",
            160,
            {
                "id": key(),
                "user_id": ref(420),
                "requestable_id": ref(1400),
                "requestable_type": pick("App\\Models\\Asset"),
                "quantity": number(1, 1),
                **SNIPE,
                "canceled_at": after("created_at", 9, 0.1),
                "fulfilled_at": after("created_at", 9, 0.6),
            },
        ),
        Table(
            "asset_maintenances",
            260,
            {
                "id": key(),
                "asset_id": ref(1400),
                "supplier_id": ref(9),
                "asset_maintenance_type": pick("Repair", "Upgrade", "Maintenance"),
                "title": text("T"),
                "is_warranty": bit(0.3),
                "start_date": grown(kind=DAY),
                "completion_date": after("start_date", 20, 0.9, kind=DAY),
                "asset_maintenance_time": number(1, 20),
                "cost": money(0, 400),
                "created_by": ref(5),
                "created_at": after("start_date", 1),
                "updated_at": after("created_at", 9),
                "deleted_at": nothing(),
            },
        ),
        Table(
            "consumables",
            30,
            {
                "id": key(),
                "name": text("C"),
                "qty": number(1, 400),
                "purchase_cost": money(1, 9),
                "purchase_date": grown(kind=DAY),
                **SNIPE,
            },
        ),
        Table(
            "consumables_users",
            500,
            {"id": key(), "created_by": ref(5), "consumable_id": ref(30), "assigned_to": ref(420), **SNIPE},
        ),
        Table(
            "imports", 9, {"id": key(), "name": text("I"), "file_path": text("f"), "filesize": number(1, 99), **SNIPE}
        ),
    ),
    wanted={
        "new_assets": f"select count(*) from assets where {during('created_at')}",
        "asset_purchase_cost": f"select sum(purchase_cost) from assets where deleted_at is null and {on_days('purchase_date')}",
        "checkouts": f"select count(*) from action_logs where action_type = 'checkout' and {during('created_at')}",
        "checkout_requests": f"select count(*) from checkout_requests where {during('created_at')}",
        "asset_maintenance_cost": f"select sum(cost) from asset_maintenances where {on_days('start_date')}",
    },
    headlines=("new_assets",),
    harmless=frozenset(
        {
            "signups",
            "active_licenses",
            "license_seats",
            "new_licenses",
            "new_license_seats",
            "new_consumables_users",
            "new_asset_maintenances",
        }
    ),
)

# --- a hotel, on MySQL, with a prefix --------------------------------------------------------------------------------

ADDED = {"date_add": grown(), "date_upd": after("date_add", 9)}
PRICE = "decimal(20,6)"
VALID = "from qlo_orders where valid = 1"
KEPT = "is_cancelled = 0 and is_refunded = 0"


def in_currency(code: int, what: str) -> str:
    return f"select {what} {VALID} and id_currency = {code} and {during('date_add')}"


HOTEL = Application(
    "hotel",
    (
        Table(
            "qlo_customer",
            700,
            {
                "id_customer": key(),
                "id_gender": pick(1, 2, kind=INT),
                "id_default_group": pick(2, 3, kind=INT),
                "firstname": text("F"),
                "lastname": text("L"),
                "email": MAIL,
                "passwd": text("h"),
                "birthday": pick(None, "1980-02-01", kind=DAY),
                "newsletter": bit(0.3),
                "optin": bit(0.2),
                "is_guest": bit(0.25),
                "active": bit(0.97),
                "deleted": bit(0.03),
                **ADDED,
            },
            key="id_customer",
        ),
        Table(
            "qlo_employee",
            8,
            {
                "id_employee": key(),
                "lastname": text("L"),
                "firstname": text("F"),
                "email": MAIL,
                "passwd": text("h"),
                "last_connection_date": nothing(),
                "active": bit(1),
            },
            key="id_employee",
        ),
        Table(
            "qlo_currency",
            2,
            {
                "id_currency": key(),
                "name": (TEXT, lambda i, row, dice: ("Euro", "Dollar")[i - 1]),
                "iso_code": ("varchar(3)", lambda i, row, dice: ("EUR", "USD")[i - 1]),
                "conversion_rate": (PRICE, lambda i, row, dice: ("1.000000", "1.100000")[i - 1]),
                "deleted": bit(0),
                "active": bit(1),
            },
            key="id_currency",
        ),
        Table(
            "qlo_order_state",
            6,
            {
                "id_order_state": key(),
                "invoice": bit(0.5),
                "send_email": bit(0.5),
                "logable": bit(0.5),
                "paid": bit(0.5),
                "deleted": bit(0),
            },
            key="id_order_state",
        ),
        Table(
            "qlo_cart",
            2600,
            {
                "id_cart": key(),
                "id_currency": pick(1, 2, kind=INT, weights=(4, 1)),
                "id_customer": ref(700),
                "id_guest": ref(3000),
                **ADDED,
            },
            key="id_cart",
        ),
        Table(
            "qlo_guest",
            3000,
            {
                "id_guest": key(),
                "id_operating_system": pick(1, 2, kind=INT),
                "id_customer": ref(700, nulls=0.7),
                "accept_language": pick("en", "de"),
            },
            key="id_guest",
        ),
        Table(
            "qlo_connections",
            5000,
            {
                "id_connections": key(),
                "id_guest": ref(3000),
                "id_page": ref(20),
                "ip_address": number(10**6, 10**8),
                "date_add": grown(),
                "http_referer": text("https://x"),
            },
            key="id_connections",
        ),
        Table(
            "qlo_orders",
            1500,
            {
                "id_order": key(),
                "reference": mark("R"),
                "id_customer": ref(700),
                "id_cart": ref(2600),
                "id_currency": pick(1, 2, kind=INT, weights=(4, 1)),
                "current_state": ref(6),
                "payment": pick("Bank wire", "Pay at hotel", "Stripe"),
                "module": pick("bankwire", "stripe"),
                "total_discounts": money(0, 9, PRICE),
                "total_paid": money(60, 900, PRICE),
                "total_paid_tax_incl": share_of("total_paid", 1.0, PRICE),
                "total_paid_tax_excl": share_of("total_paid", 0.85, PRICE),
                "total_paid_real": share_of("total_paid", 1.0, PRICE),
                "total_products": share_of("total_paid", 0.8, PRICE),
                "conversion_rate": (PRICE, lambda i, row, dice: ("1.000000", "1.100000")[row["id_currency"] - 1]),
                "invoice_number": number(0, 900),
                **ADDED,
                "invoice_date": (
                    TIME,
                    lambda i, row, dice: row["date_add"] if dice.random() < 0.8 else "0000-00-00 00:00:00",
                ),
                "valid": bit(0.85),
            },
            key="id_order",
        ),
        Table(
            "qlo_order_detail",
            2400,
            {
                "id_order_detail": key(),
                "id_order": ref(1500),
                "product_id": ref(12),
                "product_name": text("Room"),
                "product_quantity": number(1, 7),
                "unit_price_tax_incl": money(40, 200, PRICE),
                "total_price_tax_incl": money(40, 900, PRICE),
                "total_price_tax_excl": share_of("total_price_tax_incl", 0.85, PRICE),
                "is_booking_product": bit(0.9),
            },
            key="id_order_detail",
        ),
        Table(
            "qlo_order_payment",
            1400,
            {
                "id_order_payment": key(),
                "order_reference": mark_of("R", 1500),
                "id_currency": pick(1, 2, kind=INT, weights=(4, 1)),
                "amount": money(20, 900, "decimal(10,2)"),
                "payment_method": pick("Bank wire", "Stripe"),
                "conversion_rate": money(1, 1, PRICE),
                "transaction_id": text("ch"),
                "date_add": grown(),
            },
            key="id_order_payment",
        ),
        Table(
            "qlo_order_slip",
            90,
            {
                "id_order_slip": key(),
                "conversion_rate": money(1, 1, PRICE),
                "id_customer": ref(700),
                "id_order": ref(1500),
                "amount": money(20, 300, "decimal(10,2)"),
                **ADDED,
            },
            key="id_order_slip",
        ),
        Table(
            "qlo_order_history",
            3800,
            {
                "id_order_history": key(),
                "id_employee": pick(0, 1, 2, kind=INT),
                "id_order": ref(1500),
                "id_order_state": ref(6),
                "date_add": grown(),
            },
            key="id_order_history",
        ),
        Table(
            "qlo_htl_booking_detail",
            2000,
            {
                "id": key(),
                "id_product": ref(12),
                "id_order": ref(1500),
                "id_order_detail": ref(2400),
                "id_cart": ref(2600),
                "id_room": ref(40),
                "id_hotel": pick(1, 2, kind=INT),
                "id_customer": ref(700),
                "booking_type": pick(1, 2, kind=INT),
                "id_status": pick(1, 2, 3, kind=INT),
                **ADDED,
                "date_from": after("date_add", 60, least=1, future=True),
                "date_to": after("date_from", 6, least=1, future=True),
                "check_in": after("date_from", 1, 0.8),
                "check_out": after("date_to", 1, 0.8),
                "total_price_tax_excl": money(40, 700, PRICE),
                "total_price_tax_incl": share_of("total_price_tax_excl", 1.15, PRICE),
                "total_paid_amount": share_of("total_price_tax_incl", 0.5, PRICE),
                "is_back_order": bit(0.01),
                "is_refunded": bit(0.05),
                "is_cancelled": bit(0.1),
                "hotel_name": pick("Harbor", "Hill"),
                "room_num": text("R"),
                "adults": number(1, 3),
                "children": number(0, 2),
            },
        ),
        Table(
            "qlo_htl_room_information",
            40,
            {
                "id": key(),
                "id_product": ref(12),
                "id_hotel": pick(1, 2, kind=INT),
                "room_num": text("R"),
                "id_status": pick(1, 2, kind=INT),
                **ADDED,
            },
        ),
        Table(
            "qlo_log",
            800,
            {"id_log": key(), "severity": pick(1, 2, kind=INT), "message": text("m"), "id_employee": ref(8), **ADDED},
            key="id_log",
        ),
    ),
    wanted={
        "signups": f"select count(*) from qlo_customer where is_guest = 0 and deleted = 0 and {during('date_add')}",
        "revenue EUR": in_currency(1, "sum(total_paid_tax_incl)"),
        "revenue USD": in_currency(2, "sum(total_paid_tax_incl)"),
        "orders": f"select count(*) {VALID} and {during('date_add')}",
        "bookings": f"select count(*) from qlo_htl_booking_detail where {KEPT} and {during('date_add')}",
        "occupied_rooms": f"select count(*) from qlo_htl_booking_detail where {KEPT} and {holding('date_from', 'date_to')}",
        "buying_customers": f"select count(distinct id_customer) {VALID} and {during('date_add')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {
            "active_customers",
            "order_payments",
            "order_detail_sold",
            "new_carts",
            "new_order_slips",
            "new_htl_room_informations",
        }
    ),
)

# --- a lender ---------------------------------------------------------------------------------------------------------

LOAN_STATES = (100, 200, 300, 400, 500, 600, 601)
LENT = (300, 600, 601)
AMOUNT = "decimal(19,6)"
LENDING = Application(
    "lending",
    (
        Table("m_office", 4, {"id": key(), "name": text("Office"), "opening_date": grown(kind=DAY)}),
        Table(
            "m_staff",
            12,
            {
                "id": key(),
                "firstname": text("F"),
                "lastname": text("L"),
                "display_name": text("FL"),
                "is_loan_officer": flag(0.7),
                "office_id": ref(4),
                "joining_date": grown(kind=DAY),
            },
        ),
        Table(
            "m_appuser",
            15,
            {
                "id": key(),
                "username": text("u"),
                "email": MAIL,
                "password": text("h"),
                "enabled": flag(0.9),
                "is_deleted": flag(0.1),
                "office_id": ref(4),
                "staff_id": ref(12),
            },
        ),
        Table(
            "m_client",
            900,
            {
                "id": key(),
                "account_no": mark("0"),
                "status_enum": pick(100, 300, 600, 700, kind=INT, weights=(1, 12, 2, 1)),
                "submittedon_date": grown(kind=DAY, imported=0.2),
                "activation_date": unless("status_enum", (100, 700), after("submittedon_date", 5, kind=DAY)),
                "office_joining_date": day_of("submittedon_date"),
                "office_id": ref(4),
                "staff_id": ref(12),
                "firstname": text("F"),
                "lastname": text("L"),
                "display_name": text("FL"),
                "mobile_no": text("+254"),
                "date_of_birth": pick("1980-01-02", "1991-04-05", kind=DAY),
                "closedon_date": only_if("status_enum", 600, after("submittedon_date", 300, kind=DAY)),
                "rejectedon_date": only_if("status_enum", 700, after("submittedon_date", 5, kind=DAY)),
                "legal_form_enum": pick(1, 2, kind=INT),
            },
        ),
        Table(
            "m_product_loan",
            5,
            {
                "id": key(),
                "short_name": text("P"),
                "name": text("Product"),
                "currency_code": pick("KES"),
                "principal_amount": money(100, 900, AMOUNT),
                "start_date": grown(kind=DAY),
                "close_date": nothing(DAY),
            },
        ),
        Table(
            "m_loan",
            1300,
            {
                "id": key(),
                "account_no": mark("L"),
                "client_id": ref(900),
                "product_id": ref(5),
                "loan_officer_id": ref(12),
                "loan_status_id": pick(*LOAN_STATES, kind=INT, weights=(1, 1, 6, 1, 1, 6, 1)),
                "loan_type_enum": pick(1, 2, kind=INT),
                "currency_code": pick("KES", "UGX", weights=(4, 1)),
                "currency_digits": number(2, 2),
                "principal_amount_proposed": money(100, 5000, AMOUNT),
                "principal_amount": share_of("principal_amount_proposed", 1.0, AMOUNT),
                "approved_principal": share_of("principal_amount_proposed", 1.0, AMOUNT),
                "annual_nominal_interest_rate": pick("12.000000", "18.000000", kind=AMOUNT),
                "number_of_repayments": pick(6, 12, kind=INT),
                "submittedon_date": grown(kind=DAY),
                "approvedon_date": unless("loan_status_id", (100, 500), after("submittedon_date", 3, kind=DAY)),
                "expected_disbursedon_date": after("submittedon_date", 9, kind=DAY, future=True),
                "disbursedon_date": unless(
                    "loan_status_id", (100, 200, 400, 500), after("submittedon_date", 7, kind=DAY)
                ),
                "expected_maturedon_date": after("submittedon_date", 360, least=180, kind=DAY, future=True),
                "closedon_date": unless(
                    "loan_status_id", (100, 200, 300), after("submittedon_date", 300, least=8, kind=DAY)
                ),
                "rejectedon_date": only_if("loan_status_id", 500, after("submittedon_date", 5, kind=DAY)),
                "withdrawnon_date": only_if("loan_status_id", 400, after("submittedon_date", 5, kind=DAY)),
                "writtenoffon_date": only_if("loan_status_id", 601, after("submittedon_date", 300, kind=DAY)),
                "principal_disbursed_derived": unless(
                    "loan_status_id", (100, 200, 400, 500), share_of("principal_amount", 1.0, AMOUNT), "0.000000"
                ),
                "principal_repaid_derived": share_of("principal_disbursed_derived", 0.5, AMOUNT),
                "principal_outstanding_derived": share_of("principal_disbursed_derived", 0.5, AMOUNT),
                "interest_charged_derived": share_of("principal_disbursed_derived", 0.12, AMOUNT),
                "total_outstanding_derived": share_of("principal_disbursed_derived", 0.6, AMOUNT),
            },
        ),
        Table(
            "m_loan_transaction",
            7000,
            {
                "id": key(),
                "loan_id": ref(1300),
                "office_id": ref(4),
                "is_reversed": flag(0.02),
                "transaction_type_enum": pick(1, 2, 10, kind=INT, weights=(2, 8, 8)),
                "transaction_date": grown(kind=DAY),
                "amount": money(10, 900, AMOUNT),
                "principal_portion_derived": share_of("amount", 0.8, AMOUNT),
                "interest_portion_derived": share_of("amount", 0.2, AMOUNT),
                "outstanding_loan_balance_derived": money(10, 4000, AMOUNT),
                "submitted_on_date": day_of("transaction_date"),
                "created_by": ref(15),
            },
        ),
        Table(
            "m_loan_repayment_schedule",
            6000,
            {
                "id": key(),
                "loan_id": ref(1300),
                "fromdate": grown(kind=DAY),
                "duedate": after("fromdate", 31, least=27, kind=DAY, future=True),
                "installment": number(1, 12),
                "principal_amount": money(10, 400, AMOUNT),
                "principal_completed_derived": share_of("principal_amount", 0.7, AMOUNT),
                "interest_amount": share_of("principal_amount", 0.1, AMOUNT),
                "completed_derived": flag(0.8),
                "obligations_met_on_date": after("fromdate", 31, 0.8, kind=DAY),
            },
        ),
        Table(
            "m_savings_account",
            700,
            {
                "id": key(),
                "account_no": mark("S"),
                "client_id": ref(900),
                "product_id": ref(3),
                "status_enum": pick(100, 300, 600, kind=INT, weights=(1, 9, 1)),
                "currency_code": pick("KES", "UGX", weights=(4, 1)),
                "submittedon_date": grown(kind=DAY),
                "approvedon_date": unless("status_enum", (100,), after("submittedon_date", 3, kind=DAY)),
                "activatedon_date": unless("status_enum", (100,), after("submittedon_date", 5, kind=DAY)),
                "closedon_date": only_if("status_enum", 600, after("submittedon_date", 200, kind=DAY)),
                "total_deposits_derived": money(10, 4000, AMOUNT),
                "account_balance_derived": money(10, 4000, AMOUNT),
            },
        ),
        Table(
            "m_savings_account_transaction",
            5000,
            {
                "id": key(),
                "savings_account_id": ref(700),
                "office_id": ref(4),
                "transaction_type_enum": pick(1, 2, 3, kind=INT, weights=(6, 4, 2)),
                "is_reversed": flag(0.02),
                "transaction_date": grown(kind=DAY),
                "amount": money(5, 500, AMOUNT),
                "running_balance_derived": money(5, 5000, AMOUNT),
                "created_date": day_of("transaction_date"),
            },
        ),
        Table(
            "acc_gl_journal_entry",
            9000,
            {
                "id": key(),
                "account_id": ref(20),
                "office_id": ref(4),
                "currency_code": pick("KES", "UGX", weights=(4, 1)),
                "transaction_id": text("L"),
                "reversed": flag(0.02),
                "entry_date": grown(kind=DAY),
                "type_enum": (INT, lambda i, row, dice: 1 + i % 2),
                "amount": money(5, 900, AMOUNT),
                "created_date": day_of("entry_date"),
            },
        ),
        Table(
            "m_portfolio_command_source",
            3000,
            {
                "id": key(),
                "action_name": pick("CREATE", "APPROVE", "REPAYMENT"),
                "entity_name": pick("LOAN", "CLIENT"),
                "office_id": ref(4),
                "maker_id": ref(15),
                "made_on_date": grown(),
                "status": number(1, 1),
            },
        ),
        Table(
            "job_run_history",
            800,
            {
                "id": key(),
                "job_id": ref(9),
                "start_time": grown(),
                "end_time": after("start_time", 1),
                "status": pick("success", "failed"),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from m_client where {on_days('submittedon_date')}",
        "loan_amount_disbursed KES": f"select sum(principal_amount) from m_loan where currency_code = 'KES' and {on_days('disbursedon_date')}",
        "loan_amount_disbursed UGX": f"select sum(principal_amount) from m_loan where currency_code = 'UGX' and {on_days('disbursedon_date')}",
        "active_loans": "select count(*) from m_loan "
        f"where disbursedon_date <= '{LAST}' and (closedon_date is null or closedon_date > '{LAST}')",
        "new_loans": f"select count(*) from m_loan where {on_days('submittedon_date')}",
        "repayments": f"select sum(amount) from m_loan_transaction where transaction_type_enum = 2 and is_reversed = false and {on_days('transaction_date')}",
        "new_savings_accounts": f"select count(*) from m_savings_account where {on_days('submittedon_date')}",
    },
    headlines=("signups", "active_loans"),
    harmless=frozenset(
        {
            "loan_transactions",
            "savings_account_transactions",
            "current_clients",
            "closed_loans",
            "new_portfolio_command_sources",
        }
    ),
)

MIN_WANTED = {
    "realms": 4,
    "accounting": 7,
    "storefront": 5,
    "links": 3,
    "pipeline": 4,
    "assets": 2,
    "hotel": 5,
    "lending": 6,
}
"""How many wanted metrics are on. Others are drafted as comments or not at all: amounts of costs, stays by the days for
which they are booked, transactions of one numbered type."""
LATE_COMERS = (REALMS, ACCOUNTING, STOREFRONT, LINKS, PIPELINE, ASSETS, HOTEL, LENDING)
