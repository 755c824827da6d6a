"""Values and names that are nearly right: the message has the line that was meant."""

from __future__ import annotations

import os
from datetime import date
from pathlib import Path

import pytest

from tallybook.collect.sources import mysql, postgresql
from tallybook.config import build, zone_warnings
from tallybook.config.urls import masked_url, wrong_url
from tallybook.core import DeclarationError, Problem, SourceSettings
from tallybook.query.question import as_day
from tests import warm

SHOP = '[sources.app]\nurl = "{url}"\n[metrics.orders]\ntable = "orders"\ntime = "at"\nmeasure = "count(*)"\n'


def problem_of(**book: object) -> Problem:
    with pytest.raises(DeclarationError) as error:
        build({"book": book}, kinds={})
    (problem,) = error.value.problems
    return problem


@pytest.mark.parametrize(
    ("written", "paste", "hint"),
    [
        ("08/01/2026", "2026-08-01", "that is 1 August; 8 January is 2026-01-08"),
        ("8/1/26", "2026-08-01", "8 January is 2026-01-08"),
        ("08/31/2026", "2026-08-31", ""),
        ("31/8/2026", "2026-08-31", ""),
        ("01.08.2026", "2026-08-01", "8 January is 2026-01-08"),
        ("2026/8/1", "2026-08-01", ""),
        ("2026-8-1", "2026-08-01", ""),
        ("20260801", "2026-08-01", ""),
        (20260801, "2026-08-01", ""),
        ("2026-08", "2026-08-01", ""),
        (2026, "2026-01-01", ""),
        ("2026-08-01 00:00", "2026-08-01", ""),
        ("Aug 1, 2026", "2026-08-01", ""),
        ("1. August 2026", "2026-08-01", ""),
        ("2026-02-30", "2026-02-28", ""),
        ("2026-04-31", "2026-04-30", ""),
    ],
)
def test_a_day_in_another_form_comes_with_the_day_that_was_meant(written: object, paste: str, hint: str) -> None:
    problem = problem_of(start=written)
    assert (problem.path, problem.paste) == ("book.start", f'start = "{paste}"')
    assert str(written) in problem.seen
    assert "2023-01-31" in problem.expected
    assert hint in problem.hint if hint else problem.hint == f'did you mean "{paste}"?'


@pytest.mark.parametrize("written", ["soon", "90 days", "99/99/2026", "32.1.2026", "2026-13", ""])
def test_a_text_that_is_no_day_gets_an_example(written: str) -> None:
    assert problem_of(start=written).paste == 'start = "2023-01-01"'


def test_a_day_of_the_command_line_in_another_form_is_recognized(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(SHOP.format(url="sqlite:///shop.db"))
    done = warm.run(["-m", "tallybook", "run", "--from", "08/01/2026"], cwd=tmp_path)
    assert done.returncode == 2
    assert "did you mean 2026-08-01 (1 August) or 2026-01-08 (8 January)?" in done.stderr
    with pytest.raises(Exception, match=r"'31\.11\.2026' is not a day"):
        as_day("31.11.2026", date(2026, 12, 1))


@pytest.mark.parametrize(
    ("written", "paste"),
    [
        ("PST", "America/Los_Angeles"),
        ("Eastern Time", "America/New_York"),
        ("Central Standard Time", "America/Chicago"),
        ("CEST", "Europe/Paris"),
        ("IST", "Asia/Kolkata"),
        ("aest", "Australia/Sydney"),
        ("Berlin", "Europe/Berlin"),
        ("New York", "America/New_York"),
        ("UTC+2", "Etc/GMT-2"),
        ("-05:00", "Etc/GMT+5"),
        ("GMT+0", ""),  # a name that exists
        ("UTC+00:00", "UTC"),
    ],
)
def test_a_zone_by_another_name_comes_with_one_that_exists(written: str, paste: str) -> None:
    if paste:
        assert problem_of(timezone=written).paste == f'timezone = "{paste}"'
    else:
        build({"book": {"timezone": written}}, kinds={})


@pytest.mark.parametrize("written", ["localtime", "Factory", "posixrules", "local", "+05:30", "UTC+20"])
def test_a_text_that_names_no_zone_is_not_proposed_again(written: str) -> None:
    problem = problem_of(timezone=written)
    assert problem.paste == 'timezone = "Europe/Berlin"'
    assert "did you mean" not in problem.hint


def test_a_zone_without_summer_time_is_doubted_by_check(tmp_path: Path) -> None:
    def doubts(zone: str) -> dict[str, list[str]]:
        return zone_warnings(build({"book": {"timezone": zone}}, kinds={}))

    assert 'timezone = "America/New_York"' in doubts("EST")["book.timezone"][0]
    assert "America/Denver" in doubts("MST")["book.timezone"][0]
    assert "5 hours behind UTC all year" in doubts("Etc/GMT+5")["book.timezone"][0]
    assert [doubts(zone) for zone in ("UTC", "CET", "HST", "US/Eastern", "Etc/GMT", "Asia/Tokyo")] == [{}] * 6
    shop = SHOP.format(url="sqlite:///shop.db") + 'stored = "local"\nstored_zone = "EST"\n'
    (tmp_path / "tallybook.toml").write_text(shop)
    done = warm.run(["-m", "tallybook", "check"], cwd=tmp_path)
    assert done.returncode == 0
    assert "metrics.orders.stored_zone: EST has no daylight saving time" in done.stderr


@pytest.mark.parametrize(
    "url", ["${DATABASE_UR}", "${DB_URL}", "${database_url}", "${DATABASE_URI}", "${DATABASE_DSN}"]
)
def test_a_variable_with_nearly_the_right_name_comes_with_the_line(url: str, tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(SHOP.format(url=url))
    env = {**os.environ, "DATABASE_URL": "postgresql://u:hunter22@h/d"}
    done = warm.run(["-m", "tallybook", "check"], cwd=tmp_path, env=env)
    assert done.returncode == 2
    assert 'paste:    url = "${DATABASE_URL}"' in done.stderr
    assert "hunter22" not in done.stderr


@pytest.mark.parametrize(
    "url",
    ["$DATABASE_URL", "{DATABASE_URL}", "{{ DATABASE_URL }}", "%DATABASE_URL%", "env(DATABASE_URL)", "DATABASE_URL"],
)
def test_a_variable_in_another_form_comes_with_the_line(url: str) -> None:
    wrong = wrong_url(url)
    assert wrong is not None
    assert wrong["paste"] == 'url = "${DATABASE_URL}"'
    assert masked_url(url) == url
    assert masked_url("$hunter2") == "…"  # which may be a password


def test_all_unknown_parameters_of_a_url_are_named_at_once() -> None:
    wrong = wrong_url("postgresql://u:p@h/d?connection_limit=5&pgbouncer=true&schema=sales")
    assert wrong is not None
    assert "'connection_limit', 'pgbouncer', 'schema'" in wrong["message"]
    assert "remove 'connection_limit', 'pgbouncer' from the url" in wrong["hint"]
    assert "options=-csearch_path%3DNAME" in wrong["hint"]
    wrong = wrong_url("mysql://u:p@h/d?ssl=true")
    assert wrong is not None
    assert "ssl" not in wrong["expected"].split(", ")


def test_a_driver_is_quoted_in_its_words_with_what_may_be_the_reason() -> None:
    source = mysql.MysqlSource(SourceSettings(name="app", url="mysql://u:%41bc@h/d"))
    failed = source._unreachable(Exception(1045, "Access denied for user 'u'@'h'"))
    assert failed.message == "source 'app' cannot be reached: Access denied for user 'u'@'h'"
    assert "a % itself is written %25" in failed.hint
    other = postgresql.PostgresqlSource(SourceSettings(name="app", url="postgresql://u:p%40ss@h:3306/d"))
    failed = other._unreachable(Exception("received invalid response to SSL negotiation: d"))
    assert "does a PostgreSQL server listen at this port? Its own is 5432" in failed.hint
    assert "%25" not in failed.hint


def test_a_boolean_of_another_language_becomes_one_of_toml(tmp_path: Path) -> None:
    from tallybook.config.quoting import quoted_line

    assert quoted_line("daily_aggregate = True") == "daily_aggregate = true"
    assert quoted_line("totals = no") == "totals = false"


def test_run_can_be_quiet_by_one_letter_and_a_dimension_keeps_those_declared(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(SHOP.format(url="sqlite:///shop.db") + 'by = ["plan"]\n')
    assert "-q, --quiet" in warm.run(["-m", "tallybook", "run", "--help"], cwd=tmp_path).stdout
    done = warm.run(["-m", "tallybook", "query", "orders", "--by", "country"], cwd=tmp_path)
    assert 'if it is a column of orders, declare it: by = ["plan", "country"]' in done.stderr
    assert "a column of another table needs a join too" in done.stderr
