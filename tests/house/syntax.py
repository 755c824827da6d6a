"""What tests of the house ask about the syntax of a module. Each module is parsed once per process, and its tree is not kept."""

from __future__ import annotations

import ast
import functools
import gc
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class ModuleFacts:
    """`texts` are the strings without docstrings, `docs` the docstrings; `imports` are top-level packages, imported at once or
    later."""

    classes: tuple[str, ...]
    functions: tuple[tuple[str, int], ...]  # name, lines
    constants: tuple[str, ...]
    texts: tuple[str, ...]
    docs: tuple[str, ...]
    imports: frozenset[str]


@functools.cache
def facts(path: Path) -> ModuleFacts:
    """The facts of a module."""
    collects = gc.isenabled()
    gc.disable()  # a tree is many objects and no garbage: collections would double the time
    try:
        return _facts(ast.parse(path.read_text(encoding="utf-8")))
    finally:
        if collects:
            gc.enable()


def _facts(tree: ast.Module) -> ModuleFacts:
    nodes = list(ast.walk(tree))
    docs = {id(node.value) for node in nodes if isinstance(node, ast.Expr)}
    functions = [node for node in nodes if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef)]
    texts = (node for node in nodes if isinstance(node, ast.Constant) and id(node) not in docs)
    assigned = (target for node in tree.body if isinstance(node, ast.Assign) for target in node.targets)
    return ModuleFacts(
        classes=tuple(node.name for node in nodes if isinstance(node, ast.ClassDef)),
        functions=tuple((node.name, (node.end_lineno or 0) - node.lineno + 1) for node in functions),
        constants=tuple(target.id for target in assigned if isinstance(target, ast.Name)),
        texts=tuple(node.value for node in texts if isinstance(node.value, str)),
        docs=tuple(_docstrings(nodes)),
        imports=frozenset(_imported(nodes)),
    )


def _docstrings(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Expr) and isinstance(node.value, ast.Constant) and isinstance(node.value.value, str):
            yield node.value.value


def _imported(nodes: list[ast.AST]) -> Iterator[str]:
    for node in nodes:
        if isinstance(node, ast.Import):
            yield from (alias.name.partition(".")[0] for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            yield (node.module or "").partition(".")[0]
