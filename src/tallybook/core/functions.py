"""Python metrics: a function that returns the values of one day.

    @tallybook.metric(kind="level", by=["priority"])
    def open_tickets(day: tallybook.Period, db):
        return [{"priority": p, "value": n} for p, n in db.execute(text("select …"))]

The function may return a number, None (no fact that day) or a list of rows {dimension: …, "value": number}.
"""

from __future__ import annotations

import hashlib
import inspect
import re
from collections.abc import Callable
from typing import Any, overload

Function = Callable[..., Any]


@overload
def metric(function: Function) -> Function: ...
@overload
def metric(*, name: str | None = None, **keys: Any) -> Callable[[Function], Function]: ...
def metric(function: Function | None = None, *, name: str | None = None, **keys: Any) -> Any:
    """Declare the decorated function as a metric. `keys` are those of `[metrics.NAME]`: kind, by, unit, source, …

    Without `name` the metric has the name of the function."""

    def declare(target: Function) -> Function:
        target.__tallybook_metric__ = {"name": name or target.__name__, **keys}  # type: ignore[attr-defined]
        return target

    return declare(function) if function is not None else declare


def declared_functions(namespace: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """The metrics declared in a module's namespace: {name of the metric: its keys and "attribute"}."""
    metrics = {}
    for attribute, value in namespace.items():
        keys = getattr(value, "__tallybook_metric__", None)
        if keys is not None and inspect.isfunction(value):
            metrics[keys["name"]] = {k: v for k, v in keys.items() if k != "name"} | {"attribute": attribute}
    return metrics


def function_hash(function: Function) -> str:
    """A hash of the function's source text below its decorators. When the text changes, the definition changes."""
    text = inspect.getsource(function)
    begins = re.search(r"^\s*(async\s+)?def\s", text, re.MULTILINE)
    body = text[begins.start() :] if begins else text
    return hashlib.blake2b(body.encode(), digest_size=6).hexdigest()
