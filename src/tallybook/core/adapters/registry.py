"""Descriptors of adapters, and registries that find adapters: built-in ones and those of installed packages.

An adapter is a class with a descriptor, `kind`. The rest of the program reads the descriptor: `check`, did-you-mean,
URLs, file extensions, reference docs, `init` and schedulers. A registry has one line for each built-in adapter, `name:
"module:Class"`. An installed package adds more by entry points with such a name and value.
"""

from __future__ import annotations

import importlib
import sys
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field, fields, is_dataclass
from functools import cached_property
from typing import Any, Generic, Protocol, TypeVar

from tallybook.core.errors import ADAPTER_MODULES, DeclarationError


@dataclass(frozen=True, kw_only=True)
class Option:
    """A key of an adapter's table in `tallybook.toml`: how its value is read, an example and a line of help.

    `read` takes the TOML value and returns the value for the adapter. It raises `Wrong` of config/catalog, or
    ValueError with the expected value, for an invalid one. `secret`: the value is never shown. `in_definition`: the
    value changes the numbers, so it is part of the definition of every metric of the adapter. `paths`: the value is a
    path or several; relative paths are below the folder of `tallybook.toml`."""

    name: str
    read: Callable[[Any], Any]
    example: str
    help: str
    default: Any = None
    secret: bool = False
    in_definition: bool = False
    paths: bool = False


class Kind(Protocol):
    """The fields that all descriptors have: a name in the registry, and the adapter's own keys."""

    @property
    def name(self) -> str: ...

    @property
    def options(self) -> tuple[Option, ...]: ...


K = TypeVar("K", bound=Kind)


@dataclass
class Registry(Generic[K]):
    """Adapters of one sort. `builtin` maps each name to "module:Class"; `group` is the entry point group of others.

    An adapter is imported on first use."""

    group: str
    builtin: Mapping[str, str]
    methods: tuple[str, ...] = ()
    """Methods that every adapter has. An adapter of another package that lacks one is refused."""
    _classes: dict[str, Any] = field(default_factory=dict)

    @cached_property
    def installed(self) -> Mapping[str, str]:
        """The adapters of other packages: name to "module:Class". Built-in names take precedence."""
        from importlib.metadata import entry_points

        return {p.name: p.value for p in entry_points(group=self.group) if p.name not in self.builtin}

    def distribution(self, name: str) -> str | None:
        """The distribution package of an adapter; None for a built-in one."""
        from importlib.metadata import entry_points

        if name in self.builtin:
            return None
        names = (p.dist.name for p in entry_points(group=self.group, name=name) if p.dist is not None)
        return next(names, None)

    def file(self, name: str) -> str | None:
        """The file of the module of an installed package's adapter; None for a built-in or an unusable one."""
        try:
            module = sys.modules.get(self.adapter(name).__module__) if name in self.installed else None
        except AdapterError:
            return None
        return module.__file__ if module else None

    def names(self) -> list[str]:
        """Every name, built-in ones first."""
        return [*self.builtin, *sorted(self.installed)]

    def __contains__(self, name: object) -> bool:
        return name in self.builtin or name in self.installed

    def adapter(self, name: str) -> Any:
        """The class of an adapter. Raises KeyError for an unknown name, AdapterError if it cannot be imported."""
        if name not in self._classes:
            place = self.builtin.get(name) or self.installed[name]
            adapter = _import_adapter(self.group, name, place)
            if name not in self.builtin:
                _check_methods(adapter, self.methods, f"the adapter {name!r} of {self.group}, {place}, has")
                _check_descriptor(adapter.kind, name, f"the adapter {name!r} of {self.group}, {place}, has")
                ADAPTER_MODULES[place.partition(":")[0]] = f"the adapter {name!r} of {self.group}"
            self._classes[name] = adapter
        return self._classes[name]

    def kind(self, name: str) -> K:
        """The descriptor of an adapter. Raises as `adapter`."""
        kind: K = self.adapter(name).kind
        return kind

    def kinds(self) -> Iterator[K]:
        """Each descriptor that can be imported, once."""
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
    """An adapter is registered but cannot be imported, or has no valid descriptor."""


def _import_adapter(group: str, name: str, place: str) -> Any:
    module, _, attribute = place.partition(":")
    try:
        adapter = getattr(importlib.import_module(module), attribute)
    except Exception as error:  # the module of another package can raise anything
        raise AdapterError(
            f"the adapter {name!r} of {group} cannot be imported from {place}: {error}",
            hint=_missing_module(error.name, module) if isinstance(error, ModuleNotFoundError) and error.name else "",
        ) from error
    if not hasattr(adapter, "kind"):
        raise AdapterError(
            f"the adapter {name!r} of {group}, {place}, has no descriptor",
            hint="give the class an attribute `kind`: docs/extending.md",
        )
    return adapter


def _missing_module(missing: str, module: str) -> str:
    """The remedy for a module that an adapter cannot import. `module`: the module of its entry point."""
    if module == missing or module.startswith(f"{missing}."):
        return (
            f"the installed package has no module {missing}: correct its entry point, or the list of files that its "
            "build includes"
        )
    top = missing.partition(".")[0]
    return f"pip install {missing}" if top == missing else f"{top} has no such module: correct the import"


def _check_descriptor(kind: Any, name: str, has: str) -> None:
    """Raise AdapterError if the descriptor of an installed adapter has another name, or if a tuple field is no
    tuple."""
    for one in fields(kind) if is_dataclass(kind) else ():
        value = getattr(kind, one.name)
        if str(one.type).startswith("tuple[") and value is not None and not isinstance(value, tuple):
            raise AdapterError(
                f"{has} a descriptor whose {one.name} is {value!r}, not a tuple",
                hint=f"{one.name}=(…,) with a comma after the only value: docs/extending.md",
            )
    names = (kind.name, *getattr(kind, "schemes", ()))
    if name not in getattr(kind, "schemes", (kind.name,)):
        raise AdapterError(
            f"{has} the kind {kind.name!r}" + (f" with the schemes {', '.join(names[1:])}" if names[1:] else ""),
            hint="its entry point and its descriptor must have the same name: for a source one of the `schemes`, else "
            "`name`; a class without a `kind` of its own has that of its base class",
        )


def _check_methods(adapter: Any, methods: tuple[str, ...], has: str) -> None:
    """Raise AdapterError for an installed adapter that lacks a method."""
    if missing := [method for method in methods if not callable(getattr(adapter, method, None))]:
        raise AdapterError(
            f"{has} no method {', '.join(missing)}",
            hint="derive it from the class that docs/extending.md names, or write what is missing",
        )
