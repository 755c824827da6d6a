"""When a row was changed may be stored in another way than when it happened.

Business times are in local time, `updated_at` is in UTC."""

from __future__ import annotations

import pytest

from tallybook.core.errors import DeclarationError
from tests.projects import everywhere, project

__all__ = ["project"]

METRIC = """
    [metrics.n]
    table = "o"
    time = "happened"
    stored = "{stored}"
    measure = "sum(v)"
    changed = "upd"
    lookback = "0d"
    {more}
"""


def made(project, kind, zone, stored, more, changed_at):
    """Collected on 4 March at 9 o'clock UTC; then a row of 25 February is changed."""
    p = project(kind, now="2024-03-04T09:00")
    p.table("o (id integer, happened timestamp, upd timestamp, v integer)")
    p.insert(
        "o",
        [(1, "2024-02-25 12:00:00", "2024-02-25 12:00:00", 10), (2, "2024-03-01 12:00:00", "2024-03-01 12:00:00", 1)],
    )
    p.declare(METRIC.format(stored=stored, more=more), start="2024-02-20", timezone=zone)
    p.run()
    p.execute(f"update o set v = 77, upd = '{changed_at}' where id = 1")
    return p.at("2024-03-05T09:00")


@everywhere
@pytest.mark.parametrize(
    ("zone", "stored", "changed_stored", "changed_at"),
    [
        ("Asia/Kathmandu", "local", "utc", "2024-03-04 09:30:00"),
        ("America/Los_Angeles", "utc", "local", "2024-03-04 01:30:00"),
    ],
)
def test_a_change_is_found_by_the_way_in_which_it_is_stored(project, kind, zone, stored, changed_stored, changed_at):
    p = made(project, kind, zone, stored, f'changed_stored = "{changed_stored}"', changed_at)
    p.run()
    assert p.ask("n")["2024-02-25"] == 77
    (look,) = p.book.look()
    assert any(said.startswith("upd") for said in look.said)


@everywhere
@pytest.mark.parametrize(
    ("zone", "stored", "changed_at", "line"),
    [
        ("Asia/Kathmandu", "utc", "2024-03-05 14:40:00", 'changed_stored = "local"'),
        ("America/Los_Angeles", "local", "2024-03-05 08:55:00", 'changed_stored = "utc"'),
    ],
)
def test_a_change_that_is_later_than_now_is_an_error_with_the_line_to_paste(
    project, kind, zone, stored, changed_at, line
):
    p = made(project, kind, zone, stored, "", changed_at)
    (failed,) = p.book.run().failed
    assert "changed later than now" in failed.error
    assert line in failed.hint


def test_a_change_in_the_far_future_is_none_of_a_zone(project):
    p = made(project, "sqlite", "Asia/Kathmandu", "utc", "", "2099-01-01 00:00:00")
    p.run()


def test_changed_stored_needs_changed(project):
    p = project()
    p.table("o (happened text, upd text, v integer)")
    p.declare(METRIC.format(stored="utc", more='changed_stored = "utc"').replace('    changed = "upd"\n', ""))
    with pytest.raises(DeclarationError, match="changed_stored"):
        p.run()
