"""What went wrong in the drafts of applications that were never seen before, each on the smallest database of its kind."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path

import pytest

from tallybook.draft import Draft, preview
from tallybook.draft.table_guesses import Idea
from tallybook.draft.words import words
from tests.draft.test_drafted_tables import drafted, many

AT = datetime(2026, 3, 31, 12, tzinfo=UTC)
"""When the last seven days are asked: after the last day of `many`."""
USERS = "create table users (id integer primary key, email text, country text, status text, created_at text);" + many(
    "users", "i, 'u' || i || '@x', case i % 2 when 0 then 'DE' else 'US' end, 'open', day(i)", 90
)


def on(made: Draft) -> dict[str, Idea]:
    return {idea.name: idea for idea in made.metrics}


def off(made: Draft) -> dict[str, Idea]:
    return {idea.name: idea for idea in made.spare}


# --- who was active ------------------------------------------------------------------------------------------


def test_the_table_with_the_most_people_shows_who_was_active_and_not_the_one_with_the_most_rows(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table positions (id integer primary key, user_id integer, created_at text);"
        + many("positions", "i, 1 + i % 9, day(i)", 3000)
        + "create table reads (id integer primary key, user_id integer, created_at text);"
        + many("reads", "i, 1 + i % 80, day(i)", 320),
    )
    active = on(made)["active_users"]
    assert active.keys["table"] == "reads"
    assert active.why["measure"] == "80 users in 28 days; positions 9"


def test_who_did_it_is_named_by_the_type_beside_the_id(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table activity_log (id integer primary key, subject_type text, subject_id integer, causer_type text, "
        "causer_id integer, created_at text);"
        + many("activity_log", r"i, 'App\Team', 3, 'App\User', 1 + i % 70, day(i)", 300),
    )
    assert on(made)["active_users"].keys["measure"] == "count(distinct causer_id)"


@pytest.mark.parametrize("types", ["'App.User'", "case i % 2 when 0 then 'App.User' else 'App.Robot' end"])
def test_ids_of_two_types_are_nobodys(tmp_path: Path, types: str) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table clicks (id integer primary key, causer_type text, causer_id integer, created_at text);"
        + many("clicks", f"i, {types}, 1 + i % 70, day(i)", 300),
    )
    assert ("active_users" in on(made)) == (types == "'App.User'")


# --- money ---------------------------------------------------------------------------------------------------

PLANS = (
    "create table plans (id integer primary key, slug text, price decimal(9,2), period text);"
    "insert into plans values (1, 'basic', 9, 'month'), (2, 'pro', 120, 'year');"
    "create table subscriptions (id integer primary key, user_id integer, plan text, created_at text, ends_at text);"
)


@pytest.mark.parametrize(("plan", "known"), [("pro", True), ("old", False)])
def test_the_price_is_in_the_plan_that_a_subscription_names_by_a_code(tmp_path: Path, plan: str, known: bool) -> None:
    rows = f"i, i, case i % 2 when 0 then 'basic' else '{plan}' end, day(i), case when i > 50 then date(day(i), '+9 days') end"
    made = drafted(tmp_path, USERS + PLANS + many("subscriptions", rows))
    assert ("mrr" in on(made)) == known
    if known:
        assert on(made)["mrr"].keys["join"] == "plans on plans.slug = plan"


def test_payments_of_bills_of_customers_are_revenue(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table patients (id integer primary key, created_at text);"
        + many("patients", "i, day(i)")
        + "create table bills (id integer primary key, patient_id integer, created_at text);"
        + many("bills", "i, i, day(i)")
        + "create table bill_payments (id integer primary key, bill_id integer, amount decimal(9,2), created_at text);"
        + many("bill_payments", "i, i, 5.25, day(i)"),
    )
    assert on(made)["revenue"].keys["table"] == "bill_payments"


def test_payments_of_bills_of_nobody_are_no_revenue(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table bills (id integer primary key, supplier text, created_at text);"
        + many("bills", "i, 's' || i, day(i)")
        + "create table bill_payments (id integer primary key, bill_id integer, amount decimal(9,2), created_at text);"
        + many("bill_payments", "i, i, 5.25, day(i)"),
    )
    assert "revenue" not in on(made)


@pytest.mark.parametrize(
    ("values", "measure", "decimals"),
    [
        ("5.25", "sum(amount)", None),
        ("5.25 + (i % 3) / 1000.0", "sum(amount)", 4),
        ("i / 7.0", "sum(cast(amount as real))", None),
    ],
)
def test_sqlite_keeps_more_decimals_than_a_column_declares(
    tmp_path: Path, values: str, measure: str, decimals: int | None
) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table payments (id integer primary key, user_id integer, amount numeric(9,2), paid_at text);"
        + many("payments", f"i, i, {values}, day(i)")
        + "create table daily_costs (day date primary key, amount numeric(9,2));"
        + f"insert into daily_costs select date('2026-02-01', '+' || id || ' days'), {values.replace('i', 'id')} from payments;",
    )
    previews = {one.metric: one for one in preview(made, f"sqlite:///{tmp_path / 'app.db'}", AT, check=True)}
    sums = {idea.of: idea.keys for idea in [*made.metrics, *made.spare] if "amount" in idea.keys["measure"]}
    assert set(sums) == {"payments", "daily_costs"}
    for keys in sums.values():
        assert (keys["measure"], keys.get("decimals")) == (measure, decimals)
    assert previews["revenue"].plain
    assert previews["revenue"].agrees
    assert not previews["revenue"].problem


def test_a_metric_that_cannot_be_read_says_so_in_the_preview(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table payments (id integer primary key, user_id integer, amount numeric(9,2), paid_at text);"
        + many("payments", "i, i, 5.25, day(i)"),
    )
    with closing(sqlite3.connect(tmp_path / "app.db")) as database, database:
        database.execute("update payments set amount = 1 / 7.0 where paid_at > '2026-03-20'")
    previews = {one.metric: one for one in preview(made, f"sqlite:///{tmp_path / 'app.db'}", AT)}
    assert "more digits than numeric(9,2)" in previews["revenue"].problem
    assert not previews["signups"].problem


def test_times_with_offsets_are_compared_with_plain_sql_as_instants(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table payments (id integer primary key, user_id integer, amount numeric(9,2), paid_at text);"
        + many("payments", "i, i, 5.25, day(i) || 'T21:30:00-07:00'"),
    )
    previews = {one.metric: one for one in preview(made, f"sqlite:///{tmp_path / 'app.db'}", AT, check=True)}
    revenue = previews["revenue"]
    assert "unixepoch(`paid_at`) >= " in revenue.sql
    assert revenue.answer == Decimal("73.5")
    assert revenue.agrees


# --- which rows count ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("flag", ["voided", "is_void", "removed"])
def test_rows_that_are_void_do_not_count(tmp_path: Path, flag: str) -> None:
    made = drafted(
        tmp_path,
        f"create table visits (id integer primary key, visitor_id integer, {flag} boolean, started_at text);"
        + many("visits", "i, i % 9, i % 5 = 0, day(i)"),
    )
    assert on(made)["visits"].keys["where"] == f"{flag} = false"


def test_new_reservations_name_the_canceled_ones(tmp_path: Path) -> None:
    state = "case i % 3 when 0 then 'canceled' when 1 then 'no_show' else 'confirmed' end"
    made = drafted(
        tmp_path,
        USERS
        + "create table reservations (id integer primary key, user_id integer, check_in date, check_out date, status text, "
        "created_at text);"
        + many("reservations", f"i, i, date(day(i), '+3 days'), date(day(i), '+6 days'), {state}, day(i)"),
    )
    (unsure,) = on(made)["new_reservations"].unsure
    assert unsure == (
        "status no_show (20), canceled (20) counts, too; without these rows: "
        "where = \"status not in ('no_show', 'canceled')\""
    )


def test_new_subscriptions_say_nothing_of_those_that_ended_later(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table subscriptions (id integer primary key, user_id integer, status text, created_at text, ended_at text);"
        + many(
            "subscriptions",
            "i, i, case when i > 40 then 'canceled' else 'active' end, day(i), case when i > 40 then date(day(i), '+9 days') end",
        ),
    )
    assert on(made)["new_subscriptions"].unsure == []


def test_a_condition_on_a_column_that_both_tables_have_keeps_the_join(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table orders (id integer primary key, user_id integer references users (id), amount decimal(9,2), "
        "status text, created_at text);"
        + many("orders", "i, i, 5.25, case i % 3 when 0 then 'pending' when 1 then 'canceled' else 'paid' end, day(i)"),
    )
    revenue = on(made)["revenue"].keys
    assert revenue["join"] == "users on users.id = user_id"
    assert revenue["by"] == ["country"]
    assert revenue["where"] == "orders.status = 'paid'"


def test_what_is_valid_from_a_day_until_another_is_a_contract(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        USERS
        + "create table licenses (id integer primary key, user_id integer, valid_from date, valid_until date);"
        + many("licenses", "i, i, day(i), case when i % 3 = 0 then date(day(i), '+9 days') end"),
    )
    level = on(made)["active_licenses"].keys
    assert (level["from"], level["until"]) == ("valid_from", "valid_until")


# --- numbers of a day ------------------------------------------------------------------------------------------


@pytest.mark.parametrize("column", ["unique_listeners", "viewers", "distinct_users", "unique_clicks", "listeners"])
def test_different_people_of_a_day_do_not_add_up(tmp_path: Path, column: str) -> None:
    made = drafted(
        tmp_path,
        f"create table daily_stats (day date primary key, {column} integer, hits integer);"
        "insert into daily_stats with recursive n (i) as (select 1 union all select i + 1 from n where i < 30) "
        "select date('2026-02-01', '+' || i || ' days'), 50 + (i * 7) % 30, 200 + (i * 37) % 90 from n;",
    )
    kinds = {idea.keys["measure"]: idea.keys.get("kind", "flow") for idea in made.metrics}
    assert kinds == {f"sum({column})": "uniques", "sum(hits)": "flow"}


def test_the_same_number_split_further_is_a_comment(tmp_path: Path) -> None:
    days = "with recursive n (i) as (select 0 union all select i + 1 from n where i < 59) select date('2026-02-01', '+' || (i / 2) || ' days')"
    made = drafted(
        tmp_path,
        "create table traffic (day date primary key, hits integer);"
        "insert into traffic with recursive n (i) as (select 0 union all select i + 1 from n where i < 29) "
        "select date('2026-02-01', '+' || i || ' days'), 200 + (i * 37) % 90 from n;"
        "create table traffic_by_country (day date, country text, hits integer, primary key (day, country));"
        f"insert into traffic_by_country {days}, case i % 2 when 0 then 'DE' else 'US' end, 100 + (i * 37) % 45 from n;",
    )
    assert [idea.of for idea in made.metrics] == ["traffic"]
    (split,) = off(made).values()
    assert split.doubt == "traffic has the same number, not split further"


# --- lists of what exists, names -------------------------------------------------------------------------------


def test_a_short_table_that_all_rows_of_another_refer_to_lists_what_exists(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table wards (id integer primary key, name text, created_at text);"
        + many("wards", "i, 'w' || i, day(i)", 6)
        + "create table treatments (id integer primary key, ward_id integer, created_at text);"
        + many("treatments", "i, 1 + i % 6, day(i)", 200),
    )
    assert set(on(made)) == {"new_treatments"}
    assert off(made)["new_wards"].doubt == "the table is a list of what exists"


@pytest.mark.parametrize(
    ("name", "english"),
    [
        ("pagada", "paid"),
        ("pagadas", "paid"),
        ("anulados", "canceled"),
        ("facture_payée", "paid"),
        ("annulées", "canceled"),
        ("pagata", "paid"),
        ("completadas", "completed"),
    ],
)
def test_participles_are_read_in_every_gender_and_number(name: str, english: str) -> None:
    assert words(name)[-1] == english


@pytest.mark.parametrize("name", ["data", "metadata", "payee", "employees", "dates", "trustee"])
def test_english_words_are_no_participles(name: str) -> None:
    assert words(name) == (name,)


def test_incidents_in_spanish_are_open_until_they_are_closed(tmp_path: Path) -> None:
    made = drafted(
        tmp_path,
        "create table incidencias (id integer primary key, tipo text, fecha_apertura text, fecha_cierre text);"
        + many("incidencias", "i, 'retraso', day(i), case when i % 3 > 0 then date(day(i), '+4 days') end"),
    )
    level = on(made)["open_incidents"].keys
    assert (level["from"], level["until"]) == ("fecha_apertura", "fecha_cierre")
