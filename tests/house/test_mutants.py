"""Faults put into the core on purpose: those that once survived must die, and a random sample shows what still does.

In the long run only. A survivor of the sample is no failure: some changes change nothing that anyone can see. It is printed,
and recorded in docs/soak.json, to be looked at."""

from __future__ import annotations

import random
from collections.abc import Callable

import pytest

from tests.mutation import KILLED, PACKAGE, ROOT, SURVIVED, Mutant, mutants_of, replaced, verdict

SAMPLE = 30
SECONDS = 90
"""How long the tests of one mutant may take."""

JUDGE = (
    "tests/query/test_right.py::test_every_answer_is_right_on_duckdb",
    "tests/query/test_right.py::test_every_answer_is_right_on_sqlite",
)
"""The property tests: the last to be asked, of every mutant."""

CORE = {
    "core/measure/": ("test_shell", "test_decimals", "test_two_steps", "test_filters", "test_declare"),
    "core/points.py": ("test_decimals", "test_store"),
    "core/calendar.py": ("test_comparisons", "test_any_date", "test_schedule"),
    "collect/": ("test_two_steps", "test_shared_statements", "test_many_metrics", "test_late", "test_join"),
    "query/": ("test_comparisons", "test_any_date", "test_number_bounds", "test_shapes", "test_goals", "test_history"),
    "storage/": ("test_forget", "test_store"),
    "deliver/destinations/": ("test_destinations", "test_workbook_updates", "test_sheets_deliveries"),
    "monitor/alerts/usual.py": ("test_usual", "test_alerts"),
    "monitor/alerts/causes.py": ("test_usual", "test_alerts"),
}
"""Files of the core, and the tests of each."""

SURVIVED_ONCE = {
    "a whole month compared with another": (
        "query/ranges.py",
        "return plus_days(months_before(following, months), -1) if following.day == 1 else months_before(day, months)",
        "return months_before(day, months)",
        ("test_comparisons.py",),
    ),
    "order by … desc is ignored": (
        "core/measure/aggregates.py",
        "q=float(1 - Decimal(str(q))) if descending else q",
        "q=q",
        ("test_stated_bounds.py",),
    ),
    "<= is <": ("core/measure/shell.py", 'exp.LTE: "<="', 'exp.LTE: "<"', ("test_stated_bounds.py",)),
    "GROUPING bits reversed": (
        "collect/plans.py",
        "(1 << most) - 1 - (1 << (most - 1 - place))",
        "(1 << most) - 1 - (1 << place)",
        (
            "test_stated_bounds.py::test_several_distinct_counts_and_percentiles_of_one_statement_keep_apart[postgresql]",
        ),
    ),
    "a percentile of two steps is never approximate": (
        "query/merge.py",
        "coalesce(bool_or(approximate) {own}, FALSE) AS approximate",
        "FALSE AS approximate",
        ("test_stated_bounds.py",),
    ),
    "zero among more than 1,000 values": (
        "collect/staging_tables.py",
        "OR v = 0 THEN v",
        "THEN v",
        ("test_stated_bounds.py",),
    ),
    "+1 and -1 in one bucket": (
        "collect/staging_tables.py",
        "GROUP BY {cell}, place, sign(v)",
        "GROUP BY {cell}, place",
        ("test_stated_bounds.py",),
    ),
    "rows are deleted from the top": (
        "deliver/destinations/google_sheets/requests.py",
        "for row in reversed(change.gone_rows)",
        "for row in change.gone_rows",
        ("test_sheets_edited_keys.py",),
    ),
    "the top of a range that ends on the first collected day": (
        "query/past.py",
        "count_weekdays(max(begins, query.first), query.last, query.weekdays)",
        "count_weekdays(max(begins, query.first), query.last - ONE_DAY, query.weekdays)",
        ("test_history.py::test_the_top_of_days_of_both_histories_is_refused_from_the_first_collected_day_on",),
    ),
    "a period that ends on the first collected day": (
        "query/past.py",
        "period.last < self.begins",
        "period.last <= self.begins",
        ("test_history.py::test_a_period_that_ends_on_the_first_collected_day_is_of_both_histories",),
    ),
    "a change over the seam": (
        "query/past.py",
        'return "" if self.show in ("last", "change")',
        'return "" if self.show in ("last",)',
        ("test_history.py::test_the_change_of_a_level_over_the_seam_is_that_of_the_collected_days",),
    ),
    "a silence as long as the longest": (
        "monitor/alerts/usual.py",
        "len(empty) <= longest(before, series.empty)",
        "len(empty) < longest(before, series.empty)",
        ("test_usual.py",),
    ),
    "one odd day hides the next": (
        "monitor/alerts/usual.py",
        "max(sorted(distances)[-2], 0.0)",
        "max(sorted(distances)[-1], 0.0)",
        ("test_usual.py",),
    ),
    "one month before is enough": (
        "monitor/alerts/usual.py",
        "repeated(months_before(day, 1)) and repeated(months_before(day, 2))",
        "repeated(months_before(day, 1))",
        ("test_usual.py",),
    ),
    "the spread of all days": (
        "monitor/alerts/usual.py",
        "max(least, min(2 * own, _spread(distances)))",
        "max(least, _spread(distances))",
        ("test_usual.py",),
    ),
    "a run is at work for ever": (
        "monitor/alerts/causes.py",
        "status.now - datetime.fromisoformat(began) < AT_WORK",
        "True",
        ("test_usual.py",),
    ),
}
"""What is changed: in which file, the text, what it becomes, and the tests that must find it."""


def files_of_tests(path: str) -> list[str]:
    """The test files of a file of the core."""
    topics = next(topics for begin, topics in CORE.items() if path.startswith(begin))
    return [place_of(f"{topic}.py") for topic in topics]


def place_of(test: str) -> str:
    """The path of a test, of its file's name: the rooms of tests have no two files of one name."""
    name, *rest = test.partition("::")
    (found,) = (ROOT / "tests").rglob(name)
    return found.relative_to(ROOT).as_posix() + "".join(rest)


def files_of_the_core() -> list[str]:
    paths = (str(path.relative_to(PACKAGE)) for path in sorted(PACKAGE.rglob("*.py")))
    return [path for path in paths if path.startswith(tuple(CORE))]


def sample(seed: int) -> list[Mutant]:
    """As many random mutants as the long run tries, the same for the same seed. A file is as likely as it is long."""
    every = [mutant for path in files_of_the_core() for mutant in mutants_of(path)]
    return random.Random(seed).sample(every, SAMPLE)


@pytest.mark.parametrize("name", SURVIVED_ONCE)
def test_the_place_of_each_mutant_that_survived_once_is_in_the_code(name: str) -> None:
    path, old, new, _ = SURVIVED_ONCE[name]
    assert compile(replaced(path, old, new).mutated, path, "exec")


@pytest.mark.parametrize("begin", CORE)
def test_the_files_and_tests_of_the_core_are_there(begin: str) -> None:
    assert [path for path in files_of_the_core() if path.startswith(begin)]
    assert files_of_tests(begin)


@pytest.mark.parametrize("name", SURVIVED_ONCE)
def test_the_tests_that_must_find_a_mutant_are_there(name: str) -> None:
    for test in SURVIVED_ONCE[name][3]:
        file, _, function = place_of(test).partition("::")
        assert f"def {function.partition('[')[0]}" in (ROOT / file).read_text(encoding="utf-8")


def test_every_kind_of_change_keeps_python_s_syntax() -> None:
    for path in ("query/ranges.py", "query/past.py"):
        assert mutants_of(path)
        for mutant in mutants_of(path):
            compile(mutant.mutated, path, "exec")


@pytest.mark.soak
@pytest.mark.parametrize("name", SURVIVED_ONCE)
def test_a_mutant_that_survived_once_dies(name: str, seed: int, record_property: Callable[[str, object], None]) -> None:
    path, old, new, tests = SURVIVED_ONCE[name]
    fate, why = verdict(replaced(path, old, new), [place_of(test) for test in tests], 600, seed)
    record_property("fate", fate)
    assert (fate, bool(why)) == (KILLED, True), why


@pytest.mark.soak
@pytest.mark.parametrize("number", range(SAMPLE))
def test_a_random_mutant(
    number: int, seed: int, record_property: Callable[[str, object], None], capsys: pytest.CaptureFixture[str]
) -> None:
    mutant = sample(seed)[number]
    record_property("mutant", str(mutant))
    fate, why = verdict(mutant, [*files_of_tests(mutant.path), *JUDGE], SECONDS, seed)
    record_property("fate", fate)
    record_property("by", why)
    if fate == SURVIVED:
        with capsys.disabled():
            print(f"\nSURVIVED {mutant}")
