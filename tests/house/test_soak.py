"""The parts of the long run: each test file in one of them, each part with its own figures."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from tests.parts import EMPTY, FILES, PARTS
from tests.soak import with_part


def test_each_test_file_belongs_to_one_part() -> None:
    there = {path.name for path in Path(__file__).parents[1].rglob("test_*.py")}
    assert there - set(FILES) == set(), "name their part in tests/parts.py"
    assert set(FILES) - there == set(), "these files of tests/parts.py are gone"
    assert set(FILES.values()) == set(PARTS) - set(EMPTY)


def entry(**changed: Any) -> dict[str, Any]:
    return {"commit": "c1", "changed": [], "complete": True, "failed": [], **changed}


def all_parts(**last: Any) -> dict[str, Any]:
    page: dict[str, Any] = {}
    for part in PARTS:
        page = with_part(page, part, entry(**(last if part == "mutants" else {})))
    return page


def test_the_run_is_whole_when_every_part_is_there_on_one_commit() -> None:
    assert all_parts()["whole"]
    assert list(all_parts()["parts"]) == list(PARTS)
    page = with_part({}, "right", entry())
    assert (page["whole"], page["missing"][0]) == (False, "kills did not run")


def test_a_part_that_failed_was_broken_off_or_ran_on_other_code_is_named() -> None:
    assert all_parts(failed=["a", "b"])["missing"] == ["mutants: 2 failed"]
    assert all_parts(complete=False)["missing"] == ["mutants was broken off"]
    assert all_parts(changed=["src/tallybook/core/points.py"])["missing"] == ["mutants: files differed from the commit"]
    assert all_parts(commit="c2")["missing"] == ["the parts ran on different commits"]


def test_a_part_that_runs_again_replaces_its_own_figures_only() -> None:
    page = all_parts(failed=["a"])
    again = with_part(page, "mutants", entry(seed=7))
    assert again["whole"]
    assert again["parts"]["right"] == page["parts"]["right"]
