"""The answer of the query builder: charts, the table next to them, and the same query in other forms."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import date

from tallybook.core import Refused, Result, parsed_formula, plus_days
from tallybook.query import FormulaValue, Question, formula_values, keeps_its_size
from tallybook.server.charts.data import ChartData, ChartPoint, DrawnSeries
from tallybook.server.charts.drawing import WIDE, ChartSize
from tallybook.server.pages.attention import known_causes
from tallybook.server.pages.builder_form import BuilderForm
from tallybook.server.pages.builder_table import (
    FORMULA_COLUMN,
    TableView,
    series_heads,
    several_table,
    table_of,
)
from tallybook.server.pages.figures import (
    Figure,
    FigureNames,
    FigureOptions,
    chart_data,
    figure,
    series_label,
    summary_of,
)
from tallybook.server.pages.metric import chart_goals, compared_words, odd_days
from tallybook.server.pages.other_words import (
    as_command,
    as_curl,
    as_python,
    as_toml,
    series_as_curl,
    series_in_python,
)
from tallybook.server.pages.page import PageWork
from tallybook.server.pages.page_words import page_words
from tallybook.server.pages.words import Shown, marks_of, number

SECRET_FREE = re.compile(r"'[^']*\.parquet'")
FORMULA_HEIGHT = 220


@dataclass(frozen=True, kw_only=True)
class AnswerView:
    """The part of the page to the right of the form."""

    range: str
    figures: Sequence[Figure]
    table: TableView
    explain: Sequence[str]
    remarks: Sequence[str]
    headline: Sequence[tuple[str, Shown]] = ()
    values: Mapping[date, FormulaValue] = field(default_factory=dict)
    """The values of the formula."""
    is_empty: bool = False


@dataclass(frozen=True, kw_only=True)
class Copy:
    """The query in another form."""

    kind: str
    text: str


def too_many(count: int, most: int, by: Sequence[str]) -> Refused:
    """The refusal of an answer that is too large for a page, with ways to narrow it."""
    narrow = "a shorter range, a wider scope, or a filter" + (", or fewer series" if by else "")
    return Refused(f"the answer has {count:,} rows, and a page shows at most {most:,}: narrow it by {narrow}")


def answer_view(
    work: PageWork,
    form: BuilderForm,
    results: Mapping[str, Result],
    *,
    names: FigureNames | None = None,
    size: ChartSize = WIDE,
) -> AnswerView:
    """The answer to the form. `names`: names for the charts of its page. Raises QueryError for an invalid formula."""
    parsed = parsed_formula(form.formula, list(results)) if form.formula else None
    values = formula_values(parsed, results, work.book.today) if parsed else {}
    every = list(results.values())
    lines = several_table(form, results, values) if form.is_several or parsed else table_of(form, every[0])
    return AnswerView(
        range=_range(every, work.book.today),
        figures=_figures(work, form, results, values, FigureDrawing(names=names or FigureNames(), size=size)),
        table=lines,
        explain=list(dict.fromkeys(result.explain for result in every)),
        remarks=list(dict.fromkeys(page_words(one) for result in every for one in result.remarks())),
        headline=_headlines(form, results, values) if form.chart == "number" else (),
        values=values,
        is_empty=all(not result.data for result in every),
    )


def _range(results: Sequence[Result], today: date) -> str:
    rows = [row for result in results for row in result.data if row["period"] is not None]
    if not rows:
        return ""
    first, result = min(row["period"] for row in rows), results[0]
    last = max(row["period"] for row in rows)
    is_all = result.scope == "all"
    end = plus_days(last, rows[0]["days_expected"] - 1) if is_all else result.calendar.period_end(last, result.scope)
    closed = plus_days(today, -1)
    return f"{first} to {min(end, closed) if first <= closed else end}"


def _headlines(
    form: BuilderForm, results: Mapping[str, Result], values: Mapping[date, FormulaValue]
) -> list[tuple[str, Shown]]:
    """The last complete period of each series and of the formula, shown as large numbers."""
    if not (form.is_several or values):
        return headline_of(form, next(iter(results.values())))
    found = []
    for one, head in zip(form.series, series_heads(form, results), strict=True):
        found += [(f"{head}, {label}", shown) for label, shown in headline_of(form, results[one.letter])]
    last = max((day for day, value in values.items() if value.is_complete), default=None)
    if last is not None:
        label = next(iter(results.values())).period_text(last) if form.scope != "all" else "All days"
        found.append((f"{form.formula}, {label}", number(values[last].value, FORMULA_COLUMN)))
    return found


def headline_of(form: BuilderForm, result: Result) -> list[tuple[str, Shown]]:
    """The last complete period of each series of one answer, shown as large numbers."""
    column = result.metric_columns[0]
    whole = [row for row in result.data if row["period"] is not None and row["complete"]]
    last = max((row["period"] for row in whole), default=None)
    dims = [one.name for one in result.dimension_columns]
    found = []
    for row in whole:
        if row["period"] == last:
            name = "Other" if row.get("others") else "All" if row.get("total") else series_label([row[d] for d in dims])
            label = result.period_text(last) if form.scope != "all" else "All days"
            words = f"{name}, {label}" if dims else label
            found.append((words, replace(number(row[column.name], column), marks=marks_of(row, column.name))))
    return found


# -- charts ----------------------------------------------------------------------------------------


@dataclass(frozen=True, kw_only=True)
class FigureDrawing:
    """Settings for drawing charts: the names on their page, and their size."""

    names: FigureNames
    size: ChartSize

    def figure(self, chart: ChartData, *, is_formula: bool = False) -> Figure:
        size = replace(self.size, height=FORMULA_HEIGHT) if is_formula else self.size
        return figure(chart, self.names.next(), size)


def _figures(
    work: PageWork,
    form: BuilderForm,
    results: Mapping[str, Result],
    values: Mapping[date, FormulaValue],
    drawing: FigureDrawing,
) -> list[Figure]:
    if form.chart in ("table", "number") or form.scope == "all":
        return []
    if len(results) == 1 and not values:
        return [drawing.figure(single_chart(work, form, next(iter(results.values()))))]
    panels: dict[str, list[ChartData]] = {}
    growing = []
    for letter, one in zip(results, form.series, strict=True):
        made = single_chart(work, form, results[letter])
        series = made.series[0]
        growing += [] if made.is_joined else [letter]
        filters = ", ".join(one.where)
        name = f"{letter} {filters or series.name}"
        drawn = replace(series, name=name, slot=ord(letter) - 64)
        panels.setdefault(made.unit, []).append(replace(made, series=[drawn], goals=(), notes=()))
    found = [drawing.figure(_together(charts)) for charts in panels.values()]
    if values:
        base = next(iter(panels.values()))[0]
        is_joined = keeps_its_size(parsed_formula(form.formula, list(results)), growing)
        chart = replace(formula_chart(form, base, values), is_joined=is_joined)
        found.append(drawing.figure(chart, is_formula=True))
    return found


def single_chart(work: PageWork, form: BuilderForm, result: Result) -> ChartData:
    """The chart of one answer."""
    column = result.metric_columns[0]
    metric = work.metrics.get(column.name)
    plain = metric is not None and not result.dimension_columns and not form.is_several
    options = FigureOptions(
        form=form.chart,
        has_segments=bool(form.segments),
        compared_with=compared_words(form.compare, form.scope) if not form.is_several else "",
        goals=chart_goals(work, metric, form.scope, form.first.show, form.first.where) if plain and metric else (),
        odd_days=odd_days(work, column.name) if plain and form.scope == "day" and known_causes(work) else frozenset(),
    )
    return chart_data(work, result, column.name, options)


def _together(charts: Sequence[ChartData]) -> ChartData:
    """Charts with the same unit, combined into one."""
    first = charts[0]
    if len(charts) == 1:
        return first
    periods = sorted({day for one in charts for day in one.periods})
    labels = {day: label for one in charts for day, label in zip(one.periods, one.labels, strict=True)}
    series = [_aligned(one, periods) for one in charts]
    places = {day: place for place, day in enumerate(periods)}

    def moved(which: str) -> frozenset[int]:
        return frozenset(places[one.periods[place]] for one in charts for place in getattr(one, which))

    made = replace(
        first,
        name=", ".join(one.series[0].name for one in charts),
        periods=periods,
        labels=[labels[day] for day in periods],
        series=series,
        missing=moved("missing"),
        running=moved("running"),
        is_joined=all(one.is_joined for one in charts),
        begins_at_zero=any(one.begins_at_zero for one in charts),
    )
    return replace(made, summary=summary_of(made, made.name, FORMULA_COLUMN))


def _aligned(chart: ChartData, periods: Sequence[date]) -> DrawnSeries:
    points = dict(zip(chart.periods, chart.series[0].points, strict=True))
    empty = ChartPoint(value=None, text="–")
    return replace(chart.series[0], points=tuple(points.get(day, empty) for day in periods))


def formula_chart(form: BuilderForm, base: ChartData, values: Mapping[date, FormulaValue]) -> ChartData:
    """The formula in its own panel with its own scale."""
    column = FORMULA_COLUMN
    points = tuple(
        ChartPoint(
            value=values[day].value if day in values else None,
            text=number(values[day].value if day in values else None, column).text,
            is_complete=day in values and values[day].is_complete,
        )
        for day in base.periods
    )
    made = replace(
        base,
        name=f"Formula {form.formula}",
        unit="",
        form="line",
        series=[DrawnSeries(name=form.formula, slot=3, points=points)],
        begins_at_zero=False,
        missing=frozenset(i for i, day in enumerate(base.periods) if day not in values),
        running=frozenset(i for i, point in enumerate(points) if not point.is_complete),
        notes=(),
    )
    said = summary_of(made, made.name, column)
    return replace(made, summary=f"{said} Computed for each {form.scope} from the values of its series.")


# -- the same question in other words ----------------------------------------------------------


def copies_of(
    work: PageWork, form: BuilderForm, question: Question, result: Result | None, *, has_answer: bool
) -> list[Copy]:
    """The query as a link, command, request, Python, toml and SQL. Several series are one command each. A query without
    an answer cannot be put on a board."""
    link = Copy(kind="Link", text=work.ask.origin + form.link())
    board = Copy(kind="View of a board (tallybook.toml)", text=as_toml(form))
    if form.is_several or form.formula:
        if not has_answer:
            return [link]
        questions = [form.question(one) for one in form.series]
        return [
            link,
            Copy(kind="curl", text=series_as_curl(work.ask.origin, form)),
            Copy(kind="Python", text=series_in_python(questions, form.formula)),
            Copy(kind="Commands, one for each series", text="\n".join(map(as_command, questions))),
            board,
        ]
    found = [
        Copy(kind="Command", text=as_command(question)),
        link,
        Copy(kind="curl", text=as_curl(work.ask.origin, question)),
        Copy(kind="Python", text=as_python(question)),
        *([board] if has_answer else []),
    ]
    if result is not None and result.sql and not work.reader.is_filtered:
        found.append(Copy(kind="SQL", text=SECRET_FREE.sub("'points.parquet'", result.sql)))
    return found
