"""Numbers at the bounds of their types: beyond DECIMAL(38), minus zero, NaN; and types that declarations decide."""

from __future__ import annotations

import json
from decimal import Decimal

import pytest

from tests.projects import project, sampled_everywhere

__all__ = ["project"]

NEAR = "6" + "0" * 27  # two of them need 29 digits
MOST = 9223372036854775807


def wallets(project, measure, *, kind="duckdb", column="hugeint", rows=None, more="", by='by = ["k"]'):
    found = project(kind, now="2024-01-03T06:00")
    rows = rows or [("2024-01-01", "a", NEAR), ("2024-01-02", "b", NEAR)]
    found.table(f"w (day date, k varchar(5), wei {column})", [])
    found.execute(*(f"insert into w values ('{d}', '{k}', {v})" for d, k, v in rows))
    found.declare(f"""
        [metrics.m]
        table = "w"
        time = "day"
        measure = "{measure}"
        {by}
        {more}
        [metrics.n]
        table = "w"
        time = "day"
        measure = "count(*)"
        by = ["k"]
    """)
    found.run()
    return found


def only(found, name="m", **asked):
    """(value, why) of the one row of an answer."""
    (row,) = found.rows(name, **asked)
    return row[name], row.get("notes", {}).get(name, {}).get("why", "")


BEYOND = [
    "sum(wei)", "round(sum(wei), 2)", "100 * sum(wei)", "sum(wei) * 1.0000000001", "sum(wei) + sum(wei)", "sum(distinct wei)",
    "coalesce(sum(wei), 0)", "case when count(*) > 0 then sum(wei) * 10 else 0 end",
]  # fmt: skip


@pytest.mark.parametrize("measure", BEYOND)
def test_a_sum_that_fits_by_day_and_not_by_month_is_null_with_its_reason(project, measure):
    rows = [("2024-01-01", "a", NEAR), ("2024-01-02", "b", "59" + "9" * 26)]
    found = wallets(project, measure, rows=rows)
    value, why = only(found, scope="month", from_="2024-01-01", to="2024-01-02")
    assert value is None
    assert "does not fit DECIMAL(38,10)" in why
    shown = json.loads(found.book.query("m", scope="month", from_="2024-01-01", to="2024-01-02").to_json())
    assert shown["rows"][0]["notes"]["m"]["why"] == why
    assert {c["name"]: c["type"] for c in shown["columns"]}["m"] != "float"
    live, why_live = only(found, scope="month", from_="2024-01-01", to="2024-01-02", live=True)
    assert (live, why_live) == (None, why)


def test_other_metrics_periods_and_series_of_the_same_question_are_answered(project):
    rows = [("2024-01-01", "a", NEAR), ("2024-01-02", "a", NEAR), ("2024-01-02", "b", "7")]
    found = wallets(project, "sum(wei)", rows=rows)
    answer = {
        (r["period"], r["k"]): (r["m"], r["n"]) for r in found.rows("m", "n", by=["k"], scope="month", totals=True)
    }
    assert answer == {
        ("2024-01-01", "a"): (None, 2), ("2024-01-01", "b"): (7, 1), ("2024-01-01", None): (None, 3), (None, None): (None, 3),
    }  # fmt: skip
    assert [r["m"] for r in found.rows("m", "n", from_="2024-01-01", to="2024-01-02")] == [int(NEAR), int(NEAR) + 7]
    again = found.rows("m", "n", scope="month", from_="2024-01-01", to="2024-01-02")  # from memory
    assert [(r["m"], r["n"]) for r in again] == [(None, 3)]
    assert [(r["m"], r["n"]) for r in found.rows("m", "n", scope="month", window="2 days", to="2024-01-02")] == [
        (None, 3)
    ]


def test_an_average_of_numbers_whose_sum_does_not_fit_is_known(project):
    found = wallets(project, "avg(wei)")
    assert only(found, scope="month", from_="2024-01-01", to="2024-01-02") == (6e27, "")
    found = wallets(project, "sum(wei)")
    assert only(found, scope="month", show="average", from_="2024-01-01", to="2024-01-02") == (6e27, "")


def test_the_same_for_levels_and_for_what_changes(project):
    found = wallets(project, "sum(wei)", more='kind = "level"')
    assert only(found, scope="month", show="average", from_="2024-01-01", to="2024-01-02") == (6e27, "")
    rows = [("2024-01-01", "a", "-" + NEAR), ("2024-01-02", "a", NEAR)]
    found = wallets(project, "sum(wei)", rows=rows, more='kind = "level"')
    value, why = only(found, show="change", from_="2024-01-02", to="2024-01-02")
    assert value is None
    assert "does not fit" in why


@pytest.mark.parametrize("then", ["sum", "avg", "max", "stddev"])
def test_two_steps_over_sums_that_do_not_fit(project, then):
    found = wallets(project, "sum(wei)", by="", more=f'per = "k"\n        then = "{then}"')
    expected = {"sum": None, "avg": 6e27, "max": int(NEAR), "stddev": 0.0}[then]
    value, why = only(found, scope="month", from_="2024-01-01", to="2024-01-02")
    assert value == expected
    assert bool(why) is (expected is None)


@pytest.mark.parametrize(
    ("column", "value", "measure"),
    [
        ("decimal(20, 4)", "98785432101234.5679", "sum(wei) * 1.0837592384712345"),
        ("bigint", str(MOST), "sum(wei) * 1.0000000001"),
        ("decimal(38, 0)", "1" + "0" * 27, "sum(wei) * 10"),
        ("bigint", "1", "count(*) * 100000000000000000000000000000"),
        ("bigint", "1", "sum(wei) * 123456789012345678901234567890.5"),
    ],
)
def test_a_product_beyond_the_type_is_null_with_its_reason(project, column, value, measure):
    found = wallets(project, measure, column=column, rows=[("2024-01-01", "a", value), ("2024-01-01", "a", value)])
    for asked in ({}, {"scope": "month"}, {"by": ["k"]}):
        value, why = only(found, from_="2024-01-01", to="2024-01-01", **asked)
        assert value is None
        assert "does not fit" in why


def test_numbers_of_many_digits_that_do_fit_are_exact(project):
    found = wallets(project, "sum(wei) * 0.000000000000000001", rows=[("2024-01-01", "a", "1234567890123456789")])
    assert only(found, from_="2024-01-01", to="2024-01-01")[0] == Decimal("1.2345678901")
    found = wallets(
        project, "sum(wei) * 0.00000000000000000000000000000001", rows=[("2024-01-01", "a", "5" + "0" * 24)]
    )
    assert only(found, from_="2024-01-01", to="2024-01-01")[0] == pytest.approx(5e-8)


def test_a_formula_of_metrics_beyond_the_type_is_null_with_its_reason(project):
    found = wallets(project, "sum(wei)", rows=[("2024-01-01", "a", NEAR)])
    text = (found.folder / "tallybook.toml").read_text()
    formulas = {"product": "m * 100", "square": "m * m", "small": "n * 1.5", "third": "m / 3"}
    more = "".join(f'[metrics.{name}]\nmeasure = "{measure}"\n' for name, measure in formulas.items())
    found.close()
    (found.folder / "tallybook.toml").write_text(text + more)
    (row,) = found.rows(*formulas, from_="2024-01-01", to="2024-01-01")
    assert [row[name] for name in formulas] == [None, None, Decimal("1.5"), pytest.approx(2e27)]
    assert "does not fit" in row["notes"]["square"]["why"]


def test_a_level_whose_running_sum_does_not_fit_fails_alone(project):
    found = project("duckdb", now="2024-01-03T06:00")
    found.table("s (began date, ended date, wei hugeint)", [])
    found.execute(*(f"insert into s values ('2024-01-0{d}', null, {NEAR})" for d in (1, 2)))
    keys = 'table = "s"\nfrom = "began"\nuntil = "ended"\nkind = "level"\n'
    found.declare(f'[metrics.bad]\n{keys}measure = "sum(wei)"\n[metrics.ok]\n{keys}measure = "count(distinct wei)"\n')
    report = found.book.run()
    assert [m.metric for m in report.failed] == ["bad"]
    assert "28 digits" in report.failed[0].error
    assert found.ask("ok", from_="2024-01-01", to="2024-01-02") == {"2024-01-01": 1, "2024-01-02": 1}


# --- types that the declaration decides ------------------------------------------------------------------

RATES = """
    [metrics.hit]
    table = "e"
    time = "day"
    measure = "sum(ok)"
    by = ["k"]
    [metrics.n]
    table = "e"
    time = "day"
    measure = "count(*)"
    by = ["k"]
    [metrics.rate]
    measure = "hit / n"
    [metrics.shown]
    measure = "case when n >= 3 then hit / n end"
    [metrics.mixed]
    measure = "case when n >= 3 then hit / n else n end"
    [metrics.double]
    measure = "2 * n"
"""


@sampled_everywhere
def test_a_formula_has_one_type_whatever_days_are_asked_for(project, kind):
    found = project(kind, now="2024-01-04T06:00")
    found.table(
        "e (day date, k varchar(5), ok integer)",
        [("2024-01-01", "a", 1), ("2024-01-01", "b", 0), ("2024-01-02", "a", 0)],
    )
    found.declare(RATES)
    found.run()
    names = ["rate", "shown", "mixed", "double"]
    types = {"rate": "float", "shown": "float", "mixed": "float", "double": "decimal"}
    questions = [
        {"compare": "previous"}, {"totals": True}, {"by": ["k"], "scope": "month", "totals": True},
        {"by": ["k"], "top": 1}, {"fill": True, "by": ["k"]},
    ]  # fmt: skip
    for asked in ({"from_": "2024-01-03", "to": "2024-01-03"}, {"from_": "2024-01-01", "to": "2024-01-03"}):
        for question in questions:
            answer = found.book.query(*names, **asked, **question)
            assert {c.name: c.type for c in answer.columns if c.name in names} == types
            for row in answer.rows():
                assert all(isinstance(row[name], float | None) for name in names[:3]), row
            answer.to_json()
    (row,) = found.rows("shown", "mixed", scope="month", from_="2024-01-01", to="2024-01-03")
    assert (row["shown"], row["mixed"]) == (pytest.approx(1 / 3), pytest.approx(1 / 3))
    last = found.rows("rate", from_="2024-01-02", to="2024-01-02", compare="previous")[0]
    assert (last["rate"], last["rate_previous"]) == (0.0, 0.5)


def test_a_product_of_metrics_is_rounded_to_the_digits_of_its_type(project):
    found = project("sqlite", now="2024-01-03T06:00")
    found.table("p (day date, price decimal(18, 6))", [("2024-01-01", "1.234567")])
    found.declare("""
        [metrics.price]
        table = "p"
        time = "day"
        measure = "sum(price)"
        [metrics.square]
        measure = "price * price"
    """)
    found.run()
    assert only(found, "square", from_="2024-01-01", to="2024-01-01")[0] == Decimal("1.5241556775")  # …774889


# --- minus zero and NaN -------------------------------------------------------------------------------------


def test_there_is_no_minus_zero_in_any_answer(project):
    found = project("sqlite", now="2024-01-03T06:00")
    found.table("z (day date, a integer, b real, c decimal(10, 2))", [("2024-01-01", 0, -4, 0)])
    measures = {
        "quotient": "sum(a) / sum(b)", "negative": "-sum(b) * 0", "product": "sum(c) * -1", "rounded": "round(sum(b) / 100, 0)",
    }  # fmt: skip
    metric = '[metrics.{}]\ntable = "z"\ntime = "day"\nmeasure = "{}"\n'
    found.declare(
        "".join(metric.format(*m) for m in measures.items()) + '[metrics.derived]\nmeasure = "product / rounded"\n'
    )
    found.run()
    answer = found.book.query(*measures, "derived", from_="2024-01-01", to="2024-01-01")
    for text in (answer.to_json(), answer.to_json(exact=True), answer.to_csv()):
        assert "-0" not in text.replace("2024-01-01", ""), text
    assert all(str(v) in ("0", "0.0", "None") for name, v in answer.rows()[0].items() if name in measures)


NOT_FINITE = {
    "duckdb": "'nan'", "postgresql": "'NaN'", "sqlite": "9e999",
}  # fmt: skip


@pytest.mark.cases(6)
@pytest.mark.parametrize(
    "measure", ["sum(x)", "avg(x)", "stddev(x)", "median(x)", "sum(distinct x)", "max(x)", "last(x)"]
)
@pytest.mark.parametrize("kind", NOT_FINITE)
@pytest.mark.parametrize("form", ["flow", "level"])
def test_a_number_that_is_not_finite_is_reported_with_its_metric_its_column_and_what_to_paste(
    project, kind, measure, form
):
    if form == "level" and "last" in measure:
        pytest.skip("levels from intervals have no last")
    found = project(kind, now="2024-01-03T06:00")
    found.table("m (day timestamp, x double precision)", [])
    found.execute(f"insert into m values ('2024-01-01 10:00:00', 1), ('2024-01-01 11:00:00', {NOT_FINITE[kind]})")
    time = 'time = "day"' if form == "flow" else 'kind = "level"\nfrom = "day"\nuntil = "day"'
    declared = f'[metrics.odd]\ntable = "m"\n{time}\nmeasure = "{{}}"\n'
    if form == "level":
        declared = declared.replace('until = "day"\n', "")
    found.declare(declared.format(measure))
    (failed,) = found.book.run().failed
    assert "'odd'" in failed.error
    assert "x is" in failed.error
    filtered = failed.hint.partition("add ")[2].partition(" after")[0]
    found.declare(declared.format(f"{measure} {filtered}"))
    found.run()
    assert found.ask("odd", from_="2024-01-01", to="2024-01-01") == {"2024-01-01": None if "stddev" in measure else 1}


def test_a_python_metric_that_returns_nan_says_which(project):
    found = project("sqlite", now="2024-01-03T06:00")
    (found.folder / "metrics").mkdir(exist_ok=True)
    (found.folder / "metrics" / "odd.py").write_text(
        "import tallybook\n\n\n@tallybook.metric\ndef odd(day, db) -> float:\n    return float('nan')\n"
    )
    found.declare("")
    (failed,) = found.book.run().failed
    assert "'odd' returned nan for 2024-01-01" in failed.error


@pytest.mark.parametrize("scope", ["day", "all"])
@pytest.mark.parametrize("measure", ["sum(wei) * sum(wei)", "sum(wei) * 1e300 - sum(wei) * 1e300", "sum(wei) / 1e-300"])
def test_a_float_beyond_the_largest_is_null_wherever_something_is_computed_with_it(project, measure, scope):
    rows = [("2024-01-01", "a", "1e200"), ("2024-01-02", "b", "1e200")]
    found = wallets(project, measure, column="double", rows=rows, more='[metrics.share]\n measure = "1 / m"\n')
    asked = {"scope": scope, "from_": "2024-01-02", "to": "2024-01-02"}
    for more in ({}, {"compare": "previous"}, {"show": "max"}, {"by": ["k"], "top": 1}, {"having": ["m != 0"]}):
        for row in found.rows("m", **asked, **more):
            assert row["m"] is None
            assert row.get("m_change") is None
            assert row["notes"]["m"]["why"] == "the result is not a finite number"
    (compared,) = found.rows("m", **asked, compare="previous")
    assert compared["notes"]["m_previous"]["why"] == "the result is not a finite number"
    assert only(found, "share", **asked) == (None, "the result is not a finite number")
