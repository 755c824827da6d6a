"""Names of tables in declarations: `orders`, `shop.orders`, `"name.with.dots"`."""

from __future__ import annotations

import re

_TABLE_PART = re.compile(r'"((?:[^"]|"")+)"|[^.]+')


def table_parts(written: str) -> tuple[str, ...]:
    """The parts of a declared table name: `shop.orders` is (shop, orders), `"dot.ted"` is (dot.ted,).

    A part in double quotes may contain dots. Two quotes inside it are one quote of the name."""
    parts = list(_TABLE_PART.finditer(written))
    if not parts or ".".join(m[0] for m in parts) != written:  # quotes that are part of a name, as in `quo"te`
        return tuple(written.split("."))
    return tuple(m[1].replace('""', '"') if m[1] else m[0] for m in parts)


def written_table(name: str) -> str:
    """The declared form of a table's bare name, in quotes where it needs them."""
    return '"' + name.replace('"', '""') + '"' if table_parts(name) != (name,) else name


def schema_and_table(written: str) -> tuple[str, str]:
    """(schema or '', bare name) of a declared table name."""
    *schema, name = table_parts(written)
    return ".".join(schema), name
