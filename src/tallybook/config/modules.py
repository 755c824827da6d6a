"""The user's Python modules, imported on first use to find their metrics and to call them."""

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
    """The Python modules of one project. Each is imported once."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self._loaded: dict[str, ModuleType] = {}

    def load(self, name: str) -> ModuleType:
        """The module `metrics/tickets.py` of the project, or `package.module`. Raises DeclarationError."""
        if name not in self._loaded:
            with self._importable():
                self._loaded[name] = self._run(name) if name.endswith(".py") else self._import(name)
        return self._loaded[name]

    def function(self, spec: str) -> Function:
        """The function that `metrics/tickets.py:open_tickets` names. Raises DeclarationError."""
        name, _, attribute = spec.rpartition(":")
        module = self.load(name)
        function = getattr(module, attribute, None)
        if inspect.isfunction(function):
            return _check_signature(function, spec)
        from tallybook.config.catalog.words import closest_key

        meant = closest_key(attribute, [n for n, v in vars(module).items() if inspect.isfunction(v)])
        hint = f"did you mean {name}:{meant}?" if meant else ""
        raise DeclarationError(f"there is no function {attribute!r} in {name}", hint=hint)

    def metrics(self, name: str) -> list[tuple[str, dict[str, Any]]]:
        """The metrics that a file declares with @tallybook.metric, and their keys. Imported metrics are not
        included."""
        module = self.load(name)
        found = []
        for attribute, value in vars(module).items():
            if getattr(value, "__module__", None) == module.__name__:
                for metric, keys in declared_functions({attribute: value}).items():
                    keys.pop("attribute")
                    found.append((metric, {**keys, "function": f"{name}:{attribute}"}))
        return found

    def file_of(self, name: str) -> Path | None:
        """The file of a module, if it has one."""
        file = getattr(self.load(name), "__file__", None)
        return Path(file) if file else None

    def _run(self, name: str) -> ModuleType:
        path = self.folder / name
        # Without the import system, which would write __pycache__ into the user's folder and read it when stale.
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
                hint = f"searched in {self.folder} and in the installed packages"
                raise DeclarationError(f"there is no module {name!r}", hint=hint) from None
            raise _failed(name, cause, "") from cause

    @contextlib.contextmanager
    def _importable(self) -> Iterator[None]:
        """Make the files of the project folder importable during the block."""
        place = str(self.folder)
        sys.path.insert(0, place)
        try:
            yield
        finally:
            with contextlib.suppress(ValueError):
                sys.path.remove(place)


def _check_signature(function: Function, spec: str) -> Function:
    """Check a function and return it. Raises DeclarationError if it cannot be called with a day and a connection."""
    try:
        inspect.signature(function).bind("day", "db")
    except TypeError:
        seen = f"def {function.__name__}{inspect.signature(function)}"
        raise DeclarationError(f"{spec} has other arguments: {seen}", hint="expected: (day, db)") from None
    if inspect.iscoroutinefunction(function):
        raise DeclarationError(f"{spec} is asynchronous", hint="expected: def, not async def")
    return function


def _failed(name: str, error: BaseException, file: str) -> DeclarationError:
    """The error for a module that cannot be imported, with the last of its lines that ran."""
    line, trace = getattr(error, "lineno", None), error.__traceback__
    while trace is not None:
        if trace.tb_frame.f_code.co_filename == file:
            line = trace.tb_lineno
        trace = trace.tb_next
    place = f"{name}:{line}" if line else name
    return DeclarationError(f"{place} cannot be imported: {describe_error(error)}")
