"""Traps of days: zones, sessions, forms of times, ranges that are compared.

Each wrong number is acted out on a real database, beside the right one."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from decimal import Context, Decimal

import pytest

from tests.projects import everywhere, project, sampled_everywhere
from tests.trap_tables import events

__all__ = ["project"]


def hours(first: str, last: str, step: timedelta) -> list[tuple[str]]:
    at, end = datetime.fromisoformat(first), datetime.fromisoformat(last)
    found = []
    while at < end:
        found.append((str(at),))
        at += step
    return found


TICKS = """
    [metrics.ticks]
    table = "ticks"
    time = "seen_at"
    measure = "count(*)"
"""


@pytest.mark.parametrize("indexed", [True, False], ids=["a statement a day", "one scan"])
@sampled_everywhere
def test_days_of_23_and_25_hours_have_23_and_25_hours(project, kind, indexed):
    found = project(kind, now="2024-11-01T12:00")
    rows = hours("2024-03-29", "2024-04-03", timedelta(hours=1)) + hours("2024-10-25", "2024-10-30", timedelta(hours=1))
    found.table("ticks (seen_at timestamp)", rows)
    if indexed:
        found.execute("create index ticks_at on ticks (seen_at)")
    found.declare(TICKS, timezone="Europe/Berlin", start="2024-03-30")
    found.run()
    spring = found.both("ticks", from_="2024-03-30", to="2024-04-01")
    assert spring == {"2024-03-30": 24, "2024-03-31": 23, "2024-04-01": 24}
    autumn = found.both("ticks", from_="2024-10-26", to="2024-10-28")
    assert autumn == {"2024-10-26": 24, "2024-10-27": 25, "2024-10-28": 24}
    assert found.both("ticks", scope="week", from_="2024-10-26", to="2024-10-27") == {"2024-10-21": 49}


@sampled_everywhere
def test_half_hours_are_kept_where_zones_have_them(project, kind):
    found = project(kind, now="2024-11-01T12:00")
    half = timedelta(minutes=30)
    found.table(
        "ticks (seen_at timestamp)",
        hours("2024-04-05", "2024-04-10", half) + hours("2024-10-04", "2024-10-09", half),
    )
    found.declare(TICKS, timezone="Australia/Lord_Howe", start="2024-04-06")  # summer time is half an hour
    found.run()
    assert list(found.both("ticks", from_="2024-04-06", to="2024-04-08").values()) == [48, 49, 48]
    assert list(found.both("ticks", from_="2024-10-05", to="2024-10-07").values()) == [48, 47, 48]
    found.declare(TICKS, timezone="Asia/Kolkata", start="2024-04-05", store="kolkata")
    found.run()
    first, second = found.both("ticks", from_="2024-04-05", to="2024-04-06").values()
    assert (first, second) == (37, 48), "5 April began in Kolkata before the first row, and ends at 18:30 UTC"


@pytest.mark.parametrize("kind", ["duckdb", "postgresql", "mariadb"])
def test_instants_fall_on_the_book_s_days_and_need_no_start(project, kind):
    """DuckDB's Python gives instants only with pytz, which nothing here depends on."""
    found = project(kind, now="2024-01-04T12:00")
    found.execute("set time_zone = '+00:00'" if kind == "mariadb" else "select 1")
    stamps = ["2024-01-02 04:59:59.999999", "2024-01-02 05:00:00", "2024-01-03 04:59:59"]
    found.table("ticks (seen_at timestamptz)", [(at if kind == "mariadb" else at + "+00",) for at in stamps])
    found.declare(TICKS, timezone="America/New_York", start="")
    found.run()
    assert found.ask("ticks", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 2}
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 2}


@pytest.mark.parametrize("column", ["timestamp", "timestamptz"])
def test_postgresql_s_session_zone_and_date_style_move_no_day(project, postgresql_admin, column):
    found = project("postgresql", now="2024-01-05T12:00")
    offset = "+00" if column == "timestamptz" else ""
    stamps = [
        ("2024-01-01 10:30:00" + offset,),
        ("2024-01-01 23:59:59" + offset,),
        ("2024-01-02 00:00:00" + offset,),
    ]
    found.table(f"ticks (seen_at {column})", stamps)
    name, user = found.database.url.database, found.database.url.username
    for who in (f"database {name}", f"role {user} in database {name}"):
        postgresql_admin.execute(f"alter {who} set timezone = 'Pacific/Kiritimati'")  # 14 hours ahead
        postgresql_admin.execute(f"alter {who} set datestyle = 'German'")
    fresh = "fresh = \"select max(seen_at) + interval '2 days' from ticks\""
    found.declare(TICKS, source=fresh, start="")
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 2, "2024-01-02": 1}


def test_the_zone_of_the_process_moves_no_day(project, monkeypatch):
    import time

    monkeypatch.setenv("TZ", "Pacific/Kiritimati")
    time.tzset()
    try:
        for kind in ("sqlite", "duckdb"):
            found = events(project(kind))
            assert found.both("events", from_="2024-01-07", to="2024-01-08") == {
                "2024-01-07": 1,
                "2024-01-08": 1,
            }
    finally:
        monkeypatch.undo()
        time.tzset()


def test_mariadb_s_convert_tz_is_not_used_for_it_knows_no_zones(project, mariadb_admin):
    with mariadb_admin.cursor() as cursor:
        cursor.execute("select convert_tz('2024-01-01 00:00:00', 'UTC', 'Europe/Berlin')")
        assert cursor.fetchone() == (None,), "zone tables are loaded here: this test shows nothing"
    found = project("mariadb", now="2024-01-05T12:00")
    found.table("ticks (seen_at timestamp)", [("2024-01-01 22:59:59",), ("2024-01-01 23:00:00",)])
    found.declare(TICKS, timezone="Europe/Berlin")
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


def test_mariadb_s_session_zone_moves_no_instant(project):
    found = project("mariadb", now="2024-01-05T12:00")
    found.table("ticks (seen_at timestamptz)", [("2024-01-01 23:30:00",), ("2024-01-02 00:30:00",)])
    found.url += "?init_command=set+time_zone='%2B09:00'"
    found.declare(TICKS)
    found.run()
    assert found.both("ticks", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


@sampled_everywhere
def test_local_times_and_plain_dates_are_the_days_they_say(project, kind):
    found = project(kind, now="2024-11-01T12:00")
    found.table(
        "ticks (seen_at timestamp, day date)",
        [
            ("2024-10-27 00:00:00", "2024-10-27"),
            ("2024-10-27 02:30:00", "2024-10-27"),
            ("2024-10-27 23:59:59", "2024-10-27"),
        ],
    )
    found.declare("""
        [metrics.ticks]
        table = "ticks"
        time = "seen_at"
        stored = "local"
        measure = "count(*)"

        [metrics.by_date]
        table = "ticks"
        time = "day"
        measure = "count(*)"
    """, timezone="Europe/Berlin", start="2024-10-26")  # fmt: skip
    found.run()
    for metric in ("ticks", "by_date"):
        assert list(found.both(metric, from_="2024-10-26", to="2024-10-28").values()) == [0, 3, 0]


def test_a_formula_beyond_what_a_float_holds_is_unknown_and_says_so(project):
    found = project("sqlite", now="2024-01-05T12:00")
    found.table("sizes (seen_at timestamp, x real, y real)", [("2024-01-01 12:00:00", -1e150, -1e-300)])
    found.declare("""
        [metrics.x]
        table = "sizes"
        time = "seen_at"
        measure = "min(x)"

        [metrics.y]
        table = "sizes"
        time = "seen_at"
        measure = "min(y)"

        [metrics]
        quotient.measure = "x / y"
        hidden.measure = "coalesce(x / y, 0)"
        inverse.measure = "1 / (x * x * x)"
        large.measure = "round(x / 2, 2)"
    """)
    found.run()
    for metric in ("quotient", "hidden", "inverse"):
        (row,) = found.rows(metric, from_="2024-01-01", to="2024-01-01")
        assert row[metric] is None
        assert row["notes"][metric]["why"] == "the result is not a finite number"
    assert found.values("large", from_="2024-01-01", to="2024-01-01")["large"] == [-5e149]


def test_a_week_of_three_days_is_held_against_three_days_of_the_last(project):
    """On a Thursday morning the week has 3 of its 7 days: 6 signups against last week's 14 look like a fall of 57 %."""
    found = project("sqlite", now="2024-01-18T06:00")
    days = [f"2024-01-{day:02d}" for day in range(8, 18)]
    found.table("ticks (seen_at timestamp)", [(f"{day} 12:00:00",) for day in days for _ in range(2)])
    found.declare(TICKS, start="2024-01-08")
    found.run()
    last, running = found.rows("ticks", scope="week", from_="2024-01-08", to="2024-01-17", compare="previous")
    assert (running["ticks"], running["days"], running["days_expected"], running["complete"]) == (6, 3, 7, False)
    assert (running["ticks_previous"], running["ticks_change"]) == (6, 0.0)
    assert (last["ticks"], last["complete"]) == (14, True)


def test_a_percentage_is_withheld_where_the_days_before_were_not_collected(project):
    """Last week only Wednesday was collected: 14 against its 2 would be a rise of 600 %."""
    found = project("sqlite", now="2024-01-22T06:00")
    days = [f"2024-01-{day:02d}" for day in range(8, 22)]
    found.table("ticks (seen_at timestamp)", [(f"{day} 12:00:00",) for day in days for _ in range(2)])
    found.declare(TICKS, start="2024-01-15", lookback="0d")
    found.run()
    found.run(from_="2024-01-10", to="2024-01-10")
    (row,) = found.rows("ticks", scope="week", from_="2024-01-15", to="2024-01-21", compare="previous")
    assert (row["ticks"], row["ticks_previous"], row["ticks_change"]) == (14, 2, None)
    assert row["notes"]["ticks_change"] == {"why": "7 of 7 days are collected, then 1 of 7: not the same days"}


def test_a_formula_of_exact_numbers_has_all_their_digits(project):
    """29 digits: Python rounds decimals to 28 unless told otherwise."""
    found = project("sqlite", now="2024-01-05T12:00")
    found.table("sold (seen_at timestamp, units bigint, price decimal(13, 1))", [
        ("2024-01-01 12:00:00", 9007199254740993, "999999999999.9"), ("2024-01-02 12:00:00", 1, "0.1"),
    ])  # fmt: skip
    found.declare("""
        [metrics.units]
        table = "sold"
        time = "seen_at"
        measure = "sum(units)"

        [metrics.price]
        table = "sold"
        time = "seen_at"
        measure = "max(price)"

        [metrics]
        product.measure = "units * price"
        more.measure = "-(units * price + 0.1) * -1"
    """)
    found.run()
    (row, _) = found.rows("product", "more", from_="2024-01-01", to="2024-01-02")
    assert row["product"] == Decimal(9007199254740993 * 9999999999999).scaleb(-1, Context(prec=60))
    assert row["more"] == Decimal(9007199254740993 * 9999999999999 + 1).scaleb(-1, Context(prec=60))


@sampled_everywhere
def test_a_local_time_that_no_clock_showed_is_of_the_day_it_says(project, kind):
    """In São Paulo the clocks went from 23:59:59 on the 14th to 01:00 on the 15th."""
    found = project(kind, now="2017-11-01T12:00")
    times = ["2017-10-14 23:59:59", "2017-10-15 00:00:00", "2017-10-15 00:30:00", "2017-10-15 01:00:00"]
    found.table("ticks (seen_at timestamp)", [(each,) for each in times])
    found.table("texts (seen_at varchar(40))", [(each,) for each in times])
    declared = TICKS + '\n    stored = "local"\n'
    texts = declared.replace("metrics.ticks", "metrics.texts").replace('"ticks"', '"texts"')
    found.declare(declared + texts, timezone="America/Sao_Paulo", start="2017-10-14")
    found.run()
    for metric in ("ticks", "texts"):
        assert list(found.both(metric, from_="2017-10-14", to="2017-10-16").values()) == [1, 3, 0]


@pytest.mark.parametrize(("stored", "factor"), [("epoch_s", 1), ("epoch_ms", 1000)])
@sampled_everywhere
def test_seconds_since_1970_fall_on_local_days(project, kind, stored, factor):
    found = project(kind, now="2024-01-05T12:00")
    midnight = int(datetime(2024, 1, 1, 23, tzinfo=UTC).timestamp())  # in Berlin
    found.table(
        "ticks (seen_at bigint)",
        [((midnight - 1) * factor,), (midnight * factor,), ((midnight + 1) * factor,)],
    )
    found.declare(TICKS + f'\n    stored = "{stored}"\n', timezone="Europe/Berlin")
    found.run()
    assert list(found.both("ticks", from_="2024-01-01", to="2024-01-02").values()) == [1, 2]


FORMS = {
    "a_space": ["2024-01-02 04:59:59.999", "2024-01-02 05:00", "2024-01-02 05:00:00.5"],
    "a_t": ["2024-01-02T04:59:59.999", "2024-01-02T05:00", "2024-01-02T05:00:00.5"],
    "a_z": ["2024-01-02T04:59:59.999Z", "2024-01-02T05:00:00Z", "2024-01-02T05:00:00.500Z"],
    "a_space_and_z": ["2024-01-02 04:59:59.999Z", "2024-01-02 05:00:00Z", "2024-01-02 05:00:00.500Z"],
}


@pytest.mark.cases(2)
@everywhere
def test_times_in_text_are_compared_in_their_own_form(project, kind):
    """As texts, '2024-01-02T04…' is greater than '2024-01-02 05…'."""
    found = project(kind, now="2024-01-05T12:00")
    for form, texts in FORMS.items():
        found.table(f"{form} (seen_at varchar(40))", [(text,) for text in texts])
    declared = "".join(TICKS.replace("metrics.ticks", f"metrics.{f}").replace('"ticks"', f'"{f}"') for f in FORMS)
    for start in ("2024-01-01", ""):
        found.declare(declared, timezone="America/New_York", start=start, store=f"book{start}")
        found.run()
        assert found.values(*FORMS, from_="2024-01-01", to="2024-01-02") == {form: [1, 2] for form in FORMS}


OFFSETS = {
    "2024-01-02T10:29:59.999999+05:30": "2024-01-01",  # as Python writes it, a microsecond before midnight
    "2024-01-01T19:00:00-10:00": "2024-01-02",
    "2024-01-02T19:00:00+14:00": "2024-01-02",
    "2024-01-02T04:59:59Z": "2024-01-01",
    "2024-01-02 05:00:00.123456+00:00": "2024-01-02",
    "2024-01-02T10:30+05:30": "2024-01-02",
    "2024-01-02 04:59:59.9+00": "2024-01-01",  # as PostgreSQL writes it
    "2024-01-02T10:30:00+0530": "2024-01-02",
}


@everywhere
def test_times_with_an_offset_in_text_are_instants_and_none_is_lost(project, kind):
    """SQLite reads '+00' and '+0530' as null, and rounds the last half millisecond of a day to the next."""
    found = project(kind, now="2024-01-05T12:00")
    found.table("ticks (seen_at varchar(40))", [(text,) for text in OFFSETS])
    found.declare(
        TICKS + '    stored = "offset"\n    by = ["seen_at"]\n',
        timezone="America/New_York",
        start="2023-12-30",
    )
    found.run()
    by_text = found.both("ticks", by=["seen_at"], from_="2023-12-31", to="2024-01-03")
    assert {text: day for (day, text), n in by_text.items() if n} == OFFSETS


@pytest.mark.parametrize(
    ("texts", "said"),
    [
        (["2024-01-01 10:00:00", "2024-01-01T10:00:00"], "several forms"),
        (["2024-01-01 10:00:00", "2024-01-01T10:00:00Z"], "several forms"),
        (["2024-01-01 10:00:00", "2024-01-01"], "several forms"),
        (["2024-01-01T10:00:00Z", "2024-01-01T10:00:00+02:00"], 'stored = "offset"'),
        (["2024-01-01 10:00:00", "yesterday"], "which is no time"),
        (["2024-01-01 10:00:00", "01.02.2024"], "which is no time"),
        (["1704103200"], 'stored = "epoch_s"'),
    ],
)
def test_times_in_several_forms_or_in_none_are_refused(project, texts, said):
    found = project(now="2024-01-05T12:00")
    column = "seen_at" if texts[0].isdigit() else "seen_at text"  # a column without a type keeps the number
    found.table(f"ticks ({column})", [(int(t) if t.isdigit() else t,) for t in texts])
    found.declare(TICKS)
    assert said in found.run_fails()


@sampled_everywhere
def test_columns_may_be_called_at_order_group_and_select(project, kind):
    q = "`" if kind == "mariadb" else '"'
    found = project(kind, now="2024-01-05T12:00")
    found.table(
        f"{q}table{q} ({q}at{q} timestamp, {q}order{q} varchar(10), {q}group{q} varchar(10), {q}select{q} int)",
        [("2024-01-01 10:00:00", "a", "x", 1), ("2024-01-01 11:00:00", "a", "y", 2)],
    )
    found.declare(f"""
        [metrics.picked]
        table = "table"
        time = "at"
        measure = 'sum({q}select{q})'
        by = ["order", "group"]
    """)
    found.run()
    assert found.both("picked", by=["order"], from_="2024-01-01", to="2024-01-01") == {("2024-01-01", "a"): 3}
    assert found.both("picked", by=["group"], where=["order=a"], from_="2024-01-01", to="2024-01-01") == {
        ("2024-01-01", "x"): 1,
        ("2024-01-01", "y"): 2,
    }
