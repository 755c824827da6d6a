"""The answer to a query: rows that know what they are, and every form they are read in.

Nothing here computes a metric. A `Result` is plain values in, plain formats out; how a number looks
to people is decided in one place, `number_format`, for tables, pages and workbooks alike."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from datetime import date
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import TYPE_CHECKING, Any, BinaryIO, Literal

import msgspec

from tallybook.errors import TallybookError

if TYPE_CHECKING:
    from pathlib import Path

    import pandas as pd
    import polars as pl
    import pyarrow as pa

Role = Literal["period", "dimension", "metric"]
Type = Literal["date", "text", "integer", "decimal", "float"]
Number = int | Decimal | float
Row = dict[str, Any]

GAP = "–"
INCOMPLETE, APPROXIMATE, CARRIED, IMPORTED = "*", "≈", "†", "‡"


class Column(msgspec.Struct, frozen=True, kw_only=True):
    """One column of a result. `show` says how days became the period (total, last, average, …)."""

    name: str
    role: Role
    type: Type
    unit: str | None = None
    show: str | None = None
    title: str | None = None
    format: str | None = None

    @property
    def label(self) -> str:
        """What people call it: the title, else the name."""
        return self.title or self.name


class Result(msgspec.Struct, frozen=True, kw_only=True):
    """What a query answered: rows by period, then dimensions, and one sentence that says how.

    A row of `data` holds `period` (a date, or None on a total over all periods), each dimension
    (text or None), each metric (int, Decimal, float or None), `complete`, `days`, `days_expected`,
    `approximate`, on totals rows `total: True`, on rows of all series beside the top `others: True`,
    and `notes` where a metric has more to say:
    `{metric: {days, complete, carried, imported, as_of, error, bounds: (low, high), definition, why}}`.

    Metric values have the type their column says; one that cannot be had without loss raises
    ValueError. NaN and infinity are never values: they are None with a why."""

    metrics: list[str]
    scope: str
    timezone: str
    week_starts: str
    columns: list[Column]
    data: list[Row]
    explain: str
    version: int
    sql: str | None = None

    def __post_init__(self) -> None:
        metrics = self.metric_columns
        msgspec.structs.force_setattr(self, "data", [_tidy_row(row, metrics) for row in self.data])

    # What is in it.

    @property
    def metric_columns(self) -> list[Column]:
        return [c for c in self.columns if c.role == "metric"]

    @property
    def dimension_columns(self) -> list[Column]:
        return [c for c in self.columns if c.role == "dimension"]

    @property
    def has_totals(self) -> bool:
        return any(row.get("total") for row in self.data)

    @property
    def has_others(self) -> bool:
        return any(row.get("others") for row in self.data)

    def rows(self) -> list[Row]:
        """The rows as dicts of Python values, keys in the documented order. Yours to change."""
        return [self._ordered(row) for row in self.data]

    # For programs.

    def to_dict(self, exact: bool = False) -> dict[str, Any]:
        """The documented JSON shape as Python values: what `json.loads(self.to_json())` returns."""
        return self._facts(_plain, exact)

    def to_json(self, exact: bool = False) -> str:
        """The documented JSON, on one line. Decimals are numbers with all their digits and no
        trailing zeros, or strings with `exact`. Dates are ISO days; never NaN or infinity."""
        return msgspec.json.encode(self._facts(_raw, exact)).decode()

    def to_ndjson(self, exact: bool = False) -> str:
        """One JSON object a line: the rows of `to_json`."""
        return "".join(as_json(self._ordered(row), exact) + "\n" for row in self.data)

    def to_csv(self, *, guard: bool = True) -> str:
        """A header and a line per row: ISO dates, plain decimals without exponent, `true`/`false`;
        null is an empty field, the empty text is `""`. Notes are left out.

        Spreadsheets run text that starts with = + - @ tab or return as a formula. `guard` puts a
        single quote before such text (and before text that already starts so after quotes, so that
        taking one quote away always restores it). Numbers are never touched. `guard=False` writes
        every text as it is, for programs that read the file back."""
        names = self._table_names()
        lines = [",".join(csv_text(name, guard) for name in names)]
        lines += [",".join(csv_field(_value(row, n), guard) for n in names) for row in self.data]
        return "\n".join(lines) + "\n"

    def to_arrow(self) -> pa.Table:
        """A pyarrow Table: date32, string, int64, decimal128(38,10), float64, bool.

        Integers beyond 64 bits are decimal128(38,0); numbers that fit neither are decimal256, so
        that no digit is ever lost. The schema's metadata has all that is not a row under the key
        `tallybook`, as JSON. Notes are left out."""
        pa = _installed("pyarrow", "pyarrow")
        names = self._table_names()
        arrays = [self._arrow_array(pa, name) for name in names]
        about = msgspec.structs.replace(self, data=[])._facts(_raw, exact=False)
        about["version"] = self.version
        del about["rows"]
        table = pa.Table.from_arrays(arrays, names=names)
        return table.replace_schema_metadata({"tallybook": msgspec.json.encode(about)})

    def to_polars(self) -> pl.DataFrame:
        """A polars DataFrame; decimals stay exact."""
        pl = _installed("polars", "tallybook[polars]")
        return pl.from_arrow(self.to_arrow())  # type: ignore[no-any-return]

    def to_pandas(self) -> pd.DataFrame:
        """A pandas DataFrame: periods are datetime64, integers nullable Int64, exact decimals
        Python Decimals in an object column."""
        pd = _installed("pandas", "tallybook[pandas]")
        pa = _installed("pyarrow", "pyarrow")
        nullable = {pa.int64(): pd.Int64Dtype(), pa.bool_(): pd.BooleanDtype()}
        return self.to_arrow().to_pandas(types_mapper=nullable.get, date_as_object=False)

    def to_parquet(self, where: str | Path | BinaryIO) -> None:
        """Write `to_arrow` as a Parquet file. A crash may leave half a file: the parquet
        destination replaces a file in one step."""
        pq = _installed("pyarrow.parquet", "pyarrow")
        pq.write_table(self.to_arrow(), where, compression="zstd")

    # For people.

    def to_text(self, *, max_rows: int | None = 40, width: int | None = 120) -> str:
        """An aligned table in plain text with its legend, and the sentence that explains it.

        `*` marks what is not complete, `≈` approximate, `†` carried, `–` what cannot be known, with
        the why under the table. None for `max_rows` or `width` cuts nothing."""
        header, rows, lines = _laid_out(self, max_rows)
        widths = [max(map(_wide, column)) for column in zip(header, *rows, strict=True)]
        numbers = [c.role == "metric" for c in self.columns]
        kept = _columns_within(widths, numbers, width)
        table = [
            "  ".join(_padded(row[i], widths[i], right=numbers[i]) for i in kept).rstrip() for row in [header, *rows]
        ]
        if len(kept) < len(header):
            lines = [f"… {_count(len(header) - len(kept), 'more column')}", *lines]
        return "\n".join([*table, *lines, self.explain])

    def remarks(self) -> list[str]:
        """What is to be said below any picture of the rows: which are not complete, approximate, carried or null."""
        return _remarks(self)

    def to_markdown(self) -> str:
        """A Markdown table of all rows as people read them, then the legend and the explanation."""
        header, rows, lines = _laid_out(self, None)
        ruler = ["---:" if c.role == "metric" else "---" for c in self.columns]
        cells = [[_markdown(text) for text in header], ruler]
        cells += [[_markdown(text.strip()) for text in row] for row in rows]
        table = ["| " + " | ".join(row) + " |" for row in cells]
        return "\n".join(table + [f"\n{_markdown(x)}" for x in [*lines, self.explain]]) + "\n"

    def __repr__(self) -> str:
        return self.to_text()

    def _repr_html_(self) -> str:
        """A simple table for notebooks; everything in it is escaped."""
        from html import escape

        header, rows, lines = _laid_out(self, 100)
        align = ["right" if c.role == "metric" else "left" for c in self.columns]

        def tr(tag: str, texts: list[str]) -> str:
            cells = zip(align, texts, strict=True)
            return "".join(f'<{tag} style="text-align:{a}">{escape(t.strip())}</{tag}>' for a, t in cells)

        body = "".join(f"<tr>{tr('td', row)}</tr>" for row in rows)
        notes = "<br>".join(escape(line) for line in [*lines, self.explain])
        head = f"<thead><tr>{tr('th', header)}</tr></thead>"
        return f"<table>{head}<tbody>{body}</tbody></table><p><small>{notes}</small></p>"

    def chart(self, title: str | None = None) -> dict[str, Any]:
        """A Vega-Lite v5 specification: a panel for each metric, a line for each series, the data within.

        Plain values, ready for JSON; notebooks and the Vega tools draw it without fetching anything."""
        from tallybook.vega import chart

        return chart(self.to_dict(), title=title)

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        """The chart where a notebook can draw it, else the table, else the text."""
        from tallybook.vega import MIME

        bundle: dict[str, Any] = {"text/plain": self.to_text(), "text/html": self._repr_html_()}
        drawn = any(row[c.name] is not None for row in self.data for c in self.metric_columns)
        if drawn and self.scope != "all":
            bundle[MIME] = self.chart()
        return bundle

    # Inside.

    def _table_names(self) -> list[str]:
        names = [c.name for c in self.columns]
        names += ["complete", "days", "days_expected", "approximate"]
        names += ["total"] if self.has_totals else []
        return [*names, "others"] if self.has_others else names

    def _ordered(self, row: Row) -> Row:
        names = [c.name for c in self.columns]
        ordered = {name: row[name] for name in names}
        for name in ("complete", "days", "days_expected", "approximate"):
            ordered[name] = row[name]
        for name in ("total", "others"):
            if row.get(name):
                ordered[name] = True
        if row.get("notes"):
            ordered["notes"] = row["notes"]
        return ordered

    def _facts(self, plain: Callable[[Any, bool], Any], exact: bool) -> dict[str, Any]:
        return {
            "metrics": list(self.metrics),
            "scope": self.scope,
            "timezone": self.timezone,
            "week_starts": self.week_starts,
            "columns": [_column_facts(c) for c in self.columns],
            "rows": [plain(self._ordered(row), exact) for row in self.data],
            "explain": self.explain,
        }

    def _arrow_array(self, pa: Any, name: str) -> Any:
        column = next((c for c in self.columns if c.name == name), None)
        values = [_value(row, name) for row in self.data]
        if column is not None:
            return pa.array(values, _arrow_type(pa, column.type, values))
        if name.startswith("days"):
            return pa.array(values, pa.int64())
        return pa.array(values, pa.bool_())


def _value(row: Row, name: str) -> Any:
    """Only `total` and `others` may be left out of a row."""
    return bool(row.get(name)) if name in ("total", "others") else row[name]


def _column_facts(column: Column) -> dict[str, str | None]:
    """Five keys always, `title` and `format` where declared."""
    facts = {
        "name": column.name,
        "role": column.role,
        "type": column.type,
        "unit": column.unit,
        "show": column.show,
    }
    more = {"title": column.title, "format": column.format}
    return facts | {key: value for key, value in more.items() if value is not None}


def _installed(module: str, package: str) -> Any:
    """The module, or an error with the line to paste."""
    import importlib

    try:
        return importlib.import_module(module)
    except ImportError as error:
        name = module.partition(".")[0]
        raise TallybookError(f"{name} is not installed here", hint=f"pip install '{package}'") from error


# Values are what their column says.


NOT_FINITE = "the result is not a finite number"


def _tidy_row(row: Row, metrics: list[Column]) -> Row:
    for column in metrics:
        value = row[column.name]
        if value is None or (type(value) is int and column.type == "integer"):
            continue
        tidy = None if not _finite(value) else _AS_TYPE[column.type](value, column)
        if tidy is not value:
            row = row | {column.name: tidy}
        if tidy is None:
            notes = row.get("notes") or {}
            said = {"why": NOT_FINITE} | notes.get(column.name, {})
            row = row | {"notes": notes | {column.name: said}}
    return row


def _finite(value: Number) -> bool:
    return value.is_finite() if isinstance(value, Decimal) else math.isfinite(value)


def _as_integer(value: Number, column: Column) -> int:
    whole = int(value)
    if whole != value:
        raise ValueError(f"{column.name!r} is an integer column and {value!r} is not an integer")
    return whole


def _as_decimal(value: Number, column: Column) -> Decimal:
    if isinstance(value, float):
        raise ValueError(f"{column.name!r} is an exact decimal column and {value!r} is a float")
    return value if isinstance(value, Decimal) else Decimal(value)


def _as_float(value: Number, column: Column) -> float | None:
    if type(value) is float:
        return value
    try:
        return float(value)
    except OverflowError:
        return None


_AS_TYPE: dict[str, Callable[[Number, Column], Number | None]] = {
    "integer": _as_integer,
    "decimal": _as_decimal,
    "float": _as_float,
}


# Numbers and values for programs.


def plain_number(value: Number) -> str:
    """All digits of a number and nothing else: no exponent, no trailing zeros after a decimal."""
    if isinstance(value, int):
        return str(value)
    exact = value if isinstance(value, Decimal) else Decimal(repr(value))
    # format() and not normalize(): that one rounds to the caller's decimal context.
    text = format(exact, "f")
    if isinstance(value, Decimal) and "." in text:
        text = text.rstrip("0").rstrip(".")
    return text.removeprefix("-") if not exact else text


def as_json(value: Any, exact: bool = False) -> str:
    """JSON on one line, its numbers as in `Result.to_json`."""
    return msgspec.json.encode(_raw(value, exact)).decode()


def _plain(value: Any, exact: bool) -> Any:
    """As a JSON reader would see it."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return text if exact else float(text) if "." in text else int(text)
    return _mapped(value, exact, _plain)


def _raw(value: Any, exact: bool) -> Any:
    """As the JSON writer shall write it, digit by digit."""
    if isinstance(value, Decimal):
        text = plain_number(value)
        return text if exact else msgspec.Raw(text.encode())
    if isinstance(value, int) and not -(2**63) <= value < 2**63:
        return msgspec.Raw(str(value).encode())
    return _mapped(value, exact, _raw)


def _mapped(value: Any, exact: bool, each: Callable[[Any, bool], Any]) -> Any:
    if isinstance(value, dict):
        return {key: each(item, exact) for key, item in value.items()}
    if isinstance(value, list | tuple):
        return [each(item, exact) for item in value]
    if isinstance(value, date):  # and datetime
        return value.isoformat()
    if isinstance(value, float) and not math.isfinite(value):
        return None
    return value


# The last four are the full-width forms, which run in spreadsheets set to Japanese.
_FORMULA_STARTS = ("=", "+", "-", "@", "\t", "\r", "\n", "\uff1d", "\uff0b", "\uff0d", "\uff20")


def looks_like_a_formula(text: str) -> bool:
    """Would a spreadsheet that opens a CSV file run this text (or has it been guarded before)?"""
    return text.lstrip("'").startswith(_FORMULA_STARTS)


def csv_text(text: str, guard: bool) -> str:
    if guard and looks_like_a_formula(text):
        text = "'" + text
    if text and text == text.strip() and not any(c in text for c in ',;"\t\r\n'):
        return text
    return '"' + text.replace('"', '""') + '"'


def csv_field(value: Any, guard: bool) -> str:
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, int | Decimal | float):
        return plain_number(value)
    return value.isoformat() if isinstance(value, date) else csv_text(str(value), guard)


def _arrow_type(pa: Any, kind: Type, values: list[Any]) -> Any:
    if kind == "integer":
        return _arrow_integer(pa, [v for v in values if v is not None])
    if kind == "decimal":
        return arrow_decimal(pa, [v for v in values if v is not None])
    return {"date": pa.date32(), "text": pa.string(), "float": pa.float64()}[kind]


def _arrow_integer(pa: Any, values: list[int]) -> Any:
    if all(-(2**63) <= v < 2**63 for v in values):
        return pa.int64()
    return pa.decimal128(38, 0) if all(abs(v) < 10**38 for v in values) else pa.decimal256(76, 0)


def arrow_decimal(pa: Any, values: list[Decimal]) -> Any:
    """The book's decimal(38,10), or a wider one when a value would not fit it exactly."""
    scale = max((_scale(v) for v in values), default=0)
    whole = max((v.adjusted() + 1 for v in values if v), default=0)
    if scale <= 10 and whole <= 28:
        return pa.decimal128(38, 10)
    return pa.decimal256(76, max(scale, 10))


# Numbers for people: one place for tables, pages and workbooks.


# Room for every digit of any float; the caller's decimal context is neither used nor changed.
_ROOMY = Context(prec=800, rounding=ROUND_HALF_UP)
_MINOR_UNITS = {"BHD": 3, "CLP": 0, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "OMR": 3}
_MINOR_UNITS |= {"PYG": 0, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0}


class NumberFormat(msgspec.Struct, frozen=True, kw_only=True):
    """How a number is written for people, with `least` to `most` decimals, rounding half up.

    Unless it was `asked` for, a number other than zero is never written as zero."""

    least: int = 0
    most: int = 0
    thousands: bool = True
    percent: bool = False
    thousandfold: int = 0  # how often it is divided by 1,000 before it is written
    before: str = ""
    after: str = ""
    asked: bool = False

    def text(self, value: Number | None) -> str:
        """The number as text, `–` for None."""
        if value is None:
            return GAP
        number = self._scaled(value)
        digits = _e_notation(value) if _is_huge(value) else self._digits(number.copy_abs())
        sign = "-" if number < 0 and any(c in "123456789" for c in digits) else ""
        return f"{sign}{self.before}{digits}{self.after}"

    def hides(self, value: Number | None) -> bool:
        """Would it round a number other than zero to zero?"""
        return bool(value) and not self._rounded(self._scaled(value or 0))

    def excel(self) -> str:
        """The same as an Excel number format; always a valid one."""
        digits = ("#,##0" if self.thousands else "0") + ("." + "0" * self.most if self.most else "")
        digits += "," * self.thousandfold
        after = self.after
        if self.percent:
            digits, after = digits + "%", after.removeprefix("%")
        pattern = _excel_literal(self.before) + digits + _excel_literal(after)
        return pattern if len(pattern) <= 255 else digits  # Excel will not open a longer one

    def _scaled(self, value: Number) -> Decimal:
        number = value if isinstance(value, Decimal) else Decimal(repr(value))
        power = 2 * self.percent - 3 * self.thousandfold
        return number.scaleb(power, context=_ROOMY) if power else number

    def _rounded(self, number: Decimal) -> Decimal:
        return number.quantize(Decimal(1).scaleb(-self.most, context=_ROOMY), context=_ROOMY)

    def _digits(self, number: Decimal) -> str:
        rounded = self._rounded(number)
        if number and not rounded and not self.asked:
            return _two_digits(number)
        whole, _, places = format(rounded, ",f" if self.thousands else "f").partition(".")
        places = places.rstrip("0").ljust(self.least, "0")
        return f"{whole}.{places}" if places else whole


def number_format(column: Column, values: Iterable[Number | None] = ()) -> NumberFormat:
    """How the numbers of a column are written for people, the same way for all of `values`.

    A declared `format` decides: "integer", "money", "percent" (0.12 is 12.0%), or a pattern as in
    Excel, '0.00', '#,##0.0%', '0.0,,"M"'. Else integers have no decimals, currencies those of the
    currency, other exact decimals up to 4, floats 2 or as many as the smallest value needs for two
    digits. The unit follows the number unless a pattern has text of its own."""
    asked = parse_format(column.format, column.unit) if column.format else None
    if asked is not None:
        return asked
    unit = _unit_text(column.unit)
    if column.type == "integer":
        return NumberFormat(after=unit)
    known = [v for v in values if v is not None and not _is_huge(v)]
    places = max(_decimals_of(column, known), _minor_units(column.unit) if _is_currency(column.unit) else 0)
    return NumberFormat(least=places, most=places, after=unit)


def format_number(value: Number | None, column: Column) -> str:
    """One number for people: `1,234.50 EUR`, `12.3%`, `0.0012`; `–` for None."""
    return number_format(column, [value]).text(value)


def parse_format(text: str, unit: str | None = None) -> NumberFormat | None:
    """The declared `format` of a metric, or None when it is none we know."""
    after = _unit_text(unit)
    if text == "percent":
        return NumberFormat(least=1, most=1, percent=True, after="%", asked=True)
    if text == "integer":
        return NumberFormat(after=after, asked=True)
    if text == "money":
        minor = _minor_units(unit)
        return NumberFormat(least=minor, most=minor, after=after, asked=True)
    return _parse_pattern(text, after)


_LITERAL = r'(?:"[^"]*"|\\.|\[[^\]]*\]|[_*].|[-+%$€£¥() ])'
_PATTERN = rf"({_LITERAL}*)([#0,]*[#0])(,*)(?:\.(0*)(#*))?(,*)({_LITERAL}*)"


def _parse_pattern(pattern: str, unit: str) -> NumberFormat | None:
    import re

    first = pattern.partition(";")[0]  # the section of positive numbers; minus signs are ours
    found = re.fullmatch(_PATTERN, first)
    if found is None:
        return None
    before, whole, scale, fixed, optional, more_scale, after = found.groups(default="")
    percent = "%" in re.sub(r'"[^"]*"|\\.', "", before + after)
    before, after = _literal_text(before), _literal_text(after)
    return NumberFormat(
        least=len(fixed),
        most=len(fixed) + len(optional),
        thousands="," in whole,
        percent=percent,
        thousandfold=len(scale + more_scale),
        before=before,
        after=after if before or after else unit,
        asked=True,
    )


def _literal_text(part: str) -> str:
    """`"text"`, `\\x` and `[$€-407]` as the text they show; colours and padding as nothing."""
    import re

    shown = []
    for token in re.findall(_LITERAL, part):
        if token.startswith("[$"):
            shown.append(token[2:-1].partition("-")[0])
        elif token[0] == '"':
            shown.append(token[1:-1])
        elif token[0] not in "[_*":
            shown.append(token[-1])
    return "".join(shown)


def _excel_literal(text: str) -> str:
    quoted = '\\"'.join(f'"{piece}"' if piece else "" for piece in text.split('"'))
    return "".join(c if c.isprintable() else " " for c in quoted)


def _unit_text(unit: str | None) -> str:
    return "" if not unit else unit if unit == "%" else f" {unit}"


def _is_currency(unit: str | None) -> bool:
    return unit is not None and len(unit) == 3 and unit.isascii() and unit.isupper()


def _minor_units(unit: str | None) -> int:
    return _MINOR_UNITS.get(unit or "", 2)


def _decimals_of(column: Column, values: list[Number]) -> int:
    """Decimals to write: exact ones as they are up to 4, else 2, more only for small values."""
    exact = [v if isinstance(v, Decimal) else Decimal(repr(v)) for v in values]
    most = max(map(_scale, exact), default=0)
    if column.type == "decimal" and most <= 4:
        return most
    smallest = min((v.adjusted() for v in exact if v and v.adjusted() >= -9), default=0)
    written = NumberFormat(most=min(most, max(2, 1 - smallest)))
    return max(_scale(written._rounded(v)) for v in exact) if exact else 0


def _scale(number: Decimal) -> int:
    """How many decimals it has, trailing zeros aside."""
    _, digits, exponent = number.as_tuple()
    if not isinstance(exponent, int) or exponent >= 0 or not number:
        return 0
    zeros = len(digits) - len("".join(map(str, digits)).rstrip("0"))
    return max(0, -exponent - zeros)


def _two_digits(number: Decimal) -> str:
    if number < Decimal("0.000001"):
        return f"{number:.1e}"
    return format(number, f".{1 - number.adjusted()}f").rstrip("0")


def _is_huge(value: Number) -> bool:
    return isinstance(value, float) and abs(value) >= 1e18


def _e_notation(value: Number) -> str:
    return f"{abs(value):.6g}"


# Tables for people.


def period_label(day: date | None, scope: str) -> str:
    """How people name a period: 2026-03-02, 2026-03, 2026 Q1, 2026."""
    if day is None:
        return "total"
    if scope == "quarter":
        return f"{day.year:04d} Q{(day.month + 2) // 3}"
    return day.isoformat()[: {"month": 7, "year": 4}.get(scope, 10)]


def _laid_out(result: Result, max_rows: int | None) -> tuple[list[str], list[list[str]], list[str]]:
    """Header, rows and the lines under them, all as text that is safe to print."""
    data = result.data[:max_rows]
    header = [_heading(column, result.scope) for column in result.columns]
    columns = [_shown_column(result, column, data) for column in result.columns]
    lines = _remarks(result)
    if len(data) < len(result.data):
        lines = [f"… {_count(len(result.data) - len(data), 'more row')}", *lines]
    if not result.data:
        lines = ["(no rows)", *lines]
    return header, [list(row) for row in zip(*columns, strict=True)], lines


def _heading(column: Column, scope: str) -> str:
    if column.role == "period" and scope != "all":
        return scope
    return _printable(f"{column.name} ({column.unit})" if column.unit else column.name)


def _shown_column(result: Result, column: Column, data: list[Row]) -> list[str]:
    if column.role == "period":
        return [period_label(row[column.name], result.scope) + ("" if row["complete"] else INCOMPLETE) for row in data]
    if column.role == "dimension":
        return [_dimension_text(row[column.name], row, result.metrics) for row in data]
    how = _without_unit(number_format(column, [row[column.name] for row in data]), column)
    marks = [_marks(row, column.name) for row in data]
    room = max(map(len, marks), default=0)
    return [how.text(row[column.name]) + mark.ljust(room) for row, mark in zip(data, marks, strict=True)]


def _without_unit(how: NumberFormat, column: Column) -> NumberFormat:
    """For a table whose header has the unit."""
    if how.percent or how.after != _unit_text(column.unit):
        return how
    return msgspec.structs.replace(how, after="")


def _dimension_text(value: Any, row: Row, metrics: list[str]) -> str:
    if value is None:
        gap = all(row[metric] is None for metric in metrics)  # a period that has no series at all
        return "total" if row.get("total") else "other" if row.get("others") else GAP if gap else "(none)"
    text = _printable(str(value))
    return text if _wide(text) <= 40 else text[:39] + "…"


def _note(row: Row, metric: str) -> dict[str, Any]:
    notes = row.get("notes") or {}
    return notes.get(metric) or {}


def _marks(row: Row, metric: str) -> str:
    note = _note(row, metric)
    marks = INCOMPLETE if row["complete"] and note.get("complete") is False else ""
    if row[metric] is not None and is_approximate(row, metric):
        marks += APPROXIMATE
    marks += CARRIED if note.get("carried") else ""
    return marks + IMPORTED if note.get("imported") and row[metric] is not None else marks


def is_approximate(row: Row, metric: str) -> bool:
    """Is this value approximate? Those with an error are; without any, the row's word counts."""
    if not row["approximate"]:
        return False
    some = any(note.get("error") for note in (row.get("notes") or {}).values())
    return bool(_note(row, metric).get("error")) if some else True


def _remarks(result: Result) -> list[str]:
    """The legend: only what occurs, each with its periods."""
    return [
        *_incomplete_remarks(result),
        *_why_remarks(result),
        *_mark_remarks(result, APPROXIMATE, "approximate", "error"),
        *_mark_remarks(result, CARRIED, "carried forward from an earlier day", "carried"),
        *_mark_remarks(result, IMPORTED, "imported, not collected", "imported"),
    ]


def _incomplete_remarks(result: Result) -> Iterator[str]:
    rows = {_label(row, result): row for row in result.data if not row["complete"]}
    if rows:
        told = [f"{label} ({r['days']} of {r['days_expected']} days)" for label, r in rows.items()]
        yield f"{INCOMPLETE} not complete: {_listed(told)}"
    for metric in result.metrics:
        told = [_label(row, result) for row in result.data if INCOMPLETE in _marks(row, metric)]
        if told:
            yield f"{INCOMPLETE} {metric} not complete: {_listed(told)}"


def _why_remarks(result: Result) -> Iterator[str]:
    for metric in [c.name for c in result.metric_columns]:
        periods: dict[str, list[str]] = {}
        for row in result.data:
            if row[metric] is None and (why := why_null(row, metric)):
                periods.setdefault(why, []).append(_label(row, result))
        for why, labels in periods.items():
            yield _printable(f"{GAP} {metric}: {why} ({_listed(labels)})")


def why_null(row: Row, metric: str) -> str:
    """Why a value cannot be known, with what it lies between where that is known; else ''."""
    note = _note(row, metric)
    why, bounds = str(note.get("why") or ""), note.get("bounds")
    if not isinstance(bounds, list | tuple) or len(bounds) != 2:
        return why
    between = f"between {bounds[0]:,} and {bounds[1]:,}"
    return f"{why}; {between}" if why else between


def _mark_remarks(result: Result, mark: str, means: str, key: str) -> Iterator[str]:
    for metric in result.metrics:
        marked = [row for row in result.data if mark in _marks(row, metric)]
        said = {_said(_note(row, metric).get(key)) for row in marked}
        if marked:
            more = f", {said.pop()}" if len(said) == 1 else ""
            yield _printable(f"{mark} {metric}: {means}{more}".rstrip(", "))


def _said(detail: Any) -> str:
    if isinstance(detail, float):
        return f"error at most {detail * 100:.3g}%"
    return detail if isinstance(detail, str) else ""


def _label(row: Row, result: Result) -> str:
    return period_label(row[result.columns[0].name], result.scope)


def _listed(labels: Iterable[str]) -> str:
    different = list(dict.fromkeys(labels))
    more = [f"and {len(different) - 3} more"] if len(different) > 4 else []
    return ", ".join(different[: 3 if more else 4] + more)


def _count(number: int, noun: str) -> str:
    return f"{number:,} {noun}" + ("" if number == 1 else "s")


def _printable(text: str) -> str:
    """Nothing that could move a terminal's cursor or break a line."""
    if text.isprintable():
        return text
    return "".join(c if c.isprintable() else ascii(c)[1:-1] for c in text)


def _wide(text: str) -> int:
    """Columns it takes in a terminal."""
    if text.isascii():
        return len(text)
    from unicodedata import combining, east_asian_width

    return sum(0 if combining(c) else 2 if east_asian_width(c) in "WF" else 1 for c in text)


def _padded(text: str, width: int, *, right: bool) -> str:
    room = " " * (width - _wide(text))
    return room + text if right else text + room


def _columns_within(widths: list[int], numbers: list[bool], limit: int | None) -> list[int]:
    """The columns that fit: all that say what a row is, then metrics from the left."""
    keys = [i for i, number in enumerate(numbers) if not number]
    used, kept = sum(widths[i] + 2 for i in keys) - 2, list(keys)
    for i, number in enumerate(numbers):
        if not number:
            continue
        used += widths[i] + 2
        if limit is not None and used > limit and len(kept) > len(keys):
            break
        kept.append(i)
    return sorted(kept)


def _markdown(text: str) -> str:
    return "".join(f"\\{c}" if c in "\\|*`[]<>" else c for c in text)
