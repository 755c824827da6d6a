"""A small formula engine: references, operators and common functions. Other functions give #NAME?.

A formula is parsed into a tree of tuples whose first item is the node type. Values are numbers, texts, booleans, None
for an empty cell, and `CellError`. A range is a list of rows. Circular references are #REF!, as in Sheets.
Function list: https://support.google.com/docs/table/25273"""

from __future__ import annotations

import math
import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from datetime import datetime
from functools import lru_cache
from typing import Any

from tallybook_emulators.sheets.a1 import Rect, Span, parse, split
from tallybook_emulators.sheets.locales import Locale, locale
from tallybook_emulators.sheets.model import Document, Sheet

Tree = tuple[Any, ...]
WORDS = (
    r"\s*(?:(?P<text>\"(?:[^\"]|\"\")*\")"
    r"|(?P<call>[A-Za-z_][A-Za-z0-9_.]*)\("
    r"|(?P<ref>(?:'(?:[^']|'')+'!|[^\W\d]\w*!)?"
    r"(?:\$?[A-Za-z]{1,3}\$?[1-9][0-9]*(?::\$?[A-Za-z]{1,3}(?:\$?[1-9][0-9]*)?)?"
    r"|\$?[A-Za-z]{1,3}:\$?[A-Za-z]{1,3}|\$?[1-9][0-9]*:\$?[1-9][0-9]*)(?![\w(!]))"
    r"|(?P<number>(?:\d+(?:MARK\d+)?|MARK\d+)(?:[eE][+-]?\d+)?)"
    r"|(?P<error>#(?:REF!|N/A|DIV/0!|VALUE!|NAME\?|NUM!))"
    r"|(?P<name>[A-Za-z_][A-Za-z0-9_]*)"
    r"|(?P<mark><>|<=|>=|[-+*/^&=<>%(),;{}]))"
)
TOKENS = re.compile(WORDS.replace("MARK", "[.]"))
"""The tokens of a formula in a locale whose decimal separator is a point."""
COMMA_TOKENS = re.compile(WORDS.replace("MARK", ","))
ERRORS = {
    "#NULL!": "NULL_VALUE",
    "#DIV/0!": "DIVIDE_BY_ZERO",
    "#VALUE!": "VALUE",
    "#REF!": "REF",
    "#NAME?": "NAME",
    "#NUM!": "NUM",
    "#N/A": "N_A",
    "#ERROR!": "ERROR",
}


@dataclass(frozen=True)
class CellError:
    """An error value such as `#DIV/0!`."""

    text: str
    message: str = ""

    @property
    def kind(self) -> str:
        """The name of the error in ErrorType."""
        return ERRORS[self.text]


class FormulaError(Exception):
    """Aborts the evaluation of a formula with an error value."""

    def __init__(self, text: str, message: str = "") -> None:
        super().__init__(text)
        self.error = CellError(text, message)


# --- parsing ------------------------------------------------------------------------------------------------


class Parser:
    """Recursive descent over the tokens of one formula."""

    levels = (("=", "<>", "<", ">", "<=", ">="), ("&",), ("+", "-"), ("*", "/"))

    def __init__(self, text: str, of: Locale) -> None:
        self.of = of
        self.tokens = list(self._split(text))
        self.at = 0

    def _split(self, text: str) -> Iterator[tuple[str, str]]:
        tokens, at = COMMA_TOKENS if self.of.decimal == "," else TOKENS, 0
        while at < len(text.rstrip()):
            found = tokens.match(text, at)
            if not found:
                raise FormulaError("#ERROR!", "Formula parse error.")
            kind = found.lastgroup or ""
            yield kind, found[kind]
            at = found.end()

    def whole(self) -> Tree:
        tree = self.level(0)
        if self.at < len(self.tokens):
            raise FormulaError("#ERROR!", "Formula parse error.")
        return tree

    def peek(self) -> str:
        return self.tokens[self.at][1] if self.at < len(self.tokens) and self.tokens[self.at][0] == "mark" else ""

    def level(self, depth: int) -> Tree:
        if depth == len(self.levels):
            return self.signed()
        left = self.level(depth + 1)
        while (mark := self.peek()) in self.levels[depth]:
            self.at += 1
            left = ("do", mark, left, self.level(depth + 1))
        return left

    def signed(self) -> Tree:
        if (mark := self.peek()) in ("-", "+") and mark:
            self.at += 1
            return ("sign", mark, self.signed())
        left = self.postfix()
        if self.peek() == "^":
            self.at += 1
            return ("do", "^", left, self.signed())
        return left

    def postfix(self) -> Tree:
        tree = self.atom()
        while self.peek() == "%":
            self.at += 1
            tree = ("do", "/", tree, ("value", 100))
        return tree

    def atom(self) -> Tree:
        if self.at >= len(self.tokens):
            raise FormulaError("#ERROR!", "Formula parse error.")
        kind, word = self.tokens[self.at]
        self.at += 1
        match kind:
            case "text":
                return ("value", word[1:-1].replace('""', '"'))
            case "number":
                return ("value", float(word.replace(self.of.decimal, ".")))
            case "ref":
                return ("ref", word)
            case "error":
                return ("fault", word)
            case "call":
                return ("call", word.upper(), *self.arguments())
            case "name":
                return ("name", word)
        if word == "(":
            tree = self.level(0)
            self.expect(")")
            return tree
        raise FormulaError("#ERROR!", "Formula parse error.")

    def arguments(self) -> list[Tree]:
        given: list[Tree] = []
        if self.peek() == ")":
            self.at += 1
            return given
        while True:
            given.append(("value", None) if self.peek() in (",", ";", ")") else self.level(0))
            mark = self.peek()
            self.at += 1
            if mark == ")":
                return given
            if mark not in (";", self.of.argument_mark):
                raise FormulaError("#ERROR!", "Formula parse error.")

    def expect(self, mark: str) -> None:
        if self.peek() != mark:
            raise FormulaError("#ERROR!", "Formula parse error.")
        self.at += 1


@lru_cache(maxsize=10_000)
def parsed(text: str, locale_name: str) -> Tree:
    """The tree of a formula, given without its `=`. A parse error is a tree too."""
    try:
        return Parser(text, locale(locale_name)).whole()
    except FormulaError as failed:
        return ("fault", failed.error.text)


# --- evaluating ---------------------------------------------------------------------------------------------


@dataclass(frozen=True)
class CellContext:
    """The cell whose formula is evaluated, and the time of NOW() and TODAY()."""

    document: Document
    sheet: Sheet
    row: int
    column: int
    now: datetime


def value_at(place: CellContext) -> Any:
    """The evaluated value of a cell."""
    entered = place.sheet.cell(place.row, place.column).get("userEnteredValue")
    if not entered:
        return None
    if "formulaValue" not in entered:
        return next(iter(entered.values()))
    memo = place.document.memo
    key = (place.sheet.id, place.sheet.rows[place.row], place.sheet.columns[place.column])
    if key not in memo:
        memo[key] = CellError("#REF!", "Circular dependency detected.")
        memo[key] = _evaluated(entered["formulaValue"], place)
    return memo[key]


def _evaluated(formula: str, place: CellContext) -> Any:
    try:
        value = evaluate(parsed(formula[1:], place.document.locale), place)
        value = single(value)
    except FormulaError as failed:
        return failed.error
    except RecursionError:
        return CellError("#ERROR!", "Formula too deep.")
    if isinstance(value, float) and not math.isfinite(value):
        return CellError("#NUM!", "Numeric value is not valid.")
    return 0 if value is None else value


def evaluate(tree: Tree, place: CellContext) -> Any:
    match tree:
        case ("value", value):
            return value
        case ("fault", text):
            raise FormulaError(text)
        case ("ref", text):
            return cells(text, place)
        case ("name", word):
            return _named(word, place)
        case ("sign", mark, inner):
            number = numeric(evaluate(inner, place))
            return -number if mark == "-" else number
        case ("do", mark, left, right):
            return OPERATORS[mark](single(evaluate(left, place)), single(evaluate(right, place)))
        case ("call", name, *given):
            return _called(name, given, place)
    raise FormulaError("#ERROR!")


def _called(name: str, given: list[Tree], place: CellContext) -> Any:
    from tallybook_emulators.sheets.functions import LAZY, STRICT

    try:
        if name in LAZY:
            return LAZY[name](given, place)
        if name in STRICT:
            return STRICT[name](*[evaluate(one, place) for one in given])
    except (TypeError, IndexError):
        raise FormulaError("#N/A", f"Wrong number or kind of arguments to {name}.") from None
    except ZeroDivisionError:
        raise FormulaError("#DIV/0!", f"Function {name} cannot divide by zero.") from None
    except (OverflowError, ValueError):
        raise FormulaError("#NUM!", f"{name} gives no number.") from None
    raise FormulaError("#NAME?", f"Unknown function: '{name}'.")


def _named(word: str, place: CellContext) -> Any:
    if word.upper() in ("TRUE", "FALSE"):
        return word.upper() == "TRUE"
    for named in place.document.named_ranges:
        if named["name"].lower() == word.lower():
            sheet, rect = place.document.range_of(named["range"])
            return grid(sheet, rect, place)
    raise FormulaError("#NAME?", f"Unknown range name: '{word}'.")


def locate(text: str, document: Document, here: Sheet) -> tuple[Sheet, Span]:
    """The sheet and span of a reference in a formula."""
    title, rest = split(text)
    sheet = here if title is None else document.titled(title)
    span = parse(rest or "")
    if sheet is None or span is None:
        raise FormulaError("#REF!", "Unresolved sheet name." if sheet is None else "")
    return sheet, span


def cells(text: str, place: CellContext) -> Any:
    sheet, span = locate(text, place.document, place.sheet)
    rect = sheet.clip(span)
    if span.one_cell:
        if not (rect.height and rect.width):
            raise FormulaError("#REF!")
        return value_at(CellContext(place.document, sheet, rect.r0, rect.c0, place.now))
    return grid(sheet, rect, place)


def grid(sheet: Sheet, rect: Rect, place: CellContext) -> list[list[Any]]:
    """The values of a range by row, up to the last row with a value. No function sees the rows after it."""
    last = min(rect.r1, max(rect.r0 + 1, sheet.last_row()))
    made: list[list[Any]] = [[None] * rect.width for _ in range(rect.r0, last)]
    for row, column, _ in sheet.filled(Rect(rect.r0, last, rect.c0, rect.c1)):
        made[row - rect.r0][column - rect.c0] = value_at(CellContext(place.document, sheet, row, column, place.now))
    return made


def single(value: Any) -> Any:
    """A single value, or the first value of a range. Raises FormulaError for an error value."""
    while isinstance(value, list):
        value = value[0] if value else None
    if isinstance(value, CellError):
        raise FormulaError(value.text, value.message)
    return value


def flat(value: Any) -> Iterator[Any]:
    """The values of a range in one sequence. Raises FormulaError for an error value."""
    if isinstance(value, list):
        for row in value:
            yield from flat(row)
    else:
        yield single(value)


def numeric(value: Any) -> float:
    value = single(value)
    if value is None or value == "":
        return 0
    if isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        try:
            return float(value)
        except ValueError:
            raise FormulaError("#VALUE!", f"'{value}' is a text and cannot be coerced to a number.") from None
    return float(value) if not isinstance(value, int) else value


def text_of(value: Any) -> str:
    value = single(value)
    if value is None:
        return ""
    if isinstance(value, bool):
        return "TRUE" if value else "FALSE"
    if isinstance(value, float) and value.is_integer():
        return str(int(value))
    return str(value)


def order(value: Any) -> tuple[int, Any]:
    """The sort key of a value in Sheets' order: numbers, texts (case-insensitive), booleans."""
    if value is None:
        return (0, 0)
    if isinstance(value, bool):
        return (2, value)
    return (1, value.lower()) if isinstance(value, str) else (0, value)


def _equal(left: Any, right: Any) -> bool:
    if left is None or right is None:
        other = right if left is None else left
        return other in (None, "", 0)
    return order(left) == order(right)


def _divide(left: Any, right: Any) -> float:
    if numeric(right) == 0:
        raise FormulaError("#DIV/0!", "Function DIVIDE parameter 2 cannot be zero.")
    return numeric(left) / numeric(right)


def _power(left: Any, right: Any) -> float:
    try:
        raised = numeric(left) ** numeric(right)
    except (OverflowError, ZeroDivisionError):
        raise FormulaError("#NUM!") from None
    if isinstance(raised, complex):
        raise FormulaError("#NUM!")
    return float(raised)


OPERATORS: dict[str, Callable[[Any, Any], Any]] = {
    "+": lambda a, b: numeric(a) + numeric(b),
    "-": lambda a, b: numeric(a) - numeric(b),
    "*": lambda a, b: numeric(a) * numeric(b),
    "/": _divide,
    "^": _power,
    "&": lambda a, b: text_of(a) + text_of(b),
    "=": _equal,
    "<>": lambda a, b: not _equal(a, b),
    "<": lambda a, b: order(a) < order(b),
    ">": lambda a, b: order(a) > order(b),
    "<=": lambda a, b: order(a) <= order(b),
    ">=": lambda a, b: order(a) >= order(b),
}
