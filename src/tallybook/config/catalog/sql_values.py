"""Readers of names (columns, tables, functions), joins and queries. Each returns the value, or raises `Wrong`."""

from __future__ import annotations

import re

from tallybook.config.catalog.values import Wrong, read_text
from tallybook.config.catalog.words import closest_key, toml
from tallybook.core import (
    SPELLINGS,
    THEN_WORDS,
    Join,
    MeasureError,
    parse_then,
    written_table,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


def read_column(value: object) -> str:
    """A column name without its table."""
    name = read_text(value)
    if re.search(r"[()\[\]{}'\";:,=\n]|\s[aA][sS]\s", name):
        expected = "the name of a column; compute it in `sql` and give it a name there"
        raise Wrong("is an expression, not a column", expected=expected)
    if "." in name:
        raise Wrong("contains a table name", expected="the column only", instead=name.rsplit(".", 1)[-1] or None)
    return name


def read_qualified(value: object) -> str:
    """A column name, qualified with its table if the table is joined."""
    return value if isinstance(value, str) and re.fullmatch(r"\w+\.\w+", value) else read_column(value)


def read_then(value: object) -> str:
    """The aggregate over the values of all entities."""
    text = read_text(value)
    try:
        parse_then(text)
    except MeasureError:
        raise Wrong(
            "is not an aggregate over entities", expected=THEN_WORDS, instead=closest_key(text, SPELLINGS)
        ) from None
    return text.strip().lower()


def _item(value: object) -> str:
    try:
        return read_qualified(value)
    except Wrong as wrong:
        raise Wrong(f"contains {toml(value)}, which {wrong.why}", expected=wrong.expected) from None


def read_columns(value: object) -> tuple[str, ...]:
    """A list of columns without repetitions."""
    if isinstance(value, str):
        meant = [v.strip() for v in value.split(",")]
        raise Wrong("is not a list", expected="a list of columns", instead=meant)
    if not isinstance(value, list | tuple):
        raise Wrong("is not a list", expected="a list of columns")
    names = tuple(_item(v) for v in value)
    lowered = [n.casefold() for n in names]
    twice = [n for i, n in enumerate(names) if n.casefold() in lowered[:i]]
    if twice:
        once = [n for i, n in enumerate(names) if n.casefold() not in lowered[:i]]
        raise Wrong(f"names {twice[0]!r} twice", expected="each column once", instead=once)
    return names


def read_received(value: object) -> str | tuple[str, ...]:
    """A column, or several: later columns order rows that are equal in the earlier ones."""
    if isinstance(value, str):
        return read_column(value)
    names = read_columns(value)
    if not names:
        raise Wrong("is empty", expected="a column", instead="received_at")
    columns = tuple(read_column(name) for name in names)
    return columns[0] if len(columns) == 1 else columns


_WORD = r"(?:\w+|\"[^\"]+\"|`[^`]+`)"
_REF = rf"{_WORD}(?:\.{_WORD})?"
_JOIN = re.compile(
    rf"(?P<table>{_WORD}(?:\.{_WORD})?)(?:\s+(?:as\s+)?(?!on\b)(?P<name>{_WORD}))?\s+on\s+(?P<on>{_REF}\s*=\s*{_REF}"
    rf"(?:\s+and\s+{_REF}\s*=\s*{_REF})*)",
    re.IGNORECASE,
)
_JOIN_FORM = "TABLE on TABLE.column = column, with `and` between several"


def read_joins(value: object) -> tuple[Join, ...]:
    """One join, or a list of joins."""
    if not isinstance(value, list | tuple):
        return (_join(read_text(value)),)
    found = []
    for place, text in enumerate(value):
        try:
            found.append(_join(read_text(text)))
        except Wrong as wrong:
            if wrong.instead is not None:
                wrong.instead = [*value[:place], wrong.instead, *value[place + 1 :]]
            raise
    return tuple(found)


def _join(text: str) -> Join:
    bare = re.sub(r"(?i)^(left\s+|inner\s+|outer\s+)*join\s+", "", text)
    found = _JOIN.fullmatch(bare)
    if not found or bare != text:
        raise Wrong("does not say which row belongs to a fact", expected=_JOIN_FORM, instead=bare if found else None)
    table = _unquoted(found["table"])
    name = _unquoted(found["name"] or found["table"]).rpartition(".")[2]
    pairs = [_pair(equal, name, text) for equal in re.findall(rf"({_REF})\s*=\s*({_REF})", found["on"], re.IGNORECASE)]
    return Join(table=table, name=name, on=tuple(pairs))


def _pair(equal: tuple[str, str], name: str, text: str) -> tuple[str, str]:
    """(column of the joined table, other side). The table name before the dot identifies the joined table's side."""
    sides = [_unquoted(side) for side in equal]
    is_joined = [side.rpartition(".")[0].casefold() == name.casefold() for side in sides]
    if is_joined[0] == is_joined[1]:
        why = f"does not say which side of {equal[0]} = {equal[1]} is a column of {name}"
        column = next((s for s in sides if s.casefold() == "id"), sides[0]).rpartition(".")[2]
        fixed = re.sub(rf"(?<![\w.]){re.escape(column)}(?![\w.])", f"{name}.{column}", text, count=1)
        raise Wrong(why, expected=_JOIN_FORM, instead=fixed if not any(is_joined) and fixed != text else None)
    mine, other = sides if is_joined[0] else sides[::-1]
    return mine.rpartition(".")[2], other


def _unquoted(name: str) -> str:
    return re.sub(r"[\"`]", "", name)


def read_query(value: object) -> str:
    """A query without a trailing semicolon."""
    text = re.sub(r"[\s;]+\Z", "", read_text(value)) or read_text("")
    # A comment at the end must not comment out the SQL that is added after it.
    return f"{text}\n" if re.search(r"(--|#)[^\n]*\Z", text) else text


def read_table(value: object) -> str:
    """The name of a table or view."""
    name = read_text(value)
    if re.match(r"(?is)\(|(select|with)\s", name):
        raise Wrong("is a query, not a table", expected="a table's name; a query goes into `sql`")
    if ";" in name or "--" in name:
        raise Wrong("is not a table's name", expected="a table or view, with its schema where needed")
    return name


def read_function(value: object) -> str:
    """The name of a function: `metrics/file.py:function` or `module:function`."""
    name = read_text(value)
    if not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", name):
        raise Wrong("does not name a function", expected='"metrics/file.py:function" or "module:function"')
    return name


def read_event(value: object) -> str:
    """The name of an event, in the form of a table name."""
    return written_table(read_text(value))


def read_old_name(value: object) -> str:
    """The former name of a metric."""
    name = read_text(value)
    if not NAME.fullmatch(name):
        raise Wrong("is not a metric's name", expected="letters, digits and _, not starting with a digit")
    return name
