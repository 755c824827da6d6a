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
    assert p.book.run().failed == []


@everywhere
@pytest.mark.parametrize(
    ("zone", "stored", "happened", "updated", "line"),
    [
        ("Asia/Kathmandu", "local", "14:45:00", "09:00:00", 'changed_stored = "utc"'),
        ("America/Los_Angeles", "utc", "16:00:00", "09:00:00", 'changed_stored = "local"'),
        # read as they are stored, no row is changed before it happened
        ("Asia/Kathmandu", "utc", "09:00:00", "09:00:00", None),
        ("Asia/Kathmandu", "local", "09:00:00", "17:00:00", None),
        # an hour before, in whatever zone: the times are plans, or the clocks differ
        ("Asia/Kathmandu", "local", "12:00:00", "11:00:00", None),
    ],
)
def test_check_warns_of_rows_that_are_changed_before_they_happened(
    project, kind, zone, stored, happened, updated, line
):
    p = project(kind, now="2024-03-31T09:00")
    p.table("o (id integer, happened timestamp, upd timestamp, v integer)")
    p.insert("o", [(n, f"2024-03-{n:02} {happened}", f"2024-03-{n:02} {updated}", 1) for n in range(1, 29)])
    p.execute("update o set upd = '2024-03-30 12:00:00' where id in (2, 9, 20)")
    p.declare(METRIC.format(stored=stored, more=""), start="2024-02-20", timezone=zone)
    (look,) = p.book.look()
    found = [doubt for doubt in look.doubts if doubt.startswith("upd is usually")]
    assert [line in doubt for doubt in found] == ([True] if line else [])


def test_changed_stored_needs_changed(project):
    p = project()
    p.table("o (happened text, upd text, v integer)")
    p.declare(METRIC.format(stored="utc", more='changed_stored = "utc"').replace('    changed = "upd"\n', ""))
    with pytest.raises(DeclarationError, match="changed_stored"):
        p.run()
