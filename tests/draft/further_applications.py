"""Further applications: payments mirrored from a provider, double-entry books of a bank, gyms, ticket shops, an ERP,
code hosting and rides."""

from __future__ import annotations

import random
from datetime import UTC, datetime, timedelta

from tests.draft.applications import (
    DAY,
    FIRST,
    INT,
    LAST,
    NOW,
    SPAN,
    TEXT,
    Application,
    Generator,
    Row,
    Table,
    after,
    born,
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


def name_key(prefix: str) -> tuple[str, Generator]:
    """Text keys as cus_1, cus_2 …"""
    return TEXT, lambda i, row, dice: f"{prefix}_{i}"


def name_ref(prefix: str, rows: int, *, nulls: float = 0.0) -> tuple[str, Generator]:
    """The text key of one of the rows of another table."""
    return TEXT, lambda i, row, dice: None if dice.random() < nulls else f"{prefix}_{dice.randint(1, rows)}"


def epoch(*, later: int = 0, share: float = 1.0, of: str = "") -> tuple[str, Generator]:
    """Seconds since 1970: growing with the key, or up to `later` days after another column."""

    def make(i: int, row: Row, dice: random.Random) -> int | None:
        if not of:
            seconds = min(row[""] * SPAN * 86_400 + dice.randint(0, 20_000), SPAN * 86_400 - 3600)
            return int((NOW - timedelta(days=SPAN, seconds=1) + timedelta(seconds=seconds)).timestamp())
        if row[of] is None or dice.random() >= share:
            return None
        found = int(row[of]) + dice.randint(60, later * 86_400)
        return found if found < NOW.timestamp() else None

    return "bigint", make


def minus(column: str, other: str) -> tuple[str, Generator]:
    """The difference of two integers of the row."""
    return INT, lambda i, row, dice: row[column] - row[other]


def seconds_from(first: str, second: str) -> tuple[str, Generator]:
    """The seconds between two times of the row."""

    def make(i: int, row: Row, dice: random.Random) -> int | None:
        if row[second] is None:
            return None
        return int((datetime.fromisoformat(row[second]) - datetime.fromisoformat(row[first])).total_seconds())

    return INT, make


_FROM, _TO = (int(datetime(d.year, d.month, d.day, tzinfo=UTC).timestamp()) for d in (FIRST, LAST + timedelta(days=1)))
_OPEN_EPOCH = f"start_date < {_TO} and (ended_at is null or ended_at >= {_TO})"
_OPEN_DAYS = f"starts_on <= '{LAST}' and (ends_on is null or ends_on > '{LAST}')"


def _in_epoch(column: str) -> str:
    """The condition for seconds since 1970 of the seven days."""
    return f"{column} >= {_FROM} and {column} < {_TO}"


PROVIDER = Application(
    "provider",
    (
        Table(
            "customers",
            240,
            {
                "id": name_key("cus"),
                "created": epoch(),
                "email": text("m@x"),
                "name": text("Name"),
                "currency": pick("eur"),
                "balance": pick(0, kind=INT),
                "delinquent": flag(0.03),
                "deleted": flag(0.02),
                "livemode": flag(1.0),
            },
        ),
        Table(
            "products", 3, {"id": name_key("prod"), "name": text("Product"), "active": flag(1.0), "created": epoch()}
        ),
        Table(
            "prices",
            6,
            {
                "id": name_key("price"),
                "product": name_ref("prod", 3),
                "unit_amount": number(900, 9900),
                "currency": pick("eur"),
                "recurring_interval": pick("month", "year"),
                "recurring_interval_count": pick(1, kind=INT),
                "active": flag(0.9),
                "created": epoch(),
            },
        ),
        Table(
            "subscriptions",
            300,
            {
                "id": name_key("sub"),
                "customer": name_ref("cus", 240),
                "created": epoch(),
                "start_date": epoch(of="created", later=1),
                "status": pick(
                    "active", "trialing", "canceled", "past_due", "incomplete_expired", weights=(7, 1, 3, 1, 1)
                ),
                "cancel_at_period_end": flag(0.1),
                "canceled_at": epoch(of="created", later=50, share=0.3),
                "ended_at": epoch(of="canceled_at", later=20),
                "current_period_start": epoch(of="created", later=30),
                "current_period_end": epoch(of="created", later=60),
                "collection_method": pick("charge_automatically", "send_invoice"),
            },
        ),
        Table(
            "subscription_items",
            330,
            {
                "id": name_key("si"),
                "subscription": name_ref("sub", 300),
                "price": name_ref("price", 6),
                "quantity": number(1, 5),
                "created": epoch(),
            },
        ),
        Table(
            "invoices",
            700,
            {
                "id": name_key("in"),
                "customer": name_ref("cus", 240),
                "subscription": name_ref("sub", 300),
                "number": text("A"),
                "status": pick("paid", "open", "void", "draft", "uncollectible", weights=(16, 2, 1, 1, 1)),
                "currency": pick("eur"),
                "subtotal": number(900, 50_000),
                "tax": share_of("subtotal", 0.19),
                "total": share_of("subtotal", 1.19),
                "amount_due": share_of("subtotal", 1.19),
                "amount_paid": share_of("subtotal", 1.1),
                "amount_remaining": minus("amount_due", "amount_paid"),
                "created": epoch(),
                "due_date": epoch(of="created", later=30, share=0.4),
                "period_start": epoch(of="created", later=1),
                "period_end": epoch(of="created", later=30),
                "attempt_count": number(0, 3),
            },
        ),
        Table(
            "charges",
            800,
            {
                "id": name_key("ch"),
                "customer": name_ref("cus", 240),
                "invoice": name_ref("in", 700, nulls=0.1),
                "amount": number(900, 60_000),
                "amount_captured": share_of("amount", 1.0),
                "amount_refunded": pick(0, 0, 0, 500, kind=INT),
                "application_fee_amount": nothing(INT),
                "currency": pick("eur"),
                "status": pick("succeeded", "failed", weights=(9, 1)),
                "paid": flag(0.9),
                "refunded": flag(0.03),
                "disputed": flag(0.01),
                "created": epoch(),
                "receipt_email": text("m@x"),
                "payment_method_card_last4": number(1000, 9999),
                "payment_method_card_brand": pick("visa", "mastercard"),
            },
        ),
        Table(
            "refunds",
            40,
            {
                "id": name_key("re"),
                "charge": name_ref("ch", 800),
                "amount": number(100, 9000),
                "currency": pick("eur"),
                "status": pick("succeeded"),
                "reason": pick("duplicate", "requested_by_customer"),
                "created": epoch(),
            },
        ),
        Table(
            "balance_transactions",
            900,
            {
                "id": name_key("txn"),
                "amount": number(-5000, 60_000),
                "fee": number(20, 900),
                "net": minus("amount", "fee"),
                "currency": pick("eur"),
                "type": pick("charge", "refund", "payout", "stripe_fee", weights=(8, 1, 1, 1)),
                "source": name_ref("ch", 800),
                "created": epoch(),
                "available_on": epoch(of="created", later=7),
            },
        ),
        Table(
            "payouts",
            30,
            {
                "id": name_key("po"),
                "amount": number(10_000, 900_000),
                "currency": pick("eur"),
                "status": pick("paid"),
                "created": epoch(),
                "arrival_date": epoch(of="created", later=3),
            },
        ),
        Table(
            "events",
            2000,
            {
                "id": name_key("evt"),
                "type": pick("invoice.paid", "charge.succeeded", "customer.updated"),
                "created": epoch(),
                "api_version": pick("2020-08-27"),
                "pending_webhooks": number(0, 2),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from customers where deleted = false and {_in_epoch('created')}",
        "revenue": f"select sum(amount) / 100.0 from charges where status = 'succeeded' and {_in_epoch('created')}",
        "mrr": (
            "select sum(quantity * unit_amount * case recurring_interval when 'month' then 12 else 1 end) / 1200.0 "
            "from subscription_items i join subscriptions s on s.id = i.subscription join prices p on p.id = i.price "
            f"where {_OPEN_EPOCH} and s.status <> 'incomplete_expired'"
        ),
        "active_subscriptions": f"select count(*) from subscriptions where {_OPEN_EPOCH} and status <> 'incomplete_expired'",
        "new_subscriptions": f"select count(*) from subscriptions where {_in_epoch('start_date')} and status <> 'incomplete_expired'",
        "charges": f"select count(*) from charges where status = 'succeeded' and {_in_epoch('created')}",
        "paying_customers": (
            f"select count(distinct customer) from charges where status = 'succeeded' and {_in_epoch('created')}"
        ),
    },
    headlines=("signups", "revenue", "mrr"),
    harmless=frozenset({"paid_invoices", "ended_subscriptions", "events", "subscription_item_sold", "refunds"}),
)

BANK = Application(
    "bank",
    (
        Table(
            "users",
            300,
            {
                "id": key(),
                "email": text("u@x"),
                "phone_number": text("+1"),
                "first_name": text("F"),
                "kyc_status": pick("approved", "pending", "rejected", weights=(8, 1, 1)),
                "country_code": pick("GB", "DE"),
                "created_at": born(),
                "updated_at": after("created_at", 5),
            },
        ),
        Table(
            "accounts",
            380,
            {
                "id": key(),
                "user_id": ref(300),
                "iban": text("GB"),
                "currency": pick("GBP", "EUR"),
                "account_type": pick("current", "savings"),
                "balance_cents": number(0, 900_000),
                "status": pick("open", "frozen", "closed", weights=(9, 1, 1)),
                "opened_at": born(),
                "closed_at": after("opened_at", 60, 0.1),
            },
        ),
        Table(
            "ledger_accounts",
            12,
            {"id": key(), "name": text("L"), "normal_balance": pick("debit", "credit"), "created_at": born()},
        ),
        Table(
            "ledger_transactions",
            900,
            {
                "id": key(),
                "description": text("d"),
                "external_id": text("x"),
                "status": pick("posted", "pending", "archived", weights=(9, 1, 1)),
                "effective_at": born(),
                "posted_at": after("effective_at", 1, 0.9),
                "created_at": after("effective_at", 1),
            },
        ),
        Table(
            "ledger_entries",
            1800,
            {
                "id": key(),
                "ledger_transaction_id": ref(900),
                "ledger_account_id": ref(12),
                "account_id": ref(380),
                "direction": pick("debit", "credit"),
                "amount_cents": number(100, 90_000),
                "currency": pick("GBP", "EUR"),
                "created_at": born(),
            },
        ),
        Table(
            "cards",
            250,
            {
                "id": key(),
                "account_id": ref(380),
                "last_four": number(1000, 9999),
                "status": pick("active", "blocked"),
                "issued_at": born(),
                "expires_on": after("issued_at", 900, kind=DAY, future=True),
                "canceled_at": after("issued_at", 50, 0.05),
            },
        ),
        Table(
            "card_transactions",
            2500,
            {
                "id": key(),
                "card_id": ref(250),
                "user_id": ref(300),
                "merchant_name": text("shop"),
                "merchant_category": pick("food", "travel", "other"),
                "amount_cents": number(100, 20_000),
                "currency": pick("GBP", "EUR"),
                "billing_amount_cents": share_of("amount_cents", 1.0),
                "status": pick("settled", "authorized", "declined", "reversed", weights=(8, 1, 1, 1)),
                "authorized_at": born(),
                "settled_at": after("authorized_at", 3, 0.8),
            },
        ),
        Table(
            "transfers",
            600,
            {
                "id": key(),
                "from_account_id": ref(380),
                "to_account_id": ref(380),
                "amount_cents": number(100, 200_000),
                "currency": pick("GBP", "EUR"),
                "status": pick("completed", "failed", weights=(9, 1)),
                "reference": text("r"),
                "created_at": born(),
                "completed_at": after("created_at", 1, 0.9),
            },
        ),
        Table(
            "fees",
            300,
            {
                "id": key(),
                "account_id": ref(380),
                "fee_type": pick("fx", "atm", "monthly"),
                "amount_cents": number(10, 900),
                "currency": pick("GBP", "EUR"),
                "charged_at": born(),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from users where {during('created_at')}",
        "active_users": f"select count(distinct user_id) from card_transactions where {during('authorized_at')}",
        "current_accounts": f"select count(*) from accounts where {holding('opened_at', 'closed_at')}",
        "new_accounts": f"select count(*) from accounts where {during('opened_at')}",
        "new_cards": f"select count(*) from cards where {during('issued_at')}",
    },
    headlines=("signups", "active_users"),
    harmless=frozenset(
        {
            "transfers",
            "ledger_transactions",
            "card_transactions",
            "card_transaction_amount GBP",
            "card_transaction_amount EUR",
            "transfer_amount GBP",
            "transfer_amount EUR",
        }
    ),
)

GYM = Application(
    "gym",
    (
        Table(
            "clubs",
            4,
            {
                "id": key(),
                "name": text("Club"),
                "city": pick("Berlin", "Ulm"),
                "capacity": number(100, 300),
                "opened_on": born(kind=DAY),
            },
        ),
        Table(
            "members",
            320,
            {
                "id": key(),
                "home_club_id": ref(4),
                "full_name": text("N"),
                "email": text("e@x"),
                "date_of_birth": pick("1990-01-01", "1985-05-05", kind=DAY),
                "gender": pick("f", "m"),
                "joined_on": born(kind=DAY),
                "emergency_contact_phone": text("+4"),
            },
        ),
        Table(
            "membership_plans",
            4,
            {"id": key(), "name": text("P"), "monthly_fee": money(20, 80), "commitment_months": pick(1, 12, kind=INT)},
        ),
        Table(
            "memberships",
            340,
            {
                "id": key(),
                "member_id": ref(320),
                "membership_plan_id": ref(4),
                "starts_on": born(kind=DAY),
                "ends_on": after("starts_on", 365, 0.6, least=30, kind=DAY, future=True),
                "frozen_until": nothing(DAY),
                "canceled_at": after("starts_on", 60, 0.15),
                "status": pick("active", "frozen", "cancelled", weights=(8, 1, 1)),
            },
        ),
        Table(
            "check_ins",
            2200,
            {
                "id": key(),
                "member_id": ref(320),
                "club_id": ref(4),
                "checked_in_at": born(),
                "checked_out_at": after("checked_in_at", 1, 0.9),
            },
        ),
        Table(
            "class_sessions",
            200,
            {
                "id": key(),
                "club_id": ref(4),
                "title": pick("yoga", "spin"),
                "instructor_id": ref(9),
                "starts_at": born(),
                "ends_at": after("starts_at", 1),
                "capacity": number(10, 30),
            },
        ),
        Table(
            "class_bookings",
            1200,
            {
                "id": key(),
                "class_session_id": ref(200),
                "member_id": ref(320),
                "booked_at": born(),
                "cancelled_at": after("booked_at", 3, 0.15),
                "attended": flag(0.8),
                "waitlist_position": number(0, 3),
            },
        ),
        Table(
            "workouts",
            1500,
            {
                "id": key(),
                "member_id": ref(320),
                "activity_type": pick("run", "lift"),
                "started_at": born(),
                "ended_at": after("started_at", 1),
                "duration_seconds": seconds_from("started_at", "ended_at"),
                "distance_meters": number(500, 15_000),
                "calories": number(80, 900),
                "avg_heart_rate": number(90, 170),
            },
        ),
        Table(
            "body_measurements",
            500,
            {
                "id": key(),
                "member_id": ref(320),
                "measured_at": born(),
                "weight_kg": money(50, 120, "decimal(5,2)"),
                "body_fat_percent": money(8, 40, "decimal(5,2)"),
            },
        ),
        Table(
            "payments",
            600,
            {
                "id": key(),
                "member_id": ref(320),
                "membership_id": ref(340),
                "amount": money(20, 80),
                "method": pick("sepa", "card"),
                "status": pick("paid", "failed", "refunded", weights=(9, 1, 1)),
                "due_on": born(kind=DAY),
                "paid_at": after("due_on", 5, 0.9),
            },
        ),
        Table(
            "instructors", 9, {"id": key(), "name": text("I"), "hourly_rate": money(20, 50), "hired_on": born(kind=DAY)}
        ),
    ),
    wanted={
        "signups": f"select count(*) from members where {on_days('joined_on')}",
        "revenue": f"select sum(amount) from payments where status = 'paid' and {during('paid_at')}",
        "mrr": (
            "select sum(monthly_fee) from memberships m join membership_plans p on p.id = m.membership_plan_id "
            f"where {_OPEN_DAYS}"
        ),
        "active_members": f"select count(distinct member_id) from check_ins where {during('checked_in_at')}",
        "active_memberships": f"select count(*) from memberships where {_OPEN_DAYS}",
        "new_memberships": f"select count(*) from memberships where {on_days('starts_on')}",
        "new_check_ins": f"select count(*) from check_ins where {during('checked_in_at')}",
        "class_bookings": f"select count(*) from class_bookings where {during('booked_at')}",
    },
    headlines=("signups", "revenue", "mrr", "active_members"),
    harmless=frozenset({"payments", "ended_memberships", "new_workouts", "new_clubs"}),
)

TICKETS = Application(
    "tickets",
    (
        Table("organizers", 20, {"id": key(), "name": text("O"), "slug": text("o"), "created_at": born()}),
        Table(
            "events",
            60,
            {
                "id": key(),
                "organizer_id": ref(20),
                "name": text("E"),
                "currency": pick("EUR"),
                "date_from": born(shift=-30),
                "date_to": after("date_from", 2, future=True),
                "live": flag(0.9),
                "testmode": flag(0.05),
                "venue_city": pick("Berlin", "Bonn"),
                "created_at": born(),
            },
        ),
        Table(
            "items",
            200,
            {
                "id": key(),
                "event_id": ref(60),
                "name": text("ticket"),
                "default_price": money(10, 90),
                "active": flag(0.9),
                "admission": flag(0.95),
            },
        ),
        Table("quotas", 150, {"id": key(), "event_id": ref(60), "size": number(50, 500), "name": text("q")}),
        Table(
            "orders",
            900,
            {
                "id": key(),
                "event_id": ref(60),
                "code": text("X"),
                "status": pick("p", "n", "e", "c", weights=(8, 1, 1, 1)),
                "testmode": flag(0.04),
                "email": text("b@x"),
                "datetime": born(),
                "expires": after("datetime", 14, future=True),
                "total": money(10, 400),
                "cancellation_date": after("datetime", 9, 0.08),
                "locale": pick("de", "en"),
            },
        ),
        Table(
            "order_positions",
            1800,
            {
                "id": key(),
                "order_id": ref(900),
                "item_id": ref(200),
                "price": money(10, 90),
                "tax_rate": pick(19, 7, kind=INT),
                "tax_value": money(1, 15),
                "attendee_name": text("A"),
                "attendee_email": text("a@x"),
                "canceled": flag(0.07),
                "secret": text("s"),
            },
        ),
        Table(
            "order_payments",
            950,
            {
                "id": key(),
                "order_id": ref(900),
                "state": pick("confirmed", "created", "failed", "canceled", "refunded", weights=(8, 1, 1, 1, 1)),
                "amount": money(10, 400),
                "created": born(),
                "payment_date": after("created", 3, 0.85),
                "provider": pick("paypal", "stripe"),
            },
        ),
        Table(
            "order_refunds",
            50,
            {
                "id": key(),
                "order_id": ref(900),
                "state": pick("done"),
                "amount": money(5, 90),
                "created": born(),
                "execution_date": after("created", 3, 0.9),
            },
        ),
        Table(
            "checkins",
            1100,
            {
                "id": key(),
                "position_id": ref(1800),
                "datetime": born(),
                "created": after("datetime", 1),
                "type": pick("entry", "exit", weights=(9, 1)),
                "successful": flag(0.96),
            },
        ),
        Table(
            "waiting_list_entries",
            80,
            {"id": key(), "event_id": ref(60), "item_id": ref(200), "email": text("w@x"), "created": born()},
        ),
        Table(
            "log_entries",
            3000,
            {
                "id": key(),
                "datetime": born(),
                "user_id": ref(8, nulls=0.5),
                "action_type": pick("order.placed", "event.changed"),
                "object_id": number(1, 900),
            },
        ),
    ),
    wanted={
        "revenue": f"select sum(amount) from order_payments where state = 'confirmed' and {during('created')}",
        "order_payments": f"select count(*) from order_payments where state = 'confirmed' and {during('created')}",
        "orders": f"select count(*) from orders where testmode = false and {during('datetime')}",
        "order_refund_amount": f"select sum(amount) from order_refunds where {during('created')}",
        "new_checkins": f"select count(*) from checkins where {during('created')}",
    },
    headlines=("revenue",),
    harmless=frozenset({"order_total", "order_refunds", "events", "new_waiting_list_entries"}),
)

ERP = Application(
    "erp",
    (
        Table(
            "res_users",
            12,
            {"id": key(), "login": text("l@x"), "active": flag(0.9), "partner_id": ref(300), "create_date": born()},
        ),
        Table(
            "res_partner",
            300,
            {
                "id": key(),
                "name": text("P"),
                "is_company": flag(0.5),
                "email": text("p@x"),
                "vat": text("DE"),
                "city": pick("Berlin", "Bonn"),
                "customer_rank": number(0, 2),
                "supplier_rank": number(0, 1),
                "active": flag(0.95),
                "create_date": born(),
                "write_date": after("create_date", 9),
            },
        ),
        Table(
            "sale_order",
            500,
            {
                "id": key(),
                "name": text("S"),
                "partner_id": ref(300),
                "user_id": ref(12),
                "state": pick("sale", "draft", "sent", "cancel", weights=(7, 2, 1, 1)),
                "date_order": born(),
                "validity_date": after("date_order", 30, kind=DAY, future=True),
                "amount_untaxed": money(50, 5000),
                "amount_tax": share_of("amount_untaxed", 0.19, "decimal(10,2)"),
                "amount_total": share_of("amount_untaxed", 1.19, "decimal(10,2)"),
                "create_date": after("date_order", 1),
                "write_date": after("date_order", 9),
            },
        ),
        Table(
            "sale_order_line",
            1300,
            {
                "id": key(),
                "order_id": ref(500),
                "product_id": ref(40),
                "product_uom_qty": number(1, 9),
                "qty_delivered": number(0, 9),
                "price_unit": money(5, 90),
                "price_subtotal": money(5, 500),
                "price_total": money(5, 600),
                "discount": number(0, 10),
                "create_date": born(),
            },
        ),
        Table(
            "account_move",
            800,
            {
                "id": key(),
                "name": text("INV"),
                "move_type": pick("out_invoice", "in_invoice", "out_refund", "entry", weights=(5, 3, 1, 2)),
                "state": pick("posted", "draft", "cancel", weights=(8, 1, 1)),
                "payment_state": pick("paid", "not_paid", "partial"),
                "partner_id": ref(300),
                "date": born(kind=DAY),
                "invoice_date": after("date", 2, 0.8, kind=DAY),
                "invoice_date_due": after("date", 30, kind=DAY, future=True),
                "amount_untaxed": money(50, 5000),
                "amount_tax": share_of("amount_untaxed", 0.19, "decimal(10,2)"),
                "amount_total": share_of("amount_untaxed", 1.19, "decimal(10,2)"),
                "amount_residual": money(0, 50),
                "amount_total_signed": share_of("amount_untaxed", 1.19, "decimal(10,2)"),
                "create_date": born(),
            },
        ),
        Table(
            "account_move_line",
            2400,
            {
                "id": key(),
                "move_id": ref(800),
                "account_id": ref(30),
                "date": born(kind=DAY),
                "debit": money(0, 3000),
                "credit": money(0, 3000),
                "balance": money(-3000, 3000),
                "quantity": number(1, 9),
                "price_subtotal": money(0, 3000),
                "create_date": born(),
            },
        ),
        Table(
            "account_payment",
            400,
            {
                "id": key(),
                "partner_id": ref(300),
                "payment_type": pick("inbound", "outbound", weights=(3, 1)),
                "amount": money(50, 5000),
                "state": pick("posted", "draft", "canceled", weights=(8, 1, 1)),
                "date": born(kind=DAY),
                "create_date": born(),
            },
        ),
        Table(
            "crm_lead",
            350,
            {
                "id": key(),
                "name": text("L"),
                "type": pick("lead", "opportunity"),
                "partner_id": ref(300, nulls=0.3),
                "stage_id": ref(5),
                "probability": number(0, 100),
                "expected_revenue": money(100, 9000),
                "active": flag(0.8),
                "create_date": born(),
                "date_open": after("create_date", 3, 0.8),
                "date_closed": after("create_date", 40, 0.4),
                "email_from": text("e@x"),
            },
        ),
        Table(
            "product_product", 40, {"id": key(), "default_code": text("C"), "active": flag(0.9), "create_date": born()}
        ),
        Table(
            "stock_move",
            1500,
            {
                "id": key(),
                "product_id": ref(40),
                "product_uom_qty": number(1, 20),
                "state": pick("done", "assigned", "cancel", weights=(8, 1, 1)),
                "date": born(),
                "location_id": ref(6),
                "location_dest_id": ref(6),
                "create_date": born(),
            },
        ),
        Table(
            "mail_message",
            2500,
            {
                "id": key(),
                "model": pick("sale.order", "account.move"),
                "res_id": number(1, 800),
                "author_id": ref(300),
                "message_type": pick("notification", "comment", "email"),
                "date": born(),
                "create_date": born(),
            },
        ),
        Table(
            "hr_employee",
            25,
            {"id": key(), "name": text("H"), "department_id": ref(4), "active": flag(0.9), "create_date": born()},
        ),
    ),
    wanted={
        "signups": f"select count(*) from res_partner where {during('create_date')}",
        "revenue": f"select sum(amount_total) from sale_order where state = 'sale' and {during('date_order')}",
        "sale_orders": f"select count(*) from sale_order where state = 'sale' and {during('date_order')}",
        "buying_partners": (
            f"select count(distinct partner_id) from sale_order where state = 'sale' and {during('date_order')}"
        ),
        "open_crm_leads": f"select count(*) from crm_lead where {holding('create_date', 'date_closed')}",
        "new_crm_leads": f"select count(*) from crm_lead where {during('create_date')}",
    },
    headlines=("signups", "revenue"),
    harmless=frozenset(
        {"account_payments", "new_account_moves", "sale_order_line_sold", "new_stock_moves", "new_hr_employees"}
    ),
)

HOSTING = Application(
    "hosting",
    (
        Table(
            "users",
            260,
            {
                "id": key(),
                "username": text("u"),
                "email": text("e@x"),
                "state": pick("active", "blocked", weights=(9, 1)),
                "user_type": pick(0, 0, 0, 0, 4, 6, kind=INT),
                "admin": flag(0.02),
                "sign_in_count": number(0, 90),
                "last_sign_in_at": born(),
                "created_at": born(),
                "last_activity_on": born(kind=DAY),
            },
        ),
        Table(
            "namespaces",
            300,
            {"id": key(), "name": text("n"), "type": pick("User", "Group"), "owner_id": ref(260), "created_at": born()},
        ),
        Table(
            "projects",
            350,
            {
                "id": key(),
                "namespace_id": ref(300),
                "creator_id": ref(260),
                "visibility_level": pick(0, 10, 20, kind=INT),
                "star_count": number(0, 50),
                "archived": flag(0.05),
                "created_at": born(),
                "last_activity_at": born(),
                "pending_delete": flag(0.01),
            },
        ),
        Table(
            "issues",
            900,
            {
                "id": key(),
                "project_id": ref(350),
                "author_id": ref(260),
                "state_id": pick(1, 2, kind=INT),
                "weight": number(0, 8),
                "due_date": nothing(DAY),
                "created_at": born(),
                "updated_at": after("created_at", 10),
                "closed_at": after("created_at", 30, 0.6),
            },
        ),
        Table(
            "merge_requests",
            800,
            {
                "id": key(),
                "target_project_id": ref(350),
                "author_id": ref(260),
                "state_id": pick(1, 2, 3, kind=INT),
                "draft": flag(0.1),
                "created_at": born(),
                "updated_at": after("created_at", 10),
                "merge_status": pick("can_be_merged", "unchecked"),
            },
        ),
        Table(
            "merge_request_metrics",
            800,
            {
                "id": key(),
                "merge_request_id": ref(800),
                "merged_at": born(),
                "latest_closed_at": nothing(),
                "created_at": born(),
            },
        ),
        Table(
            "notes",
            2500,
            {
                "id": key(),
                "noteable_type": pick("Issue", "MergeRequest"),
                "noteable_id": number(1, 800),
                "project_id": ref(350),
                "author_id": ref(260),
                "system": flag(0.4),
                "created_at": born(),
                "resolved_at": nothing(),
            },
        ),
        Table(
            "events",
            4000,
            {
                "id": key(),
                "project_id": ref(350),
                "author_id": ref(260),
                "action": pick(1, 3, 5, 6, kind=INT),
                "target_type": pick("Issue", "Note"),
                "created_at": born(),
            },
        ),
        Table(
            "ci_pipelines",
            1500,
            {
                "id": key(),
                "project_id": ref(350),
                "user_id": ref(260),
                "status": pick("success", "failed", "canceled", weights=(7, 2, 1)),
                "duration": number(30, 3000),
                "source": pick(1, 2, kind=INT),
                "created_at": born(),
                "started_at": after("created_at", 1),
                "finished_at": after("started_at", 1),
            },
        ),
        Table(
            "ci_builds",
            4000,
            {
                "id": key(),
                "pipeline_id": ref(1500),
                "project_id": ref(350),
                "status": pick("success", "failed", "skipped"),
                "name": pick("test", "lint"),
                "coverage": money(60, 99),
                "queued_at": born(),
                "started_at": after("queued_at", 1, 0.95),
                "finished_at": after("started_at", 1),
                "runner_id": ref(5),
            },
        ),
        Table(
            "todos",
            900,
            {
                "id": key(),
                "user_id": ref(260),
                "project_id": ref(350),
                "author_id": ref(260),
                "state": pick("pending", "done"),
                "created_at": born(),
            },
        ),
        Table(
            "project_statistics",
            350,
            {
                "id": key(),
                "project_id": ref(350),
                "repository_size": number(1000, 90_000),
                "commit_count": number(1, 900),
                "updated_at": born(),
            },
        ),
        Table(
            "audit_events",
            700,
            {"id": key(), "author_id": ref(260), "entity_type": pick("Project"), "created_at": born()},
        ),
        Table(
            "gitlab_subscriptions",
            60,
            {
                "id": key(),
                "namespace_id": ref(300),
                "hosted_plan_id": ref(3),
                "seats": number(1, 90),
                "max_seats_used": number(1, 90),
                "trial": flag(0.2),
                "start_date": born(kind=DAY),
                "end_date": after("start_date", 365, kind=DAY, least=300, future=True),
                "created_at": born(),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from users where {during('created_at')}",
        "active_users": f"select count(distinct author_id) from events where {during('created_at')}",
        "active_gitlab_subscriptions": f"select count(*) from gitlab_subscriptions where {holding('start_date', 'end_date')}",
        "open_issues": f"select count(*) from issues where {holding('created_at', 'closed_at')}",
        "new_issues": f"select count(*) from issues where {during('created_at')}",
        "new_projects": f"select count(*) from projects where {during('created_at')}",
        "new_notes": f"select count(*) from notes where system = false and {during('created_at')}",
        "ci_builds": f"select count(*) from ci_builds where {during('started_at')}",
    },
    headlines=("signups", "active_users"),
    harmless=frozenset({"gitlab_subscription_seats", "new_gitlab_subscriptions", "events", "new_namespaces"}),
)

RIDES = Application(
    "rides",
    (
        Table(
            "riders",
            300,
            {
                "id": key(),
                "phone": text("+1"),
                "city_id": ref(3),
                "rating": money(3, 5, "decimal(3,2)"),
                "created_at": born(),
            },
        ),
        Table(
            "drivers",
            60,
            {
                "id": key(),
                "name": text("D"),
                "license_plate": text("X"),
                "city_id": ref(3),
                "onboarded_at": born(),
                "deactivated_at": after("onboarded_at", 50, 0.2),
                "rating": money(3, 5, "decimal(3,2)"),
            },
        ),
        Table("cities", 3, {"id": key(), "name": pick("Oslo", "Rome", "Bern"), "currency": pick("EUR")}),
        Table(
            "trips",
            2500,
            {
                "id": key(),
                "rider_id": ref(300),
                "driver_id": ref(60),
                "city_id": ref(3),
                "status": pick("completed", "rider_canceled", "driver_canceled", "no_show", weights=(8, 1, 1, 1)),
                "requested_at": born(),
                "accepted_at": after("requested_at", 1, 0.95),
                "picked_up_at": after("accepted_at", 1, 0.9),
                "dropped_off_at": after("picked_up_at", 1),
                "estimated_fare": money(4, 40),
                "fare": money(4, 40),
                "surge_multiplier": money(1, 3, "decimal(3,2)"),
                "tip": money(0, 5),
                "distance_km": money(1, 30),
                "driver_payout": share_of("fare", 0.75, "decimal(10,2)"),
                "platform_fee": share_of("fare", 0.25, "decimal(10,2)"),
                "pickup_lat": money(40, 50, "decimal(9,6)"),
                "pickup_lng": money(5, 15, "decimal(9,6)"),
            },
        ),
        Table(
            "trip_ratings",
            1200,
            {
                "id": key(),
                "trip_id": ref(2500),
                "rider_id": ref(300),
                "stars": number(1, 5),
                "comment": text("c"),
                "created_at": born(),
            },
        ),
        Table(
            "driver_locations",
            3000,
            {
                "id": key(),
                "driver_id": ref(60),
                "lat": money(40, 50, "decimal(9,6)"),
                "lng": money(5, 15, "decimal(9,6)"),
                "speed_kmh": number(0, 90),
                "battery_percent": number(5, 100),
                "recorded_at": born(),
            },
        ),
        Table(
            "promo_codes",
            20,
            {
                "id": key(),
                "code": text("P"),
                "discount_percent": number(5, 50),
                "max_uses": number(10, 100),
                "valid_from": born(),
                "valid_until": after("valid_from", 60, future=True),
            },
        ),
        Table(
            "promo_redemptions",
            200,
            {
                "id": key(),
                "promo_code_id": ref(20),
                "rider_id": ref(300),
                "trip_id": ref(2500),
                "discount_amount": money(1, 9),
                "redeemed_at": born(),
            },
        ),
        Table(
            "driver_payouts",
            120,
            {
                "id": key(),
                "driver_id": ref(60),
                "amount": money(100, 900),
                "period_start": born(kind=DAY),
                "period_end": after("period_start", 7, kind=DAY),
                "paid_at": after("period_start", 12, 0.9),
            },
        ),
        Table(
            "support_tickets",
            150,
            {
                "id": key(),
                "rider_id": ref(300),
                "category": pick("fare", "lost_item"),
                "priority": pick(1, 2, 3, kind=INT),
                "opened_at": born(),
                "resolved_at": after("opened_at", 9, 0.7),
            },
        ),
    ),
    wanted={
        "signups": f"select count(*) from riders where {during('created_at')}",
        "revenue": f"select sum(fare) from trips where status = 'completed' and {during('requested_at')}",
        "trips": f"select count(*) from trips where status = 'completed' and {during('requested_at')}",
        "active_riders": f"select count(distinct rider_id) from trips where {during('requested_at')}",
        "open_support_tickets": f"select count(*) from support_tickets where {holding('opened_at', 'resolved_at')}",
        "new_support_tickets": f"select count(*) from support_tickets where {during('opened_at')}",
        "trip_rating_star": f"select avg(stars) from trip_ratings where {during('created_at')}",
    },
    headlines=("signups", "revenue", "active_riders"),
    harmless=frozenset(
        {"driver_payouts", "driver_payout_amount", "new_trip_ratings", "new_promo_redemptions", "new_drivers"}
    ),
)
FURTHER = (PROVIDER, BANK, GYM, TICKETS, ERP, HOSTING, RIDES)
"""The applications that were written after the others; what the draft got wrong there was mended by kind."""
