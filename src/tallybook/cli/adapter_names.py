"""The type of arguments that name an adapter, built in or from an installed package."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

import click
from click.shell_completion import CompletionItem

from tallybook.core import AdapterError, closest_match


class AdapterName(click.ParamType[str]):
    """One of several names, like `click.Choice`, but adapters are imported only to check a name or to list them.

    `accepts` returns whether a name can be used; `names` returns all."""

    name = "name"

    def __init__(self, accepts: Callable[[str], bool], names: Callable[[], Iterable[str]]) -> None:
        self._accepts, self._names = accepts, names

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> str:
        """The name. Raises UsageError for an unknown name, with the closest one."""
        name = str(value)
        try:
            accepted = self._accepts(name)
        except AdapterError as error:
            raise click.UsageError(". ".join(part for part in (error.message, error.hint) if part)) from error
        if not accepted:
            names = list(self._names())
            match = closest_match(name, names)
            question = f" Did you mean {match!r}?" if match else ""
            self.fail(f"{name!r} is not one of {', '.join(map(repr, names))}.{question}", param, ctx)
        return name

    def get_metavar(self, param: click.Parameter, ctx: click.Context) -> str:
        """The names for the help."""
        names = "|".join(self._names())
        return f"{{{names}}}" if isinstance(param, click.Argument) else f"[{names}]"

    def shell_complete(self, ctx: click.Context, param: click.Parameter, incomplete: str) -> list[CompletionItem]:
        """The names that begin with what is typed."""
        return [CompletionItem(name) for name in self._names() if name.startswith(incomplete)]
