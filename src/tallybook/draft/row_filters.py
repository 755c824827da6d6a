"""Decides which rows of a table count: states of money, junk, flags and soft deletes, judged by their values and
numbers of rows."""

from __future__ import annotations

from tallybook.collect import BOOL, INT
from tallybook.draft.evidence import numbers
from tallybook.draft.row_conditions import AsSql, RowFilter, is_unset, literal, none_of
from tallybook.draft.seen import Seen, SeenColumn, SeenTable
from tallybook.draft.table_words import WORK
from tallybook.draft.times import is_deletion
from tallybook.draft.value_words import (
    ACCEPTED_VALUES,
    JUNK_FLAGS,
    JUNK_VALUES,
    LOST_FLAGS,
    LOST_VALUES,
    MONEY_MOVED_VALUES,
    NO_MONEY_VALUES,
    NOT_YET_VALUES,
    PAID_VALUES,
    REFUND_FLAGS,
    REFUND_VALUES,
)
from tallybook.draft.words import head, singular, stem, stems, terms, words

STATE_WORDS = frozenset(("status", "state", "stage"))
CODE_WORDS = STATE_WORDS | {"type", "kind", "approved"}
MAX_STATES = 40
MAX_CODES = 12
MIN_ROWS_OF_A_CODE = 5
_UNCLEAR = 0.05
"""A time explains a state if it is set in nearly all rows of some codes and in nearly none of the others."""
_PAID_STEMS = stems(("paid", "completed", "captured", "placed", "confirmed"))
_LOST_STEMS = stems(("canceled", "cancelled", "voided", "refunded", "failed", "rejected", "declined", "expired"))
_GIVEN_UP = _LOST_STEMS - stems(("refunded", "expired"))
_PAID_FLAGS = frozenset(("valid", "paid", "captured", "settled", "succeeded", "successful", "success"))
_GIVEN_BACK = frozenset(("refunded", "refund", "returned"))
_TYPE_WORDS = frozenset(("type", "kind", "category", "transaction"))
_ABSENT = frozenset(("absent", "excused"))
_NEVER_CAME = LOST_VALUES - NOT_YET_VALUES - _GIVEN_BACK - {"returned", "expired", "lost", "missing"}
_DOCUMENTS = ("invoice", "bill", "receipt", "order", "sale", "purchase", "payment", "charge")
MISSED_VALUES = frozenset(("no_show", "noshow", "no-show", "missed", "absent"))
_TAKEN_BACK = frozenset(("canceled", "cancelled", "voided", "returned", "rejected"))
_CARTS = frozenset(("cart", "basket"))
_PAYMENTS = ("payment", "charge", "donation")


def states(table: SeenTable) -> list[SeenColumn]:
    """Columns with the state of a row as a text, payments first."""
    found = [
        c
        for c in table.columns
        if c.textual and set(terms(c.name, table.bare)) & STATE_WORDS and 0 < len(c.texts) <= MAX_STATES
    ]
    return sorted(found, key=lambda c: not set(c.words) & {"payment", "financial"})


def _states_of_money(table: SeenTable) -> list[SeenColumn]:
    """The states of money, payments first; where carts are among the orders, the state of the order first."""
    found = states(table)
    carts = [c for c in found if any(words_of_value(v) & _CARTS for v in c.texts)]
    return [*carts, *(c for c in found if c not in carts)]


def words_of_value(value: str) -> frozenset[str]:
    """The words of a value such as `wc-completed`, `PARTIALLY_PAID` or `autoDraft`."""
    return frozenset(words(value))


# --- money ------------------------------------------------------------------------------------------------------


def money_rows(seen: Seen, table: SeenTable, as_sql: AsSql, amount: SeenColumn | None = None) -> RowFilter:
    """The rows with money that was received: by a state or by a reference to a table of states, without deleted rows.

    With `amount`, also without refunds, unless their amounts are negative."""
    found = RowFilter()
    if amount is not None:
        _without_refunds(table, amount, as_sql, found)
    for column in _states_of_money(table):
        if _money_state(column, as_sql, found, of_payments=head(table.bare) in _PAYMENTS):
            break
    if found.settled:
        _without_canceled(table, as_sql, found)
    if not found.settled:
        _state_by_reference(seen, table, as_sql, found)
    if not found.settled:
        _codes_by_times(table, as_sql, found)
    if not found.settled:
        _with_flag_of_payment(table, as_sql, found)
    if not found.settled:
        _without_lost_times(table, as_sql, found)
        name_codes(table, as_sql, found, ids=True)
    without_flags(table, as_sql, found, JUNK_FLAGS | LOST_FLAGS)
    back = RowFilter()
    without_flags(table, as_sql, back, REFUND_FLAGS)
    found.unsure += [
        f'{why} count, too; without them: where = "{part}"' for part, why in zip(back.parts, back.flagged, strict=True)
    ]
    _without_deleted(table, as_sql, found)
    return found


def _money_state(column: SeenColumn, as_sql: AsSql, found: RowFilter, *, of_payments: bool) -> bool:
    """Add the condition of a state column. Returns False if its values do not concern money. `of_payments`: a row is a
    payment, so that a confirmed or posted one is received money."""
    values = {value: words_of_value(value) for value in column.texts}
    lost = [v for v, named in values.items() if named & LOST_VALUES or "un" in named or _denied(v)]
    partly = [v for v in lost if values[v] & {"partially", "partial", "partly"} and values[v] & _GIVEN_BACK]
    lost = [v for v in lost if v not in partly]
    paid = [v for v, named in values.items() if named & PAID_VALUES and v not in lost]
    accepted = [v for v, named in values.items() if named & ACCEPTED_VALUES and v not in lost]
    paid = paid or (accepted if of_payments else [])
    paid += [v for v in partly if v not in paid] if paid else []
    sql = as_sql(column.name)
    if len(values) < 2 or not (paid or accepted or lost) or len(lost) == len(values):
        return False
    payment = bool(set(column.words) & {"payment", "financial"})
    kept = paid if payment else [*paid, *(v for v in values if v in accepted and v not in paid)]
    if paid:
        left = [f"{v} ({column.counts[v]})" for v in values if v not in kept]
        found.add(_one_of(sql, kept), f"rows left out: {', '.join(left[:6])}" if left else "all values seen")
        found.settled = True
        found.unsure += [f"{v} ({column.counts[v]}) counts with the whole amount" for v in partly]
    elif lost and len(lost) <= len(values) - 1:
        left = [f"{v} ({column.counts[v]})" for v in lost]
        found.add(none_of(column, sql, lost), f"rows left out: {', '.join(left[:6])}")
        found.settled = True
    return found.settled


def _without_canceled(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out the rows that were paid and then canceled or returned, by the state of the whole row."""
    for column in states(table):
        lost = [v for v in column.texts if words_of_value(v) & _TAKEN_BACK]
        whole = set(terms(column.name, table.bare)) <= STATE_WORDS
        if lost and whole and len(lost) < len(column.texts) and as_sql(column.name) not in found.where.split():
            left = ", ".join(f"{v} ({column.counts[v]})" for v in lost)
            found.add(none_of(column, as_sql(column.name), lost), f"left out: {left}")


def _without_refunds(table: SeenTable, amount: SeenColumn, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out rows whose type says that money went back, if the sum would add them."""
    for column in table.columns:
        if (
            not column.textual
            or not set(terms(column.name, table.bare)) & _TYPE_WORDS
            or len(column.texts) > MAX_STATES
        ):
            continue
        back = [v for v in column.texts if words_of_value(v) & REFUND_VALUES or v.lower() in REFUND_VALUES]
        if any(words_of_value(v) & MONEY_MOVED_VALUES for v in column.texts if v not in back):
            back += [v for v in column.texts if words_of_value(v) & NO_MONEY_VALUES and v not in back]
        values = [a for a, v in zip(amount.cells, column.cells, strict=True) if str(v) in back and a is not None]
        if back and len(back) < len(column.texts) and sum(v > 0 for v in numbers(values)) * 2 > len(values):
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in back)
            found.add(none_of(column, as_sql(column.name), back), f"left out: {listed}, with amounts above zero")


def _without_lost_times(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out the rows with a time at which the money was given up: canceled_at, voided_at, failed_at."""
    for column in table.times:
        if {stem(w) for w in column.words} & _GIVEN_UP and column.nulls > 0 and 2 * len(column.values) < table.rows:
            found.add(
                is_unset(column, as_sql), f"rows left out: {len(column.values)} of {table.rows} with {column.name}"
            )


def _with_flag_of_payment(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Keep the rows whose flag says that they are paid."""
    for column in table.columns:
        named = {singular(w) for w in column.words} - {"is", "was", "has"}
        if is_flag(column) and named and named <= _PAID_FLAGS and len(column.texts) > 1:
            unpaid = sum(not value for value in column.values)
            yes = "true" if column.type.kind == BOOL else "1"
            found.add(f"{as_sql(column.name)} = {yes}", f"rows left out: {unpaid} without {column.name}")
            found.settled = True
            return


def _denied(value: str) -> bool:
    """Whether a value negates a state in one word, such as unpaid. The word unfulfilled does not count, because it is a
    paid order."""
    return value.lower() in ("unpaid", "notpaid")


def _one_of(sql: str, values: list[str]) -> str:
    listed = ", ".join(map(literal, values))
    return f"{sql} = {listed}" if len(values) == 1 else f"{sql} in ({listed})"


def _codes_by_times(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Add the condition of an integer state, with the codes of rows that have a time of payment or of an end."""
    for column in _coded_states(table):
        explained = codes_with_times(table, column)
        paid = [c for c, times in explained.items() if any({stem(w) for w in t.words} & _PAID_STEMS for t in times)]
        lost = [c for c, times in explained.items() if any({stem(w) for w in t.words} & _LOST_STEMS for t in times)]
        kept = [code for code in paid if code not in lost]
        with_times = "; ".join(
            f"{column.name} {c} ({column.counts[c]}) has {', '.join(t.name for t in explained[c])}"
            for c in (*kept, *lost)
        )
        left = [f"{c} ({n})" for c, n in column.counts.items() if (c not in kept if kept else c in lost)]
        why = f"{with_times}; rows left out: {', '.join(left[:6])}"
        sql = as_sql(column.name)
        if kept:
            found.add(f"{sql} in ({', '.join(kept)})" if len(kept) > 1 else f"{sql} = {kept[0]}", why)
        elif lost and len(lost) < len(column.texts):
            found.add(f"{sql} not in ({', '.join(lost)})" if len(lost) > 1 else f"{sql} <> {lost[0]}", why)
        found.settled = bool(kept or lost)
        if found.settled:
            return


def _coded_states(table: SeenTable, *, ids: bool = False) -> list[SeenColumn]:
    """Columns with the state of a row as an integer. `ids`: also status_id, whose table is not known."""
    found = (c for c in table.columns if c.type.kind == INT and set(terms(c.name, table.bare)) & STATE_WORDS)
    return [c for c in found if (not c.an_id or (ids and not c.key)) and 1 < len(c.texts) <= MAX_CODES]


def codes_with_times(table: SeenTable, column: SeenColumn) -> dict[str, list[SeenColumn]]:
    """The codes of a state, each with the times set in nearly all of its rows and in hardly any row of some other
    code."""
    found: dict[str, list[SeenColumn]] = {}
    for time in table.times:
        if not 0 < time.nulls < table.rows or len(time.cells) != len(column.cells):
            continue
        shares: dict[str, float] = {}
        for code, number in column.counts.items():
            pairs = zip(column.cells, time.cells, strict=True)
            shares[code] = sum(t is not None for c, t in pairs if str(c) == code) / number
        clear = all(not _UNCLEAR < share < 1 - _UNCLEAR for share in shares.values())
        if clear and min(column.counts.values()) >= MIN_ROWS_OF_A_CODE:
            for code in (code for code, share in shares.items() if share > 0.5):
                found.setdefault(code, []).append(time)
    return found


def _state_by_reference(seen: Seen, table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Add the condition of a number that refers to a table of named states. A number without a name is not an order."""
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


def counted_rows(table: SeenTable, as_sql: AsSql, *, deleted_count: bool, absent_count: bool = True) -> RowFilter:
    """The rows of a table that count, without junk. `deleted_count`: whether a deleted row still counts.
    `absent_count`: whether a row about an absent person counts."""
    found, of_money = RowFilter(), head(table.bare) in _DOCUMENTS
    if not absent_count:
        _without_absent(table, as_sql, found)
    for column in table.columns:
        if column.textual and set(terms(column.name, table.bare)) & CODE_WORDS and len(column.texts) <= MAX_STATES:
            lost = of_money and not set(column.words) & _TYPE_WORDS
            _without_junk(column, as_sql, found, _NEVER_CAME if lost else frozenset())
    if head(table.bare) not in WORK:
        _name_lost(table, as_sql, found)
    without_flags(table, as_sql, found)
    if not deleted_count:
        _without_deleted(table, as_sql, found)
    elif deleted := _deleted(table):
        number = len(deleted.values)
        found.unsure.append(
            f"{deleted.name} is set in {number} of {table.rows} sampled rows, which count; "
            f'otherwise: where = "{is_unset(deleted, as_sql)}"'
        )
    name_codes(table, as_sql, found)
    return found


def _name_lost(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Name the values of a state that say that something did not take place."""
    for column in states(table)[:1]:
        missed = [v for v in column.texts if v in MISSED_VALUES]
        lost = [v for v in column.texts if words_of_value(v) & (LOST_VALUES - NOT_YET_VALUES) or v in missed]
        if lost and len(lost) < len(column.texts) and as_sql(column.name) not in found.where:
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in lost[:6])
            without = none_of(column, as_sql(column.name), lost)
            line = f'{column.name} {listed} counts, too; without these rows: where = "{without}"'
            found.unsure.append(line)
            found.missed += [line] if missed else []


def _without_absent(table: SeenTable, as_sql: AsSql, found: RowFilter) -> None:
    """Leave out rows about an absent person."""
    for column in states(table):
        absent = [v for v in column.texts if words_of_value(v) & _ABSENT]
        if absent and len(absent) < len(column.texts):
            listed = ", ".join(f"{v} ({column.counts[v]})" for v in absent)
            found.add(none_of(column, as_sql(column.name), absent), f"were not there: {listed}")


def _without_junk(column: SeenColumn, as_sql: AsSql, found: RowFilter, also: frozenset[str] = frozenset()) -> None:
    junk = [v for v in column.texts if words_of_value(v.replace("-", "_")) & (JUNK_VALUES | also)]
    public = [v for v in column.texts if words_of_value(v) & {"publish", "published", "public", "approved", "visible"}]
    sql = as_sql(column.name)
    if junk and public:
        left = [f"{v} ({column.counts[v]})" for v in column.texts if v not in public]
        found.add(_one_of(sql, public), f"rows left out: {', '.join(left[:6])}")
    elif junk and len(junk) < len(column.texts):
        left = [f"{v} ({column.counts[v]})" for v in junk]
        found.add(none_of(column, sql, junk), f"rows left out: {', '.join(left[:6])}")


def without_flags(table: SeenTable, as_sql: AsSql, found: RowFilter, of: frozenset[str] = JUNK_FLAGS) -> None:
    """Leave out rows with a flag of one of these words: is_test, spam, deleted."""
    for column in table.columns:
        nouns = {singular(w) for w in words(table.bare)}
        named = {singular(w) for w in column.words} - {"is", "has", "was"}
        named = named - nouns - {"account"} or named
        if not is_flag(column) or not named <= of or not named or len(column.texts) < 2:
            continue
        no = "false" if column.type.kind == BOOL else "0"
        sql = as_sql(column.name)
        number = sum(bool(v) for v in column.values)
        part = f"{sql} = {no}" if not column.nulls else f"({sql} is null or {sql} = {no})"
        found.flagged.append(f"{number} of {table.rows} sampled rows with {column.name}")
        found.add(part, f"rows left out: {found.flagged[-1]}")


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
        found.add(is_unset(column, as_sql), f"{number} of {table.rows} sampled rows are deleted")


def name_codes(table: SeenTable, as_sql: AsSql, found: RowFilter, *, ids: bool = False) -> None:
    """Name the codes of a state that nothing explains, with their numbers of rows."""
    for column in _coded_states(table, ids=ids):
        listed = ", ".join(f"{v} ({n})" for v, n in sorted(column.counts.items(), key=lambda i: i[0])[:8])
        explained = codes_with_times(table, column)
        times = "; ".join(f"{code} has {', '.join(t.name for t in with_)}" for code, with_ in explained.items())
        found.unsure.append(
            f"{column.name} is {listed} and is not used{f' ({times})' if times else ''}; to keep one: where = "
            f'"{as_sql(column.name)} = {column.texts[0]}"'
        )
