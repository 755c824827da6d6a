"""The grammar of `filter` and `sort`.

A filter is a list of terms separated by semicolons. All its terms must be true. Of several filters, one must be true. A
term is a field, an operator and a value. Texts are compared without case. `~` and `!~` take the wildcards * and ?.
Dates are milliseconds since 1970 or ISO 8601."""

from __future__ import annotations

import operator
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

from tallybook_emulators.gainsight_px.contract import FACTS
from tallybook_emulators.gainsight_px.errors import PxError

TERM = re.compile(rf"([A-Za-z_][\w.-]*?)\s*({'|'.join(map(re.escape, FACTS['operators']))})\s*(.*)", re.DOTALL)


COMPARISONS = {"==": operator.eq, "<": operator.lt, "<=": operator.le, ">": operator.gt, ">=": operator.ge}


@dataclass(frozen=True)
class PxTerm:
    """One condition of a filter."""

    field: str
    operator: str
    text: str

    def holds(self, record: Mapping[str, Any]) -> bool:
        value = field_of(record, self.field)
        values = value if isinstance(value, list) else [value]
        if self.operator in ("!=", "!~"):
            positive = PxTerm(self.field, "==" if self.operator == "!=" else "~", self.text)
            return not positive.holds(record)
        return any(self._one(one) for one in values)

    def _one(self, value: Any) -> bool:
        if value is None:
            return False
        if self.operator == "~":
            return _like(self.text).fullmatch(_text(value)) is not None
        mine, theirs = _comparable(value, self.text)
        if mine is None:
            return False
        return bool(COMPARISONS[self.operator](mine, theirs))


def terms_of(text: str, fields: Sequence[str] | None, excluded: Sequence[str] = ()) -> list[PxTerm]:
    """The terms of one filter. Raises PxError 400 for a term without an operator, or with a field that cannot be
    filtered."""
    made = []
    for part in text.split(";"):
        if not part.strip():
            continue
        if (found := TERM.fullmatch(part.strip())) is None:
            raise PxError(400, f"Invalid filter: {part}")
        if found[1] in excluded or (fields is not None and found[1] not in fields):
            raise PxError(400, f"Filtering by {found[1]} is not supported")
        made.append(PxTerm(found[1], found[2], found[3]))
    return made


def matching(records: Sequence[Mapping[str, Any]], filters: Sequence[Sequence[PxTerm]]) -> list[Mapping[str, Any]]:
    """The records for which one of the filters is true. All records if there is no filter."""
    if not filters:
        return list(records)
    return [one for one in records if any(all(term.holds(one) for term in terms) for terms in filters)]


def ordered(records: Sequence[Mapping[str, Any]], sort: str, fields: Sequence[str] | None) -> list[Mapping[str, Any]]:
    """Records in the order of `sort`, such as `-date;accountId`. Records without a value come last."""
    made = list(records)
    for part in reversed([one.strip() for one in sort.split(";") if one.strip()]):
        name, down = part.removeprefix("-"), part.startswith("-")
        if fields is not None and name not in fields:
            raise PxError(400, f"Sorting by {name} is not supported")
        known = [one for one in made if field_of(one, name) is not None]
        unknown = [one for one in made if field_of(one, name) is None]
        made = sorted(known, key=lambda one: _sort_key(field_of(one, name)), reverse=down) + unknown
    return made


def field_of(record: Mapping[str, Any], path: str) -> Any:
    """The value of a field such as `customAttributes.plan`, or None."""
    value: Any = record
    for name in path.split("."):
        if not isinstance(value, Mapping):
            return None
        value = value.get(name)
    return value


def milliseconds(text: str) -> int:
    """The time in a filter or a range, in milliseconds. Raises PxError 400."""
    if re.fullmatch(r"-?\d+", text):
        return int(text)
    try:
        found = datetime.fromisoformat(text)
    except ValueError:
        raise PxError(400, f"Invalid date: {text}") from None
    return round((found if found.tzinfo else found.replace(tzinfo=UTC)).timestamp() * 1000)


def _comparable(value: Any, text: str) -> tuple[Any, Any]:
    """The two sides of a comparison, or (None, None) if they cannot be compared."""
    if isinstance(value, bool):
        return (value, text.lower() == "true") if text.lower() in ("true", "false") else (None, None)
    if isinstance(value, int | float):
        try:
            return value, float(text)
        except ValueError:
            return value, milliseconds(text)
    return _text(value), text.casefold()


def _text(value: Any) -> str:
    return str(value).casefold()


def _like(text: str) -> re.Pattern[str]:
    parts = {"*": ".*", "?": "."}
    return re.compile("".join(parts.get(one, re.escape(one)) for one in text.casefold()), re.DOTALL)


def _sort_key(value: Any) -> tuple[int, Any]:
    return (0, value) if isinstance(value, int | float) else (1, _text(value))
