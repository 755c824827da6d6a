"""Readers of values in `[events]` and `[events.NAME]`. Each returns the value, or raises `Wrong`."""

from __future__ import annotations

from collections.abc import Mapping

from tallybook.config.catalog.values import Wrong
from tallybook.config.catalog.words import closest_key
from tallybook.core import EVERY_DAY, WEEKDAYS, WORKDAYS

EXPECTED = {"daily": EVERY_DAY, "weekdays": WORKDAYS, "none": ()}


def read_weekdays(value: object) -> tuple[int, ...]:
    """The weekdays on which a value is expected: daily, weekdays, none, or a list of weekdays."""
    expected = f"{', '.join(EXPECTED)}, or a list of weekdays"
    if isinstance(value, str):
        if value in EXPECTED:
            return EXPECTED[value]
        meant = closest_key(value, EXPECTED)
        instead: object = meant or ([value] if _weekday(value) is not None else None)
        raise Wrong("is not a choice of days", expected=expected, instead=instead)
    if not isinstance(value, list | tuple):
        raise Wrong("is not a choice of days", expected=expected)
    found = []
    for one in value:
        day = _weekday(one)
        if day is None:
            meant = closest_key(str(one), WEEKDAYS)
            instead = [meant if other is one else other for other in value] if meant else None
            raise Wrong(f"contains {one!r}, which is not a weekday", expected="mon, tue, wed, …", instead=instead)
        found.append(day)
    return tuple(sorted(set(found)))


def _weekday(word: object) -> int | None:
    """The number of a weekday: 0 for "mon" or "monday"."""
    text = word.strip().casefold() if isinstance(word, str) else ""
    return next((i for i, name in enumerate(WEEKDAYS) if len(text) >= 2 and name.startswith(text)), None)


def read_words_list(value: object) -> tuple[str, ...]:
    """A list of texts without repetitions."""
    if isinstance(value, str):
        raise Wrong("is not a list", expected="a list of names", instead=[value])
    if not isinstance(value, list | tuple) or not all(isinstance(one, str) and one.strip() for one in value):
        raise Wrong("is not a list of names", expected="a list of names")
    return tuple(dict.fromkeys(one.strip() for one in value))


def read_properties(value: object) -> dict[str, object]:
    """A table of properties. Its values are checked later, one by one."""
    if not isinstance(value, Mapping):
        raise Wrong("is not a table", expected="a table of properties")
    return {str(name): one for name, one in value.items()}
