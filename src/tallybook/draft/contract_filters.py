"""Decides which contracts count as active: without those that have not begun, and those that ended without an end
date."""

from __future__ import annotations

from tallybook.draft.evidence import null_share
from tallybook.draft.row_conditions import AsSql, RowFilter, none_of
from tallybook.draft.row_filters import MISSED_VALUES, name_codes, states, without_flags, words_of_value
from tallybook.draft.seen import SeenColumn, SeenTable
from tallybook.draft.time_words import LATER
from tallybook.draft.value_words import JUNK_FLAGS, LOST_FLAGS, NOT_STARTED_VALUES, OVER_VALUES

MAX_OPEN_PLANNED = 0.02
"""If fewer rows than this have no end, the end is planned, and does not show what happened to the contract."""
_NEVER = frozenset(("canceled", "cancelled", "rejected", "declined", "void", "voided"))
_LOST = LOST_FLAGS | frozenset(("refunded",))
"""Flags of stays that were booked and did not take place."""
_APPLIED = frozenset(("submitted", "requested", "applied", "application"))
_GRANTED = frozenset(("disbursed", "activated", "started"))
_TRIALS = frozenset(("trial", "trialing", "trialling"))


def started_contracts(table: SeenTable, as_sql: AsSql, ended: SeenColumn | None = None) -> RowFilter:
    """The contracts that have begun: without pending and incomplete ones. With `ended`, also without those whose state
    says that they have ended but whose end is not set."""
    found = RowFilter()
    for column in states(table)[:1]:
        trials = [v for v in column.texts if words_of_value(v) & _TRIALS]
        if trials and len(trials) < len(column.texts):
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in trials)
            without = none_of(column, as_sql(column.name), trials)
            found.unsure.append(f'{column.name} {listed} counts, too; without trials: where = "{without}"')
        if ended is not None:
            _without_end(table, column, ended, as_sql, found)
        waiting = [v for v in column.texts if words_of_value(v) & NOT_STARTED_VALUES]
        if waiting and len(waiting) < len(column.texts):
            left = [f"{v} ({column.counts[v]})" for v in waiting]
            found.add(none_of(column, as_sql(column.name), waiting), f"left out: {', '.join(left)}")
    planned = ended is not None and null_share(ended) < MAX_OPEN_PLANNED
    without_flags(table, as_sql, found, JUNK_FLAGS | _LOST if planned else JUNK_FLAGS)
    name_codes(table, as_sql, found)
    return found


def begun_after(table: SeenTable, applied: SeenColumn) -> SeenColumn | None:
    """The time at which a contract began, if another one says when it was applied for: some were never granted."""
    if not set(applied.words) & _APPLIED:
        return None
    return next((c for c in table.times if set(c.words) & _GRANTED and not set(c.words) & LATER and c.values), None)


def canceled_contracts(table: SeenTable, as_sql: AsSql) -> list[str]:
    """Doubts about new contracts: some were canceled or rejected, and were never active."""
    for column in states(table)[:1]:
        never = [v for v in column.texts if words_of_value(v) & _NEVER or v in MISSED_VALUES]
        if never and len(never) < len(column.texts):
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in never)
            without = none_of(column, as_sql(column.name), never)
            return [f'{column.name} {listed} counts, too; without these rows: where = "{without}"']
    return []


def _without_end(table: SeenTable, column: SeenColumn, ended: SeenColumn, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out contracts whose state says that they have ended, and whose end is not set: they would never end.

    If the state and the end disagree in other rows too, the rows count and are named."""
    over = [v for v in column.texts if words_of_value(v) & OVER_VALUES]
    if null_share(ended) < MAX_OPEN_PLANNED:  # the end is planned for all rows, whatever happened to them
        over = [v for v in column.texts if words_of_value(v) & _NEVER or v in MISSED_VALUES]
        if over and len(over) < len(column.texts):
            left = ", ".join(f"{v} ({column.counts[v]})" for v in over)
            found.add(none_of(column, as_sql(column.name), over), f"left out: {left}")
        return
    pairs = [(str(state) in over, end is not None) for state, end in zip(column.cells, ended.cells, strict=True)]
    endless = sum(is_over and not has_end for is_over, has_end in pairs)
    if not endless or len(over) == len(column.texts):
        return
    part = f"{none_of(column, as_sql(column.name), over)} or {as_sql(ended.name)} is not null"
    reason = f"{endless} of {table.rows} sampled rows are {', '.join(over[:3])} without {ended.name}"
    with_end = [is_over for is_over, has_end in pairs if has_end]
    if 2 * sum(with_end) >= len(with_end) > 0:
        found.add(part, f"left out: {reason}")
    else:
        found.unsure.append(f'{reason}, and count; without them: where = "{part}"')
