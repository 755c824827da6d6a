"""Ad hoc queries on usage events: undeclared metrics, answered like declared ones with `--live`."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, fields, replace
from datetime import date, datetime
from typing import TYPE_CHECKING, Any

import msgspec

from tallybook.collect.daily_events import DailyLook, ask_events, days_of_event
from tallybook.collect.live_answers import LiveAnswers
from tallybook.collect.sources.events import EventsSource
from tallybook.collect.sources.registry import open_source
from tallybook.config import Project, event_metrics, events_settings
from tallybook.core import (
    EVENT_MEASURES,
    INSTANT_VALUE,
    INTEGER_VALUE,
    NUMBER_VALUE,
    RESERVED_NAMES,
    TEXT_VALUE,
    QueryError,
    Refused,
    Result,
    did_you_mean,
)
from tallybook.query import (
    BookReader,
    BoundedQuestion,
    QueryService,
    Question,
    QuestionSegment,
    parse_filter,
    segments_of,
)

if TYPE_CHECKING:
    from tallybook.core import Catalog, Metric

MAX_NUMBERS = 6
"""Maximum number of rows of each answer shown in a refusal."""
_MEASURE_SQL = {"distinct": "count(distinct {})"}


@dataclass(frozen=True, kw_only=True)
class EventShape:
    """The shape of an event: its columns, and its first and last day."""

    event: str
    columns: Mapping[str, str]
    """The type of each column."""
    first: date
    last: date
    declared: bool | None
    """Whether it is declared to be a daily aggregate, or None if no declaration decides."""


@dataclass(frozen=True)
class EventAnswers:
    """Answers questions about events of a project."""

    project: Project
    clock: Callable[[], datetime]

    def answer(self, question: Question) -> Result:
        """The answer to a query. Raises QueryError for an event or property that does not exist, and Refused for a
        query without a correct answer."""
        _check_options(question)
        with self._events() as source:
            shape = self._shape(source, question.event or "")
            asked, measures = _over_columns(question, shape)
            sums = [name for name, text in measures.items() if text.startswith("sum(")]
            adds_days = bool(sums) and asked.show is None and _adds_days(asked)
            days = days_of_event(source, shape.event, shape.declared) if adds_days else DailyLook(is_daily=False)
        segments = [one.where for one in segments_of(asked)]
        filters = [*asked.where, *(text for texts in (*asked.within, *segments) for text in texts)]
        dimensions = dict.fromkeys([*asked.by, *(parse_filter(text).dimension for text in filters)])
        made = event_metrics(
            self.project.catalog.events,
            shape.event,
            measures,
            tuple(dimensions),
            daily_aggregate=shape.declared is True,
        )
        project = self._project_of(made)
        reader = BookReader(project, self.clock)
        try:
            live = LiveAnswers(project, QueryService(project.catalog, reader), self.clock)
            if days.is_daily:
                raise _two_meanings(
                    question, asked, shape, days.silent, sums, lambda one: live.from_source(one, shape.first)
                )
            return live.from_source(asked, shape.first)
        finally:
            reader.close()

    def looks_daily(self, event: str) -> bool:
        """Whether an event is a daily aggregate. Raises QueryError for an event that was never received."""
        with self._events() as source:
            return days_of_event(source, event, self._shape(source, event).declared).is_daily

    @contextmanager
    def _events(self) -> Iterator[EventsSource]:
        source = open_source(events_settings(self.project))
        assert isinstance(source, EventsSource)
        try:
            yield source
        finally:
            source.close()

    def _shape(self, source: EventsSource, event: str) -> EventShape:
        """The shape of an event. Raises QueryError for an event that was never received."""
        known = source.snapshot_of_events().events
        if event not in known:
            listed = ", ".join(known[:10]) or "none yet: tallybook track EVENT"
            raise QueryError(
                f"no event {event!r} was ever received",
                hint=f"{did_you_mean(event, known)} events that were: {listed}".strip(),
            )
        ((first, last),) = ask_events(source, event, "SELECT min(day), max(day) FROM {relation}")
        if first is None:
            raise QueryError(f"event {event!r} has no events any more")
        return EventShape(
            event=event,
            columns=_columns(source, event),
            first=first,
            last=last,
            declared=_declared(self.project.catalog, event),
        )

    def _project_of(self, metrics: Mapping[str, Metric]) -> Project:
        """The project with only these metrics, which read events of the project."""
        catalog = msgspec.structs.replace(
            self.project.catalog,
            sources={"events": events_settings(self.project)},
            metrics=dict(metrics),
            deliveries={},
            goals={},
        )
        return replace(self.project, catalog=catalog)


def _columns(source: EventsSource, event: str) -> dict[str, str]:
    """The types of an event's columns. Declared types take precedence over pinned ones."""
    declared = source.settings.events.of(event).types
    own = {one.column: declared.get(one.name, one.type) for one in source.snapshot_of_events().properties[event]}
    return {**_COMMON_TYPES, **own}


_COMMON_TYPES = {
    **dict.fromkeys(("time", "day", "received"), INSTANT_VALUE),
    **dict.fromkeys(("user", "account", "id", "key"), TEXT_VALUE),
}


def _declared(catalog: Catalog, event: str) -> bool | None:
    """Whether `[events.NAME]` or a metric declares a daily aggregate. None if nothing is declared."""
    declared = catalog.events.of(event).daily_aggregate
    if declared is not None:
        return declared
    return True if any(one.event == event and one.keeps_latest for one in catalog.metrics.values()) else None


# -- the query ---------------------------------------------------------------------------------------------------


def _check_options(question: Question) -> None:
    """Raise QueryError for options that cannot be combined with an event."""
    if question.metrics:
        raise QueryError(
            f"--event and metrics cannot be asked together: {', '.join(question.metrics)}",
            hint=f"tallybook query --event {question.event} --count",
        )
    for name, given in (("--as-of", question.as_of), ("--definition", question.definition)):
        if given is not None:
            raise QueryError(
                f"{name} does not go with --event: the events are read as they are now",
                hint=f'declare a metric to keep its history: [metrics.NAME] event = "{question.event}"',
            )


def _over_columns(question: Question, shape: EventShape) -> tuple[Question, dict[str, str]]:
    """The query with columns in their stored spelling, on metrics created for it, and the measures of these metrics."""
    by = tuple(_column(shape, name, "dimension") for name in _words(question.by))
    where = tuple(_filter(shape, text) for text in question.where)
    measures: dict[str, str] = {}
    taken = {name.casefold() for name in by}
    for measure in EVENT_MEASURES:
        given = getattr(question, measure)
        if measure == "count":
            if given:
                measures[_free("count", taken)] = "count(*)"
            continue
        for name in _words(given):
            column = _column(shape, name, "property")
            _check_type(shape, measure, column)
            text = _MEASURE_SQL.get(measure, measure + "({})").format(_quoted(column))
            measures[_free(f"{measure}_{_word(column)}", taken)] = text
    if not measures:
        usable = ", ".join(shape.columns)
        raise QueryError(
            f"no measure of event {shape.event!r} is asked for",
            hint=f"--count, --sum PROPERTY, --avg, --min, --max, --distinct, --median or --p95; properties: {usable}",
        )
    about_event = {"event", *EVENT_MEASURES}
    plain: dict[str, Any] = {one.name: one.default for one in fields(Question) if one.name in about_event}
    segments = tuple(_segment(shape, one).text for one in segments_of(question))
    asked = replace(question, **plain, metrics=tuple(measures), by=by, where=where, segments=segments, live=True)
    within = [[_filter(shape, text) for text in texts] for texts in question.within]
    return (BoundedQuestion.bounded(asked, within) if within else asked), measures


def _column(shape: EventShape, name: str, what: str) -> str:
    """The column of a property, in its stored spelling. Raises QueryError if it does not exist or cannot be used."""
    found = next((one for one in shape.columns if one.casefold() == name.casefold()), None)
    if found is None:
        raise QueryError(
            f"event {shape.event!r} has no property {name!r}",
            hint=f"{did_you_mean(name, shape.columns)} it has {', '.join(shape.columns)}".strip(),
        )
    if what == "dimension" and found.casefold() in RESERVED_NAMES:
        raise QueryError(
            f"{found!r} cannot be a dimension of a question: every result has a key of that name",
            hint=f'declare a metric with `sql`: select *, "{found}" as {_word(found)}_ from "{shape.event}"',
        )
    return found


def _check_type(shape: EventShape, measure: str, column: str) -> None:
    """Raise QueryError for a numeric measure of a column that is not numeric."""
    if measure == "distinct" or shape.columns[column] in (INTEGER_VALUE, NUMBER_VALUE):
        return
    numbers = [one for one, type_ in shape.columns.items() if type_ in (INTEGER_VALUE, NUMBER_VALUE)]
    raise QueryError(
        f"--{measure} needs numbers, and {column!r} of event {shape.event!r} is of type {shape.columns[column]}",
        hint=f"its numbers: {', '.join(numbers) or 'none'}; or --distinct {column}",
    )


def _filter(shape: EventShape, text: str) -> str:
    """A filter with its dimension in the stored spelling."""
    dimension = parse_filter(text).dimension
    column = _column(shape, dimension, "dimension")
    return text.replace(dimension, column, 1)


def _segment(shape: EventShape, segment: QuestionSegment) -> QuestionSegment:
    """A segment with its dimensions in the stored spelling. Raises QueryError if a property does not exist."""
    try:
        return replace(segment, where=tuple(_filter(shape, text) for text in segment.where))
    except QueryError as error:
        message = f"segment {segment.name!r}: {error.message}"
        raise QueryError(message, hint=error.hint, field="segments") from None


def _words(given: Sequence[str]) -> list[str]:
    return list(dict.fromkeys(part.strip() for one in given for part in one.split(",") if part.strip()))


def _word(column: str) -> str:
    """The column name in a form usable in a metric's name: letters, digits and _."""
    return "".join(one if one.isascii() and (one.isalnum() or one == "_") else "_" for one in column)


def _free(name: str, taken: set[str]) -> str:
    """The name, with a number appended if it is taken. Marks it as taken."""
    found, number = name, 2
    while found.casefold() in taken:
        found, number = f"{name}_{number}", number + 1
    taken.add(found.casefold())
    return found


def _quoted(column: str) -> str:
    return '"' + column.replace('"', '""') + '"'


# -- what adds up and what does not ------------------------------------------------------------------------------


def _adds_days(question: Question) -> bool:
    """Whether the query combines several days into one number."""
    return question.scope != "day" or question.window is not None


def _two_meanings(
    question: Question,
    asked: Question,
    shape: EventShape,
    silent_days: int,
    sums: Sequence[str],
    answer: Callable[[Question], Result],
) -> Refused:
    """The refusal of a sum of daily values over several days, with both answers."""
    why = "is declared" if shape.declared else "looks like"
    both = [_numbers(show, answer(replace(asked, metrics=tuple(sums), show=show)), sums) for show in SHOWS_OF_A_SUM]
    if not shape.declared:
        both.append(f"[events.{_quoted(shape.event)}] daily_aggregate = true or false settles it")
        if silent_days:
            both.append(f"until then each of its {silent_days} days without an event counts as 0 in averages")
    return Refused(
        f"event {shape.event!r} {why} a daily aggregate, so the sum of several days has two meanings: "
        + "; ".join(both),
        ask=" or ".join(f"{_as_typed(question)} --show {show}" for show in SHOWS_OF_A_SUM),
        changes=[{"show": show} for show in SHOWS_OF_A_SUM],
    )


SHOWS_OF_A_SUM = ("average", "total")


def _numbers(show: str, result: Result, sums: Sequence[str]) -> str:
    """One of the two answers, in one line."""
    rows = result.rows()
    shown = []
    for row in rows[-MAX_NUMBERS:]:
        series = [str(row[one.name]) for one in result.dimension_columns]
        values = ", ".join(_value(row[name]) for name in sums)
        shown.append(f"{' '.join([str(row['period']), *series])}: {values}")
    more = f" (the last {MAX_NUMBERS} of {len(rows)} rows)" if len(rows) > MAX_NUMBERS else ""
    return f"--show {show} gives {', '.join(shown) or 'nothing'}{more}"


def _value(value: object) -> str:
    if isinstance(value, float):
        return f"{value:.0f}" if value.is_integer() else f"{value:.12g}"
    return "unknown" if value is None else str(value)


def _as_typed(question: Question) -> str:
    """The query as a command to paste."""
    import shlex

    words = ["tallybook query --event", shlex.quote(question.event or "")]
    for measure in EVENT_MEASURES:
        given = getattr(question, measure)
        words += (
            ["--count"] if given is True else [w for one in given or () for w in (f"--{measure}", shlex.quote(one))]
        )
    options = {
        "--scope": question.scope,
        "--window": question.window,
        "--by": ",".join(question.by) or None,
        "--where": tuple(question.where),
        "--segment": tuple(question.segments),
        "--from": question.from_,
        "--to": question.to,
        "--last": question.last,
        "--top": question.top,
        "--compare": question.compare,
    }
    for name, value in options.items():
        for one in value if isinstance(value, tuple) else (value,):
            words += [name, shlex.quote(str(one))] if one is not None else []
    return " ".join(words)
