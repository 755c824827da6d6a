"""Writes the query of the query builder in other forms: a command, a request, Python, and a view of a board."""

from __future__ import annotations

import json
import shlex
from collections.abc import Sequence
from typing import Any

from tallybook.query import Question, question_options
from tallybook.server.pages.builder_form import LETTERS, LINE, WEEKDAY, AskedSeries, BuilderForm
from tallybook.server.problems import query_link

BOARD_OPTIONS = ("metrics", "where", "show", "by", "segments", "scope", "last", "from", "to", "compare", "top")
"""The options of a query that are keys of a view."""


def as_command(question: Question) -> str:
    """The query as a command."""
    options = question_options(question)
    words = ["tallybook query", *map(shlex.quote, options.pop("metrics", []))]
    for name, value in options.items():
        option = "--segment" if name == "segments" else f"--{name.replace('_', '-')}"
        if value is True:
            words.append(option)
            continue
        for text in value if isinstance(value, list) else [value]:
            words += [option, shlex.quote(str(text))]
    return " ".join(words)


def as_python(question: Question) -> str:
    """The query in Python."""
    return "\n".join(["import tallybook", "", "book = tallybook.open()", _asked(question)])


def _asked(question: Question) -> str:
    options = question_options(question)
    names = [json.dumps(name) for name in options.pop("metrics", [])]
    words = [f"{'from_' if name == 'from' else name}={value!r}" for name, value in options.items()]
    return f"book.query({', '.join([*names, *words])})"


def series_in_python(questions: Sequence[Question], formula: str) -> str:
    """Several series and their formula in Python."""
    names = [letter.lower() for letter in LETTERS[: len(questions)]]
    lines = [f"{name} = {_asked(question)}" for name, question in zip(names, questions, strict=True)]
    of = [f"book.formula({', '.join([json.dumps(formula), *names])})"] if formula else []
    return "\n".join(["import tallybook", "", "book = tallybook.open()", *lines, *of])


def series_as_curl(origin: str, form: BuilderForm) -> str:
    """Several series and their formula as a request: the table of the page as CSV."""
    return f"curl --header 'Authorization: Bearer KEY' '{origin}{form.link('/q.csv')}'"


def as_curl(origin: str, question: Question) -> str:
    """The query as a request to the API."""
    link = query_link(question_options(question))
    return f"curl --header 'Authorization: Bearer KEY' '{origin}{link}'"


def as_toml(form: BuilderForm) -> str:
    """The form as a view of a board. Raises QueryError for an invalid query."""
    options = question_options(form.question(form.first)) | {"scope": form.scope}
    if options.get("by") and not form.segments and WEEKDAY not in form.by:
        options.setdefault("top", "all")
    parts: dict[str, Any] = {name: options[name] for name in BOARD_OPTIONS if name in options}
    if form.is_several or form.formula or form.first.event:
        formula = {"formula": form.formula} if form.formula else {}
        kept = {name: value for name, value in parts.items() if name not in ("metrics", "where", "show")}
        parts = {"series": [_series(one) for one in form.series]} | formula | kept
    if form.chart != LINE:
        parts["chart"] = form.chart
    return f"[boards.mine]\nviews = [\n  {_toml(parts)},\n]"


def _series(one: AskedSeries) -> dict[str, Any]:
    if one.event:
        found: dict[str, Any] = {"event": one.event, "measure": one.measure, "property": one.of, "where": [*one.where]}
    else:
        found = {"metric": one.metric, "where": [*one.where], "show": one.show}
    return {name: value for name, value in found.items() if value}


def _toml(value: Any) -> str:
    if isinstance(value, dict):
        return f"{{ {', '.join(f'{name} = {_toml(one)}' for name, one in value.items())} }}"
    if isinstance(value, list):
        return f"[{', '.join(map(_toml, value))}]"
    return json.dumps(value, ensure_ascii=False).replace("\x7f", "\\u007f")
