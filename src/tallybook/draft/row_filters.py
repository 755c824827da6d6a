"""Which rows of a table count: states of money, junk, flags and soft deletes, by their values and numbers of rows."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from tallybook.collect import BOOL, INT
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.times import is_deletion
from tallybook.draft.value_words import (
    ACCEPTED_VALUES,
    JUNK_FLAGS,
    JUNK_VALUES,
    LOST_VALUES,
    NOT_STARTED_VALUES,
    PAID_VALUES,
)
from tallybook.draft.words import head, singular, terms, words

AsSql = Callable[[str], str]
STATE_WORDS = frozenset(("status", "state", "stage"))
CODE_WORDS = STATE_WORDS | {"type", "kind", "approved"}
MAX_STATES = 40
MAX_CODES = 12
_PAYMENTS = ("payment", "charge", "donation")


@dataclass
class RowFilter:
    """A condition for the rows that count, the reason, and what was not understood."""

    parts: list[str] = field(default_factory=list)
    reasons: list[str] = field(default_factory=list)
    unsure: list[str] = field(default_factory=list)
    settled: bool = False
    """Whether a state decides which rows count."""

    def add(self, part: str, reason: str) -> None:
        """Add one condition."""
        self.parts.append(part)
        self.reasons.append(reason)

    @property
    def where(self) -> str:
        """The conditions as SQL; empty if all rows count."""
        return " and ".join(f"({p})" if " or " in p and len(self.parts) > 1 else p for p in self.parts)

    @property
    def why(self) -> str:
        """The reasons as one text."""
        return "; ".join(self.reasons)


def literal(text: str) -> str:
    """A text in SQL."""
    return "'" + text.replace("'", "''") + "'"


def states(table: SeenTable) -> list[SeenColumn]:
    """Columns with the state of a row as a text, payments first."""
    found = [
        c
        for c in table.columns
        if c.textual and set(terms(c.name, table.bare)) & STATE_WORDS and 0 < len(c.texts) <= MAX_STATES
    ]
    return sorted(found, key=lambda c: not set(c.words) & {"payment", "financial"})


def words_of_value(value: str) -> frozenset[str]:
    """The words of a value: those of `wc-completed`, `PARTIALLY_PAID` and `autoDraft`."""
    return frozenset(words(value))


# --- money ------------------------------------------------------------------------------------------------------


def money_rows(seen: Seen, table: SeenTable, as_sql: AsSql) -> RowFilter:
    """The rows with money that has come: by a state, by a reference to a table of states, without deleted rows."""
    found = RowFilter()
    for column in states(table):
        if _money_state(column, as_sql, found, of_payments=head(table.bare) in _PAYMENTS):
            break
    if not found.settled:
        _state_by_reference(seen, table, as_sql, found)
    if not found.settled:
        _name_codes(table, as_sql, found)
    _without_flags(table, as_sql, found)
    _without_deleted(table, as_sql, found)
    return found


def _money_state(column: SeenColumn, as_sql: AsSql, found: RowFilter, *, of_payments: bool) -> bool:
    """Add the condition of a state column; False if its values say nothing about money. `of_payments`: a row is a
    payment, so that a confirmed or posted one has come."""
    values = {value: words_of_value(value) for value in column.texts}
    lost = [v for v, named in values.items() if named & LOST_VALUES or "un" in named or _denied(v)]
    paid = [v for v, named in values.items() if named & PAID_VALUES and v not in lost]
    accepted = [v for v, named in values.items() if named & ACCEPTED_VALUES and v not in lost]
    paid = paid or (accepted if of_payments else [])
    sql = as_sql(column.name)
    if len(values) < 2 or not (paid or accepted or lost) or len(lost) == len(values):
        return False
    payment = bool(set(column.words) & {"payment", "financial"})
    kept = paid if payment else [*paid, *(v for v in values if v in accepted and v not in paid)]
    if paid:
        left = [f"{v} ({column.counts[v]})" for v in values if v not in kept]
        found.add(_one_of(sql, kept), f"rows left out: {', '.join(left[:6])}" if left else "all values seen")
        found.settled = True
    elif lost and len(lost) <= len(values) - 1:
        left = [f"{v} ({column.counts[v]})" for v in lost]
        found.add(f"{sql} not in ({', '.join(map(literal, lost))})", f"rows left out: {', '.join(left[:6])}")
        found.settled = True
    return found.settled


def _denied(value: str) -> bool:
    """Whether a value negates a state in one word: unpaid, unfulfilled (which is a paid order) is not."""
    return value.lower() in ("unpaid", "notpaid")


def _one_of(sql: str, values: list[str]) -> str:
    listed = ", ".join(map(literal, values))
    return f"{sql} = {listed}" if len(values) == 1 else f"{sql} in ({listed})"


def _state_by_reference(seen: Seen, table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Add the condition of a number that refers to a table of named states. A number without a name is no order."""
    for column in table.columns:
        if column.type.kind != INT or not set(column.words) & STATE_WORDS or not 1 < len(column.texts) <= MAX_STATES:
            continue
        names = _state_names(seen, column)
        if not names:
            continue
        kept = [v for v in column.texts if v in names and not words_of_value(names[v]) & (LOST_VALUES - {"pending"})]
        left = [f"{v} {names.get(v, 'without a name')} ({column.counts[v]})" for v in column.texts if v not in kept]
        if kept and left:
            found.add(
                f"{as_sql(column.name)} in ({', '.join(sorted(kept, key=int))})", f"left out: {', '.join(left[:6])}"
            )
        found.settled = bool(kept)
        return


def _state_names(seen: Seen, column: SeenColumn) -> dict[str, str]:
    """The names of the codes of a column, from the table with its name."""
    noun = {singular(w) for w in column.words if w != "id"}
    for other in seen.tables:
        if {singular(w) for w in words(other.bare)} != noun or other.total > MAX_STATES * 10:
            continue
        key = next(
            (c for c in other.columns if c.type.kind == INT and (c.name == column.name or c.words == ("id",))), None
        )
        name = next((c for c in other.columns if c.textual and set(c.words) & {"name", "label", "code"}), None)
        if key and name and len(key.cells) == len(name.cells):
            return {
                str(k): str(n) for k, n in zip(key.cells, name.cells, strict=True) if k is not None and n is not None
            }
    return {}


# --- other tables -------------------------------------------------------------------------------------------------


def counted_rows(table: SeenTable, as_sql: AsSql, *, deleted_count: bool) -> RowFilter:
    """The rows of a table that count: without junk. `deleted_count`: whether a deleted row is a fact all the same."""
    found = RowFilter()
    for column in table.columns:
        if column.textual and set(terms(column.name, table.bare)) & CODE_WORDS and len(column.texts) <= MAX_STATES:
            _without_junk(column, as_sql, found)
    _without_flags(table, as_sql, found)
    if not deleted_count:
        _without_deleted(table, as_sql, found)
    elif deleted := _deleted(table):
        number = len(deleted.values)
        found.unsure.append(
            f"{deleted.name} is set in {number} of {table.rows} sampled rows, which count; "
            f'otherwise: where = "{as_sql(deleted.name)} is null"'
        )
    _name_codes(table, as_sql, found)
    return found


def started_contracts(table: SeenTable, as_sql: AsSql) -> RowFilter:
    """The contracts that have begun: without pending and incomplete ones."""
    found = RowFilter()
    for column in states(table)[:1]:
        waiting = [v for v in column.texts if words_of_value(v) & NOT_STARTED_VALUES]
        if waiting and len(waiting) < len(column.texts):
            left = [f"{v} ({column.counts[v]})" for v in waiting]
            found.add(
                f"{as_sql(column.name)} not in ({', '.join(map(literal, waiting))})", f"left out: {', '.join(left)}"
            )
    _without_flags(table, as_sql, found)
    _name_codes(table, as_sql, found)
    return found


def _without_junk(column: SeenColumn, as_sql: AsSql, found: RowFilter) -> None:
    junk = [v for v in column.texts if words_of_value(v.replace("-", "_")) & JUNK_VALUES]
    public = [v for v in column.texts if words_of_value(v) & {"publish", "published", "public", "approved", "visible"}]
    sql = as_sql(column.name)
    if junk and public:
        left = [f"{v} ({column.counts[v]})" for v in column.texts if v not in public]
        found.add(_one_of(sql, public), f"rows left out: {', '.join(left[:6])}")
    elif junk and len(junk) < len(column.texts):
        left = [f"{v} ({column.counts[v]})" for v in junk]
        found.add(f"{sql} not in ({', '.join(map(literal, junk))})", f"rows left out: {', '.join(left[:6])}")


def _without_flags(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out rows with a flag of junk: is_test, spam, deleted."""
    for column in table.columns:
        named = {singular(w) for w in column.words} - {"is", "has", "was"}
        if not is_flag(column) or not named <= JUNK_FLAGS or not named or len(column.texts) < 2:
            continue
        no = "false" if column.type.kind == BOOL else "0"
        sql = as_sql(column.name)
        number = sum(bool(v) for v in column.values)
        part = f"{sql} = {no}" if not column.nulls else f"({sql} is null or {sql} = {no})"
        found.add(part, f"rows left out: {number} of {table.rows} sampled rows with {column.name}")


def is_flag(column: SeenColumn) -> bool:
    """Whether a column is true or false."""
    return column.type.kind == BOOL or (
        column.type.kind == INT and bool(column.texts) and set(column.texts) <= {"0", "1"}
    )


def _deleted(table: SeenTable) -> SeenColumn | None:
    """The time of a soft delete, if some rows have one."""
    return next((c for c in table.times if is_deletion(c) and c.values and c.nulls), None)


def _without_deleted(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    column = _deleted(table)
    if column:
        number = len(column.values)
        found.add(f"{as_sql(column.name)} is null", f"{number} of {table.rows} sampled rows are deleted")


def _name_codes(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Name the codes of a state that nothing explains, with their numbers of rows."""
    for column in table.columns:
        state = column.type.kind == INT and set(terms(column.name, table.bare)) & STATE_WORDS
        if state and not column.an_id and 1 < len(column.texts) <= MAX_CODES:
            listed = ", ".join(f"{v} ({n})" for v, n in sorted(column.counts.items(), key=lambda i: i[0])[:8])
            found.unsure.append(
                f'{column.name} is {listed} and is not used; to keep one: where = "{as_sql(column.name)} = '
                f'{column.texts[0]}"'
            )
