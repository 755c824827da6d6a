"""The answer of the query builder as a file: CSV, a workbook, and its chart as a picture."""

from __future__ import annotations

import re

from tallybook.core import QueryError, Refused, Result
from tallybook.server.charts.standalone import as_document, as_png
from tallybook.server.formats import FORMATS, written
from tallybook.server.pages.builder import default_metric
from tallybook.server.pages.builder_answer import single_chart
from tallybook.server.pages.builder_form import BuilderForm, form_of_request
from tallybook.server.pages.page import File, Page, PageWork

SVG, PNG = "image/svg+xml", "image/png"


def export(work: PageWork, kind: str) -> File | Page:
    """The file of a kind; where there is no answer, the page that says why."""
    form = form_of_request(work.ask, default_metric(work))
    try:
        result = work.answer(form.question(form.first))
        return _file(work, form, result, kind)
    except (QueryError, Refused):
        from tallybook.server.pages.builder import builder

        return builder(work)


def _file(work: PageWork, form: BuilderForm, result: Result, kind: str) -> File:
    name = f"{_plain(result.metric_columns[0].name)}-{result.scope}.{kind}"
    if kind in ("png", "svg"):
        drawn = as_document(single_chart(work, form, result))
        if kind == "svg":
            return File(content=drawn.encode(), media=SVG, name=name)
        return File(content=as_png(drawn), media=PNG, name=name)
    found = FORMATS[kind]
    content = written(result, found, exact=False, created=work.now)
    return File(content=content, media=found.content_type, name=name)


def _plain(text: str) -> str:
    return re.sub(r"[^A-Za-z0-9_-]+", "_", text)[:80] or "answer"
