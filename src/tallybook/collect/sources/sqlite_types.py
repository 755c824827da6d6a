"""Determines the type of an expression in SQLite, where a declared type is not enforced."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from tallybook.collect.sources.values import BOOL, BYTES, DATE, DEC, FLOAT, INT, OTHER, TEXT, TIMESTAMP, ColumnType
from tallybook.core import quiet

if TYPE_CHECKING:
    from sqlglot import Expr


def declared_type(declared: str) -> ColumnType:
    """The ColumnType of INTEGER, DECIMAL(10,2), VARCHAR(20), … OTHER if nothing is declared."""
    text = declared.upper()
    scaled = re.match(r"^\s*(?:DECIMAL|NUMERIC|NUMBER|MONEY)\s*\(\s*\d+\s*(?:,\s*(\d+)\s*)?\)", text)
    if scaled:
        return ColumnType(DEC, int(scaled[1] or 0), declared)
    for words, kind in (
        (("TIMESTAMP", "DATETIME"), TIMESTAMP),
        (("DATE",), DATE),
        (("BOOL",), BOOL),
        (("INT",), INT),
        (("CHAR", "CLOB", "TEXT", "STRING", "UUID"), TEXT),
        (("REAL", "FLOA", "DOUB"), FLOAT),
        (("BLOB",), BYTES),
    ):
        if any(word in text for word in words):
            return ColumnType(kind, 0 if kind == INT else None, declared)
    return ColumnType(OTHER, declared=declared)


def inferred_type(expression: str, declared: dict[str, str]) -> ColumnType | None:
    """The type of an expression over columns with the given declared types. None if it cannot be determined."""
    from sqlglot import parse_one
    from sqlglot.errors import SqlglotError

    quiet("sqlglot")
    try:
        node = parse_one(expression, dialect="sqlite")
    except SqlglotError:
        return None
    return _infer(node, declared)


def _infer(node: Expr, declared: dict[str, str]) -> ColumnType | None:
    from sqlglot import expressions as exp

    match node:
        case exp.Column():
            known = declared.get(node.name.lower())
            return declared_type(known) if known is not None else None
        case exp.Paren() | exp.Neg() | exp.Abs():
            return _infer(node.this, declared)
        case exp.Literal():
            return _literal(node)
        case exp.Add() | exp.Sub():
            return _widest([_infer(node.this, declared), _infer(node.expression, declared)])
        case exp.Mul():
            return _product(_infer(node.this, declared), _infer(node.expression, declared))
        case exp.Case():
            branches = [i.args["true"] for i in node.args["ifs"]] + [node.args.get("default")]
            return _widest([_infer(b, declared) for b in branches if b is not None and not isinstance(b, exp.Null)])
        case exp.Coalesce():
            return _widest([_infer(a, declared) for a in [node.this, *node.expressions]])
        case exp.Cast():
            return _cast(node.args["to"].sql(dialect="sqlite"))
    return None


def _literal(node: Expr) -> ColumnType:
    if node.is_string:
        return ColumnType(TEXT)
    text = str(node.this)
    if "e" in text.lower():
        return ColumnType(FLOAT)
    digits = len(text.partition(".")[2])
    return ColumnType(DEC if digits else INT, digits)


def _cast(to: str) -> ColumnType | None:
    """The type of a cast. SQLite casts to INTEGER, REAL or TEXT; CAST(x AS DECIMAL(10,2)) does not round."""
    kind = declared_type(to)
    return kind if kind.kind in (INT, FLOAT, TEXT) else None


def _widest(types: list[ColumnType | None]) -> ColumnType | None:
    if not types or None in types:
        return None
    known = [t for t in types if t is not None]
    if any(t.kind == FLOAT for t in known):
        return ColumnType(FLOAT)
    if all(t.kind in (INT, DEC) for t in known):
        scale = max(t.scale or 0 for t in known)
        return ColumnType(DEC if any(t.kind == DEC for t in known) else INT, scale)
    return known[0] if len({t.kind for t in known}) == 1 else None


def _product(left: ColumnType | None, right: ColumnType | None) -> ColumnType | None:
    widest = _widest([left, right])
    if widest is None or widest.kind != DEC or left is None or right is None:
        return widest
    return ColumnType(DEC, (left.scale or 0) + (right.scale or 0))
