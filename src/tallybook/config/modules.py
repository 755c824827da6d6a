"""The user's Python: run to find the metrics declared in it and to call them, not before."""

from __future__ import annotations

import contextlib
import hashlib
import importlib
import inspect
import sys
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

from tallybook.core import DeclarationError, Function, SourceError, declared_functions, describe_error, isolated


class Modules:
    """The modules of one project, each run once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, ModuleType] = {}

    def load(self, name: str) -> ModuleType:
        """`metrics/tickets.py`, within the project, or `package.module`. Raises DeclarationError."""
        if name not in self._loaded:
            with self._importable():
                self._loaded[name] = self._run(name) if name.endswith(".py") else self._import(name)
        return self._loaded[name]

    def function(self, spec: str) -> Function:
        """What `metrics/tickets.py:open_tickets` names. Raises DeclarationError."""
        name, _, attribute = spec.rpartition(":")
        module = self.load(name)
        found = getattr(module, attribute, None)
        if inspect.isfunction(found):
            return _fit(found, spec)
        from tallybook.config.catalog.words import closest

        meant = closest(attribute, [n for n, v in vars(module).items() if inspect.isfunction(v)])
        hint = f"did you mean {name}:{meant}?" if meant else ""
        raise DeclarationError(f"there is no function {attribute!r} in {name}", hint=hint)

    def metrics(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """The metrics declared with @tallybook.metric in a file, with their keys; not those it imports."""
        module = self.load(name)
        found = []
        for attribute, value in vars(module).items():
            if getattr(value, "__module__", None) == module.__name__:
                for metric, keys in declared_functions({attribute: value}).items():
                    keys.pop("attribute")
                    found.append((metric, {**keys, "function": f"{name}:{attribute}"}))
        return found

    def file_of(self, name: str) -> Path | None:
        """Where the module stands."""
        file = getattr(self.load(name), "__file__", None)
        return Path(file) if file else None

    def _run(self, name: str) -> ModuleType:
        path = self.folder / name
        # Not through the import system: no __pycache__ in the user's folder, and no stale one.
        digest = hashlib.blake2b(str(path).encode(), digest_size=4).hexdigest()
        module = ModuleType(f"tallybook_project_{digest}.{path.stem}")
        module.__file__ = str(path)
        sys.modules[module.__name__] = module
        try:
            with isolated():
                exec(compile(path.read_bytes(), str(path), "exec"), vars(module))
        except SourceError as error:
            cause = error.__cause__ or error
            if isinstance(cause, FileNotFoundError) and cause.filename == str(path):
                raise DeclarationError(f"there is no file {name} in {self.folder}") from None
            raise _failed(name, cause, str(path)) from cause
        return module

    def _import(self, name: str) -> ModuleType:
        try:
            with isolated():
                return importlib.import_module(name)
        except SourceError as error:
            cause = error.__cause__ or error
            absent = cause.name if isinstance(cause, ModuleNotFoundError) else None
            if absent and (name == absent or name.startswith(f"{absent}.")):
                hint = f"it is looked for in {self.folder} and in what is installed"
                raise DeclarationError(f"there is no module {name!r}", hint=hint) from None
            raise _failed(name, cause, "") from cause

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        """What lies in the project's folder can be imported meanwhile."""
        place = str(self.folder)
        sys.path.insert(0, place)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(place)


def _fit(function: Function, spec: str) -> Function:
    """Refuses a function that cannot be called with a day and a connection."""
    try:
        inspect.signature(function).bind("day", "db")
    except TypeError:
        seen = f"def {function.__name__}{inspect.signature(function)}"
        raise DeclarationError(f"{spec} takes other arguments: {seen}", hint="expected: (day, db)") from None
    if inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{spec} is asynchronous", hint="expected: def, not async def")
    return function


def _failed(name: str, error: BaseException, file: str) -> DeclarationError:
    """Why a module cannot be run, with the last line of its own that was reached."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f"{name}:{line}" if line else name
    return DeclarationError(f"{place} cannot be imported: {describe_error(error)}")
