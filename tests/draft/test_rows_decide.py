"""What the rows of a table show decides a draft, where names say nothing or say something else."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any, cast

import pytest

from tallybook.collect import DATE, ColumnType, Source, TimeForm, open_source
from tallybook.core import SourceSettings
from tallybook.draft.columns import all_dimensions
from tallybook.draft.contract_filters import started_contracts
from tallybook.draft.daily_columns import FLOW, HIGHEST, PEOPLE_COUNT, PERCENTILE, UNKNOWN, daily_number, quotient_of
from tallybook.draft.foreign_words import TRANSLATED
from tallybook.draft.guess import Guesser
from tallybook.draft.headlines import named, switched_on
from tallybook.draft.people import with_people
from tallybook.draft.row_filters import codes_with_times, counted_rows, money_rows
from tallybook.draft.seen import Seen, SeenColumn, SeenTable, see
from tallybook.draft.table_guesses import Idea
from tallybook.draft.time_words import BORN, DONE, PAID
from tallybook.draft.times import time_of
from tallybook.draft.words import plural, words
from tests.draft.test_scores import column, days, table

NAMES = ["Anna", "Bert", "Cleo", "Dora", "Emil"]


def day_column(name: str, cells: list[date]) -> SeenColumn:
    found = tuple(cells)
    return SeenColumn(name, ColumnType(DATE), found, 0, time=TimeForm("date"), cells=found)


def keyless(name: str, *columns: SeenColumn) -> SeenTable:
    """A table without a key."""
    rows = len(columns[0].cells)
    return SeenTable(name, columns, rows, (), rows, name)


def drafted(*tables: SeenTable) -> tuple[dict[str, Idea], dict[str, Idea]]:
    """(metrics that are on, comments) of a database with these tables."""
    seen = Seen(tables=with_people(tables), found=len(tables))
    on, off = switched_on(named(Guesser(cast(Source, None), seen, lambda name: name).ideas()))
    return {i.name: i for i in on}, {i.name: i for i in off}


def cycle(values: list[Any], rows: int = 60) -> list[Any]:
    return [values[i % len(values)] for i in range(rows)]


# --- people --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["requesters", "pupils", "inhabitants"])
def test_rows_with_an_address_each_that_others_refer_to_are_people(name: str) -> None:
    people = table(name, contact_email=[f"p{i}@example.com" for i in range(60)], created_at=days(60))
    notes = table("notes", **{f"{name[:-1]}_id": cycle([*range(1, 11)]), "created_at": days(60)})
    on, _ = drafted(people, notes)
    assert on["signups"].of == name
    assert f"active_{name}" in on


@pytest.mark.parametrize("name", ["orders", "invitations", "contact_messages"])
def test_addresses_make_no_people_of_other_rows(name: str) -> None:
    rows = table(name, email=[f"p{i}@example.com" for i in range(60)], created_at=days(60))
    notes = table("notes", **{f"{name[:-1]}_id": cycle([*range(1, 11)]), "created_at": days(60)})
    on, _ = drafted(rows, notes)
    assert "signups" not in on


def test_a_date_of_birth_does_not_make_the_other_times_late() -> None:
    born = [datetime(1980, 1, 1) + timedelta(days=97 * i) for i in range(40)]
    students = table("students", date_of_birth=born, enrolled_on=days(), withdrawn_on=days(after=40, every=9))
    found = time_of(students, (*BORN, ("create",)))
    assert found is not None
    assert found.name == "enrolled_on"


@pytest.mark.parametrize("flag", ["marketing_opt_in", "newsletter", "vip"])
def test_a_flag_of_somebody_is_what_it_is_now_and_no_dimension(flag: str) -> None:
    assert not all_dimensions(table("customers", **{flag: cycle([0, 1])}))
    assert all_dimensions(table("orders", channel=cycle(["web", "app"])))


@pytest.mark.parametrize("name", ["pila", "given", "home_town"])
def test_a_text_about_a_person_without_a_known_name_is_no_dimension(name: str) -> None:
    assert not all_dimensions(table("customers", **{name: cycle(NAMES)}))
    assert all_dimensions(table("customers", **{name: cycle(["basic", "pro_plus"])}))


@pytest.mark.parametrize("name", ["blood_type", "diagnosis_code", "ethnicity", "marital_status"])
def test_what_is_sensitive_is_no_dimension(name: str) -> None:
    assert not all_dimensions(table("visits", **{name: cycle(["a", "b"])}))


def test_a_flag_that_is_set_with_a_later_time_changes() -> None:
    completed = days(60, after=2, every=2)
    tasks = table("tasks", created_at=days(60), completed_at=completed, ready=[int(c is not None) for c in completed])
    assert not all_dimensions(tasks)


# --- who is active -------------------------------------------------------------------------------------------


def test_a_sample_of_a_large_table_has_few_rows_of_each_actor() -> None:
    users = replace(table("users", created_at=days(60)), total=900)
    views = replace(table("page_views", user_id=list(range(1, 61)), created_at=days(60)), total=20_000)
    on, _ = drafted(users, views)
    assert on["active_users"].of == "page_views"
    _, off = drafted(users, replace(views, total=1000))
    assert "1.1 rows for each user" in off["page_view_users"].doubt


@pytest.mark.parametrize("entity", ["workspace", "tenant", "team"])
def test_organizations_can_be_active(entity: str) -> None:
    owners = table(f"{entity}s", created_at=days(60))
    events = table("events", **{f"{entity}_id": cycle([*range(1, 11)]), "created_at": days(60)})
    on, _ = drafted(owners, events)
    assert f"active_{entity}s" in on


def test_who_was_absent_was_not_active() -> None:
    students = table("students", enrolled_on=days(60))
    attendance = table(
        "attendance",
        student_id=cycle([*range(1, 11)]),
        date=days(60),
        status=cycle(["present", "late", "absent", "no_show"]),
    )
    on, _ = drafted(students, attendance)
    assert on["active_students"].keys["where"] == "status <> 'absent'"


def test_canceled_appointments_count_and_are_named() -> None:
    found = counted_rows(
        table("appointments", status=cycle(["completed", "scheduled", "cancelled"])), str, deleted_count=True
    )
    assert not found.where
    assert found.unsure == ["status cancelled (20) counts, too; without these rows: where = \"status <> 'cancelled'\""]


# --- money ---------------------------------------------------------------------------------------------------


def test_codes_of_a_state_are_those_of_the_rows_with_a_time_of_payment() -> None:
    codes = cycle([0, 1, 2, 3])
    paid = [t if code in (1, 2) else None for t, code in zip(days(60, after=1), codes, strict=True)]
    refunded = [t if code == 2 else None for t, code in zip(days(60, after=3), codes, strict=True)]
    orders = table("orders", status=codes, created_at=days(60), completed_at=paid, refunded_at=refunded)
    assert {code: [t.name for t in times] for code, times in codes_with_times(orders, orders.columns[1]).items()} == {
        "1": ["completed_at"],
        "2": ["completed_at", "refunded_at"],
    }
    found = money_rows(Seen(), orders, str)
    assert found.where == "status = 1"
    assert "status 1 (15) has completed_at" in found.why
    canceled = [t if code == 3 else None for t, code in zip(days(60, after=3), codes, strict=True)]
    found = money_rows(Seen(), table("orders", status=codes, created_at=days(60), canceled_at=canceled), str)
    assert found.where == "status <> 3"
    assert "3 (15) has canceled_at" in found.why


@pytest.mark.parametrize("value", ["refund", "CHARGEBACK", "partial_refund"])
def test_refunds_among_payments_are_not_added(value: str) -> None:
    amounts = [Decimal(i % 9 + 1) for i in range(60)]
    kinds = cycle(["deposit", "balance", value])
    payments = table("payments", amount=amounts, kind=kinds, paid_at=days(60))
    assert money_rows(Seen(), payments, str, payments.columns[1]).where == f"kind <> '{value}'"
    signed = [-a if k == value else a for a, k in zip(amounts, kinds, strict=True)]
    payments = table("payments", amount=signed, kind=kinds, paid_at=days(60))
    assert money_rows(Seen(), payments, str, payments.columns[1]).where == ""


def test_reversed_money_is_left_out_and_refunded_money_named() -> None:
    rows = table("payments", amount=[Decimal(9)] * 60, reversed=cycle([0, 0, 1]), refunded=cycle([0, 1]))
    found = money_rows(Seen(), rows, str)
    assert found.where == "reversed = 0"
    assert found.unsure == ['30 of 60 sampled rows with refunded count, too; without them: where = "refunded = 0"']


def test_amounts_in_two_directions_are_no_revenue() -> None:
    amounts = [Decimal(-5 if i % 3 == 0 else 7) for i in range(60)]
    on, off = drafted(table("transactions", amount=amounts, created_at=days(60), customer_id=cycle([1, 2, 3, 4, 5, 6])))
    assert "revenue" not in on
    assert "33% of the rows are below zero" in off["transaction_amount"].doubt


def test_purchases_of_customers_are_revenue_and_those_from_vendors_are_not() -> None:
    users = table("users", created_at=days(60))
    amounts = [Decimal(i % 9 + 1) for i in range(60)]
    on, _ = drafted(users, table("purchases", user_id=cycle([*range(1, 11)]), total=amounts, created_at=days(60)))
    assert on["revenue"].of == "purchases"
    on, _ = drafted(users, table("purchases", vendor_id=cycle([*range(1, 11)]), total=amounts, created_at=days(60)))
    assert "revenue" not in on


def test_what_goes_to_sellers_is_named() -> None:
    totals = [Decimal(i % 9 + 10) for i in range(60)]
    orders = table(
        "orders",
        order_total=totals,
        platform_fee=[t / 10 for t in totals],
        seller_payout=[t * 9 / 10 for t in totals],
        created_at=days(60),
    )
    on, _ = drafted(orders)
    assert on["revenue"].unsure == ["seller_payout goes to others: what the company keeps may be sum(platform_fee)"]


def test_lines_have_the_rows_of_their_order_whatever_their_table_is_called() -> None:
    orders = table("orders", status=cycle(["paid", "cart"]), total=[Decimal(9)] * 60, created_at=days(60))
    lines = table(
        "line_items",
        order_id=cycle([*range(1, 31)]),
        price=[Decimal(3)] * 60,
        quantity=cycle([1, 2]),
        created_at=days(60),
    )
    on, off = drafted(orders, lines)
    assert (on | off)["line_item_revenue"].keys["where"] == "status = 'paid'"


# --- contracts -----------------------------------------------------------------------------------------------


def test_contracts_that_ended_without_an_end_are_not_active() -> None:
    ended = [t if i % 3 == 0 else None for i, t in enumerate(days(60, after=9))]
    states = ["canceled" if i % 3 == 0 or i % 20 == 1 else "active" for i in range(60)]
    rows = table("subscriptions", status=states, started_at=days(60), ended_at=ended)
    found = started_contracts(rows, str, rows.column("ended_at"))
    assert found.where == "status <> 'canceled' or ended_at is not null"
    assert "2 of 60 sampled rows are canceled without ended_at" in found.why
    unrelated = table("subscriptions", status=cycle(["canceled", *["active"] * 4]), started_at=days(60), ended_at=ended)
    found = started_contracts(unrelated, str, unrelated.column("ended_at"))
    assert not found.where
    assert "8 of 60 sampled rows are canceled without ended_at, and count" in found.unsure[0]


def test_trials_are_named() -> None:
    found = started_contracts(table("subscriptions", status=cycle(["active", "trialing", "past_due"])), str)
    assert found.unsure == ["status trialing (20) counts, too; without trials: where = \"status <> 'trialing'\""]


def test_the_price_of_a_stay_is_not_a_level() -> None:
    stays = table(
        "reservations",
        booked_at=days(60),
        check_in=days(60, after=5),
        check_out=days(60, after=7),
        cancelled_at=days(60, after=2, every=12),
        total_price=[Decimal(i % 9 + 90) for i in range(60)],
    )
    on, off = drafted(stays)
    assert (on["active_reservations"].keys["from"], on["active_reservations"].keys["until"]) == (
        "check_in",
        "check_out",
    )
    assert "whole reservation" in off["reservation_total_price"].doubt


# --- times ---------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("planned", ["starts_at", "event_time", "scheduled_for"])
def test_a_time_that_reaches_into_the_future_is_not_when_the_fact_happened(planned: str) -> None:
    rows = table("appointments", booked_at=days(), **{planned: days(after=20)})
    rows = replace(rows, now=datetime(2026, 2, 10, tzinfo=UTC).timestamp())
    found = time_of(rows, DONE + BORN + PAID)
    assert found is not None
    assert found.name == "booked_at"


# --- one row a day -------------------------------------------------------------------------------------------

DAYS = [date(2026, 1, 1) + timedelta(days=i) for i in range(60)]


def test_a_calendar_gives_no_metric() -> None:
    rows = keyless(
        "dim_date",
        day_column("date_day", DAYS),
        column("year", [d.year for d in DAYS]),
        column("month", [d.month for d in DAYS]),
        column("day_of_week", [d.isoweekday() for d in DAYS]),
        column("days_in_month", [31 if d.month in (1, 3) else 28 for d in DAYS]),
    )
    assert drafted(rows) == ({}, {})


def test_a_part_of_the_day_is_no_number_of_the_day() -> None:
    rows = keyless(
        "sales_by_day",
        day_column("day", DAYS),
        column("year", [d.year for d in DAYS]),
        column("week", [d.isocalendar().week for d in DAYS]),
        column("orders", [7 * i % 13 for i in range(60)]),
    )
    on, off = drafted(rows)
    assert [idea.keys["measure"] for idea in (on | off).values()] == ["sum(orders)"]


@pytest.mark.parametrize(
    ("name", "sort"),
    [("dau", PEOPLE_COUNT), ("wau", PEOPLE_COUNT), ("new_users", FLOW), ("p95_ms", PERCENTILE), ("peak_load", HIGHEST)],
)
def test_daily_numbers_that_do_not_add_up(name: str, sort: str) -> None:
    rows = keyless("activity_by_day", day_column("day", DAYS), column(name, [50 + 17 * i % 41 for i in range(60)]))
    assert daily_number(rows, rows.columns[0], rows.columns[1]).sort == sort


def test_a_bare_number_of_active_people_counts_people() -> None:
    rows = keyless("daily_active", day_column("day", DAYS), column("count", [50 + 17 * i % 41 for i in range(60)]))
    assert daily_number(rows, rows.columns[0], rows.columns[1]).sort == PEOPLE_COUNT


def test_a_quotient_of_two_numbers_is_the_quotient_of_their_sums() -> None:
    clicks, spend = [20 + 7 * i % 31 for i in range(60)], [Decimal(5 + 3 * i % 17) for i in range(60)]
    rows = keyless(
        "ads_by_day",
        day_column("day", DAYS),
        column("clicks", clicks),
        column("spend", spend),
        column("x", [round(s / c, 4) for s, c in zip(spend, clicks, strict=True)]),
    )
    assert quotient_of(rows, rows.columns[3]) == (rows.columns[2], rows.columns[1], 1)
    on, off = drafted(rows)
    assert "sum(spend) / sum(clicks)" in [idea.keys["measure"] for idea in (on | off).values()]


def test_a_row_a_month_lasts_a_month() -> None:
    months = [date(2026, m, 1) for m in range(1, 7) for _ in range(10)]
    rows = keyless(
        "customer_months",
        day_column("date_month", months),
        column("customer_id", cycle([*range(1, 11)])),
        column("mrr", [Decimal(20 + i % 10) for i in range(60)]),
        column("segment", cycle(["small", "large"])),
    )
    on, _ = drafted(rows)
    assert not {"by", "series"} & on["mrr"].keys.keys()
    assert {k: on["mrr"].keys[k] for k in ("kind", "measure", "carry")} == {
        "kind": "level",
        "measure": "sum(mrr)",
        "carry": "30d",
    }


# --- the sample ----------------------------------------------------------------------------------------------


def test_no_row_is_sampled_twice_and_rows_are_in_the_order_of_the_key(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "app.db")) as database, database:
        for name, rows in (("some", 500), ("more", 1000)):
            database.execute(f"create table {name} (id integer primary key, created_at text)")
            database.executemany(f"insert into {name} values (?, '2026-01-02')", [(i,) for i in range(rows)])
    source = open_source(SourceSettings(name="app", url=f"sqlite:///{tmp_path / 'app.db'}"))
    seen = see(source, datetime(2026, 3, 1, tzinfo=UTC))
    source.close()
    found = {t.name: next(c for c in t.columns if c.name == "id").values for t in seen.tables}
    assert found == {"some": tuple(range(500)), "more": (*range(400), *range(600, 1000))}


def test_each_comment_has_a_reason() -> None:
    tables = [table(name, created_at=days(60)) for name in ("notes", "boards", "cards", "lists", "pages", "files")]
    tables += [table(f"{name}_books", created_at=days(60)) for name in ("red", "blue", "green", "gray", "pink", "teal")]
    _on, off = drafted(*tables)
    assert off
    assert all(idea.doubt for idea in off.values())


# --- other languages, and ids in front -----------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "expected"),
    [
        ("bestellpositionen", ("order", "item")),
        ("monatspreis", ("monthly", "price")),
        ("detalle_pedidos", ("order", "detail")),
        ("fecha_de_pedido", ("order", "date")),
        ("montant_total", ("amount", "total")),
        ("id_customer", ("customer", "id")),
        ("invoice_date", ("invoice", "date")),
        ("valid_until", ("valid", "until")),
    ],
)
def test_names_of_other_languages_have_english_words(name: str, expected: tuple[str, ...]) -> None:
    assert words(name) == expected


def test_no_translation_is_translated_again() -> None:
    assert not set(TRANSLATED.values()) & set(TRANSLATED)


@pytest.mark.parametrize(
    ("people", "orders", "who", "amount", "state", "paid", "name"),
    [
        ("kunden", "bestellungen", "kunden_id", "gesamtbetrag", "zustand", "bezahlt", "vorname"),
        ("clientes", "pedidos", "id_cliente", "total", "estado", "pagado", "nombre"),
        ("customers", "orders", "id_customer", "total_paid", "state", "paid", "given"),
    ],
)
def test_a_shop_in_another_language(
    people: str, orders: str, who: str, amount: str, state: str, paid: str, name: str
) -> None:
    canceled = {"bezahlt": "storniert", "pagado": "cancelado"}.get(paid, "canceled")
    on, _ = drafted(
        table(people, **{name: cycle(NAMES), "created_at": days(60)}),
        table(
            orders,
            **{
                who: cycle([*range(1, 11)]),
                "created_at": days(60),
                state: cycle([paid, paid, canceled]),
                amount: [Decimal(i % 9 + 1) for i in range(60)],
            },
        ),
    )
    assert on["signups"].of == people
    assert "by" not in on["signups"].keys
    assert on["revenue"].keys["measure"] == f"sum({amount})"
    assert on["revenue"].keys["where"] == f"{state} = '{paid}'"
    assert on["buying_customers"].keys["measure"] == f"count(distinct {who})"


# --- links, plans and flags ----------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("name", "other"), [("match_players", "match"), ("team_players", "team"), ("player_guests", "room")]
)
def test_a_table_that_links_people_to_something_has_no_signups(name: str, other: str) -> None:
    players = replace(table("players", created_at=days(60)), total=2000)
    ids = {"player_id": cycle([*range(1, 31)]), f"{other}_id": cycle([*range(1, 11)])}
    links = replace(table(name, **ids, joined_at=days(60)), total=5_000_000)
    on, _ = drafted(players, table(plural(other), created_at=days(60)), links)
    assert on["signups"].of == "players"


def test_stays_that_were_canceled_do_not_take_place_although_their_end_is_planned() -> None:
    stays = table(
        "reservations",
        booked_at=days(60),
        check_in=days(60, after=5),
        check_out=days(60, after=7),
        status=cycle(["checked_out", "checked_out", "cancelled"]),
    )
    on, _ = drafted(replace(stays, now=datetime(2026, 2, 1, tzinfo=UTC).timestamp()))
    assert on["active_reservations"].keys["where"] == "status <> 'cancelled'"
    assert on["new_reservations"].keys["time"] == "booked_at"
    assert on["ended_reservations"].keys["where"] == "status <> 'cancelled'"


@pytest.mark.parametrize("flag", ["paid", "is_settled", "captured"])
def test_a_flag_says_which_invoices_are_paid(flag: str) -> None:
    rows = table("invoices", total=[Decimal(9)] * 60, **{flag: cycle([1, 1, 0])})
    found = money_rows(Seen(), rows, str)
    assert (found.where, found.why) == (f"{flag} = 1", f"rows left out: 20 without {flag}")


def test_a_number_that_jumps_is_no_state_whatever_its_table_is_called() -> None:
    rows = keyless(
        "portfolio_snapshots", day_column("day", DAYS), column("originations", [50 + 431 * i % 997 for i in range(60)])
    )
    assert daily_number(rows, rows.columns[0], rows.columns[1]).sort == UNKNOWN


def test_a_decision_that_comes_with_its_time_is_no_dimension() -> None:
    decided = days(60, after=2, every=2)
    rows = table(
        "applications", submitted_at=days(60), decided_at=decided, verdict=["yes" if d else None for d in decided]
    )
    assert not all_dimensions(rows)
