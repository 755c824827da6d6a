"""A question from people or programs: one type for Python, the command line and HTTP."""

from __future__ import annotations

import inspect
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, fields
from datetime import date, datetime
from typing import TYPE_CHECKING, Any, Protocol, TypedDict, TypeVar

from tallybook.core import EVENT_MEASURES, ONE_DAY, QueryError, did_you_mean

if TYPE_CHECKING:
    from tallybook.core import Result

Day = date | str
"""A date, an ISO text, "today" or "yesterday"."""
Verb = TypeVar("Verb", bound=Callable[..., Any])
_LISTS = ("metrics", "by", "where", "sort", "having", "segments", *EVENT_MEASURES[1:])
"""Options whose value is one text or several."""
_LIST_EXAMPLES = {
    "metrics": 'book.query("revenue", "mrr")',
    "where": 'where=["plan=pro"]',
    "having": 'having="revenue > 5"',
}
_TEXT_EXAMPLES = {
    "scope": 'scope="month"',
    "last": 'last="30 days"',
    "show": 'show="last"',
    "window": 'window="7 days"',
    "compare": 'compare="year"',
    "week_starts": 'week_starts="sunday"',
}
_PLAIN = ("metrics", "scope", "by", "from_", "to", "last", "show", "week_starts")


@dataclass(frozen=True, kw_only=True)
class Question:
    """A question before it is checked: `check_question` converts it to a Query.

    `from_` and `to` are both included. A new option needs a field here and in `QuestionOptions`, an option of the
    command (`QUESTION` in `cli/asking.py`), and an implementation in `check_question`."""

    metrics: Sequence[str]
    scope: str = "day"
    by: Sequence[str] = ()
    where: Sequence[str] = ()
    from_: Day | None = None
    to: Day | None = None
    last: str | None = None
    show: str | None = None
    fill: bool = False
    totals: bool = False
    as_of: Day | None = None
    definition: str | None = None
    live: bool = False
    week_starts: str | None = None
    window: str | None = None
    compare: str | None = None
    top: int | None = None
    sort: Sequence[str] = ()
    limit: int | None = None
    having: Sequence[str] = ()
    segments: Sequence[str] = ()
    """Named lists of filters, such as "paid: plan=pro". The question is answered for each, as series of one answer."""
    event: str | None = None
    """The name of a usage event. Its `EVENT_MEASURES` are requested instead of metrics."""
    count: bool = False
    sum: Sequence[str] = ()
    avg: Sequence[str] = ()
    distinct: Sequence[str] = ()
    min: Sequence[str] = ()
    max: Sequence[str] = ()
    median: Sequence[str] = ()
    p50: Sequence[str] = ()
    p75: Sequence[str] = ()
    p90: Sequence[str] = ()
    p95: Sequence[str] = ()
    p99: Sequence[str] = ()

    @property
    def within(self) -> tuple[tuple[str, ...], ...]:
        """Additional lists of filters that no option can set: see `BoundedQuestion`."""
        return ()

    @property
    def is_plain(self) -> bool:
        """Whether it only requests metrics by dimensions over a range of days."""
        return all(getattr(self, one.name) == one.default for one in fields(self) if one.name not in _PLAIN)

    def __post_init__(self) -> None:
        for name in _LISTS:
            given = getattr(self, name)
            if type(given) is not tuple:
                object.__setattr__(self, name, _texts(given))
            for one in getattr(self, name):
                if not isinstance(one, str):
                    raise _not_a("text", name, one, _LIST_EXAMPLES.get(name, f'{name}="plan"'))
        for name, example in _TEXT_EXAMPLES.items():
            if (given := getattr(self, name)) is not None and not isinstance(given, str):
                raise _not_a("text", name, given, example)
        for name in ("top", "limit"):
            if (given := getattr(self, name)) is not None and type(given) is not int:
                raise _not_a("whole number", name, given, f"{name}=3")


@dataclass(frozen=True, kw_only=True)
class BoundedQuestion(Question):
    """A question that is restricted to some series, in addition to its own filters.

    Each of `within` is a list of filters like `where`. A series must pass `where` and every list."""

    within: tuple[tuple[str, ...], ...] = ()

    @classmethod
    def bounded(cls, question: Question, within: Sequence[Sequence[str]]) -> BoundedQuestion:
        """The question restricted to these lists of filters, which replace any that it has."""
        lists = tuple(tuple(one) for one in within if one)
        return cls(**{one.name: getattr(question, one.name) for one in fields(Question)}, within=lists)


class QuestionOptions(TypedDict, total=False):
    """The keyword arguments of `Book.query`: the fields of `Question` except `metrics`."""

    scope: str
    by: Sequence[str]
    where: Sequence[str]
    from_: Day | None
    to: Day | None
    last: str | None
    show: str | None
    fill: bool
    totals: bool
    as_of: Day | None
    definition: str | None
    live: bool
    week_starts: str | None
    window: str | None
    compare: str | None
    top: int | None
    sort: Sequence[str]
    limit: int | None
    having: Sequence[str]
    segments: Sequence[str]
    event: str | None
    count: bool
    sum: Sequence[str]
    avg: Sequence[str]
    distinct: Sequence[str]
    min: Sequence[str]
    max: Sequence[str]
    median: Sequence[str]
    p50: Sequence[str]
    p75: Sequence[str]
    p90: Sequence[str]
    p95: Sequence[str]
    p99: Sequence[str]


def flat(given: Iterable[Any]) -> tuple[Any, ...]:
    """The items of a sequence, with nested sequences flattened. A text is one item."""
    found: list[Any] = []
    for one in given:
        found += flat(one) if isinstance(one, Iterable) and not isinstance(one, str) else [one]
    return tuple(found)


class QuestionAnswers(Protocol):
    """Anything that answers questions: the book, or the book together with its sources."""

    def answer(self, question: Question) -> Result:
        """Answer a question. Raises QueryError for undeclared names, Refused for a question that has no correct
        answer."""
        ...


def keywords_of(value: type[Any], *without: str) -> Callable[[Verb], Verb]:
    """A decorator that shows the fields of a dataclass as the keyword parameters of a method whose last parameter is
    `**options`."""

    def shown(verb: Verb) -> Verb:
        plain = inspect.signature(verb)
        kept = [one for one in plain.parameters.values() if one.kind is not inspect.Parameter.VAR_KEYWORD]
        options = [
            inspect.Parameter(one.name, inspect.Parameter.KEYWORD_ONLY, default=one.default, annotation=one.type)
            for one in fields(value)
            if one.name not in without
        ]
        verb.__signature__ = plain.replace(parameters=[*kept, *options])  # type: ignore[attr-defined]
        return verb

    return shown


def as_day(text: Day | None, today: date, option: str = "") -> date | None:
    """Convert a date, ISO text, "today" or "yesterday" to a date. Raises QueryError with the expected forms."""
    if isinstance(text, datetime):
        if text.tzinfo is not None:
            hint = "give the day in the zone of the book: instant.astimezone(zone).date()"
            raise QueryError(f"{text.isoformat()} is an instant, not a day", hint=hint, field=option)
        return text.date()
    if text is None or isinstance(text, date):
        return text
    if not isinstance(text, str):
        raise QueryError(f"{text!r} is not a day", hint=_day_hint(str(text)), field=option)
    named = {"today": today, "yesterday": today - ONE_DAY}
    if text in named:
        return named[text]
    try:
        return date.fromisoformat(text)
    except ValueError:
        raise QueryError(f"{text!r} is not a day", hint=_day_hint(text), field=option) from None


def _day_hint(text: str) -> str:
    """A hint with the day in ISO form, for a text such as 08/31/2026."""
    from tallybook.core import day_in_words, days_meant

    meant = " or ".join(f"{day.isoformat()} ({day_in_words(day)})" for day in days_meant(text))
    return f"did you mean {meant}?" if meant else "write 2026-03-01, yesterday or today"


def asked_in_python(metrics: Sequence[str | Sequence[str]], options: QuestionOptions) -> Question:
    """The question for the arguments of `Book.query`. Raises TypeError for an unknown argument."""
    known = [one.name for one in fields(Question)]
    for name in options:
        if name not in known:
            meant = did_you_mean(name, known)
            raise TypeError(f"query() got an unexpected keyword argument {name!r}" + (f"; {meant}" if meant else ""))
    return Question(metrics=flat(metrics), **options)


def _texts(given: Any) -> tuple[Any, ...]:
    """One text or several texts as a tuple; empty for None. The caller checks the items."""
    if isinstance(given, Mapping):
        return tuple(given.items())
    if given is None:
        return ()
    return tuple(given) if isinstance(given, Iterable) and not isinstance(given, str) else (given,)


def _not_a(kind: str, name: str, given: object, example: str) -> QueryError:
    return QueryError(f"{name}={given!r:.60} is not a {kind}", hint=f"write {example}", field=name.strip("_"))
