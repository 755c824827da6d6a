"""Completions at the cursor: metrics, dimensions, scopes. After an error there are no completions."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import TYPE_CHECKING

import click

from tallybook.cli.terminal import Terminal

if TYPE_CHECKING:
    from tallybook.core import Catalog

Complete = Callable[[click.Context, click.Parameter, str], list[str]]


def of_metrics(ctx: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """Completions of metric names, including after a comma."""
    catalog = _catalog(ctx)
    return _parts(typed, catalog.metrics if catalog else _names_in_toml(ctx))


def of_goals(ctx: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """Completions of goal names, including after a comma."""
    catalog = _catalog(ctx)
    return _parts(typed, catalog.goals if catalog else _names_in_toml(ctx, "goals"))


def of_dimensions(ctx: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """Completions of dimensions: those that all typed metrics have. If no metric is typed, the dimensions of any
    metric."""
    return _parts(typed, _dimensions(ctx))


def of_filters(ctx: click.Context, _: click.Parameter, typed: str) -> list[str]:
    """Completions of filters, in the form `dim=`."""
    return [f"{name}=" for name in _dimensions(ctx) if name.startswith(typed)]


def of_words(words: Iterable[str]) -> Complete:
    """A completion of fixed words."""
    listed = list(words)
    return lambda ctx, parameter, typed: [word for word in listed if word.startswith(typed)]


def _parts(typed: str, names: Iterable[str]) -> list[str]:
    before, comma, begun = typed.rpartition(",")
    taken = before.split(",")
    return [f"{before}{comma}{name}" for name in names if name.startswith(begun) and name not in taken]


def _dimensions(ctx: click.Context) -> list[str]:
    catalog = _catalog(ctx)
    if catalog is None:
        return []
    # While the value of an option is typed, Click does not have the arguments before it, but the shell does.
    terminal = ctx.find_object(Terminal)
    words = terminal.env.get("COMP_WORDS", "").replace(",", " ").split() if terminal else []
    typed = [word for word in words if word in catalog.metrics]
    each = [catalog.queryable_dims(name) for name in typed or catalog.metrics]
    every = dict.fromkeys(dim for dims in each for dim in dims)
    return [dim for dim in every if not typed or all(dim in dims for dims in each)]


def _catalog(ctx: click.Context) -> Catalog | None:
    """The declarations, usually from the cache; None if the project cannot be read."""
    from tallybook.config import load
    from tallybook.core import TallybookError

    terminal = ctx.find_object(Terminal)
    if terminal is None:
        return None
    try:
        return load(terminal.folder, terminal.env).catalog
    except (TallybookError, OSError):
        return None


def _names_in_toml(ctx: click.Context, section: str = "metrics") -> list[str]:
    """The names in a section of a file that has errors elsewhere."""
    import tomllib

    terminal = ctx.find_object(Terminal)
    try:
        found = tomllib.loads((terminal.folder / "tallybook.toml").read_text()) if terminal else {}
    except (OSError, ValueError):
        return []
    named = found.get(section)
    return list(named) if isinstance(named, dict) else []
