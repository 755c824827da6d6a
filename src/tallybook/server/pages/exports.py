"""The answer of the query builder as a file: CSV, a workbook, and its chart as a picture."""

from __future__ import annotations

import re

from tallybook.core import QueryError, Refused, Result
from tallybook.query import series_table
from tallybook.server.charts.standalone import BoardPicture, as_document, as_png, board_document
from tallybook.server.formats import FORMATS, written
from tallybook.server.pages.board_card import series_title
from tallybook.server.pages.builder import default_metric
from tallybook.server.pages.builder_answer import answer_view, single_chart
from tallybook.server.pages.builder_form import BuilderForm, form_of_request, several_title
from tallybook.server.pages.builder_table import series_heads
from tallybook.server.pages.page import File, Page, PageWork

SVG, PNG = "image/svg+xml", "image/png"
PICTURES = ("svg", "png")


def export(work: PageWork, kind: str) -> File | Page:
    """A file of the given kind, or the page with the reason if there is no answer."""
    form = form_of_request(work.ask, default_metric(work)).with_units(work.catalog)
    try:
        if form.is_several or form.formula:
            return _several_file(work, form, kind)
        # A chart has the periods of the totals, as on the page. A file of rows has the same rows as the API.
        asked = form.with_totals(form.first) if kind in PICTURES else form.question(form.first)
        return _file(work, form, work.answer(asked), kind)
    except (QueryError, Refused):
        from tallybook.server.pages.builder import builder

        return builder(work)


def _several_file(work: PageWork, form: BuilderForm, kind: str) -> File:
    """Several series and their formula: the columns of the table, or the charts one below the other."""
    results = {one.letter: work.answer(form.question(one)) for one in form.series}
    found = answer_view(work, form, results)
    if kind in PICTURES:
        pictures = [BoardPicture(title=one.chart.name, chart=one.chart) for one in found.figures]
        name = several_title([series_title(work, one) for one in form.series], form)
        document = board_document(name, f"{found.range}, {work.catalog.book.name}", pictures)
        return _picture(document, kind, f"series-{form.scope}.{kind}")
    columns = FORMATS[kind]
    names = dict(zip(results, series_heads(form, results), strict=True))
    table = series_table(results, names, form.formula, found.values)
    content = written(table, columns, exact=False, created=work.now)
    return File(content=content, media=columns.content_type, name=f"series-{form.scope}.{kind}")


def _picture(document: str, kind: str, name: str) -> File:
    if kind == "svg":
        return File(content=document.encode(), media=SVG, name=name)
    return File(content=as_png(document), media=PNG, name=name)


def _file(work: PageWork, form: BuilderForm, result: Result, kind: str) -> File:
    name = f"{_plain(result.metric_columns[0].name)}-{result.scope}.{kind}"
    if kind in PICTURES:
        return _picture(as_document(single_chart(work, form, result)), kind, name)
    found = FORMATS[kind]
    content = written(result, found, exact=False, created=work.now)
    return File(content=content, media=found.content_type, name=name)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:80] or "answer"
