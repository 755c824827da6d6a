"""Everybody from the columnar copy is what the rows of the ledger say, attribute by attribute, also what is not known."""

from __future__ import annotations

from typing import Any

from tallybook.query import SubjectsQuestion, load_subjects
from tallybook.storage import identifier
from tests.projects import project

__all__ = ["project"]

NAMES = ["plan", "seats", "color", "later", "calls_1d"]
TOML = """
    [metrics.calls]
    table = "calls"
    time = "day"
    measure = "sum(n)"
    by = ["account_id"]
    [accounts]
    table = "accounts"
    attributes = ["plan", "seats"]
    [accounts.metrics]
    calls_1d = { metric = "calls", last = "1 day" }
"""


def rows_of(made: Any, ids: list[str] | None) -> list[tuple[Any, ...]]:
    """(id, deleted, then of each name: value, whether it is known)."""
    service = made.book.answers
    question = SubjectsQuestion(kind="accounts", names=NAMES, earlier=[], now=service.reader.now, ids=ids)
    with service.reader.reading() as reading:
        found = load_subjects(service, reading.engine, question)
        folded = {name.casefold(): column for name, column in found.columns.items()}
        shown = [f"{folded[name].sql}, {folded[name].known or 'TRUE'}" for name in NAMES]
        gone = identifier("is gone")
        asked = f"SELECT id, {gone}, {', '.join(shown)} FROM {found.sql} e ORDER BY id"
        rows: list[tuple[Any, ...]] = reading.engine.execute(asked).fetchall()
        return rows


def known(row: tuple[Any, ...]) -> tuple[Any, ...]:
    """A row without values that are not known; those of the deleted matter to nobody."""
    id_, gone, *rest = row
    pairs = list(zip(rest[::2], rest[1::2], strict=True))
    return (id_, gone, *(() if gone else ((value if is_known else "?") for value, is_known in pairs)))


def test_everybody_at_once_is_everybody_one_by_one(project):
    made = project("sqlite", now="2024-01-11T04:00")
    made.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5), ("2024-01-10", "9", 2)])
    rows = [(1, "pro", 3), (2, None, None), (3, "free", 1)]
    made.table("accounts (id int, plan varchar(9), seats int)", rows)
    made.declare(TOML)
    ids = ["1", "2", "3", "9", "x"]
    assert rows_of(made, None) == []
    made.run()
    made.book.push_attributes("accounts", "9", attributes={"color": "red", "plan": "pushed"})
    made.book.push_attributes("accounts", "x", attributes={"color": "blue"})
    made.book.push_attributes("accounts", "1", attributes={"color": "green"})
    for change in ("delete from accounts where id = 3", "update accounts set plan = 'pro' where id = 2", ""):
        first = rows_of(made, None)
        assert [known(row) for row in first] == [known(row) for row in rows_of(made, ids)]
        if change:
            made.execute(change)
            made.run()
    assert known(first[0]) == ("1", False, "pro", 3, "green", None, 5)
    assert known(first[2]) == ("3", True)
    assert known(first[4]) == ("x", False, "?", "?", "blue", None, 0)
    made.declare(TOML.replace('"seats"]', '"seats", "later"]'))
    assert [known(row) for row in rows_of(made, None)] == [known(row) for row in rows_of(made, ids)]
    assert known(rows_of(made, None)[0])[5] == "?"


def test_earlier_values_of_attributes_are_those_of_then(project):
    made = project("sqlite", now="2024-01-11T04:00")
    made.table("calls (day date, account_id varchar(9), n int)", [("2024-01-10", "1", 5)])
    made.table("accounts (id int, plan varchar(9), seats int)", [(1, "trial", 1), (2, "free", 2)])
    made.declare(TOML)
    made.run()
    made.execute("update accounts set plan = 'pro' where id = 1")
    made.insert("accounts", [(3, "free", 1)])
    made.at("2024-01-13T04:00").run()
    service = made.book.answers
    question = SubjectsQuestion(
        kind="accounts", names=["plan"], earlier=[("plan", "1 day")], now=service.reader.now, ids=None
    )
    with service.reader.reading() as reading:
        found = load_subjects(service, reading.engine, question)
        now, then = found.columns["plan"], found.earlier["plan", "1 day"]
        asked = f"SELECT id, {now.sql}, {then.sql}, {then.known or 'TRUE'} FROM {found.sql} e ORDER BY id"
        assert reading.engine.execute(asked).fetchall() == [
            ("1", "pro", "trial", True),
            ("2", "free", "free", True),
            ("3", "free", None, False),
        ]
