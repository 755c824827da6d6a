"""What went wrong in the drafts of a team chat, a billing engine, analytics and others, each on the smallest database."""

from __future__ import annotations

from pathlib import Path

import pytest

from tallybook.draft import preview
from tallybook.draft.words import words
from tests.draft.test_drafted_tables import drafted, many
from tests.draft.test_drafts_of_newcomers import AT, USERS, off, on

MILLISECONDS = "(1767225600 + i * 86400) * 1000"
CUSTOMERS = "create table customers (id integer primary key, email text, created_at text);" + many(
    "customers", "i, 'c' || i || '@example.org', day(i)", 90
)


# --- names and times -----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "read"),
    [
        ("createat", ("created", "at")),
        ("lastpostat", ("last", "post", "at")),
        ("updatedby", ("updated", "by")),
        ("idvisitor", ("visitor", "id")),
        ("docstatus", ("doc", "status")),
        ("format", ("format",)),
        ("discount", ("discount",)),
        ("identity", ("identity",)),
        ("lifetime", ("lifetime",)),
        ("displayname", ("displayname",)),
        ("station", ("station",)),
        ("version", ("version",)),
    ],
)
def test_names_without_a_separator_are_read_by_their_known_words(name: str, read: tuple[str, ...]) -> None:
    assert words(name) == read


def test_milliseconds_are_times_and_zero_is_no_time(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table users (id text primary key, createat integer, deleteat integer, email text);"
        + many("users", f"'u' || i, {MILLISECONDS}, case i % 9 when 0 then {MILLISECONDS} else 0 end, 'u' || i", 80)
        + "create table posts (id text primary key, createat integer, userid text);"
        + many("posts", f"'p' || i, {MILLISECONDS}, 'u' || (1 + i % 40)", 80),
    )
    assert on(made)["signups"].keys["stored"] == "epoch_ms"
    assert any('where = "deleteat = 0"' in line for line in on(made)["signups"].unsure)
    assert on(made)["active_users"].keys["measure"] == "count(distinct userid)"


def test_the_date_of_what_a_row_is_comes_before_the_time_of_its_entry(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table payments (id integer primary key, customer_id integer, payment_date text, created_date text, "
        "amount decimal(9,2));" + many("payments", "i, 1 + i % 80, day(i), date(day(i), '+1 day'), 10 + i", 85),
    )
    assert on(made)["revenue"].keys["time"] == "payment_date"


def test_hours_are_added_on_the_day_they_were_spent(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table time_entries (id integer primary key, user_id integer, hours decimal(5,2), spent_on text, "
        "created_on text);" + many("time_entries", "i, 1 + i % 9, (i % 7) / 2.0, day(i), date(day(i), '+2 day')", 80),
    )
    assert on(made)["time_entry_hours"].keys["measure"] == "sum(hours)"
    assert on(made)["time_entry_hours"].keys["time"] == "spent_on"


# --- money ---------------------------------------------------------------------------------------------------


def test_what_was_charged_back_voided_or_only_authorized_is_no_revenue(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table payments (id integer primary key, customer_id integer, type text, amount decimal(9,2), "
        "created_at text);"
        + many(
            "payments",
            "i, 1 + i % 80, case i % 8 when 0 then 'CHARGED_BACK' when 1 then 'VOID' when 2 then 'AUTHORIZE' "
            "else 'PURCHASE' end, 10 + i, day(i)",
            88,
        ),
    )
    where = on(made)["revenue"].keys["where"]
    assert all(f"'{value}'" in where for value in ("CHARGED_BACK", "VOID", "AUTHORIZE"))
    assert "PURCHASE" not in where


def test_a_partly_refunded_order_was_paid(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table orders (id integer primary key, customer_id integer, financial_status text, is_test_order "
        "boolean, total decimal(9,2), created_at text);"
        + many(
            "orders",
            "i, 1 + i % 80, case i % 8 when 0 then 'refunded' when 1 then 'partially_refunded' else 'paid' end, "
            "i % 20 = 3, 10 + i, day(i)",
            88,
        ),
    )
    assert on(made)["revenue"].keys["where"].startswith("financial_status in ('paid', 'partially_refunded')")
    assert "is_test_order" in on(made)["revenue"].keys["where"], "a flag with the noun of the table is a flag"
    assert "partially_refunded (11) counts with the whole amount" in on(made)["revenue"].unsure


def test_money_that_was_given_up_by_a_time_does_not_count(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table payments (id integer primary key, customer_id integer, amount decimal(9,2), captured_at text, "
        "canceled_at text);"
        + many("payments", "i, 1 + i % 80, 10 + i, day(i), case i % 9 when 0 then date(day(i), '+1 day') end", 85),
    )
    assert on(made)["revenue"].keys["where"] == "canceled_at is null"


def test_refunds_have_the_currency_of_their_payments(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table payments (id integer primary key, customer_id integer, amount decimal(9,2), currency text, "
        "created_at text);"
        + many("payments", "i, 1 + i % 80, 10 + i, case i % 2 when 0 then 'EUR' else 'USD' end, day(i)", 85)
        + "create table refunds (id integer primary key, payment_id integer, amount decimal(9,2), created_at text);"
        + many("refunds", "i, i, 1 + i % 5, day(i)", 85),
    )
    keys = {**on(made), **off(made)}["refund_amount"].keys
    assert keys["unit_from"] == "payments.currency"
    assert keys["join"] == "payments on payments.id = payment_id"
    shown = {one.label: one for one in preview(made, f"sqlite:///{tmp_path}/app.db", AT, check=True)}
    assert all(one.agrees for one in shown.values())


@pytest.mark.parametrize("cents", [True, False])
def test_the_number_of_payments_has_no_currency(tmp_path: Path, cents: bool) -> None:
    amount = "amount_cents integer" if cents else "amount decimal(9,2)"
    made = drafted(
        tmp_path,
        CUSTOMERS + f"create table payments (id integer primary key, customer_id integer, {amount}, currency text, "
        "created_at text);"
        + many("payments", "i, 1 + i % 80, 10 + i, case i % 2 when 0 then 'EUR' else 'USD' end, day(i)", 85),
    )
    assert "unit_from" in on(made)["revenue"].keys
    assert not {"unit_from", "minor_units"} & set(on(made)["payments"].keys)


def test_orders_without_an_amount_have_the_revenue_of_their_lines(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS
        + "create table orders (id integer primary key, customer_id integer, status text, created_at text);"
        + many("orders", "i, 1 + i % 80, case i % 4 when 0 then 'cart' else 'purchased' end, day(i)", 85)
        + "create table order_items (id integer primary key, order_id integer, quantity integer, price decimal(9,2));"
        + many("order_items", "i, 1 + i % 85, 1 + i % 3, 5 + i % 7", 160),
    )
    assert on(made)["revenue"].keys["measure"] == "sum(price * quantity)"
    assert on(made)["revenue"].keys["where"] == "status = 'purchased'"


def test_the_codes_of_a_status_id_are_named(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        CUSTOMERS + "create table invoices (id integer primary key, customer_id integer, status_id integer, amount "
        "decimal(9,2), date text);" + many("invoices", "i, 1 + i % 80, 1 + i % 4, 10 + i, day(i)", 85),
    )
    assert any(line.startswith("status_id is 1 (21), 2 (22)") for line in on(made)["revenue"].unsure)


# --- people --------------------------------------------------------------------------------------------------


def test_recipients_of_documents_did_not_sign_up(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table users (id integer primary key, email text, password text, created_at text);"
        + many("users", "i, 'u' || i || '@example.org', 'h', day(i)", 60)
        + "create table documents (id integer primary key, user_id integer, created_at text);"
        + many("documents", "i, 1 + i % 50, day(i)", 300)
        + "create table recipients (id integer primary key, document_id integer, email text, signed_at text);"
        + many("recipients", "i, 1 + i % 300, 'r' || i || '@example.org', day(i)", 600)
        + "create table signatures (id integer primary key, recipient_id integer, created_at text);"
        + many("signatures", "i, i, day(i)", 500),
    )
    assert on(made)["signups"].of == "users"


def test_a_few_users_beside_many_leads_or_visitors_are_staff(tmp_path: Path) -> None:
    users = "create table users (id integer primary key, email text, password text, created_at text);" + many(
        "users", "i, 'u' || i, 'h', day(i)", 6
    )
    leads = (
        "create table leads (id integer primary key, email text, created_at text);"
        + many("leads", "i, 'l' || i || '@example.org', day(i)", 90)
        + "create table page_hits (id integer primary key, lead_id integer, created_at text);"
        + many("page_hits", "i, 1 + i % 80, day(i)", 300)
        + "create table downloads (id integer primary key, lead_id integer, created_at text);"
        + many("downloads", "i, 1 + i % 80, day(i)", 90)
    )
    (tmp_path / "leads").mkdir()
    made = drafted(tmp_path / "leads", users + leads)
    assert "signups" not in on(made)
    assert on(made)["active_leads"].keys["table"] == "page_hits"
    (tmp_path / "visits").mkdir()
    visits = "create table visits (id integer primary key, idvisitor text, created_at text);"
    made = drafted(tmp_path / "visits", users + visits + many("visits", "i, 'v' || (i % 90), day(i)", 300))
    assert "signups" not in on(made)
    assert on(made)["active_visitors"].keys["table"] == "visits"


def test_groups_and_anonymous_accounts_are_no_people(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table users (id integer primary key, type text, email text, created_at text);"
        + many(
            "users", "i, case i % 9 when 0 then 'Group' when 1 then 'AnonymousUser' else 'User' end, 'u', day(i)", 80
        ),
    )
    assert on(made)["signups"].keys["where"] == "type not in ('AnonymousUser', 'Group')"


def test_what_staff_does_for_a_client_does_not_make_the_client_active(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table users (id integer primary key, email text, password text, created_at text);"
        + many("users", "i, 'u' || i, 'h', day(i)", 6)
        + CUSTOMERS
        + "create table activities (id integer primary key, user_id integer, customer_id integer, created_at text);"
        + many("activities", "i, 1 + i % 6, 1 + i % 80, day(i)", 300),
    )
    assert "active_customers" not in on(made)
    assert off(made)["activity_customers"].doubt == "user_id is who did it: staff, and not the customer"


ACCOUNTS = "create table accounts (id integer primary key, signup_date text, country text);" + many(
    "accounts", "i, day(i), 'DE'", 60
)
LICENSES = (
    "create table licenses (id integer primary key, account_id integer references accounts(id), created_at text);"
)
LICENSES += many("licenses", "i, 1 + i % 60, day(i)", 70)
USE = "create table feature_usage (id integer primary key, license_id integer references licenses(id), used_on text%s);"


def test_use_of_a_license_is_use_by_its_account(tmp_path: Path) -> None:
    made = drafted(tmp_path, ACCOUNTS + LICENSES + USE % "" + many("feature_usage", "i, 1 + i % 70, day(i)", 400))
    active = on(made)["active_accounts"]
    assert active.keys["measure"] == "count(distinct licenses.account_id)"
    assert active.keys["join"] == "licenses on licenses.id = license_id"
    shown = {one.label: one for one in preview(made, f"sqlite:///{tmp_path}/app.db", AT, check=True)}
    assert shown["active_accounts"].agrees


def test_two_ways_to_an_account_are_none(tmp_path: Path) -> None:
    seats = LICENSES.replace("licenses", "seats")
    made = drafted(
        tmp_path,
        ACCOUNTS
        + LICENSES
        + seats
        + USE % ", seat_id integer references seats(id)"
        + many("feature_usage", "i, 1 + i % 70, day(i), 1 + i % 50", 400),
    )
    assert "active_accounts" not in on(made)


def test_daily_numbers_of_customers_count_people(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table daily_shop (day text, count_customers integer, count_orders integer);"
        + many("daily_shop", "day(i), 5 + i * 7 % 11, 6 + i * 7 % 13", 29),
    )
    numbers = {**on(made), **off(made)}
    assert next(i for i in numbers.values() if "customers" in i.keys["measure"]).keys["kind"] == "uniques"
    assert "kind" not in next(i for i in numbers.values() if "orders" in i.keys["measure"]).keys


def test_a_level_of_months_is_checked_by_the_row_of_its_month(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table months (month text, seats integer);"
        "insert into months values ('2025-08-01', 90), ('2025-09-01', 91), ('2025-10-01', 92), ('2025-11-01', 93), "
        "('2025-12-01', 94), ('2026-01-01', 95), ('2026-02-01', 96), ('2026-03-01', 97), ('2025-07-01', 89);",
    )
    shown = list(preview(made, f"sqlite:///{tmp_path}/app.db", AT, check=True))
    assert shown
    assert all(one.agrees for one in shown)
