"""Messages of refused and invalid questions in Python syntax: `show="last"` instead of `--show last`."""

from __future__ import annotations

import re
import shlex
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import fields
from functools import wraps
from typing import Any, Protocol, TypeVar

from tallybook.core import SHOWS, QueryError, Refused
from tallybook.query.question import Question

_NAMES = {"from_": "from", "segments": "segment"}
_FIELDS = {_NAMES.get(one.name, one.name).replace("_", "-"): one for one in fields(Question)}
_FLAGS = {name for name, one in _FIELDS.items() if one.default is False}
_LISTS = {name for name, one in _FIELDS.items() if one.default == () and name != "metrics"}
_NUMBERS = ("top", "limit")
_QUOTED = r"""'[^']*'|"[^"]*\""""
_DAY = r"\d{4}-\d\d-\d\d|today|yesterday"
_WORDS = rf"{_QUOTED}|{_DAY}|{'|'.join(SHOWS)}|day|week|month|quarter|year|all|[A-Z]+\b|\d+\b"
"""Values that may follow an option in a sentence. Any other word after an option belongs to the sentence."""
_OPTION = rf"--({'|'.join(sorted(_FIELDS, key=len, reverse=True))})\b"
_METHODS = ("query", "run", "metrics", "coverage", "diff", "forget", "why", "runs", "status", "goals")
"""Commands that are also methods of a book."""
_ASKED = (
    *("run", "plan", "import_history", "goals", "why", "coverage", "diff", "metric", "entities", "forget", "audit"),
    *("deliver", "delivery_trace", "replay_delivery"),
)
"""Methods of a book that are called with names."""
_COMMAND = re.compile(
    rf"tallybook (?P<verb>{'|'.join(sorted(_METHODS, key=len, reverse=True))})\b(?: (?P<metrics>(?!-|or\b)[^\s`;]+?))?"
    rf"(?P<options>(?: --[a-z-]+(?: (?:{_QUOTED}|(?!-|or\b)[^\s`;]+?))?)*)(?=[,;:.)`]*(?:\s|`|$))"
)
_IN_A_SENTENCE = re.compile(rf"{_OPTION}(?: (?P<value>{_WORDS})(?![\w-]))?")

_NEIGHBORS = re.compile(r"""(?:(?<=["\]])|(?<=True)) (?=[a-z_]+=["\[T\d])""")


def python_words(text: str) -> str:
    """The text with commands replaced by method calls, such as `book.query`, and options by arguments."""
    called = _COMMAND.sub(_called, text)
    plain = re.sub(rf"without {_OPTION}", _without, called)
    return _NEIGHBORS.sub(", ", _IN_A_SENTENCE.sub(_argument, plain))


def _without(found: re.Match[str]) -> str:
    return f"without {_name(found[1])}"


def _argument(found: re.Match[str]) -> str:
    name, value = found[1], found["value"]
    if name in _FLAGS:
        return f"{_name(name)}=True" + (f" {value}" if value else "")
    if value is None:
        return _name(name)
    return _written(name, [value[1:-1] if value[0] in "'\"" else value])


def _called(found: re.Match[str]) -> str:
    given: dict[str, list[str]] = {}
    words = shlex.split(found["options"])
    for i, word in enumerate(words):
        if word.startswith("--"):
            value = [words[i + 1]] if i + 1 < len(words) and not words[i + 1].startswith("--") else []
            given.setdefault(word[2:], []).extend(value)
    names = [_text(name) for name in (found["metrics"] or "").split(",") if name]
    arguments = [_written(name, values) for name, values in given.items()]
    method = "metric" if found["verb"] == "metrics" and names else found["verb"]
    return f"book.{method}({', '.join([*names, *arguments])})"


def _written(name: str, values: list[str]) -> str:
    """One argument in Python syntax. `--by plan,country` becomes a list."""
    if name in _FLAGS and not values:
        return f"{_name(name)}=True"
    if name in _LISTS:
        parts = [part for value in values for part in (value.split(",") if name in ("by", "sort") else [value])]
        return f"{_name(name)}=[{', '.join(map(_text, parts))}]"
    last = values[-1] if values else ""
    return f"{_name(name)}={last if name in _NUMBERS else _text(last)}"


def _name(option: str) -> str:
    return _FIELDS[option].name if option in _FIELDS else option.replace("-", "_")


def _text(value: str) -> str:
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


class _Asked(Protocol):
    shell: bool
    """Whether its errors are read by somebody who types commands."""


Asked = TypeVar("Asked", bound=_Asked)


def python_errors(class_: type[Asked]) -> type[Asked]:
    """The class of a book, whose methods raise errors in the words of Python, unless the book is for a shell."""
    for name in _ASKED:
        setattr(class_, name, _in_python_words(getattr(class_, name)))
    return class_


def _in_python_words(method: Callable[..., Any]) -> Callable[..., Any]:
    @wraps(method)
    def called(self: _Asked, *arguments: Any, **options: Any) -> Any:
        if self.shell:
            return method(self, *arguments, **options)
        with errors_in_python_words():
            return method(self, *arguments, **options)

    return called


@contextmanager
def errors_in_python_words() -> Iterator[None]:
    """Convert the messages of refused and invalid questions to Python syntax. `Refused.ask` stays a shell command."""
    try:
        yield
    except (QueryError, Refused) as error:
        error.message, error.hint = python_words(error.message), python_words(error.hint)
        raise
