"""The functions of formulas."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from datetime import date
from typing import Any

from tallybook_emulators.sheets.a1 import parse, split
from tallybook_emulators.sheets.entry import EPOCH, serial
from tallybook_emulators.sheets.formulas import (
    CellContext,
    CellError,
    FormulaError,
    Tree,
    evaluate,
    flat,
    numeric,
    order,
    single,
    text_of,
)


def numbers(given: tuple[Any, ...]) -> Iterator[float]:
    """The numbers in the arguments. In ranges, other values are skipped. A scalar argument is converted to a number."""
    for one in given:
        if isinstance(one, list):
            yield from (v for v in flat(one) if isinstance(v, int | float) and not isinstance(v, bool))
        elif one is not None:
            yield numeric(one)


def _average(*given: Any) -> float:
    found = list(numbers(given))
    if not found:
        raise FormulaError("#DIV/0!", "Evaluation of function AVERAGE caused a divide by zero error.")
    return sum(found) / len(found)


def _median(*given: Any) -> float:
    found = sorted(numbers(given))
    if not found:
        raise FormulaError("#NUM!")
    middle = len(found) // 2
    return found[middle] if len(found) % 2 else (found[middle - 1] + found[middle]) / 2


def _round(value: Any, places: Any = 0) -> float:
    """ROUND: halves are rounded away from zero."""
    number, scale = numeric(value), 10 ** numeric(places)
    return math.copysign(math.floor(abs(number) * scale + 0.5) / scale, number)


def _matches(criterion: Any) -> Callable[[Any], bool]:
    """The predicate of a COUNTIF or SUMIF criterion: `">5"`, `"<>x"`, `3`."""
    text = text_of(criterion)
    for mark in ("<>", "<=", ">=", "<", ">", "="):
        if text.startswith(mark):
            from tallybook_emulators.sheets.formulas import OPERATORS

            bound: Any = text[len(mark) :]
            with_number = _as_number(bound)
            return lambda value: value is not None and bool(OPERATORS[mark](value, with_number))
    wanted = _as_number(text)
    return lambda value: value is not None and order(value) == order(wanted)


def _as_number(text: str) -> Any:
    try:
        return float(text)
    except ValueError:
        return text


def _sumif(area: Any, criterion: Any, summed: Any = None) -> float:
    test = _matches(criterion)
    pairs = zip(flat(area), flat(area if summed is None else summed), strict=False)
    return sum(v for key, v in pairs if test(key) and isinstance(v, int | float) and not isinstance(v, bool))


def _countif(area: Any, criterion: Any) -> int:
    test = _matches(criterion)
    return sum(1 for value in flat(area) if test(value))


def _vlookup(key: Any, area: Any, index: Any, _sorted: Any = True) -> Any:
    """VLOOKUP by exact match, even if the last argument allows an approximate one."""
    for row in area:
        if row[0] is not None and order(row[0]) == order(single(key)):
            return row[int(numeric(index)) - 1]
    raise FormulaError("#N/A", f"Did not find value '{text_of(key)}' in VLOOKUP evaluation.")


def _date(year: Any, month: Any, day: Any) -> float:
    """DATE: months and days out of range carry over, and years below 1900 are added to 1900, as in Sheets."""
    number = int(numeric(year))
    months = (number + 1900 if 0 <= number < 1900 else number) * 12 + int(numeric(month)) - 1
    found = serial(date(months // 12, months % 12 + 1, 1)) + int(numeric(day)) - 1
    if found < 0:
        raise FormulaError("#NUM!", "Function DATE gives a day before 1899-12-30.")
    return found


def _months_on(value: Any, months: Any) -> date:
    """The first day of the month `months` after the month of a day."""
    start = _day_of(value)
    count = start.year * 12 + start.month - 1 + int(numeric(months))
    return date(count // 12, count % 12 + 1, 1)


def _month_end(value: Any, months: Any) -> float:
    return serial(_months_on(value, numeric(months) + 1)) - 1


def _same_day(value: Any, months: Any) -> float:
    """EDATE: the same day of another month, or the last day of that month."""
    return min(serial(_months_on(value, months)) + _day_of(value).day - 1, _month_end(value, months))


def _day_of(value: Any) -> date:
    return date.fromordinal(int(numeric(value)) + EPOCH)


STRICT: dict[str, Callable[..., Any]] = {
    "SUM": lambda *given: sum(numbers(given)),
    "AVERAGE": _average,
    "MEDIAN": _median,
    "COUNT": lambda *given: sum(1 for one in given for v in flat(one) if isinstance(v, int | float)),
    "COUNTA": lambda *given: sum(1 for one in given for v in flat(one) if v is not None),
    "COUNTBLANK": lambda *given: sum(1 for one in given for v in flat(one) if v in (None, "")),
    "MIN": lambda *given: min(numbers(given), default=0),
    "MAX": lambda *given: max(numbers(given), default=0),
    "ABS": lambda value: abs(numeric(value)),
    "INT": lambda value: math.floor(numeric(value)),
    "MOD": lambda value, by: numeric(value) % numeric(by),
    "ROUND": _round,
    "PRODUCT": lambda *given: math.prod(numbers(given)),
    "SUMIF": _sumif,
    "COUNTIF": _countif,
    "VLOOKUP": _vlookup,
    "AND": lambda *given: all(bool(single(v)) for one in given for v in flat(one) if v is not None),
    "OR": lambda *given: any(bool(single(v)) for one in given for v in flat(one) if v is not None),
    "NOT": lambda value: not single(value),
    "CONCATENATE": lambda *given: "".join(text_of(v) for one in given for v in flat(one)),
    "LEN": lambda value: len(text_of(value)),
    "UPPER": lambda value: text_of(value).upper(),
    "LOWER": lambda value: text_of(value).lower(),
    "TRIM": lambda value: " ".join(text_of(value).split()),
    "HYPERLINK": lambda link, label=None: single(link) if label is None else single(label),
    "N": lambda value: numeric(value) if not isinstance(single(value), str) else 0,
    "DATE": _date,
    "EDATE": _same_day,
    "EOMONTH": _month_end,
    "TO_DATE": numeric,
    "YEAR": lambda value: _day_of(value).year,
    "MONTH": lambda value: _day_of(value).month,
    "DAY": lambda value: _day_of(value).day,
    "PI": lambda: math.pi,
    "TRUE": lambda: True,
    "FALSE": lambda: False,
}


def _if(given: list[Tree], place: CellContext) -> Any:
    if single(evaluate(given[0], place)):
        return evaluate(given[1], place)
    return evaluate(given[2], place) if len(given) > 2 else False


def _iferror(given: list[Tree], place: CellContext) -> Any:
    try:
        return single(evaluate(given[0], place))
    except FormulaError:
        return evaluate(given[1], place) if len(given) > 1 else None


def _isblank(given: list[Tree], place: CellContext) -> bool:
    value = evaluate(given[0], place)
    return value is None or value == [[None]]


def _iserror(given: list[Tree], place: CellContext) -> bool:
    try:
        return isinstance(single(evaluate(given[0], place)), CellError)
    except FormulaError:
        return True


def _line(given: list[Tree], place: CellContext, attribute: str, own: int) -> int:
    if not given:
        return own + 1
    span = parse(split(given[0][1])[1] or "") if given[0][0] == "ref" else None
    if span is None:
        raise FormulaError("#VALUE!")
    found: int = getattr(span, attribute)
    return found + 1


LAZY: dict[str, Callable[[list[Tree], CellContext], Any]] = {
    "IF": _if,
    "IFERROR": _iferror,
    "ISBLANK": _isblank,
    "ISERROR": _iserror,
    "ROW": lambda given, place: _line(given, place, "r0", place.row),
    "COLUMN": lambda given, place: _line(given, place, "c0", place.column),
    "TODAY": lambda _, place: serial(place.now.date()),
    "NOW": lambda _, place: serial(place.now),
}
"""Functions that receive their arguments unevaluated."""
