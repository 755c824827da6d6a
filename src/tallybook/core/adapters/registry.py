"""What an adapter says about itself, and how adapters are found: built in, or from an installed package.

An adapter is a class with a descriptor, its `kind`. The rest of the program reads the descriptor: `check`, did-you-mean,
URLs, file endings, reference docs, `init` and schedulers. A registry has one line per built-in adapter, `name:
"module:Class"`; a package installed beside Tallybook adds more by an entry point with the same name and value.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from tallybook.core.errors import DeclarationError


@dataclass(frozen=True, kw_only=True)
class Option:
    """A key of an adapter's table in `tallybook.toml`: how its value is read, an example and a line of help.

    `read` gets the TOML value and returns what the adapter works with; it raises `catalog.values.Wrong`, or ValueError with
    the expected value, for anything else. `secret`: the value is never shown. `in_definition`: a different value gives other
    numbers, so it is part of the definition of every metric of the adapter. `paths`: the value is a path or several, and
    relative ones are below the folder of `tallybook.toml`."""

    name: str
    read: Callable[[Any], Any]
    example: str
    help: str
    default: Any = None
    secret: bool = False
    in_definition: bool = False
    paths: bool = False


class Kind(Protocol):
    """What every descriptor has: its name in the registry and the keys of its own."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> tuple[Option, ...]: ...


K = TypeVar("K", bound=Kind)


@dataclass
class Registry(Generic[K]):
    """Adapters of one sort. `builtin` maps each name to "module:Class"; `group` is the entry point group of others.

    Nothing is imported before it is asked for."""

    group: str
    builtin: Mapping[str, str]
    _classes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def installed(self) -> Mapping[str, str]:
        """The adapters of other packages: name to "module:Class". A built-in name cannot be taken."""
        from importlib.metadata import entry_points

        return {p.name: p.value for p in entry_points(group=self.group) if p.name not in self.builtin}

    def distribution(self, name: str) -> str | None:
        """The package on PyPI that an adapter comes from; None for a built-in one."""
        from importlib.metadata import entry_points

        if name in self.builtin:
            return None
        found = (p.dist.name for p in entry_points(group=self.group, name=name) if p.dist is not None)
        return next(found, None)

    def names(self) -> list[str]:
        """Every name, built-in ones first."""
        return [*self.builtin, *sorted(self.installed)]

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self.installed

    def adapter(self, name: str) -> Any:
        """The class of an adapter. Raises KeyError for an unknown name, AdapterError for one that cannot be imported."""
        if name not in self._classes:
            place = self.builtin.get(name) or self.installed[name]
            found = _imported(self.group, name, place)
            if found.kind.name not in self:
                raise AdapterError(
                    f"the adapter {name!r} of {self.group}, {place}, calls itself {found.kind.name!r}",
                    hint="give its descriptor and its entry point the same name",
                )
            self._classes[name] = found
        return self._classes[name]

    def kind(self, name: str) -> K:
        """The descriptor of an adapter. Raises as `adapter`."""
        found: K = self.adapter(name).kind
        return found

    def kinds(self) -> Iterator[K]:
        """Every descriptor that can be imported, once each."""
        seen = set()
        for name in self.names():
            try:
                kind = self.kind(name)
            except AdapterError:
                continue
            if kind.name not in seen:
                seen.add(kind.name)
                yield kind


class AdapterError(DeclarationError):
    """An adapter that is registered cannot be imported, or has no descriptor."""


def _imported(group: str, name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        adapter = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # whatever a package from elsewhere does when it is imported
        raise AdapterError(
            f"the adapter {name!r} of {group} cannot be imported from {place}: {error}",
            hint=f"pip install {error.name}" if isinstance(error, ModuleNotFoundError) and error.name else "",
        ) from error
    if not hasattr(adapter, "kind"):
        raise AdapterError(
            f"the adapter {name!r} of {group}, {place}, has no descriptor",
            hint="give the class an attribute `kind`: docs/extending.md",
        )
    return adapter
