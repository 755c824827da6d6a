"""Cards of boards and shared views. A card answers one query, or several series and their formula."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from contextlib import suppress
from dataclasses import dataclass, field, replace
from typing import Any

from tallybook.core import QueryError, Refused, Result
from tallybook.query import FormulaValue, Question
from tallybook.server.answers import Refusal
from tallybook.server.charts.drawing import CARD
from tallybook.server.pages.breakdown import back
from tallybook.server.pages.builder_answer import AnswerView, answer_view, headline_of, single_chart
from tallybook.server.pages.builder_form import EVENT, MEASURE_WORDS, AskedSeries, BuilderForm
from tallybook.server.pages.builder_table import FORMULA_COLUMN, TableView, table_of
from tallybook.server.pages.figures import Figure, FigureNames, figure
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.words import (
    Change,
    Shown,
    begins_sentence,
    change,
    change_of,
    marks_of,
    number,
    title_of,
    usual_change,
)
from tallybook.server.readers import AnswerReader

Headline = Callable[[PageWork, BuilderForm, Result], tuple[Shown | None, Change | None]]
ReaderOf = Callable[[Question], AnswerReader]


@dataclass(frozen=True, kw_only=True)
class BoardCard:
    """One metric, or several series of a view, with its answer. `problem` says why there is no answer."""

    title: str
    link: str
    value: Shown | None = None
    change: Change | None = None
    headline: Sequence[tuple[str, Shown]] = ()
    """The last complete period of each series, shown as large numbers."""
    figures: Sequence[Figure] = ()
    table: TableView | None = None
    form: str = "line"
    problem: str = ""
    metric: str = ""
    range: str = ""
    """Its scope and range, if they differ from those of the board."""


@dataclass(frozen=True, kw_only=True)
class CardWork:
    """The shared inputs of a page's cards. `reader_of`: the reader of a query, if it is not the person who opens the
    page."""

    work: PageWork
    names: FigureNames = field(default_factory=FigureNames)
    reader_of: ReaderOf | None = None

    def answer(self, question: Question) -> Result:
        """The answer to a query, limited to what its reader may see. Raises like `PageWork.answer`."""
        reader = self.reader_of(question) if self.reader_of else self.work.reader
        return replace(self.work, reader=reader).answer(question)


def card_of(
    cards: CardWork, form: BuilderForm, question: Question, title: str, *, headline: Headline | None = None
) -> BoardCard:
    """The answer to a query as a card. `headline` computes its number; by default it is the last complete period."""
    work = cards.work
    plain = BoardCard(title=title, link=form.link(), form=form.chart, metric=form.first.metric)
    try:
        result = cards.answer(question)
    except (Refused, QueryError, Refusal) as error:
        return replace(plain, problem=problem_of(error))
    found: tuple[Shown | None, Change | None] = None, None
    with suppress(Refused):  # series of different units have no number in common
        found = headline(work, form, result) if headline else last_complete(work, form, form.first.metric)
    drawn = form.chart not in ("number", "table") and form.scope != "all"
    value, moved = found
    return replace(
        plain,
        value=value,
        change=moved,
        headline=headline_of(form, result) if form.chart == "number" and result.dimension_columns else (),
        figures=[figure(single_chart(work, form, result), cards.names.next(), CARD)] if drawn else (),
        table=table_of(form, result),
    )


def series_card(
    cards: CardWork, form: BuilderForm, questions: Mapping[str, Question], title: str, *, link: str = ""
) -> BoardCard:
    """Several series and their formula as one card. `questions`: the query of each letter."""
    plain = BoardCard(title=title, link=link, form=form.chart)
    try:
        results = {letter: cards.answer(question) for letter, question in questions.items()}
        found = answer_view(cards.work, form, results, names=cards.names, size=CARD)
    except (Refused, QueryError, Refusal) as error:
        return replace(plain, problem=problem_of(error))
    value, moved = _formula_headline(cards.work, form, found)
    return replace(
        plain,
        value=value,
        change=moved,
        headline=found.headline,
        figures=found.figures,
        table=found.table,
        form=form.chart if found.figures or found.headline else "table",
    )


def problem_of(error: QueryError | Refused | Refusal) -> str:
    """The reason why a card has no answer, as a sentence."""
    if isinstance(error, Refusal):
        # A filter that the reader is bound to and this metric lacks.
        return f"Not shown within {error.error.expected or 'these filters'}."
    return page_words(f"{begins_sentence(error.message)}.")


def series_title(work: PageWork, one: AskedSeries) -> str:
    """The title of a series."""
    metric = work.catalog.metrics.get(one.metric)
    measured = f"{MEASURE_WORDS[one.measure]} {one.of}".strip().lower()
    return title_of(metric) if metric else f"{one.event}: {measured}" if one.event else one.metric.removeprefix(EVENT)


# -- headlines -------------------------------------------------------------------------------------


def _formula_headline(work: PageWork, form: BuilderForm, found: AnswerView) -> tuple[Shown | None, Change | None]:
    """The formula's value in the last complete period, and its change."""
    if not form.formula or form.scope == "all":
        return None, None
    values: Sequence[tuple[Any, FormulaValue]] = sorted(found.values.items())
    days = [day for day, _ in values]
    start = shown_period(work, form.scope).start
    if start not in days:
        return None, None
    place = days.index(start)
    own, before = values[place][1], values[place - 1][1] if place else None
    share = change_of(own.value, before.value) if before and own.is_complete and before.is_complete else None
    shown = replace(number(own.value, FORMULA_COLUMN, brief=True), marks="" if own.is_complete else " *")
    return shown, change(share)


def own_headline(work: PageWork, form: BuilderForm, result: Result) -> tuple[Shown | None, Change | None]:
    """The last complete period of an answer with one series, and its change."""
    if result.dimension_columns or form.scope == "all":
        return None, None
    column = result.metric_columns[0]
    rows = [row for row in result.data if row["period"] is not None and not row.get("total")]
    whole = [row for row in rows if row["complete"]]
    if not whole:
        return None, None
    last = whole[-1]
    place = rows.index(last)
    before = rows[place - 1] if place and rows[place - 1]["complete"] else None
    metric = work.metrics.get(column.name)
    share = change_of(last[column.name], before[column.name]) if before else None
    shown = replace(number(last[column.name], column, brief=True), marks=marks_of(last, column.name))
    return shown, change(share, metric.better if metric else "")


def last_complete(work: PageWork, form: BuilderForm, metric: str) -> tuple[Shown | None, Change | None]:
    """The last complete period over all series, and its change. Raises QueryError and Refused."""
    if form.scope == "all" or form.first.event:
        return None, None
    question = Question(
        metrics=[metric],
        scope=form.scope,
        where=form.first.where,
        show=form.first.show or None,
        from_=back(work, form.scope, 14),
        to=shown_period(work, form.scope).end,
    )
    result = work.answer(question)
    rows = [row for row in result.data if row["period"] is not None]
    if not rows or rows[-1]["period"] != shown_period(work, form.scope).start:
        return None, None
    values: list[Any] = [row[metric] if row["complete"] else None for row in rows]
    share = change_of(values[-1], values[-2]) if len(values) > 1 else None
    shown = number(rows[-1][metric], result.metric_columns[0], brief=True)
    shown = replace(shown, marks=marks_of(rows[-1], metric) + ("" if rows[-1]["complete"] else " *"))
    usual = usual_change([None if value is None else float(value) for value in values])
    return shown, change(share, work.metrics[metric].better, usual)
