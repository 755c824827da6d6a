"""The answer to a query, and its output formats.

Nothing here computes a metric. A `Result` takes plain values and returns them in output formats. Tables, pages and
workbooks all format numbers with `number_format`."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from datetime import date
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

from tallybook.core.arrow import ArrowColumn, ArrowTable, arrow_column
from tallybook.core.errors import QueryError, TallybookError
from tallybook.core.fiscal import PLAIN, BookCalendar
from tallybook.core.parquet import save_parquet
from tallybook.core.result.plain import arrow_type, as_json, csv_field, csv_text, raw, to_plain
from tallybook.core.result.tables import (
    columns_within,
    count_of,
    escape_markdown,
    pad,
    period_label,
    remarks_on,
    table_layout,
    terminal_width,
)
from tallybook.core.result.values import Column, Row, tidy_row, value_in

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa

    from tallybook.core.vega_lite import VegaLiteChart

Decimals = Literal["exact", "float"]
"""Whether exact numbers stay exact in a data frame, or become floating point."""


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """The answer to a query: rows by period, then dimensions, and one sentence that explains them.

    A row of `data` has `period` (a date, or None on a total over all periods), each dimension
    (text or None), each metric (int, Decimal, float or None), `complete`, `days`, `days_expected`,
    `approximate`. Totals rows also have `total: True`, rows of all series except the top ones `others: True`,
    the row of a period without a known series `no_series: True`. In a fiscal calendar the rows that this class returns
    also have `label`, such as FY2027 Q1. `notes` has details of metrics:
    `{metric: {days, complete, carried, imported, as_of, error, bounds: (low, high), definition, why}}`.

    Metric values have the type of their column; a value that cannot be converted without loss raises
    ValueError. NaN and infinity become None with a reason (`why`)."""

    metrics: list[str]
    scope: str
    timezone: str
    week_starts: str
    columns: list[Column]
    data: list[Row]
    explain: str
    version: int
    calendar: BookCalendar = PLAIN
    """The periods of every scope. A fiscal calendar adds labels to the rows."""
    sql: str | None = None
    warnings: list[str] = []
    """Probable mistakes in the question, as sentences."""

    def __post_init__(self) -> None:
        metrics = self.metric_columns
        msgspec.structs.force_setattr(self, "data", [tidy_row(row, metrics) for row in self.data])

    # Columns and rows.

    @property
    def metric_columns(self) -> list[Column]:
        """The columns of metrics."""
        return [c for c in self.columns if c.role == "metric"]

    @property
    def dimension_columns(self) -> list[Column]:
        """The columns of dimensions."""
        return [c for c in self.columns if c.role == "dimension"]

    @property
    def has_labels(self) -> bool:
        """Whether rows have a `label`: in a fiscal calendar, unless a metric or dimension has that name."""
        known = self.calendar.label(date(2000, 1, 1), self.scope) is not None
        return known and all(column.name != "label" for column in self.columns)

    def period_text(self, day: date | None) -> str:
        """The name of the period that begins on `day`, for people."""
        return self.calendar.label(day, self.scope) or period_label(day, self.scope)

    @property
    def has_totals(self) -> bool:
        """Whether a row is a total."""
        return any(row.get("total") for row in self.data)

    @property
    def has_others(self) -> bool:
        """Whether a row combines all series except the top ones."""
        return any(row.get("others") for row in self.data)

    def rows(self) -> list[Row]:
        """The rows as dicts of Python values, keys in the documented order. The caller may change them."""
        return [_copy_notes(self._ordered(row)) for row in self.data]

    def __len__(self) -> int:
        return len(self.data)

    def __bool__(self) -> bool:
        """True, even without rows: there is an answer."""
        return True

    def __iter__(self) -> Iterator[Row]:
        """The rows, as `rows()`."""
        return iter(self.rows())

    def __getitem__(self, name: str) -> list[Any]:
        """The values of a column, row by row: `result["revenue"]`."""
        names = self._table_names()
        if name not in names:
            raise KeyError(f"{name!r} is not a column of this result: {', '.join(names)}")
        return [self._value(row, name) for row in self.data]

    # For programs.

    def to_dict(self, exact: bool = False) -> dict[str, Any]:
        """The documented JSON shape as Python values, equal to `json.loads(self.to_json())`."""
        return self._facts(to_plain, exact)

    def to_json(self, exact: bool = False) -> str:
        """The documented JSON, on one line. Decimals are numbers with all their digits and no
        trailing zeros, or strings with `exact`. Dates are ISO days; never NaN or infinity."""
        return msgspec.json.encode(self._facts(raw, exact)).decode()

    def to_ndjson(self, exact: bool = False) -> str:
        """The rows of `to_json`, one JSON object per line."""
        return "".join(as_json(self._ordered(row), exact) + "\n" for row in self.data)

    def to_csv(self, *, guard: bool = True, separator: str = ",", decimal: str = ".") -> str:
        """CSV with a header and a line per row: ISO dates, plain decimals without exponent, `true`/`false`.
        Null is an empty field, the empty text is `""`. Notes are left out.

        Spreadsheets run text that starts with = + - @ tab or return as a formula. `guard` puts a
        single quote before such text (and before text that already starts so after quotes, so that
        removing one quote always restores it). Numbers are never changed. `guard=False` writes
        every text as it is, for programs that read the file back. `separator` (a comma, a semicolon
        or a tab) separates fields; `decimal` is the decimal mark."""
        names = self._table_names()
        lines = [separator.join(csv_text(name, guard) for name in names)]
        lines += [separator.join(csv_field(self._value(row, n), guard, decimal) for n in names) for row in self.data]
        return "\n".join(lines) + "\n"

    def to_arrow(self) -> pa.Table:
        """A pyarrow Table: date32, string, int64, decimal128(38,10), float64, bool. Needs `tallybook[arrow]`.

        Integers beyond 64 bits are decimal128(38,0); numbers that fit neither are decimal256, so
        that no digit is lost. The schema metadata has everything that is not a row under the key
        `tallybook`, as JSON. Notes are left out."""
        return _installed("pyarrow", "tallybook[arrow]").table(self)

    def __arrow_c_stream__(self, requested_schema: object = None) -> object:
        """The columns of `to_arrow` for every library that reads Arrow streams, such as DuckDB and polars."""
        return self._arrow_table().__arrow_c_stream__(requested_schema)

    def to_polars(self, decimals: Decimals = "exact") -> pl.DataFrame:
        """A polars DataFrame. Decimals stay exact, or become floating point with `decimals="float"`."""
        pl = _installed("polars", "tallybook[polars]")
        return pl.DataFrame(self._arrow_table(decimals))  # type: ignore[no-any-return]

    def to_pandas(self, decimals: Decimals = "exact") -> pd.DataFrame:
        """A pandas DataFrame: periods are datetime64, integers nullable Int64, exact decimals
        Python Decimals in an object column. With `decimals="float"` they are float64, which pandas
        draws and describes."""
        pd = _installed("pandas", "tallybook[pandas]")
        pa = _installed("pyarrow", "tallybook[pandas]")
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        return pa.table(self._arrow_table(decimals)).to_pandas(types_mapper=nullable.get, date_as_object=False)

    def to_parquet(self, where: str | Path | BinaryIO) -> None:
        """Write `to_arrow` as a Parquet file. A crash can leave half a file; the parquet
        destination replaces a file in one step."""
        save_parquet(self._arrow_table(), where)

    # For people.

    def to_text(self, *, max_rows: int | None = 40, width: int | None = 120) -> str:
        """An aligned table in plain text with its legend, and the sentence that explains it.

        `*` marks incomplete values, `≈` approximate ones, `†` carried ones, `–` unknown ones, with
        the reason below the table. None for `max_rows` or `width` means no limit."""
        header, rows, lines = table_layout(self, max_rows)
        widths = [max(map(terminal_width, column)) for column in zip(header, *rows, strict=True)]
        numbers = [c.role == "metric" for c in self.columns]
        kept = columns_within(widths, numbers, width)
        table = ["  ".join(pad(row[i], widths[i], right=numbers[i]) for i in kept).rstrip() for row in [header, *rows]]
        if len(kept) < len(header):
            lines = [f"… {count_of(len(header) - len(kept), 'more column')}", *lines]
        return "\n".join([*table, *lines, self.explain])

    def remarks(self) -> list[str]:
        """Remarks for below a table or chart: which values are incomplete, approximate, carried or null."""
        return remarks_on(self)

    def to_markdown(self) -> str:
        """A Markdown table of all rows as people read them, then the legend and the explanation."""
        header, rows, lines = table_layout(self, None, short=False)
        ruler = ["---:" if c.role == "metric" else "---" for c in self.columns]
        cells = [[escape_markdown(text) for text in header], ruler]
        cells += [[escape_markdown(text.strip()) for text in row] for row in rows]
        table = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join(table + [f"\n{escape_markdown(x)}" for x in [*lines, self.explain]]) + "\n"

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """A simple HTML table for notebooks, with all text escaped."""
        from html import escape

        header, rows, lines = table_layout(self, 100)
        align = ["right" if c.role == "metric" else "left" for c in self.columns]

        def tr(tag: str, texts: list[str]) -> str:
            cells = zip(align, texts, strict=True)
            return "".join(f'<{tag} style="text-align:{a}">{escape(t.strip())}</{tag}>' for a, t in cells)

        body = "".join(f"<tr>{tr('td', row)}</tr>" for row in rows)
        notes = "<br>".join(escape(line) for line in [*lines, self.explain])
        head = f"<thead><tr>{tr('th', header)}</tr></thead>"
        return f"<table>{head}<tbody>{body}</tbody></table><p><small>{notes}</small></p>"

    def chart(self, title: str | None = None) -> VegaLiteChart:
        """A Vega-Lite v5 specification: a panel for each metric, a line for each series, with the data.

        A dict of plain values, ready for JSON, with `save("revenue.png")`. Notebooks and the Vega tools draw it without
        fetching anything."""
        from tallybook.core.chart import chart
        from tallybook.core.vega_lite import VegaLiteChart

        return VegaLiteChart(chart(self.to_dict(), title=title))

    def plot(self, title: str | None = None) -> VegaLiteChart:
        """The same as `chart`, under the name that pandas and polars use."""
        return self.chart(title)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """The chart for notebooks that can draw it, the HTML table and the text for others."""
        from tallybook.core.chart import MIME

        bundle: dict[str, Any] = {"text/plain": self.to_text(), "text/html": self._repr_html_()}
        drawn = any(row[c.name] is not None for row in self.data for c in self.metric_columns)
        if drawn and self.scope != "all":
            bundle[MIME] = self.chart()
        return bundle

    # Inside.

    def _table_names(self) -> list[str]:
        names = [c.name for c in self.columns]
        names[1:1] = ["label"] if self.has_labels else []
        names += ["complete", "days", "days_expected", "approximate"]
        names += ["total"] if self.has_totals else []
        return [*names, "others"] if self.has_others else names

    def _ordered(self, row: Row) -> Row:
        names = [c.name for c in self.columns]
        ordered = {name: row[name] for name in names[:1]}
        if self.has_labels:
            ordered["label"] = self._label(row)
        ordered |= {name: row[name] for name in names[1:]}
        for name in ("complete", "days", "days_expected", "approximate"):
            ordered[name] = row[name]
        for name in ("total", "others", "no_series"):
            if row.get(name):
                ordered[name] = True
        if row.get("notes"):
            ordered["notes"] = row["notes"]
        return ordered

    def _label(self, row: Row) -> str | None:
        return self.calendar.label(row["period"], self.scope)

    def _value(self, row: Row, name: str) -> Any:
        return self._label(row) if name == "label" and self.has_labels else value_in(row, name)

    def _facts(self, convert: Callable[[Any, bool], Any], exact: bool) -> dict[str, Any]:
        return {
            "metrics": list(self.metrics),
            "scope": self.scope,
            "timezone": self.timezone,
            "week_starts": self.week_starts,
            "columns": [_column_facts(c) for c in self.columns],
            "rows": [convert(self._ordered(row), exact) for row in self.data],
            "explain": self.explain,
            **({"warnings": list(self.warnings)} if self.warnings else {}),
        }

    def _arrow_table(self, decimals: Decimals = "exact") -> ArrowTable:
        if decimals not in ("exact", "float"):
            raise QueryError(f"decimals={decimals!r} is not known", hint='decimals="exact" or decimals="float"')
        about = msgspec.structs.replace(self, data=[])._facts(raw, exact=False)
        about["version"] = self.version
        del about["rows"]
        columns = {name: self._arrow_column(name, decimals) for name in self._table_names()}
        return ArrowTable.of(columns, {"tallybook": msgspec.json.encode(about).decode()})

    def _arrow_column(self, name: str, decimals: Decimals) -> ArrowColumn:
        column = next((c for c in self.columns if c.name == name), None)
        values = [self._value(row, name) for row in self.data]
        if column is not None and column.type == "decimal" and decimals == "float":
            return arrow_column([None if value is None else float(value) for value in values], "DOUBLE")
        if column is not None:
            return arrow_column(values, arrow_type(column.type, values))
        types = {"label": "VARCHAR", "days": "BIGINT", "days_expected": "BIGINT"}
        return arrow_column(values, types.get(name, "BOOLEAN"))


def _copy_notes(row: Row) -> Row:
    """The row with copied notes, because the result may be shared and callers may change the rows."""
    if "notes" in row:
        row["notes"] = {metric: dict(note) for metric, note in row["notes"].items()}
    return row


def _column_facts(column: Column) -> dict[str, str | None]:
    """The JSON shape of a column: five keys always, and `title`, `format` and `unit_from` if declared."""
    facts = {
        "name": column.name,
        "role": column.role,
        "type": column.type,
        "unit": column.unit,
        "show": column.show,
    }
    more = {"unit_from": column.unit_from, "title": column.title, "format": column.format}
    return facts | {key: value for key, value in more.items() if value is not None}


def _installed(module: str, package: str) -> Any:
    """Import an optional module. Raises TallybookError with the command that installs it."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise TallybookError(f"{name} is not installed", hint=f"pip install '{package}'") from error
