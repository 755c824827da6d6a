"""Reads the files tests/*.toml: rows of tables, queries, and the expected answers."""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

from tallybook.core import DeclarationError, Problem, Problems, did_you_mean
from tallybook.metric_tests.scratch import file_kinds

Rows = list[dict[str, Any]]
FILE_KEYS = ("now", "dialect", "given", "types", "test")
QUESTION = {
    "query": "query",
    "scope": "scope",
    "by": "by",
    "where": "where",
    "from": "from_",
    "to": "to",
    "last": "last",
    "show": "show",
    "fill": "fill",
    "totals": "totals",
    "live": "live",
}
"""The keys of a query, with the names of the arguments of `Book.query`."""
TEST_KEYS = ("name", "now", "given", "expect", "refused", *QUESTION)
EXAMPLE = """\
now = 2026-03-10T12:00:00Z

[given]
users = [
  { id = 1, created_at = "2026-03-01 10:00:00", plan = "pro" },
  { id = 2, created_at = "2026-03-02 10:00:00", plan = "free" },
]

[[test]]
name = "signups are counted by plan"
query = "signups"
by = ["plan"]
expect = [
  { period = "2026-03-01", plan = "pro", signups = 1 },
  { period = "2026-03-02", plan = "free", signups = 1 },
]
"""


@dataclass(frozen=True, kw_only=True)
class Trial:
    """One test: tables, a clock, a query, and the expected rows, number or refusal."""

    file: str
    name: str
    now: datetime
    given: Mapping[str, Rows]
    types: Mapping[str, Mapping[str, str]]
    metrics: tuple[str, ...]
    question: Mapping[str, Any]
    expect: Any = None
    refused: str | None = None
    dialect: str | None = None


def read_trials(path: Path) -> list[Trial]:
    """The tests of a file, in order. Raises one DeclarationError with every problem in the file."""
    try:
        raw = tomllib.loads(path.read_text(encoding="utf-8"), parse_float=Decimal)
    except FileNotFoundError:
        raise DeclarationError(f"there is no file {path}", hint=f"one to begin with:\n\n{EXAMPLE}") from None
    except (OSError, ValueError) as error:
        raise DeclarationError(f"{path}: 1 problem", problems=[Problem(path=str(path), message=str(error))]) from None
    problems = Problems()
    _unknown(raw, FILE_KEYS, path.name, problems)
    tests = raw.get("test", [])
    if not isinstance(tests, list) or not tests:
        problems.add(path.name, "holds no [[test]]", expected="at least one", paste=EXAMPLE)
        tests = []
    found = [_trial(path.name, i, test, raw, problems) for i, test in enumerate(tests, 1) if isinstance(test, dict)]
    problems.raise_if_any(str(path))
    return found


def _trial(file: str, number: int, test: dict[str, Any], raw: dict[str, Any], problems: Problems) -> Trial:
    name = str(test.get("name") or f"test {number}")
    at = f"{file}: {name}"
    _unknown(test, TEST_KEYS, at, problems)
    query = test.get("query")
    if not isinstance(query, str) or not query:
        problems.add(at, "asks for nothing", expected='query = "metric", or several with commas')
    if ("expect" in test) == ("refused" in test):
        problems.add(at, "says not what must come", expected='either expect = […] or refused = "a part of why"')
    if raw.get("dialect") is not None and raw["dialect"] not in (known := file_kinds()):
        problems.add(file, "dialect", seen=str(raw["dialect"]), expected=" or ".join(known))
    return Trial(
        file=file,
        name=name,
        now=_now(test.get("now", raw.get("now")), at, problems),
        given=_given({**_table(raw.get("given")), **_table(test.get("given"))}, at, problems),
        types={table: _table(types) for table, types in _table(raw.get("types")).items()},
        metrics=tuple(part.strip() for part in str(query or "").split(",") if part.strip()),
        question={QUESTION[key]: _iso_text(test[key]) for key in QUESTION if key in test and key != "query"},
        expect=test.get("expect"),
        refused=test.get("refused"),
        dialect=raw.get("dialect"),
    )


def _table(value: object) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _iso_text(value: Any) -> Any:
    """A day or a time as the ISO text that `Book.query` takes. Any other value unchanged."""
    return value.isoformat() if hasattr(value, "isoformat") else value


def _unknown(keys: Mapping[str, Any], known: tuple[str, ...], at: str, problems: Problems) -> None:
    for key in keys:
        if key not in known:
            hint = did_you_mean(key, known)
            problems.add(f"{at}: {key}", "there is no such key", expected=", ".join(known), hint=hint)


def _now(value: object, at: str, problems: Problems) -> datetime:
    try:
        instant = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        problems.add(at, "does not say when it is", expected="now = 2026-03-10T12:00:00Z, in the file or the test")
        return datetime(1970, 1, 1, tzinfo=UTC)
    if instant.tzinfo is None:
        problems.add(at, "in which zone is now?", seen=str(value), expected=f"{value}Z")
        return instant.replace(tzinfo=UTC)
    return instant


def _given(given: Mapping[str, Any], at: str, problems: Problems) -> dict[str, Rows]:
    for table, rows in given.items():
        if not isinstance(rows, list) or not all(isinstance(row, dict) for row in rows):
            problems.add(f"{at}: given.{table}", "is not rows", expected='[{ id = 1, plan = "pro" }, …]')
    return {table: rows for table, rows in given.items() if isinstance(rows, list)}
