"""Field masks: the fields of an answer that a client wants, or the fields of an object that a request changes.

https://developers.google.com/workspace/sheets/api/guides/field-masks"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from tallybook_emulators.sheets.colors import without_stale_siblings
from tallybook_emulators.sheets.errors import GoogleError, invalid

Tree = dict[str, "Tree"]
"""Field names with the masks of their fields. An empty mask selects everything."""


def parse(mask: str) -> Tree:
    """The tree of a mask such as `a.b,c(d,e/f)`. Raises GoogleError 400 for a malformed one."""
    tokens = re.findall(r"[A-Za-z0-9_*]+|[(),./]", mask)
    if "".join(tokens) != re.sub(r"\s", "", mask) or not tokens:
        raise invalid("Request contains an invalid argument.")
    tree, rest = _siblings(tokens)
    if rest:
        raise invalid("Request contains an invalid argument.")
    return tree


def _siblings(tokens: list[str]) -> tuple[Tree, list[str]]:
    tree: Tree = {}
    while tokens:
        tokens = _path(tree, tokens)[1]
        if not tokens or tokens[0] == ")":
            break
        if tokens[0] != ",":
            raise invalid("Request contains an invalid argument.")
        tokens = tokens[1:]
    return tree, tokens


def _path(tree: Tree, tokens: list[str]) -> tuple[Tree, list[str]]:
    while True:
        name, tokens = tokens[0] if tokens else ",", tokens[1:]
        if name in "(),./":
            raise invalid("Request contains an invalid argument.")
        known = name in tree
        tree = tree.setdefault(_camel(name), {})
        if tokens and tokens[0] in "./":
            if known and not tree:
                return tree, tokens
            tokens = tokens[1:]
            continue
        if tokens and tokens[0] == "(":
            below, tokens = _siblings(tokens[1:])
            if not tokens:
                raise invalid("Request contains an invalid argument.")
            tree.update(below)
            return tree, tokens[1:]
        tree.clear()
        return tree, tokens


def _camel(name: str) -> str:
    head, *rest = name.split("_")
    return head + "".join(part[:1].upper() + part[1:] for part in rest)


def select_fields(value: Any, tree: Tree) -> Any:
    """The part of an answer that the mask selects."""
    if not tree or "*" in tree:
        return value
    if isinstance(value, list):
        return [select_fields(item, tree) for item in value]
    if isinstance(value, dict):
        return {name: select_fields(value[name], below) for name, below in tree.items() if name in value}
    return value


def selects(tree: Tree | None, *path: str) -> bool:
    """Whether the mask selects the field at `path`."""
    for name in path:
        if not tree:
            return tree is not None
        if "*" in tree:
            return True
        if name not in tree:
            return False
        tree = tree[name]
    return True


def update(target: Mapping[str, Any], given: Mapping[str, Any], tree: Tree) -> dict[str, Any]:
    """`target` with the fields of the mask replaced by those of `given`. A field missing in `given` is cleared."""
    made = without_stale_siblings(dict(target), given if "*" in tree else tree)
    if "*" in tree:
        return {**made, **given}
    for name, below in tree.items():
        if below and isinstance(made.get(name, {}), Mapping):
            inner = update(made.get(name, {}), given.get(name) or {}, below)
            made[name] = inner
            if not inner:
                made.pop(name)
        elif given.get(name) is not None:
            made[name] = given[name]
        else:
            made.pop(name, None)
    return made


def required(mask: str | None) -> Tree:
    """The mask of a request that changes an object. Raises GoogleError 400 without one."""
    if not mask:
        raise GoogleError(400, "At least one field must be listed in 'fields'. (Use '*' to indicate all fields.)")
    return parse(mask)
