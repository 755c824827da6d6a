"""How candidates of a draft are scored: function by function, on columns made by hand."""

from __future__ import annotations

from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from tallybook.collect import DEC, INT, TEXT, TIMESTAMP, ColumnType, TimeForm
from tallybook.draft.amounts import amount_of, other_amounts
from tallybook.draft.columns import all_dimensions, changes, dimensions, is_private
from tallybook.draft.daily_columns import FLOW, SHARE, STATE, UNKNOWN, daily_number
from tallybook.draft.references import actors_of, reference
from tallybook.draft.row_filters import counted_rows, money_rows
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.time_words import BEGUN, BORN, PAID
from tallybook.draft.times import end_column, time_of
from tallybook.draft.words import bare_name, shared_prefix, stem, terms, words

START = datetime(2026, 1, 1)


def column(name: str, cells: list[Any], *, key: bool = False, refers: tuple[str, str] | None = None) -> SeenColumn:
    values = tuple(cell for cell in cells if cell is not None)
    first = values[0] if values else None
    kinds = {int: INT, str: TEXT, datetime: TIMESTAMP, Decimal: DEC}
    kind = ColumnType(kinds.get(type(first), TEXT), 2 if isinstance(first, Decimal) else None)
    time = TimeForm("naive") if isinstance(first, datetime) else None
    return SeenColumn(name, kind, values, len(cells) - len(values), key, refers, time, None, tuple(cells))


def table(name: str, **columns: list[Any]) -> SeenTable:
    rows = len(next(iter(columns.values())))
    key = column("id", list(range(1, rows + 1)), key=True)
    made = (key, *(column(name, cells) for name, cells in columns.items()))
    return SeenTable(name, made, rows, (("id",),), rows, bare_name(name))


def days(number: int = 40, *, after: int = 0, every: int = 1) -> list[datetime | None]:
    """A time a day; with `every` only in each so manieth row."""
    return [START + timedelta(days=i + after, hours=i % 5) if i % every == 0 else None for i in range(number)]


def named(found: SeenColumn | None) -> str | None:
    return found.name if found else None


# --- times -----------------------------------------------------------------------------------------------------


def test_a_time_that_most_rows_lack_is_not_the_time_of_money() -> None:
    invoices = table(
        "invoices", created_at=days(), payment_dispute_lost_at=days(after=9, every=4), payment_due_date=days(after=30)
    )
    assert named(time_of(invoices, PAID + BORN)) == "created_at"
    rarely_paid = table("invoices", created_at=days(), paid_at=days(after=2, every=4))
    assert named(time_of(rarely_paid, PAID + BORN)) == "created_at"
    mostly_paid = table("invoices", created_at=days(), paid_at=[*days(30, after=2), *[None] * 10])
    assert named(time_of(mostly_paid, PAID + BORN)) == "paid_at"


def test_what_came_later_than_the_row_is_not_its_time() -> None:
    for later in ("updated_at", "last_seen_at", "confirmed_at", "expires_at", "deleted_at", "overdue_since"):
        assert named(time_of(table("users", **{later: days(after=3), "joined": days()}), BORN)) == "joined"


def test_contracts_begin_when_they_start_and_end_when_they_end() -> None:
    found = table(
        "subscriptions",
        created_at=days(),
        started_at=days(after=1),
        trial_ends_at=days(after=14),
        canceled_at=days(after=20, every=20),
        terminated_at=days(after=25, every=2),
    )
    begun = time_of(found, BEGUN + BORN)
    assert begun is not None
    assert begun.name == "started_at"
    assert named(end_column(found, begun)) == "terminated_at"


# --- amounts ---------------------------------------------------------------------------------------------------


def test_a_part_of_an_amount_is_not_the_amount() -> None:
    fees = [100 + i for i in range(40)]
    found = table(
        "invoices",
        taxes_amount_cents=[f // 5 for f in fees],
        fees_amount_cents=fees,
        coupons_amount_cents=[1] * 40,
        total_amount_cents=[f + f // 5 for f in fees],
    )
    assert named(amount_of(found)) == "total_amount_cents"
    chosen = amount_of(found)
    assert chosen is not None
    assert "taxes_amount_cents" not in [c.name for c in other_amounts(found, chosen)]


@pytest.mark.parametrize(
    "name", ["tax", "discount_amount", "refunded_amount", "shipping_price", "tip", "credit_balance"]
)
def test_some_amounts_are_never_revenue(name: str) -> None:
    assert amount_of(table("orders", **{name: [Decimal(1), Decimal(2)]})) is None


def test_a_flag_is_no_amount() -> None:
    assert amount_of(table("bookings", paid=[0, 1, 1] * 9)) is None


def test_an_amount_that_is_always_zero_is_none() -> None:
    found = table("payments", total=[Decimal(0)] * 9, price=[Decimal(5)] * 9)
    assert named(amount_of(found)) == "price"


# --- references ------------------------------------------------------------------------------------------------


def test_the_longest_name_and_a_partner_decide_a_reference() -> None:
    customers, providers = table("customers", a=[1] * 9), table("payment_provider_customers", a=[1] * 9)
    ids = [1 + i % 9 for i in range(30)]
    payments = table(
        "payments", payment_provider_customer_id=ids, customer_id=ids, agent_id=[900 + i for i in range(30)]
    )
    agents = table("agents", a=[1] * 9)
    seen = Seen(tables=[customers, providers, payments, agents])
    for name, expected in (
        ("payment_provider_customer_id", "payment_provider_customers"),
        ("customer_id", "customers"),
        ("agent_id", None),  # none of its values is there
    ):
        found = payments.column(name)
        assert found is not None
        other = reference(seen, payments, found)
        assert (other[0].name if other else None) == expected


def test_who_reviewed_or_was_followed_did_not_do_it() -> None:
    users = table("users", a=[1] * 30)
    ids = [1 + i % 30 for i in range(90)]
    posts = table("posts", moderator_id=ids, user_id=ids, updated_by_id=ids)
    assert [(c.name, entity) for c, entity in actors_of(Seen(tables=[users, posts]), posts)] == [("user_id", "user")]


# --- which rows count ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("values", "where"),
    [
        (["succeeded", "failed", "pending"], "status = 'succeeded'"),
        (["paid", "refunded", "void"], "status = 'paid'"),
        (["fulfilled", "unfulfilled", "canceled", "draft"], "status not in ('canceled', 'draft')"),
        (["wc-completed", "wc-processing", "wc-cancelled"], "status in ('wc-completed', 'wc-processing')"),
        (["red", "green"], ""),
    ],
)
def test_states_of_money(values: list[str], where: str) -> None:
    found = table("orders", status=[value for value in values for _ in range(9)])
    assert money_rows(Seen(tables=[found]), found, str).where == where


def test_codes_are_named_with_their_numbers_of_rows() -> None:
    found = money_rows(Seen(), table("invoices", status=[0] * 3 + [1] * 20 + [2] * 5), str)
    assert not found.where
    assert "0 (3), 1 (20), 2 (5)" in found.unsure[0]
    assert 'where = "status = 1"' in found.unsure[0]


def test_junk_and_soft_deletes_are_left_out() -> None:
    found = table("posts", status=["publish", "draft", "trash", "publish"] * 5, deleted_at=days(20, every=5))
    assert counted_rows(found, str, deleted_count=False).where == "status = 'publish' and deleted_at is null"
    assert "deleted_at is set in 4 of 20" in counted_rows(found, str, deleted_count=True).unsure[0]


# --- dimensions ------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("name", ["telephone", "author", "card_last_4_digits", "email", "billing_name", "owner"])
def test_what_is_about_a_person_is_no_dimension(name: str) -> None:
    assert is_private(column(name, ["a", "b"]))


def test_texts_that_look_like_phones_or_cards_are_private() -> None:
    assert is_private(column("code1", ["4242", "1881"]))
    assert is_private(column("reach", ["+49 30 1234", "030-555-11"]))
    assert not is_private(column("size", ["small", "large"]))


@pytest.mark.parametrize(
    "name", ["status", "payment_overdue", "cancellation_reason", "is_suspended", "active", "redeemed"]
)
def test_what_changes_after_the_fact_is_no_dimension(name: str) -> None:
    found = table("orders", **{name: [0, 1] * 10})
    other = found.column(name)
    assert other is not None
    assert changes(found, other)


def test_a_column_that_is_set_with_a_later_time_changes() -> None:
    found = table("orders", note_kind=["x", None, None, None] * 9, refunded_at=days(36, every=4))
    other = found.column("note_kind")
    assert other is not None
    assert changes(found, other)


def test_a_state_of_a_country_is_a_dimension_and_a_state_of_work_is_not() -> None:
    for name, values, region in (
        ("state", ["Texas", "Utah"], True),
        ("billing_state", ["Texas", "Utah"], True),
        ("state", ["shipped", "Utah"], False),
        ("shipment_state", ["Texas", "Utah"], False),
    ):
        found = table("orders", **{name: values * 9})
        other = found.column(name)
        assert other is not None
        assert changes(found, other) is not region


def test_two_dimensions_with_a_bound_on_their_product() -> None:
    many = [f"c{i % 40}" for i in range(400)]
    found = table("users", country=many, region=many, plan=["free", "pro"] * 200, channel=["web", "app"] * 200)
    assert len(all_dimensions(found)) == 4
    assert [c.name for c in dimensions(found)] == ["plan", "country"]


# --- numbers of a day --------------------------------------------------------------------------------------------

NUMBERS_OF_A_DAY = {
    "total_membership": ([2300 + i for i in range(30)], STATE),
    "guests": ([40 + i % 2 for i in range(30)], STATE),
    "posts_ever": ([100_500 + 500 * i for i in range(30)], STATE),
    "stock_value": ([9000 + 40 * (i % 3) for i in range(30)], STATE),
    "percent_public": ([0.30 + i % 8 / 100 for i in range(30)], SHARE),
    "conversion_rate": ([2.5 + i % 4 for i in range(30)], SHARE),
    "uploads": ([20 + 13 * (i % 5) for i in range(30)], FLOW),
    "revenue": ([900 + 310 * (i % 7) for i in range(30)], FLOW),
    "widgets": ([1 + i for i in range(30)], UNKNOWN),
}


@pytest.mark.parametrize("name", NUMBERS_OF_A_DAY)
def test_how_a_number_behaves_from_day_to_day(name: str) -> None:
    values, expected = NUMBERS_OF_A_DAY[name]
    found = table("daily_export", day=days(30), **{name: values})
    day, number = found.column("day"), found.column(name)
    assert day is not None
    assert number is not None
    assert daily_number(found, day, number).sort == expected


# --- words -------------------------------------------------------------------------------------------------------


def test_words_are_compared_without_endings_units_and_prefixes() -> None:
    assert stem("created") == stem("creation") == stem("creates")
    assert terms("total_amount_cents") == ("total", "amount")
    assert terms("taxes_amount_cents") == ("tax", "amount")
    assert terms("post_date", "posts") == ("date",)
    assert bare_name("dim_customers_latest") == "customers"
    assert bare_name("wp_wc_orders") == "orders"
    assert bare_name("student_courseenrollment") == "student_course_enrollment"
    assert bare_name("order_orderline") == "order_line"
    assert bare_name("sales_pipeline") == "sales_pipeline"
    assert words("timecreated") == ("time", "created")
    assert words("lastaccess") == ("last", "access")
    assert shared_prefix(["acme_users", "acme_orders", "acme_carts", "acme_tags"]) == "acme"
    assert shared_prefix(["users", "user_roles", "orders", "order_items"]) == ""
