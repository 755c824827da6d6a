"""Readers of values of keys. Each returns the value, or raises `Wrong`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import cast

from tallybook.config.catalog.words import closest_key, toml
from tallybook.core import (
    DELIVER,
    DESTINATIONS,
    EVERY_SERIES,
    FILTER,
    SERIES_LETTERS,
    AdapterError,
    destination_kinds,
    is_service,
    spreadsheet_id,
)

MAX_TOP = 1000
"""Maximum number of series that a view or a question may ask for."""


class Wrong(Exception):
    """An invalid value: the reason, what is expected, and the value that was probably meant."""

    def __init__(self, why: str, *, expected: str = "", instead: object = None, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.expected, self.instead, self.hint = why, expected, instead, hint


def read_text(value: object) -> str:
    """A nonempty text, without leading or trailing blanks."""
    if not isinstance(value, str):
        raise Wrong("is not a text", expected="a text in quotes", instead=_quoted(value))
    if not value.strip():
        raise Wrong("is empty", expected="a text that is not empty, or leave the key out")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value.replace("\r\n", "\n")):
        raise Wrong("contains a control character", expected="printable characters")
    return value.strip()


def read_words(value: object) -> str:
    """A text, possibly empty."""
    return read_text(value) if not isinstance(value, str) or value.strip() else ""


def _quoted(value: object) -> str | None:
    return str(value) if isinstance(value, int | float | date) and not isinstance(value, bool) else None


def read_flag(value: object) -> bool:
    """A boolean."""
    if not isinstance(value, bool):
        meant = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        raise Wrong("is not a boolean", expected="true or false", instead=meant.get(str(value).lower()))
    return value


def whole_number(low: int, high: int) -> Callable[[object], int]:
    """Create a reader of a whole number in a range."""

    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            meant = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else None
            expected = f"a whole number from {low} to {high:,}"
            raise Wrong("is not a whole number in range", expected=expected, instead=meant)
        return value

    return read


def choice_of(choices: Sequence[str]) -> Callable[[object], str]:
    """Create a reader that accepts one of several words."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            meant = closest_key(value, choices)
            raise Wrong("is not one of the allowed values", expected=", ".join(choices), instead=meant)
        return value

    return read


def read_destination(value: object) -> str:
    """The name of a destination for deliveries."""
    if isinstance(value, str) and _delivers(value):
        return value
    return choice_of([kind.name for kind in destination_kinds(DELIVER)])(value)


def _delivers(name: str) -> bool:
    try:
        return name in DESTINATIONS and DELIVER in DESTINATIONS.kind(name).uses
    except AdapterError as error:
        raise Wrong(f"names a destination that cannot be used: {error.message}", hint=error.hint) from error


def separator_of(choices: Sequence[str]) -> Callable[[object], str]:
    """Create a reader that accepts one of a few characters. Messages show them as TOML strings, so that a tab is
    visible."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Wrong(
                "is not one of the allowed characters", expected=" or ".join(map(toml, choices)), instead=choices[-1]
            )
        return value

    return read


LARGEST = 10**27
"""Upper limit for numbers in declarations."""


def names_of(what: str, listed: str) -> Callable[[object], tuple[str, ...]]:
    """Create a reader of a list of texts without repetitions."""

    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            meant = [part.strip() for part in value.split(",") if part.strip()]
            raise Wrong("is not a list", expected=f"a list of {what}", instead=meant or None)
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v.strip() for v in value):
            raise Wrong(f"is not a list of {what}", expected=f"a list of {what}, such as {listed}")
        return tuple(dict.fromkeys(v.strip() for v in value))

    return read


def read_paths(value: object) -> tuple[str, ...]:
    """Paths of folders and files on this machine."""
    paths = names_of("folders and files", '["exports/"]')(value)
    for path in paths:
        if "://" in path:
            raise Wrong(f"has {toml(path)}, which is a URL", expected="a folder or file on this machine")
        if found := re.search(r"[*?\[]", path):
            folder = path[: found.start()].rpartition("/")[0] + "/"
            instead = [folder if other == path and len(folder) > 1 else other for other in paths]
            raise Wrong(f"has {toml(path)}, which is a pattern", expected="the folder", instead=instead)
    return paths


def read_filters(value: object) -> tuple[str, ...]:
    """A list of filters, or one filter. Blanks at the end belong to the value: `plan=a ` is not `plan=a`."""
    if isinstance(value, str) and FILTER.match(value):
        return (value,)
    names_of("filters", '["plan=pro"]')(value)
    filters = tuple(dict.fromkeys(text.lstrip() for text in cast("list[str]", value)))
    for text in filters:
        if not FILTER.match(text):
            raise Wrong(
                f"contains {toml(text)}, which is not a filter", expected="dim=value, dim!=value, or dim= for null"
            )
    return filters


def read_document(value: object) -> str:
    """The id of a spreadsheet. The value is the id or the URL."""
    document = spreadsheet_id(read_text(value))
    if document is None:
        raise Wrong(
            "is neither the id nor the URL of a spreadsheet",
            expected="its URL in the browser: https://docs.google.com/spreadsheets/d/…/edit",
        )
    return document


def read_id(value: object) -> str:
    """An id of 4 to 64 letters, digits, dots, hyphens and underscores."""
    text = read_text(value)
    if not re.fullmatch(r"[\w.-]{4,64}", text, re.ASCII):
        raise Wrong("is not a valid id", expected="4 to 64 letters, digits, - and _")
    return text


def read_address(value: object) -> str:
    """The URL of a service, without a trailing slash."""
    text = read_text(value).rstrip("/")
    if not is_service(text):
        raise Wrong("is not the URL of a service", expected="http://127.0.0.1:8080")
    return text


def read_addresses(value: object) -> tuple[str, ...]:
    """A list of URLs, or one URL. Messages never repeat them, because they contain passwords."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v.strip() for v in value):
        raise Wrong("is not a list of URLs", expected='a list such as ["https://hooks.example.com/…", "mailto://…"]')
    return tuple(dict.fromkeys(v.strip() for v in value))


def choices_of(choices: Sequence[str]) -> Callable[[object], tuple[str, ...]]:
    """Create a reader of a list of allowed words without repetitions."""

    def read(value: object) -> tuple[str, ...]:
        words = names_of("words", toml(list(choices[:2])))(value)
        for word in words:
            if word not in choices:
                meant = closest_key(word, choices)
                instead = [meant if other == word else other for other in words] if meant else None
                raise Wrong(f"contains {word!r}, which is not allowed", expected=", ".join(choices), instead=instead)
        return words

    return read


def number_from(low: int, high: int) -> Callable[[object], float]:
    """Create a reader of a number in a range."""

    def read(value: object) -> float:
        number = float(read_number(value))
        if not low <= number <= high:
            raise Wrong("is out of range", expected=f"a number from {low} to {high:,}")
        return number

    return read


def read_share_or_number(value: object) -> float:
    """A share such as "1%" as a fraction below 1, or a whole number from 1."""
    expected = 'a share as "1%", or a number of events as 100'
    if isinstance(value, str) and value.strip().endswith("%"):
        try:
            share = float(value.strip().removesuffix("%")) / 100
        except ValueError:
            raise Wrong("is not a share", expected=expected) from None
        if not 0 <= share < 1:
            raise Wrong("is out of range", expected=expected)
        return share
    if isinstance(value, bool) or not isinstance(value, int) or value < 1:
        raise Wrong("is neither a share nor a number of events", expected=expected)
    return float(value)


def read_number(value: object) -> Decimal:
    """A number as a decimal that keeps the digits as written."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        meant = value.strip() if isinstance(value, str) else ""
        bare = re.fullmatch(r"-?\d{1,27}(\.\d+)?", meant)
        raise Wrong("is not a number", expected="a number", instead=Decimal(meant) if bare else None)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number) >= LARGEST:
        raise Wrong("is out of range", expected="a number of at most 27 digits")
    return number


def read_targets(value: object) -> dict[str, Decimal]:
    """Targets by period, as written. The scope of the goal decides which periods are valid."""
    if not isinstance(value, Mapping):
        raise Wrong("is not a table of periods", expected="a number for each period, or `target` for all of them")
    if not value:
        raise Wrong("contains no period", expected="a number for each period, or `target` for all of them")
    targets = {}
    for period, target in value.items():
        try:
            targets[period] = read_number(target)
        except Wrong as wrong:
            instead = None if wrong.instead is None else {**value, period: wrong.instead}
            why = f"contains {period} = {toml(target)}, which {wrong.why}"
            raise Wrong(why, expected=wrong.expected, instead=instead) from None
    return targets


def read_views(value: object) -> tuple[object, ...]:
    """The views of a board. Each is read later as a table of its own."""
    if not isinstance(value, list | tuple) or not value:
        raise Wrong("is not a list of views", expected='tables with metrics: [{ metrics = ["revenue"] }]')
    return tuple(value)


def read_board_series(value: object) -> tuple[object, ...]:
    """The series of a view. Each is read later as a table of its own."""
    if not isinstance(value, list | tuple) or not 0 < len(value) <= len(SERIES_LETTERS):
        expected = f'1 to {len(SERIES_LETTERS)} tables: [{{ metric = "revenue" }}, {{ metric = "signups" }}]'
        raise Wrong("is not a list of series", expected=expected)
    return tuple(value)


def read_top(value: object) -> int:
    """A number of series, or "all" (`EVERY_SERIES`)."""
    if value == "all":
        return EVERY_SERIES
    try:
        return whole_number(1, MAX_TOP)(value)
    except Wrong as wrong:
        raise Wrong(wrong.why, expected=f'{wrong.expected}, or "all"', instead=wrong.instead) from None


def read_tab(value: object) -> str:
    """The name of a sheet that is valid in every spreadsheet program."""
    name = read_text(value)
    proper = re.sub(r"[\[\]:*?/\\]", " ", name).strip("' ")[:31]
    if name != proper or name.casefold() == "history":
        expected = "at most 31 characters, none of [ ] : * ? / \\, no ' at its ends, not History"
        raise Wrong(
            "is not a valid name of a sheet", expected=expected, instead=proper if proper != name else "Metrics"
        )
    return name


def read_store(value: object) -> str:
    """The folder of the book, or "ledger"."""
    text = read_text(value)
    if "://" in text or re.search(r":.*@", text):
        expected = 'a folder, or "ledger" to store points in the ledger; a URL belongs in `ledger`'
        raise Wrong("is a URL", expected=expected, instead="ledger")
    return text


def read_schema(value: object) -> str:
    """A PostgreSQL schema that needs no quotes."""
    name = read_text(value)
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", name):
        proper = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:63]
        expected = "lower-case letters, digits and _, not starting with a digit or pg_"
        raise Wrong("is not a valid schema name", expected=expected, instead=proper if proper[:1].isalpha() else None)
    return name


def read_bytes(value: object) -> int:
    """A number of bytes, written like "2 GB" or "500 MB"."""
    found = re.fullmatch(r"(\d{1,6}) ?(B|kB|MB|GB|TB)", value) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a number of bytes", expected="a number and B, kB, MB, GB or TB")
    return int(found[1]) * int(1000 ** ("B", "kB", "MB", "GB", "TB").index(found[2]))
