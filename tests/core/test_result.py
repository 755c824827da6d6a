"""What a Result says, in every form it is read in."""

import csv
import decimal
import io
import json
import math
import subprocess
import sys
from datetime import date, datetime
from decimal import Decimal

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from tallybook.core.errors import TallybookError
from tallybook.core.result.formats import format_number, number_format, parse_format
from tallybook.core.result.result import Result
from tallybook.core.result.values import Column

REVENUE = Column(name="revenue", role="metric", type="decimal", unit="EUR", show="total")
SIGNUPS = Column(name="signups", role="metric", type="integer", show="total")
LATENCY = Column(name="latency", role="metric", type="float", unit="ms", show="total")
PLAN = Column(name="plan", role="dimension", type="text")


def row(day, **values):
    facts = {"complete": True, "days": 31, "days_expected": 31, "approximate": False}
    return {"period": day and date.fromisoformat(day), **facts, **values}


def result(*columns, data, scope="month", explain="How it was computed."):
    return Result(
        metrics=[c.name for c in columns if c.role == "metric"],
        scope=scope,
        timezone="Europe/Berlin",
        week_starts="monday",
        columns=[Column(name="period", role="period", type="date"), *columns],
        data=data,
        explain=explain,
        version=7,
    )


def revenue(*amounts):
    days = ("2026-01-01", "2026-02-01", "2026-03-01", "2026-04-01")
    return result(
        REVENUE,
        data=[row(day, revenue=None if a is None else Decimal(a)) for day, a in zip(days, amounts, strict=False)],
    )


def plans(*names):
    return result(PLAN, SIGNUPS, data=[row("2026-01-01", plan=name, signups=1) for name in names])


# JSON.


def test_json_has_the_documented_keys_in_the_documented_order():
    gap = {"revenue": {"why": "not collected"}}
    answer = result(
        PLAN,
        REVENUE,
        data=[
            row("2026-01-01", revenue=Decimal("1234.50"), plan="pro"),
            row("2026-02-01", revenue=None, plan=None, complete=False, days=0, notes=gap),
            row(None, plan=None, revenue=Decimal("1234.50"), total=True),
        ],
    )
    assert answer.to_json() == (
        '{"metrics":["revenue"],"scope":"month","timezone":"Europe/Berlin","week_starts":"monday",'
        '"columns":[{"name":"period","role":"period","type":"date","unit":null,"show":null},'
        '{"name":"plan","role":"dimension","type":"text","unit":null,"show":null},'
        '{"name":"revenue","role":"metric","type":"decimal","unit":"EUR","show":"total"}],'
        '"rows":[{"period":"2026-01-01","plan":"pro","revenue":1234.5,'
        '"complete":true,"days":31,"days_expected":31,"approximate":false},'
        '{"period":"2026-02-01","plan":null,"revenue":null,'
        '"complete":false,"days":0,"days_expected":31,"approximate":false,'
        '"notes":{"revenue":{"why":"not collected"}}},'
        '{"period":null,"plan":null,"revenue":1234.5,'
        '"complete":true,"days":31,"days_expected":31,"approximate":false,"total":true}],'
        '"explain":"How it was computed."}'
    )


@pytest.mark.parametrize(
    ("amount", "number"),
    [
        ("0.00", "0"),
        ("-0.00", "0"),
        ("1E+3", "1000"),
        ("100", "100"),
        ("-1234.500", "-1234.5"),
        ("0.0000000001", "0.0000000001"),
        ("1234567890123456789012345678.0123456789", "1234567890123456789012345678.0123456789"),
    ],
)
def test_a_decimal_is_a_number_with_all_its_digits_or_a_string_when_exact(amount, number):
    assert f'"revenue":{number},' in revenue(amount).to_json()
    assert f'"revenue":"{number}",' in revenue(amount).to_json(exact=True)


def test_the_callers_decimal_context_changes_no_digit():
    with decimal.localcontext() as context:
        context.prec, context.rounding = 3, decimal.ROUND_FLOOR
        answer = revenue("123456.785")
        assert '"revenue":123456.785' in answer.to_json()
        assert answer.to_csv().splitlines()[1].startswith("2026-01-01,123456.785,")
        assert format_number(Decimal("123456.785"), REVENUE) == "123,456.785 EUR"


def test_making_an_answer_leaves_the_decimal_context_alone():
    before = decimal.getcontext().copy()
    repr(revenue("1.005", "2"))
    assert str(decimal.getcontext()) == str(before)


@pytest.mark.parametrize("exact", [False, True])
def test_the_dict_is_what_a_json_reader_sees(exact):
    notes = {"revenue": {"as_of": date(2026, 1, 20), "bounds": (Decimal("1.50"), 2), "error": 0.01}}
    answer = result(
        REVENUE,
        LATENCY,
        SIGNUPS,
        data=[row("2026-01-01", revenue=Decimal("5.00"), latency=0.1, signups=2**70, notes=notes)],
    )
    assert answer.to_dict(exact=exact) == json.loads(answer.to_json(exact=exact))
    assert answer.to_dict()["rows"][0]["signups"] == 2**70


def test_an_instant_in_the_notes_is_iso_too():
    notes = {"revenue": {"as_of": datetime(2026, 1, 20, 3, 5)}}
    answer = result(REVENUE, data=[row("2026-01-01", revenue=Decimal(1), notes=notes)])
    assert '"as_of":"2026-01-20T03:05:00"' in answer.to_json()


@pytest.mark.parametrize("value", [math.nan, math.inf, -math.inf, Decimal("NaN"), Decimal("Infinity")])
def test_what_is_not_finite_is_null_with_a_why_in_every_form(value):
    answer = result(LATENCY, data=[row("2026-01-01", latency=value)])
    assert answer.rows()[0]["latency"] is None
    assert answer.rows()[0]["notes"] == {"latency": {"why": "the result is not a finite number"}}
    assert '"latency":null' in answer.to_json()
    assert answer.to_arrow()["latency"].to_pylist() == [None]


def test_the_rows_that_were_given_are_not_changed():
    given = [row("2026-01-01", latency=math.nan)]
    result(LATENCY, data=given)
    assert math.isnan(given[0]["latency"])


def test_numbers_become_what_their_column_says():
    answer = result(
        SIGNUPS,
        REVENUE,
        LATENCY,
        data=[row("2026-01-01", signups=Decimal("3.00"), revenue=5, latency=Decimal("1.5"))],
    )
    read = answer.rows()[0]
    assert (read["signups"], read["revenue"], read["latency"]) == (3, Decimal(5), 1.5)
    assert (type(read["signups"]), type(read["revenue"]), type(read["latency"])) == (int, Decimal, float)


def test_a_value_that_its_column_cannot_hold_is_refused_not_rounded():
    with pytest.raises(ValueError, match="'signups' is an integer column"):
        result(SIGNUPS, data=[row("2026-01-01", signups=Decimal("3.5"))])
    with pytest.raises(ValueError, match="'revenue' is an exact decimal column"):
        result(REVENUE, data=[row("2026-01-01", revenue=0.1)])


def test_ndjson_is_a_row_a_line():
    lines = revenue("1.50", None).to_ndjson().splitlines()
    assert [json.loads(line)["revenue"] for line in lines] == [1.5, None]
    assert revenue("1.50").to_ndjson(exact=True).count('"1.5"') == 1
    assert revenue().to_ndjson() == ""


def test_a_declared_title_and_format_are_told_in_the_columns():
    share = Column(name="share", role="metric", type="float", title="Share of trials", format="percent")
    column = result(share, data=[]).to_dict()["columns"][1]
    assert column["title"] == "Share of trials"
    assert column["format"] == "percent"


def test_the_rows_are_yours_to_change():
    answer = revenue("1")
    answer.rows()[0]["revenue"] = None
    assert answer.rows()[0]["revenue"] == Decimal(1)


# CSV.


def test_csv_has_a_header_iso_days_plain_numbers_and_empty_nulls():
    answer = result(
        REVENUE,
        LATENCY,
        data=[
            row("2026-01-01", revenue=Decimal("1E+3"), latency=1e-7),
            row("2026-02-01", revenue=None, latency=1e22, complete=False, days=3, days_expected=28),
        ],
    )
    assert answer.to_csv() == (
        "period,revenue,latency,complete,days,days_expected,approximate\n"
        "2026-01-01,1000,0.0000001,true,31,31,false\n"
        "2026-02-01,,10000000000000000000000,false,3,28,false\n"
    )


def test_csv_tells_totals_from_rows_where_there_are_any():
    answer = result(
        PLAN,
        SIGNUPS,
        data=[row("2026-01-01", plan="pro", signups=2), row(None, plan=None, signups=2, total=True)],
    )
    read = list(csv.DictReader(io.StringIO(answer.to_csv())))
    assert [(r["period"], r["total"]) for r in read] == [("2026-01-01", "false"), ("", "true")]


FORMULAS = ["=1+1", "+1", "-1", "@SUM(A1)", "\t=1", "\r=1", "\n=1", "\uff1d1+1", "'=1", "''@x"]


@pytest.mark.parametrize("text", FORMULAS)
def test_text_that_a_spreadsheet_would_run_gets_one_quote_that_can_be_taken_away(text):
    read = list(csv.DictReader(io.StringIO(plans(text).to_csv(), newline="")))
    assert read[0]["plan"] == "'" + text


@pytest.mark.parametrize("text", [*FORMULAS, "pro", "", " ", "it's", "'quoted'", 'a "b", c;d\ne', "http://x"])
def test_csv_without_guard_is_read_back_as_it_was(text):
    read = list(csv.DictReader(io.StringIO(plans(text).to_csv(guard=False), newline="")))
    assert read[0]["plan"] == text


@pytest.mark.parametrize("text", ["pro", "it's", "'quoted'", "a=b", "http://x"])
def test_harmless_text_is_not_touched(text):
    assert next(csv.DictReader(io.StringIO(plans(text).to_csv())))["plan"] == text


def test_negative_numbers_stay_numbers_in_csv():
    assert revenue("-12.50").to_csv().splitlines()[1].startswith("2026-01-01,-12.5,")


def test_csv_tells_null_from_empty_text():
    lines = plans(None, "").to_csv().splitlines()
    assert lines[1].startswith("2026-01-01,,1")
    assert lines[2].startswith('2026-01-01,"",1')


# Arrow and frames.


def test_arrow_keeps_every_digit_and_real_dates():
    answer = result(
        PLAN,
        REVENUE,
        SIGNUPS,
        LATENCY,
        data=[
            row("2026-01-01", plan="pro", revenue=Decimal("1234567890123456.78"), signups=3, latency=1.5),
            row("2026-02-01", plan=None, revenue=None, signups=None, latency=None),
        ],
    )
    table = answer.to_arrow()
    assert [str(f.type) for f in table.schema] == [
        "date32[day]", "string", "decimal128(38, 10)", "int64", "double", "bool", "int64", "int64", "bool",
    ]  # fmt: skip
    assert table["period"].to_pylist()[0] == date(2026, 1, 1)
    assert table["revenue"].to_pylist() == [Decimal("1234567890123456.78"), None]


def test_arrow_carries_the_question_with_the_rows():
    about = json.loads(revenue("1").to_arrow().schema.metadata[b"tallybook"])
    assert "rows" not in about
    assert (about["metrics"], about["scope"], about["version"]) == (["revenue"], "month", 7)
    assert about["explain"] == "How it was computed."


@pytest.mark.parametrize(
    ("column", "value", "kind"),
    [
        (SIGNUPS, 2**63 - 1, "int64"),
        (SIGNUPS, -(2**63), "int64"),
        (SIGNUPS, 2**63, "decimal128(38, 0)"),
        (SIGNUPS, 10**38, "decimal256(76, 0)"),
        (REVENUE, Decimal("9999999999999999999999999999.0123456789"), "decimal128(38, 10)"),
        (REVENUE, Decimal("0.00000000001"), "decimal256(76, 11)"),
        (REVENUE, Decimal(10) ** 28, "decimal256(76, 10)"),
        (REVENUE, Decimal("1.50000000000000"), "decimal128(38, 10)"),
    ],
)
def test_arrow_widens_a_column_before_it_loses_a_digit(column, value, kind):
    table = result(column, data=[row("2026-01-01", **{column.name: value})]).to_arrow()
    assert str(table.schema.field(column.name).type) == kind
    assert table[column.name].to_pylist() == [value]


def test_an_empty_answer_still_has_its_columns():
    assert revenue().to_arrow().column_names[:2] == ["period", "revenue"]
    assert revenue().to_csv() == "period,revenue,complete,days,days_expected,approximate\n"
    assert "(no rows)" in repr(revenue())


def test_polars_gets_exact_decimals():
    pl = pytest.importorskip("polars")
    frame = revenue("0.10", "0.20").to_polars()
    assert frame["revenue"].dtype == pl.Decimal(38, 10)
    assert frame["revenue"].sum() == Decimal("0.3")


def test_pandas_gets_dates_and_integers_that_stay_integers_beside_a_gap():
    pytest.importorskip("pandas")
    data = [row("2026-01-01", signups=2**60 + 1), row("2026-02-01", signups=None)]
    frame = result(SIGNUPS, data=data).to_pandas()
    assert str(frame["period"].dtype).startswith("datetime64")
    assert str(frame["signups"].dtype) == "Int64"
    assert frame["signups"][0] == 2**60 + 1


@pytest.mark.parametrize("name", ["polars", "pandas"])
def test_a_missing_package_says_what_to_install(name, monkeypatch):
    monkeypatch.setitem(sys.modules, name, None)
    with pytest.raises(TallybookError) as told:
        getattr(revenue("1"), f"to_{name}")()
    assert told.value.hint == f"pip install 'tallybook[{name}]'"


def test_parquet_is_read_back_as_it_was(tmp_path):
    revenue("1.50", None).to_parquet(tmp_path / "revenue.parquet")
    table = pq.read_table(tmp_path / "revenue.parquet")
    assert table["revenue"].to_pylist() == [Decimal("1.5"), None]
    assert table.schema.field("period").type == pa.date32()


# The table for people.


def test_the_repr_is_an_aligned_table_with_its_explanation():
    data = [
        row("2026-01-01", plan="free", revenue=Decimal("1234.5"), signups=1200),
        row("2026-01-01", plan=None, revenue=Decimal(-7), signups=3),
    ]
    assert repr(result(PLAN, REVENUE, SIGNUPS, data=data)).splitlines() == [
        "month    plan    revenue (EUR)  signups",
        "2026-01  free         1,234.50    1,200",
        "2026-01  (none)          -7.00        3",
        "How it was computed.",
    ]


def test_a_gap_is_a_dash_with_its_why_and_an_incomplete_period_has_a_star():
    why = {"revenue": {"why": "not collected"}}
    data = [
        row("2026-01-01", revenue=Decimal(5)),
        row("2026-02-01", revenue=None, complete=False, days=0, days_expected=28, notes=why),
        row("2026-03-01", revenue=Decimal("2.5"), complete=False, days=12),
    ]
    assert repr(result(REVENUE, data=data)).splitlines() == [
        "month     revenue (EUR)",
        "2026-01            5.00",
        "2026-02*              –",
        "2026-03*           2.50",
        "* not complete: 2026-02 (0 of 28 days), 2026-03 (12 of 31 days)",
        "– revenue: not collected (2026-02)",
        "How it was computed.",
    ]


def test_carried_and_approximate_values_are_marked():
    data = [
        row("2026-01-01", latency=1.5, signups=4, approximate=True, notes={"latency": {"error": 0.01}}),
        row("2026-02-01", latency=2.25, signups=5, notes={"signups": {"carried": True}}),
    ]
    assert repr(result(LATENCY, SIGNUPS, data=data)).splitlines() == [
        "month    latency (ms)  signups",
        "2026-01         1.50≈       4",
        "2026-02         2.25        5†",
        "≈ latency: approximate, error at most 1%",
        "† signups: carried forward from an earlier day",
        "How it was computed.",
    ]


def test_one_metric_that_is_not_complete_is_marked_alone():
    notes = {"signups": {"complete": False, "days": 20}}
    data = [row("2026-01-01", revenue=Decimal(1), signups=4, notes=notes)]
    lines = repr(result(REVENUE, SIGNUPS, data=data)).splitlines()
    assert lines[1].endswith("4*")
    assert "* signups not complete: 2026-01" in lines


def test_uniques_tell_what_they_lie_between():
    notes = {"signups": {"why": "daily distinct counts do not add up", "bounds": (1200, 3400)}}
    lines = repr(result(SIGNUPS, data=[row("2026-01-01", signups=None, notes=notes)])).splitlines()
    assert "– signups: daily distinct counts do not add up; between 1,200 and 3,400 (2026-01)" in lines


def test_a_period_without_any_series_shows_no_series():
    data = [
        row("2026-01-01", plan=None, signups=None, no_series=True), row("2026-02-01", plan=None, signups=2),
        row("2026-03-01", plan=None, signups=None),
    ]  # fmt: skip
    lines = repr(result(PLAN, SIGNUPS, data=data)).splitlines()
    assert [line.split()[1] for line in lines[1:4]] == ["–", "(none)", "(none)"]


def test_a_long_answer_is_cut_and_says_so():
    data = [row("2026-01-01", signups=n) for n in range(1200)]
    answer = result(SIGNUPS, data=data)
    assert "… 1,160 more rows" in repr(answer).splitlines()
    assert "more row" not in answer.to_text(max_rows=None)


def test_a_wide_answer_keeps_what_a_row_is_and_says_what_was_cut():
    columns = [Column(name=f"metric_number_{i}", role="metric", type="integer") for i in range(20)]
    data = [row("2026-01-01", plan="pro", **{c.name: 1 for c in columns})]
    text = result(PLAN, *columns, data=data).to_text(width=80)
    assert max(map(len, text.splitlines())) <= 80
    assert text.startswith("month    plan  metric_number_0")
    assert "… 17 more columns" in text
    assert "metric_number_19" in result(PLAN, *columns, data=data).to_text(width=None)


@pytest.mark.parametrize(
    ("scope", "label"),
    [
        ("day", "2026-04-01"),
        ("week", "2026-04-01"),
        ("month", "2026-04"),
        ("quarter", "2026 Q2"),
        ("year", "2026"),
        ("all", "2026-04-01"),
    ],
)
def test_a_period_is_named_as_people_name_it(scope, label):
    answer = result(SIGNUPS, data=[row("2026-04-01", signups=1)], scope=scope)
    assert repr(answer).splitlines()[1].startswith(label + "  ")


def test_a_value_cannot_move_the_cursor_or_break_the_table():
    text = repr(plans("\x1b[31mred\nnext"))
    assert "\x1b" not in text
    assert "\\x1b[31mred\\nnext" in text


def test_wide_letters_keep_the_columns_straight():
    lines = repr(plans("東京", "abc")).splitlines()
    assert lines[1].index("1", 10) == lines[2].index("1", 10) - 2


def test_markdown_escapes_what_would_break_the_table():
    text = plans("a|b", "<script>").to_markdown()
    assert r"| 2026-01 | a\|b | 1 |" in text
    assert "<script>" not in text.replace(r"\<", "")


def test_notebooks_get_an_escaped_table():
    html = plans("<script>alert(1)</script>")._repr_html_()
    assert html.startswith("<table>")
    assert "<script>" not in html
    assert "&lt;script&gt;" in html


# Numbers for people.


@pytest.mark.parametrize(
    ("value", "options", "text"),
    [
        (None, {"type": "integer"}, "–"),
        (1234567, {"type": "integer"}, "1,234,567"),
        (Decimal("1234.5"), {"type": "decimal", "unit": "EUR"}, "1,234.50 EUR"),
        (Decimal("1234.5"), {"type": "decimal", "unit": "JPY"}, "1,234.5 JPY"),
        (Decimal(1234), {"type": "decimal", "unit": "JPY"}, "1,234 JPY"),
        (Decimal("10.125"), {"type": "decimal", "unit": "EUR"}, "10.125 EUR"),
        (Decimal("1.5"), {"type": "decimal", "unit": "KWD"}, "1.500 KWD"),
        (1235, {"type": "integer", "unit": "EUR"}, "1,235 EUR"),
        (1234.5, {"type": "float"}, "1,234.5"),
        (12.3456, {"type": "float"}, "12.35"),
        (0.1 + 0.2, {"type": "float"}, "0.3"),
        (0.125, {"type": "float"}, "0.13"),
        (3.0, {"type": "float"}, "3"),
        (-0.0, {"type": "float"}, "0"),
        (-0.004, {"type": "float", "unit": "EUR"}, "-0.004 EUR"),
        (0.00012, {"type": "float"}, "0.00012"),
        (1.23e-9, {"type": "float"}, "0.0000000012"),
        (1.23e-12, {"type": "float"}, "1.2e-12"),
        (1e21, {"type": "float"}, "1e+21"),
        (82.5, {"type": "float", "unit": "%"}, "82.5%"),
        (0.1234, {"type": "float", "format": "percent"}, "12.3%"),
        (0.12, {"type": "decimal", "format": "0%"}, "12%"),
        (1.2, {"type": "float", "format": "integer"}, "1"),
        (-0.3, {"type": "float", "format": "integer"}, "0"),
        (1234.5, {"type": "float", "format": "money", "unit": "EUR"}, "1,234.50 EUR"),
        (1234.5, {"type": "float", "format": "money"}, "1,234.50"),
        (1234.5, {"type": "float", "format": "0.00"}, "1234.50"),
        (1234.5, {"type": "float", "format": "0.00", "unit": "ms"}, "1234.50 ms"),
        (1234.56, {"type": "float", "format": "#,##0.0##"}, "1,234.56"),
        (-1234567, {"type": "integer", "format": '$#,##0.0,,"M"', "unit": "USD"}, "-$1.2M"),
        (5, {"type": "integer", "format": "[$€-407] 0"}, "€ 5"),
        (5, {"type": "integer", "format": "no such format"}, "5"),
    ],
)
def test_a_number_for_people(value, options, text):
    assert format_number(value, Column(name="n", role="metric", **options)) == text


def test_the_numbers_of_a_column_have_the_same_decimals():
    how = number_format(LATENCY, [1.5, 20.25, 3.0])
    assert [how.text(v) for v in (1.5, 20.25, 3.0)] == ["1.50 ms", "20.25 ms", "3.00 ms"]


@pytest.mark.parametrize(
    ("options", "pattern"),
    [
        ({"type": "integer"}, "#,##0"),
        ({"type": "decimal", "unit": "EUR"}, '#,##0.00" EUR"'),
        ({"type": "float", "format": "percent"}, "#,##0.0%"),
        ({"type": "integer", "unit": 'say "ah"'}, '#,##0" say "\\""ah"\\"'),
        ({"type": "float", "format": '0.0,,"M"'}, '0.0,,"M"'),
        ({"type": "float", "format": "nonsense]["}, "#,##0"),
    ],
)
def test_a_workbook_gets_a_valid_pattern_of_the_same(options, pattern):
    assert number_format(Column(name="n", role="metric", **options)).excel() == pattern


def test_a_format_we_do_not_know_can_be_told():
    assert parse_format("no such format") is None
    assert parse_format("0.00") is not None


def test_nothing_heavy_is_imported_with_it():
    code = (
        "import sys, tallybook.core.result.result, tallybook.deliver.destinations.registry\n"
        "heavy = {'pyarrow', 'duckdb', 'rich', 'polars', 'pandas', 'xlsxwriter', 'sqlglot', 'sqlalchemy'}\n"
        "assert not heavy & set(sys.modules), heavy & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
