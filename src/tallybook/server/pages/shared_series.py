"""Shared views with several series or a formula: converts a link into a form of the query builder, and into cards."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from tallybook.core import CHART_FORMS, EVENT_MEASURES, QueryError
from tallybook.query import Question, options_of_texts, question_options
from tallybook.server.pages.board_card import BoardCard, CardWork, series_card, series_title
from tallybook.server.pages.builder_form import (
    EVENT,
    LETTERS,
    LINE,
    AskedSeries,
    BuilderForm,
    form_of_request,
)
from tallybook.server.pages.page import PageRequest, PageWork
from tallybook.server.shares import SharedLink

ROWS = ("w", "v", "sn", "formula", "add", "remove", "drop", *(f"metrics_{letter.lower()}" for letter in LETTERS))
"""Fields that only the form of the query builder has."""


def view_of_fields(pairs: Sequence[tuple[str, str]]) -> dict[str, Any]:
    """The contents of a link to a URL of the query builder: the options of a query, or of several queries with a
    formula.

    Raises QueryError for invalid fields."""
    chart = next((text for name, text in pairs if name == "chart"), "")
    drawn = {"chart": chart} if chart else {}
    if not any(name in ROWS for name, _ in pairs):
        return options_of_texts([(name, text) for name, text in pairs if name != "chart"]) | drawn
    form = form_of_request(PageRequest(path="/q", fields=pairs), "")
    if not form.first.metric:
        raise QueryError("the address names no metric", hint='"/q?metrics=mrr&scope=week"', field="metrics")
    questions = [question_options(form.question(one)) for one in form.series]
    if not form.is_several and not form.formula:
        return questions[0] | drawn
    return {"series": questions, **({"formula": form.formula} if form.formula else {}), **drawn}


def form_of_link(link: SharedLink) -> BuilderForm:
    """A link with several series as a form. Raises QueryError for options that do not exist."""
    view: Mapping[str, Any] = link.view or {}
    asked = link.asked
    chart = str(view.get("chart", LINE))
    first = asked[0]
    return BuilderForm(
        series=tuple(_series(LETTERS[place], one) for place, one in enumerate(asked)),
        formula=str(view.get("formula") or ""),
        scope=first.scope,
        last=first.last or "",
        from_=str(first.from_ or ""),
        to=str(first.to or ""),
        chart=chart if chart in CHART_FORMS else LINE,
    )


def _series(letter: str, question: Question) -> AskedSeries:
    """The first number of a query."""
    where, show = tuple(question.where), question.show or ""
    if question.event is None:
        return AskedSeries(
            letter=letter, metric=question.metrics[0] if question.metrics else "", where=where, show=show
        )
    measure = next((one for one in EVENT_MEASURES if getattr(question, one)), "count")
    of = "" if measure == "count" else str(getattr(question, measure)[0])
    return AskedSeries(letter=letter, metric=EVENT + question.event, where=where, measure=measure, of=of)


def several_cards(work: PageWork, link: SharedLink) -> list[BoardCard]:
    """The series and their formula as a card. Each series is queried within the limits of the link."""
    form = form_of_link(link)
    title = " and ".join(dict.fromkeys(series_title(work, one) for one in form.series))
    questions = {one.letter: question for one, question in zip(form.series, link.asked, strict=True)}
    return [series_card(CardWork(work=work, reader_of=link.reader_of), form, questions, title)]
