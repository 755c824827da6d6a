"""Questions as options by name, as used by HTTP, assistants and links: the options of `tallybook query`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import Field, fields
from datetime import date
from typing import Any

from tallybook.core import QueryError, did_you_mean
from tallybook.query.question import Question

_FIELDS: Mapping[str, Field[Any]] = {one.name.rstrip("_"): one for one in fields(Question)}
OPTIONS = tuple(_FIELDS)
"""The names of all options; `metrics` comes first."""
LIST_OPTIONS = tuple(name for name, one in _FIELDS.items() if one.default == () or name == "metrics")
FLAGS = tuple(name for name, one in _FIELDS.items() if one.default is False)
NUMBERS = ("top", "limit")
_OTHER_NAMES = {"until": "to", "metric": "metrics", "segment": "segments"}
MAX_TEXT = 2_000
MAX_TEXTS = 200


def read_question(options: Mapping[str, Any], *, also: tuple[str, ...] = ()) -> Question:
    """Build a question from options by name, such as {"metrics": ["mrr"], "scope": "week"}. A null counts as not given.

    `also`: names of other options that the caller reads. Raises QueryError with the `field` for an unknown option or
    an invalid value."""
    given: dict[str, Any] = {}
    for written, value in options.items():
        name = written.replace("-", "_")
        name = name if name in _FIELDS else _OTHER_NAMES.get(name, name)
        if written in also or name in also or value is None:
            continue
        if name not in _FIELDS:
            hint = f"{did_you_mean(name, [*OPTIONS, *also])} options: {', '.join([*OPTIONS, *also])}".strip()
            raise QueryError(f"there is no option {written[:80]!r}", hint=hint, field=written[:80])
        if name in given:
            raise QueryError(f"{name} is given twice", hint="once", field=name)
        given[name] = _value(name, value)
    return Question(**{_FIELDS[name].name: value for name, value in {"metrics": (), **given}.items()})


def question_options(question: Question) -> dict[str, Any]:
    """The options of a question that differ from their defaults, ready for JSON. `read_question` reads them."""
    found: dict[str, Any] = {}
    for name, one in _FIELDS.items():
        value = getattr(question, one.name)
        if value == one.default or (name == "metrics" and not value):
            continue
        found[name] = list(value) if isinstance(value, tuple) else str(value) if isinstance(value, date) else value
    return found


def _value(name: str, value: Any) -> Any:
    if name in LIST_OPTIONS:
        texts = [value] if isinstance(value, str) else value
        if not isinstance(texts, list | tuple) or not all(isinstance(one, str) for one in texts):
            raise _wrong(name, value, "a text or a list of texts")
        if len(texts) > MAX_TEXTS or any(len(one) > MAX_TEXT for one in texts):
            raise _wrong(name, value, f"at most {MAX_TEXTS} texts of {MAX_TEXT:,} characters")
        return tuple(texts)
    if name in FLAGS:
        if not isinstance(value, bool):
            raise _wrong(name, value, "true or false")
        return value
    if name in NUMBERS:
        if not isinstance(value, int) or isinstance(value, bool):
            raise _wrong(name, value, "a whole number")
        return value
    if not isinstance(value, str) or len(value) > MAX_TEXT:
        raise _wrong(name, value, f"a text of at most {MAX_TEXT:,} characters")
    return value


def options_of_texts(pairs: list[tuple[str, str]]) -> dict[str, Any]:
    """Options from the pairs of a query string or a form. List options may repeat, and flags are true or false.

    An empty text counts as not given, except for flags. Raises QueryError for an invalid number."""
    found: dict[str, Any] = {}
    for written, text in pairs:
        name = _OTHER_NAMES.get(written, written).replace("-", "_")
        if name in LIST_OPTIONS:
            if text:
                found.setdefault(name, []).append(text)
        elif written in found:
            raise QueryError(f"{written[:80]} is given twice", hint="once", field=written[:80])
        elif name in FLAGS:
            found[written] = _flag(name, text)
        elif name in NUMBERS and text:
            found[written] = _number(name, text)
        elif text:
            found[written] = text
    return found


def _flag(name: str, text: str) -> bool:
    known = {"true": True, "1": True, "on": True, "yes": True, "": True, "false": False, "0": False, "no": False}
    if text.casefold() not in known:
        raise _wrong(name, text, "true or false")
    return known[text.casefold()]


def _number(name: str, text: str) -> int:
    digits = text.removeprefix("-")
    if not (digits.isascii() and digits.isdigit() and len(digits) < 10):
        raise _wrong(name, text, "a whole number")
    return int(text)


def _wrong(name: str, seen: Any, expected: str) -> QueryError:
    return QueryError(f"{name} is {str(seen)[:80]!r}, not {expected}", hint=f"{name}: {expected}", field=name)
