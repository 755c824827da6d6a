"""How the value of a key is read: each function returns what the value means, or raises `Wrong`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from datetime import date, datetime, time
from decimal import Decimal

from tallybook.config.catalog.words import closest, toml
from tallybook.core import (
    DELIVER,
    DESTINATIONS,
    FILTER,
    LATER_KINDS,
    SPELLINGS,
    THEN_WORDS,
    AdapterError,
    Join,
    MeasureError,
    NeverDue,
    Timetable,
    calendar,
    cron_of,
    destination_kinds,
    is_service,
    parse_then,
    spreadsheet_id,
)

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


class Wrong(Exception):
    """A value that cannot be: why, what was expected, and what was perhaps meant."""

    def __init__(self, why: str, *, expected: str = "", instead: object = None, hint: str = "") -> None:
        super().__init__(why)
        self.why, self.expected, self.instead, self.hint = why, expected, instead, hint


def read_text(value: object) -> str:
    if not isinstance(value, str):
        raise Wrong("is not a text", expected="a text in quotes", instead=_quoted(value))
    if not value.strip():
        raise Wrong("is empty", expected="a text that says something, or leave the key out")
    if re.search(r"[\x00-\x08\x0b-\x1f\x7f]", value.replace("\r\n", "\n")):
        raise Wrong("holds a control character", expected="letters, digits and signs")
    return value.strip()


def read_words(value: object) -> str:
    return read_text(value) if not isinstance(value, str) or value.strip() else ""


def _quoted(value: object) -> str | None:
    return str(value) if isinstance(value, int | float | date) and not isinstance(value, bool) else None


def read_flag(value: object) -> bool:
    if not isinstance(value, bool):
        meant = {"true": True, "yes": True, "1": True, "false": False, "no": False, "0": False}
        raise Wrong("is not a yes or no", expected="true or false", instead=meant.get(str(value).lower()))
    return value


def whole_number(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        if isinstance(value, bool) or not isinstance(value, int) or not low <= value <= high:
            meant = int(value) if isinstance(value, str) and re.fullmatch(r"\d{1,9}", value) else None
            expected = f"a whole number from {low} to {high:,}"
            raise Wrong("is not such a number", expected=expected, instead=meant)
        return value

    return read


def one_of(choices: Sequence[str]) -> Callable[[object], str]:
    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            meant = closest(value, choices)
            raise Wrong("is not one of the words", expected=", ".join(choices), instead=meant)
        return value

    return read


def read_destination(value: object) -> str:
    """Reads the name of a destination that deliveries can have."""
    if isinstance(value, str) and (value in LATER_KINDS or _delivers(value)):
        return value
    choices = [*(kind.name for kind in destination_kinds(DELIVER)), *LATER_KINDS]
    return one_of(choices)(value)


def _delivers(name: str) -> bool:
    try:
        return name in DESTINATIONS and DELIVER in DESTINATIONS.kind(name).uses
    except AdapterError as error:
        raise Wrong(f"names a destination that cannot be used: {error.message}", hint=error.hint) from error


def one_sign(choices: Sequence[str]) -> Callable[[object], str]:
    """Reads one of a few signs, shown as TOML writes them: a tab or a comma would not be seen otherwise."""

    def read(value: object) -> str:
        if not isinstance(value, str) or value not in choices:
            raise Wrong("is not one of the signs", expected=" or ".join(map(toml, choices)), instead=choices[-1])
        return value

    return read


def read_day(value: object) -> date:
    if isinstance(value, datetime):
        raise Wrong("is an instant, not a day", expected="a day", instead=value.date().isoformat())
    if isinstance(value, str) and re.fullmatch(r"\d{4}-\d\d-\d\d", value.strip()):
        try:
            value = date.fromisoformat(value.strip())
        except ValueError:
            raise Wrong("is no day of the calendar", expected='a day as "2023-01-31"') from None
    if not isinstance(value, date):
        raise Wrong("is not a day", expected='a day as "2023-01-31"')
    if not 1900 <= value.year <= 2200:
        raise Wrong("is too far away", expected="a day between 1900 and 2200")
    return value


_SPAN = re.compile(r"(\d{1,9})\s*([a-z]+)")
_UNITS = {
    **dict.fromkeys(("s", "sec", "second", "seconds"), 1),
    **dict.fromkeys(("m", "min", "minute", "minutes"), 60),
    **dict.fromkeys(("h", "hour", "hours"), 3600),
    **dict.fromkeys(("d", "day", "days"), 86_400),
    **dict.fromkeys(("w", "week", "weeks"), 7 * 86_400),
}
_LONGEST = 36_500 * 86_400
LARGEST = 10**27
"""No number of a metric has so many digits before its point."""


def span_from(low: int, unit: str) -> Callable[[object], float]:
    """Reads a span as seconds; `unit` is what a bare number probably meant."""

    def read(value: object) -> float:
        found = _SPAN.fullmatch(value.strip().lower()) if isinstance(value, str) else None
        if not found or found[2] not in _UNITS:
            bare = re.fullmatch(r"\d{1,9}", str(value).strip()) and not isinstance(value, bool)
            meant = f"{value}{unit}" if bare else None
            raise Wrong("is not a span of time", expected="a number with s, m, h, d or w", instead=meant)
        seconds = int(found[1]) * _UNITS[found[2]]
        if not low <= seconds <= _LONGEST:
            raise Wrong("is out of range", expected=f"a span from {low} seconds to a hundred years")
        return float(seconds)

    return read


def read_whole_days(value: object) -> int:
    seconds = span_from(0, "d")(value)
    if seconds % 86_400:
        days = int(seconds // 86_400) + 1
        raise Wrong("is not a number of whole days", expected="whole days", instead=f"{days}d")
    return int(seconds // 86_400)


def read_zone(value: object) -> str:
    """A zone that means the same on every machine."""
    name = read_text(value)
    found = (
        None if name.split("/")[0] in ("localtime", "posixrules", "Factory", "posix", "right") else _known_zone(name)
    )
    if found is None:
        raise Wrong("is not a time zone", expected="a name of the zone database", instead=_closest_zone(name))
    return found


def _known_zone(name: str) -> str | None:
    try:
        return calendar.zone(name).key
    except (KeyError, ValueError, OSError):
        return None


def _closest_zone(name: str) -> str | None:
    from zoneinfo import available_timezones

    zones = sorted(z for z in available_timezones() if not z.startswith(("posix/", "right/")))
    by_city = {z.rsplit("/", 1)[-1]: z for z in zones if "/" in z and not z.startswith("Etc/")}
    wanted = name.replace(" ", "_")
    city = closest(wanted.rsplit("/", 1)[-1], tuple(by_city))
    return closest(wanted, zones, cutoff=0.75) or (by_city[city] if city else None)


def read_column(value: object) -> str:
    name = read_text(value)
    if re.search(r"[()\[\]{}'\";:,=\n]|\s[aA][sS]\s", name):
        expected = "the bare name of a column; compute it in `sql` and name it there"
        raise Wrong("is an expression, not a column", expected=expected)
    if "." in name:
        raise Wrong("names a table too", expected="the column alone", instead=name.rsplit(".", 1)[-1] or None)
    return name


def read_qualified(value: object) -> str:
    """A column, of a joined table where it has a dot."""
    return value if isinstance(value, str) and re.fullmatch(r"\w+\.\w+", value) else read_column(value)


def read_then(value: object) -> str:
    """What becomes of the values of all entities."""
    text = read_text(value)
    try:
        parse_then(text)
    except MeasureError:
        raise Wrong(
            "is no aggregate of one value for each entity", expected=THEN_WORDS, instead=closest(text, SPELLINGS)
        ) from None
    return text.strip().lower()


def _item(value: object) -> str:
    try:
        return read_qualified(value)
    except Wrong as wrong:
        raise Wrong(f"holds {toml(value)}, which {wrong.why}", expected=wrong.expected) from None


def read_columns(value: object) -> tuple[str, ...]:
    if isinstance(value, str):
        meant = [v.strip() for v in value.split(",")]
        raise Wrong("is not a list", expected="a list of columns", instead=meant)
    if not isinstance(value, list | tuple):
        raise Wrong("is not a list", expected="a list of columns")
    names = tuple(_item(v) for v in value)
    lowered = [n.casefold() for n in names]
    twice = [n for i, n in enumerate(names) if n.casefold() in lowered[:i]]
    if twice:
        once = [n for i, n in enumerate(names) if n.casefold() not in lowered[:i]]
        raise Wrong(f"names {twice[0]!r} twice", expected="each column once", instead=once)
    return names


_WORD = r"(?:\w+|\"[^\"]+\"|`[^`]+`)"
_REF = rf"{_WORD}(?:\.{_WORD})?"
_JOIN = re.compile(
    rf"(?P<table>{_WORD}(?:\.{_WORD})?)(?:\s+(?:as\s+)?(?!on\b)(?P<name>{_WORD}))?\s+on\s+(?P<on>{_REF}\s*=\s*{_REF}"
    rf"(?:\s+and\s+{_REF}\s*=\s*{_REF})*)",
    re.IGNORECASE,
)
_JOIN_FORM = "TABLE on TABLE.column = column, with `and` between several"


def read_joins(value: object) -> tuple[Join, ...]:
    if not isinstance(value, list | tuple):
        return (_join(read_text(value)),)
    found = []
    for place, text in enumerate(value):
        try:
            found.append(_join(read_text(text)))
        except Wrong as wrong:
            if wrong.instead is not None:
                wrong.instead = [*value[:place], wrong.instead, *value[place + 1 :]]
            raise
    return tuple(found)


def _join(text: str) -> Join:
    bare = re.sub(r"(?i)^(left\s+|inner\s+|outer\s+)*join\s+", "", text)
    found = _JOIN.fullmatch(bare)
    if not found or bare != text:
        raise Wrong(
            "does not say which one row belongs to a fact", expected=_JOIN_FORM, instead=bare if found else None
        )
    table = _unquoted(found["table"])
    name = _unquoted(found["name"] or found["table"]).rpartition(".")[2]
    pairs = [_pair(equal, name, text) for equal in re.findall(rf"({_REF})\s*=\s*({_REF})", found["on"], re.IGNORECASE)]
    return Join(table=table, name=name, on=tuple(pairs))


def _pair(equal: tuple[str, str], name: str, text: str) -> tuple[str, str]:
    """(the joined table's column, the other side); which is which is said by the table's name before the dot."""
    sides = [_unquoted(side) for side in equal]
    own = [side.rpartition(".")[0].casefold() == name.casefold() for side in sides]
    if own[0] == own[1]:
        why = f"does not say which side of {equal[0]} = {equal[1]} is a column of {name}"
        column = next((s for s in sides if s.casefold() == "id"), sides[0]).rpartition(".")[2]
        fixed = re.sub(rf"(?<![\w.]){re.escape(column)}(?![\w.])", f"{name}.{column}", text, count=1)
        raise Wrong(why, expected=_JOIN_FORM, instead=fixed if not any(own) and fixed != text else None)
    mine, other = sides if own[0] else sides[::-1]
    return mine.rpartition(".")[2], other


def _unquoted(name: str) -> str:
    return re.sub(r"[\"`]", "", name)


def read_query(value: object) -> str:
    text = re.sub(r"[\s;]+\Z", "", read_text(value)) or read_text("")
    # A comment at the end must not swallow what we write behind it.
    return f"{text}\n" if re.search(r"(--|#)[^\n]*\Z", text) else text


def read_table(value: object) -> str:
    name = read_text(value)
    if re.match(r"(?is)\(|(select|with)\s", name):
        raise Wrong("is a query, not a table", expected="a table's name; a query goes into `sql`")
    if ";" in name or "--" in name:
        raise Wrong("is not a table's name", expected="a table or view, with its schema where needed")
    return name


def read_function(value: object) -> str:
    name = read_text(value)
    if not re.fullmatch(r"[^:]+:[A-Za-z_]\w*", name):
        raise Wrong("does not say which function", expected='"metrics/file.py:function" or "module:function"')
    return name


def not_yet(value: object) -> str:
    why = "is for usage events, which are not collected yet: this version reads databases"
    raise Wrong(why, expected="table, sql or function")


def read_old_name(value: object) -> str:
    name = read_text(value)
    if not NAME.fullmatch(name):
        raise Wrong("is not a metric's name", expected="letters, digits and _, not beginning with a digit")
    return name


def names_of(what: str, listed: str) -> Callable[[object], tuple[str, ...]]:
    """Reads a list of texts, each once; one alone was meant as a list of one."""

    def read(value: object) -> tuple[str, ...]:
        if isinstance(value, str):
            meant = [part.strip() for part in value.split(",") if part.strip()]
            raise Wrong("is not a list", expected=f"a list of {what}", instead=meant or None)
        if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v.strip() for v in value):
            raise Wrong("is not such a list", expected=f"a list of {what}, as {listed}")
        return tuple(dict.fromkeys(v.strip() for v in value))

    return read


def read_paths(value: object) -> tuple[str, ...]:
    """Folders and files on this machine."""
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
    if isinstance(value, str) and FILTER.match(value):
        return (value,)
    filters = names_of("filters", '["plan=pro"]')(value)
    for text in filters:
        if not FILTER.match(text):
            raise Wrong(f"holds {toml(text)}, which is no filter", expected="dim=value, dim!=value, or dim= for none")
    return filters


def read_span(value: object) -> str:
    text = read_text(value)
    try:
        calendar.last_span(text, date(2024, 3, 1))
    except (ValueError, OverflowError) as error:
        bare = f"{text} days" if text.isdigit() else None
        raise Wrong("is not a span of time", expected='as "90 days"', instead=bare, hint=str(error)) from None
    return text


def read_document(value: object) -> str:
    """The id of a spreadsheet, also from the URL that a browser shows."""
    found = spreadsheet_id(read_text(value))
    if found is None:
        raise Wrong(
            "is neither the id nor the URL of a spreadsheet",
            expected="the address that the browser shows of it: https://docs.google.com/spreadsheets/d/…/edit",
        )
    return found


def read_id(value: object) -> str:
    """A word that is compared letter by letter."""
    text = read_text(value)
    if not re.fullmatch(r"[\w.-]{4,64}", text, re.ASCII):
        raise Wrong("cannot be an id", expected="4 to 64 letters, digits, - and _")
    return text


def read_address(value: object) -> str:
    text = read_text(value).rstrip("/")
    if not is_service(text):
        raise Wrong("is not the address of a service", expected="http://127.0.0.1:8080")
    return text


def read_addresses(value: object) -> tuple[str, ...]:
    """URLs, which are never repeated: they hold passwords. One alone is a list of one."""
    value = [value] if isinstance(value, str) else value
    if not isinstance(value, list | tuple) or not all(isinstance(v, str) and v.strip() for v in value):
        raise Wrong("is not a list of URLs", expected='as ["https://hooks.example.com/…", "mailto://…"]')
    return tuple(dict.fromkeys(v.strip() for v in value))


def some_of(choices: Sequence[str]) -> Callable[[object], tuple[str, ...]]:
    """Reads a list of words, each once."""

    def read(value: object) -> tuple[str, ...]:
        found = names_of("words", toml(list(choices[:2])))(value)
        for word in found:
            if word not in choices:
                meant = closest(word, choices)
                instead = [meant if other == word else other for other in found] if meant else None
                raise Wrong(f"holds {word!r}, which is none of them", expected=", ".join(choices), instead=instead)
        return found

    return read


_CLOCK = re.compile(r"([01]?\d|2[0-3])[:.]([0-5]\d)(?::00)?")
_HOURS = re.compile(rf"{_CLOCK.pattern}\s*(?:-|–|to)\s*{_CLOCK.pattern}")


def read_quiet(value: object) -> tuple[int, int]:
    """From one time of the day until another, perhaps of the next, as minutes."""
    found = _HOURS.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Wrong("does not say from when until when", expected='two times of day as "22:00-07:00"')
    since, until = int(found[1]) * 60 + int(found[2]), int(found[3]) * 60 + int(found[4])
    if since == until:
        raise Wrong("begins when it ends", expected="two times; to send nothing at all leave `to` out")
    return since, until


def number_from(low: int, high: int) -> Callable[[object], float]:
    def read(value: object) -> float:
        number = float(read_number(value))
        if not low <= number <= high:
            raise Wrong("is out of range", expected=f"a number from {low} to {high:,}")
        return number

    return read


def whole_days_from(low: int, high: int) -> Callable[[object], int]:
    def read(value: object) -> int:
        days = read_whole_days(value)
        if not low <= days <= high:
            raise Wrong("is out of range", expected=f"from {low} to {high} days")
        return days

    return read


def read_number(value: object) -> Decimal:
    """A number as it is written: a float's shortest digits, not its binary ones."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        meant = value.strip() if isinstance(value, str) else ""
        bare = re.fullmatch(r"-?\d{1,27}(\.\d+)?", meant)
        raise Wrong("is not a number", expected="a number", instead=Decimal(meant) if bare else None)
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if not number.is_finite() or abs(number) >= LARGEST:
        raise Wrong("is no number that a metric could come to", expected="a number of at most 27 digits")
    return number


def read_targets(value: object) -> dict[str, Decimal]:
    """By the period as it is written: which periods there are depends on the scope."""
    if not isinstance(value, Mapping):
        raise Wrong("is not a table of periods", expected="a number for each period, or `target` for all of them")
    if not value:
        raise Wrong("names no period", expected="a number for each period, or `target` for all of them")
    found = {}
    for period, target in value.items():
        try:
            found[period] = read_number(target)
        except Wrong as wrong:
            instead = None if wrong.instead is None else {**value, period: wrong.instead}
            why = f"holds {period} = {toml(target)}, which {wrong.why}"
            raise Wrong(why, expected=wrong.expected, instead=instead) from None
    return found


def read_tab(value: object) -> str:
    """What every spreadsheet takes as the name of a sheet."""
    name = read_text(value)
    proper = re.sub(r"[\[\]:*?/\\]", " ", name).strip("' ")[:31]
    if name != proper or name.casefold() == "history":
        expected = "at most 31 characters, none of [ ] : * ? / \\, no ' at its ends, not History"
        raise Wrong("cannot be the name of a sheet", expected=expected, instead=proper if proper != name else "Metrics")
    return name


def read_store(value: object) -> str:
    text = read_text(value)
    if "://" in text or re.search(r":.*@", text):
        expected = 'a folder, or "ledger" for points that are kept in the ledger; a URL is the ledger\'s'
        raise Wrong("is a URL", expected=expected, instead="ledger")
    return text


def read_schema(value: object) -> str:
    """A schema of PostgreSQL that is written without quotes, so that nobody has to ask which letters are large."""
    name = read_text(value)
    if not re.fullmatch(r"(?!pg_)[a-z_][a-z0-9_]{0,62}", name):
        proper = re.sub(r"\W+", "_", name.lower(), flags=re.ASCII).strip("_")[:63]
        expected = "small letters, digits and _, not beginning with a digit or pg_"
        raise Wrong(
            "cannot be the name of a schema", expected=expected, instead=proper if proper[:1].isalpha() else None
        )
    return name


def read_time_of_day(value: object) -> str:
    """A time of every day, as a cron expression."""
    if isinstance(value, time):
        value = value.isoformat(timespec="minutes")
    found = _CLOCK.fullmatch(value.strip()) if isinstance(value, str) else None
    if found is None:
        raise Wrong("is not a time of day", expected='hours and minutes as "03:30"')
    return cron_of(time(int(found[1]), int(found[2])))


def read_cron(value: object) -> str:
    text = " ".join(read_text(value).split())
    try:
        Timetable(cron=text, zone="UTC")
    except NeverDue as error:
        expected = "five fields: minute, hour, day of the month, month, weekday"
        raise Wrong(f"is not a cron expression: {error}", expected=expected) from None
    return text
