"""Parses PX's `filter` and `sort`, for records and as SQL over stored events. Pure.

A filter is a list of terms separated by semicolons. All its terms must be true. Of several filters, one must be true.
Texts are compared without case. Times are milliseconds since 1970 or ISO 8601."""

from __future__ import annotations

import operator
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cmp_to_key
from typing import Any

from tallybook.core import RequestError
from tallybook.server.answers import Refusal

_TERM = re.compile(r"([A-Za-z_][\w.\- ]*?)\s*(==|!=|<=|>=|!~|<|>|~)\s*(.*)", re.DOTALL)
_COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "==": operator.eq,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}
_NEGATIVE = {"!=": "==", "!~": "~"}
EVENT_FILTERS = {"identifyId": '"user"', "eventName": "event", "date": 'epoch_ms("time")'}
EVENT_SORTS = {"accountId": '"account"', "date": 'epoch_ms("time")'}
MAX_TERMS = 50


@dataclass(frozen=True)
class FilterTerm:
    """A field, an operator and a value: `numberOfEmployees>25`."""

    field: str
    operator: str
    text: str

    def is_true(self, record: Mapping[str, Any]) -> bool:
        if self.operator in _NEGATIVE:
            return not FilterTerm(self.field, _NEGATIVE[self.operator], self.text).is_true(record)
        value = field_of(record, self.field)
        return any(self._is_true_of(one) for one in (value if isinstance(value, list) else [value]))

    def _is_true_of(self, value: Any) -> bool:
        if value is None:
            return False
        if self.operator == "~":
            return _like(self.text).fullmatch(str(value).casefold()) is not None
        if isinstance(value, bool):
            return self.text.lower() in ("true", "false") and _COMPARISONS[self.operator](
                value, self.text.lower() == "true"
            )
        if isinstance(value, int | float):
            return _COMPARISONS[self.operator](value, number_or_instant(self.text))
        return _COMPARISONS[self.operator](str(value).casefold(), self.text.casefold())

    def sql(self) -> tuple[str, list[Any]]:
        """The condition over stored events as SQL, and its parameter values."""
        column = EVENT_FILTERS[self.field]
        if self.operator in _NEGATIVE:
            condition, values = FilterTerm(self.field, _NEGATIVE[self.operator], self.text).sql()
            return f"NOT coalesce({condition}, false)", values
        if self.operator == "~":
            return f"lower(CAST({column} AS VARCHAR)) LIKE lower(?) ESCAPE '\\'", [_as_like(self.text)]
        sign = "=" if self.operator == "==" else self.operator
        if self.field == "date":
            return f"{column} {sign} ?", [milliseconds(self.text)]
        return f"lower({column}) {sign} lower(?)", [self.text]


def terms_of(
    text: str, fields: Sequence[str] | None, excluded: Sequence[str] = (), *, times: Sequence[str] = ()
) -> list[FilterTerm]:
    """The terms of one filter. Raises Refusal for a term without an operator, for a field that cannot be filtered, and
    for a time that cannot be read."""
    made = []
    for part in text.split(";"):
        if not part.strip():
            continue
        found = _TERM.fullmatch(part.strip())
        if found is None:
            raise bad_filter(f"Invalid filter: {part[:80]}", part, "field==value")
        if found[1] in excluded or (fields is not None and found[1] not in fields):
            raise bad_filter(f"Filtering by {found[1]} is not supported", part, ", ".join(fields or ("identifyId",)))
        if found[1] in times:
            milliseconds(found[3])
        made.append(FilterTerm(found[1], found[2], found[3]))
    if len(made) > MAX_TERMS:
        raise bad_filter(f"A filter has at most {MAX_TERMS} terms", text, str(MAX_TERMS))
    return made


def sorts_of(text: str, fields: Sequence[str] | None) -> list[tuple[str, bool]]:
    """(field, whether descending) of each part of `sort`. Raises Refusal for a field that cannot be sorted by."""
    made = []
    for part in [one.strip() for one in text.split(";") if one.strip()]:
        name = part.removeprefix("-")
        if fields is not None and name not in fields:
            raise bad_filter(f"Sorting by {name[:80]} is not supported", part, ", ".join(fields))
        made.append((name, part.startswith("-")))
    return made


def sort_key(sorts: Sequence[tuple[str, bool]], id_field: str) -> Callable[[Mapping[str, Any]], Any]:
    """A key for `sorted`. Records without a value come last. Records with equal values are ordered by id."""

    def compare(one: Mapping[str, Any], other: Mapping[str, Any]) -> int:
        for name, descends in sorts:
            mine, theirs = _ordered(field_of(one, name)), _ordered(field_of(other, name))
            if mine != theirs:
                is_less = mine < theirs
                nulls = mine[0] == 2 or theirs[0] == 2
                return -1 if is_less != (descends and not nulls) else 1
        first, second = str(one[id_field]), str(other[id_field])
        return (first > second) - (first < second)

    return cmp_to_key(compare)


def field_of(record: Mapping[str, Any], path: str) -> Any:
    """The value of a field such as `customAttributes.plan`, or None."""
    if path.startswith("customAttributes."):
        return (record.get("customAttributes") or {}).get(path.removeprefix("customAttributes."))
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def milliseconds(text: str) -> int:
    """The time in a text in PX's format, in milliseconds. Raises Refusal."""
    if re.fullmatch(r"-?\d{1,18}", text):
        return int(text)
    # A plus sign in a query string is decoded as a space.
    written = text.replace(" ", "+") if "T" in text else text
    try:
        found = datetime.fromisoformat(written)
        return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)
    except (ValueError, OverflowError):
        raise bad_filter(f"Invalid date: {text[:80]}", text, "1658965172096 or 2026-03-01T12:00:00Z") from None


def number_or_instant(text: str) -> float:
    """The number to compare with. Raises Refusal."""
    try:
        return float(text)
    except ValueError:
        return milliseconds(text)


def bad_filter(message: str, seen: str, expected: str) -> Refusal:
    return Refusal(
        RequestError(status=400, code="bad_parameter", message=message, seen=seen[:80], expected=expected[:200])
    )


def _like(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in text.casefold()), re.DOTALL)


def _as_like(text: str) -> str:
    parts = {"*": "%", "?": "_", "%": "\\%", "_": "\\_", "\\": "\\\\"}
    return "".join(parts.get(one, one) for one in text)


def _ordered(value: Any) -> tuple[int, Any]:
    if value is None:
        return (2, 0)
    return (0, value) if isinstance(value, int | float) else (1, str(value).casefold())
