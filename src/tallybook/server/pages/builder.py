"""The query builder, with the form on the left and the answer on the right. A query without a correct answer is shown
with the reason."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from tallybook.core import CHART_FORMS, QueryError, Refused, Result, plus_days
from tallybook.query import DEFAULT_LAST, Question
from tallybook.server.pages.boards import share_command
from tallybook.server.pages.builder_answer import AnswerView, Copy, answer_view, copies_of, too_many
from tallybook.server.pages.builder_form import (
    EVENT,
    MEASURE_WORDS,
    SCOPES,
    AskedSeries,
    BuilderForm,
    filter_parts,
    form_of_request,
    heading,
    segment_parts,
)
from tallybook.server.pages.event_names import known_events
from tallybook.server.pages.frame import page
from tallybook.server.pages.metric import COMPARES
from tallybook.server.pages.page import Choice, Page, PageWork
from tallybook.server.pages.page_words import LABELS, SHOWN, page_words
from tallybook.server.pages.shows import ShowChoice, ShownPeriod, show_choices, shown_period
from tallybook.server.pages.words import begins_sentence, title_of
from tallybook.server.problems import certain_rows

WHERE_WORDS = {"where": "filter", "from": "from", "to": "to"}
MAX_ROWS = 20_000


@dataclass(frozen=True, kw_only=True)
class WrongField:
    """The problem of one field of the form, with the value that was probably meant."""

    field: str
    message: str


@dataclass(frozen=True, kw_only=True)
class RefusedAnswer:
    """The reason why there is no answer, and queries to use instead."""

    title: str
    why: str
    instead: Sequence[Choice]
    days: Sequence[tuple[str, str, float]] = ()
    """(name, text, share of the largest) for the days that would be added up."""
    added: str = ""
    hint: str = ""
    """What to do if no other query is suggested."""
    meant: Choice | None = None


@dataclass(frozen=True, kw_only=True)
class SeriesView:
    """One series of the form, with all choices of its fields."""

    asked: AskedSeries
    title: str
    shows: Sequence[ShowChoice]
    chosen_show: str
    filters: Sequence[tuple[str, str, str]]
    dims: Sequence[str]
    properties: Sequence[str]


def builder(work: PageWork) -> Page:
    """The page `/q`."""
    form = form_of_request(work.ask, default_metric(work)).with_units(work.catalog)
    form = replace(form, closed=plus_days(work.book.today, -1))
    period = shown_period(work, form.scope if form.scope in SCOPES else "week")
    events = known_events(work)
    series = [_series_view(work, form, one, period, events) for one in form.series]
    answer: AnswerView | None = None
    refused, wrong, results = None, None, {}
    try:
        results = _results(work, form, events)
        answer = answer_view(work, form, results)
    except _InSeries as found:
        view = next(one for one in series if one.asked.letter == found.letter)
        if isinstance(found.error, Refused):
            refused = _refused(work, form, view, period, found.error)
        else:
            wrong = _wrong_field(found.error, view.asked.suffix)
    except QueryError as error:
        wrong = _wrong_field(error)
    question = _question(form)
    status = 422 if refused else 400 if wrong else 200
    show = next((one.name for one in series[0].shows if one.show == series[0].chosen_show), "")
    show = "" if show.startswith("Whole ") else show
    return page(
        work,
        "query.html",
        "query",
        heading([one.title for one in series], form, show.lower()),
        status=status,
        form=form,
        segments=_segment_rows(work, form),
        series=series,
        period=period,
        answer=answer,
        refused=refused,
        wrong=wrong,
        heading="Check one field" if wrong else heading([one.title for one in series], form, show.lower()),
        copies=_copies(work, form, question, results),
        options=_options(work, form, series, events),
        exports=_exports(form) if answer else [],
    )


def default_metric(work: PageWork) -> str:
    """The first pinned metric, or else the first metric."""
    names = list(work.metrics)
    return next((name for name in names if work.metrics[name].pinned), names[0] if names else "")


def _question(form: BuilderForm) -> Question | None:
    try:
        return form.question(form.first)
    except QueryError:
        return None


SERIES_FIELDS = ("metrics", "where", "show", "property")
"""Fields that each series has."""


class _InSeries(Exception):
    """A series without an answer. `error` is QueryError or Refused."""

    def __init__(self, letter: str, error: QueryError | Refused) -> None:
        super().__init__(letter)
        self.letter, self.error = letter, error


def _wrong_field(error: QueryError, suffix: str = "") -> WrongField:
    """The problem, next to its field. `suffix`: the suffix of the field names of its series."""
    field = error.field or "metrics"
    return WrongField(field=field + suffix if field in SERIES_FIELDS else field, message=_words(error))


def _results(work: PageWork, form: BuilderForm, events: Mapping[str, Sequence[str]]) -> dict[str, Result]:
    """The answer for each series, by its letter. Raises _InSeries."""
    found = {}
    for one in form.series:
        try:
            found[one.letter] = _answered(work, form, one, events)
        except (QueryError, Refused) as error:
            raise _InSeries(one.letter, error) from None
    return found


def _answered(work: PageWork, form: BuilderForm, one: AskedSeries, events: Mapping[str, Sequence[str]]) -> Result:
    """The answer for one series. Raises QueryError and Refused."""
    if not one.event:
        work.metric(one.metric)
    elif one.event not in events:
        raise QueryError(f"there is no event {one.event!r}", hint="events that were received are listed")
    elif one.measure != "count" and not one.of:
        raise QueryError(f"{MEASURE_WORDS[one.measure].lower()} which property?", field="property")
    question = form.with_totals(one)
    if certain := certain_rows(work.book, work.reader.bounded(work.catalog, question), MAX_ROWS):
        raise too_many(certain, MAX_ROWS, question.by)
    result = work.answer(question)
    if len(result.data) > MAX_ROWS:
        raise too_many(len(result.data), MAX_ROWS, question.by)
    return result


def _words(error: QueryError) -> str:
    message, said = page_words(error.message), page_words(error.hint)
    words = begins_sentence(message)
    hint = ". ".join(begins_sentence(part) for part in said.replace("? ", "?. ").split(". ") if part)
    return f"{words}. {hint}".strip().replace("?.", "?")


# -- the form --------------------------------------------------------------------------------------


def _series_view(
    work: PageWork, form: BuilderForm, one: AskedSeries, period: ShownPeriod, events: Mapping[str, Sequence[str]]
) -> SeriesView:
    filters = [filter_parts(text) for text in one.where]
    metric = work.metrics.get(one.metric)
    shows: list[ShowChoice] = []
    if metric is not None:
        try:
            shows = show_choices(work, metric, period, one.where)
        except (QueryError, Refused):
            shows = []
    dims = list(work.catalog.queryable_dims(metric.name)) if metric else [*events.get(one.event, ()), "user", "account"]
    if metric is not None and form.scope != "all":
        dims.append("weekday")
    measured = f"{MEASURE_WORDS[one.measure]} {one.of}".strip()
    return SeriesView(
        asked=one,
        title=title_of(metric) if metric else f"{one.event}: {measured.lower()}" if one.event else one.metric,
        shows=shows,
        chosen_show=one.show or (metric.default_show if metric else ""),
        filters=[*filters, ("", "=", "")],
        dims=dims,
        properties=list(events.get(one.event, ())),
    )


def _segment_rows(work: PageWork, form: BuilderForm) -> list[tuple[str, str]]:
    """(name, conditions) of each row of the form. Includes an empty row if there are segments or one is being added."""
    rows = [segment_parts(text) for text in form.segments]
    return [*rows, ("", "")] if rows or work.ask.one("add") == "segment" else []


def _options(
    work: PageWork, form: BuilderForm, series: Sequence[SeriesView], events: Mapping[str, Sequence[str]]
) -> dict[str, Any]:
    """The choices of the form's selects. A typed value stays among them even if it is not a known one."""
    metrics = [(name, title_of(metric)) for name, metric in work.metrics.items()]
    tops = [("6", "Top 6 + other"), ("12", "Top 12 + other"), ("all", "All values")]
    compares = list(COMPARES.get(form.scope, COMPARES["year"]))
    return {
        "metrics": metrics,
        "events": [(EVENT + name, name) for name in events],
        "by": _with(["", *series[0].dims], form.by[0] if form.by else ""),
        "top": tops if form.top in ("", *dict(tops)) else [*tops, (form.top, f"Top {form.top} + other")],
        "scope": _with(list(SCOPES), form.scope),
        "compare": compares if form.compare in dict(compares) else [*compares, (form.compare, form.compare)],
        "chart": [(one, one.capitalize()) for one in CHART_FORMS],
        "measures": list(MEASURE_WORDS.items()),
        "last": DEFAULT_LAST.get(form.scope, ""),
    }


def _with(known: Sequence[str], chosen: str) -> list[tuple[str, str]]:
    every = known if chosen in known else [*known, chosen]
    return [(one, one.capitalize() if one in SCOPES else one or "–") for one in every]


# -- no answer -------------------------------------------------------------------------------------


def _refused(
    work: PageWork, form: BuilderForm, first: SeriesView, period: ShownPeriod, error: Refused
) -> RefusedAnswer:
    """The reason why there is no answer, with the reader's own numbers, and queries that have an answer."""
    trap = next((one for one in first.shows if one.is_refused and one.show == first.chosen_show), None)
    right = [one for one in first.shows if not one.is_refused]
    if trap is not None:
        known = [(name, value) for name, value in trap.days if value is not None]
        most = max((abs(float(value)) for _, value in known), default=0.0) or 1.0
        return RefusedAnswer(
            title=trap.title,
            why=trap.refused,
            instead=[
                Choice(
                    words=one.name, link=form.with_series(first.asked.letter, show=one.show).link(), more=str(one.value)
                )
                for one in right[:2]
            ],
            days=[(name, _brief(value), float(value) / most) for name, value in known] if len(known) <= 7 else [],
            added=str(trap.value),
            meant=_meant(work, form, first.asked, period),
        )
    why = page_words(begins_sentence(error.why))
    instead = _instead(form, first.asked.letter, error)
    hint = "" if instead else page_words(error.ask)
    return RefusedAnswer(title="This query has no right answer", why=f"{why}.", instead=instead, hint=hint)


def _brief(value: Any) -> str:
    return f"{round(value):,}" if abs(value) >= 1000 else f"{value:,}"


def _instead(form: BuilderForm, letter: str, error: Refused) -> list[Choice]:
    """The queries that the refusal suggests."""
    known = {"scope", "last", "compare", "from", "to"}
    found = []
    for change in error.changes:
        first = {name: str(value or "") for name, value in change.items() if name == "show"}
        rest: dict[str, Any] = {
            ("from_" if name == "from" else name): str(value or "") for name, value in change.items() if name in known
        }
        if isinstance(by := change.get("by"), list | tuple):
            rest["by"] = tuple(by)
        if "top" in change:
            rest["top"] = "all" if change["top"] is None else str(change["top"])
        words = ", ".join(_changed(name, value) for name, value in change.items())
        if first or rest:
            changed: BuilderForm = replace(form.with_series(letter, **first), **rest)
            found.append(Choice(words=words, link=changed.link()))
    return found


def _changed(name: str, value: Any) -> str:
    """A change of a query, in the words of the form."""
    if name == "show":
        return SHOWN.get(str(value), str(value)) if value else "As the metric is declared"
    label = LABELS.get(name, name)
    listed = ", ".join(value) if isinstance(value, list | tuple) else str(value or "")
    return f"{label} {listed}" if listed else f"Without {label}"


def _meant(work: PageWork, form: BuilderForm, asked: AskedSeries, period: ShownPeriod) -> Choice | None:
    """A flow with the same unit, which the user may have meant."""
    metric = work.metrics[asked.metric]
    same = (m for m in work.metrics.values() if m.kind == "flow" and m.adds_up and not m.derived)
    other = next((m for m in same if metric.unit and m.unit == metric.unit), None)
    if other is None:
        return None
    shown = next((one for one in show_choices(work, other, period) if one.show == other.default_show), None)
    if shown is None:
        return None
    link = form.with_series(asked.letter, metric=other.name, show="", where=()).link()
    return Choice(words=title_of(other), link=link, more=str(shown.value))


# -- around ----------------------------------------------------------------------------------------


def _copies(work: PageWork, form: BuilderForm, question: Question | None, results: Mapping[str, Result]) -> list[Copy]:
    shared = [Copy(kind="A link for people without a key", text=share_command(form.link()))] if results else []
    if question is None:
        return [Copy(kind="Link", text=work.ask.origin + form.link()), *shared]
    return [*copies_of(work, form, question, results.get("A"), has_answer=bool(results)), *shared]


def _exports(form: BuilderForm) -> list[Choice]:
    kinds = (("csv", "CSV"), ("xlsx", "xlsx"), ("png", "PNG"), ("svg", "SVG"))
    return [Choice(words=words, link=form.link(f"/q.{kind}")) for kind, words in kinds]
