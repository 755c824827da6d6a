"""Numbers for people: the same formats in tables, pages and workbooks."""

from __future__ import annotations

from collections.abc import Iterable
from decimal import ROUND_HALF_UP, Context, Decimal

import msgspec

from tallybook.core.labels import GAP
from tallybook.core.result.plain import decimals_in
from tallybook.core.result.values import Column, Number

# Precision for every digit of any float. The decimal context of the caller is neither used nor changed.
_ROOMY = Context(prec=800, rounding=ROUND_HALF_UP)
_MINOR_UNITS = {"BHD": 3, "CLP": 0, "ISK": 0, "JOD": 3, "JPY": 0, "KRW": 0, "KWD": 3, "OMR": 3}
_MINOR_UNITS |= {"PYG": 0, "TND": 3, "UGX": 0, "VND": 0, "XAF": 0, "XOF": 0}


class NumberFormat(msgspec.Struct, frozen=True, kw_only=True):
    """The format of a number for people: with `least` to `most` decimals, rounded half up.

    A nonzero number is never written as zero, unless the format was declared (`asked`)."""

    least: int = 0
    most: int = 0
    thousands: bool = True
    percent: bool = False
    thousandfold: int = 0  # how many times the number is divided by 1,000
    before: str = ""
    after: str = ""
    asked: bool = False

    def text(self, value: Number | None) -> str:
        """The number as text; `–` for None."""
        if value is None:
            return GAP
        number = self._scaled(value)
        digits = _e_notation(value) if _is_huge(value) else self._digits(number.copy_abs())
        sign = "-" if number < 0 and any(c in "123456789" for c in digits) else ""
        return f"{sign}{self.before}{digits}{self.after}"

    def hides(self, value: Number | None) -> bool:
        """Whether it rounds a number other than zero to zero."""
        return bool(value) and not self._rounded(self._scaled(value or 0))

    def excel(self) -> str:
        """The equivalent Excel number format; always a valid one."""
        digits = ("#,##0" if self.thousands else "0") + ("." + "0" * self.most if self.most else "")
        digits += "," * self.thousandfold
        after = self.after
        if self.percent:
            digits, after = digits + "%", after.removeprefix("%")
        pattern = _excel_literal(self.before) + digits + _excel_literal(after)
        return pattern if len(pattern) <= 255 else digits  # Excel rejects longer formats

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
    """The number format of a column, the same for all of `values`.

    A declared `format` decides: "integer", "money", "percent" (0.12 is 12.0%), or an Excel pattern such as '0.00',
    '#,##0.0%', '0.0,,"M"'. Without one, integers have no decimals, currencies have the decimals of the currency,
    other exact numbers up to 4 decimals, and floats 2, or more if the smallest value needs them to show two digits.
    The unit follows the number unless the pattern contains text."""
    asked = parse_format(column.format, column.unit) if column.format else None
    if asked is not None:
        return asked
    unit = unit_text(column.unit)
    if column.type == "integer":
        return NumberFormat(after=unit)
    known = [v for v in values if v is not None and not _is_huge(v)]
    minor = _minor_units(column.unit) if _is_currency(column.unit) else 0
    places = max(_decimals_of(column, known), minor, column.scale or 0)
    return NumberFormat(least=places, most=places, after=unit)


def format_number(value: Number | None, column: Column) -> str:
    """One number for people: `1,234.50 EUR`, `12.3%`, `0.0012`; `–` for None."""
    return number_format(column, [value]).text(value)


def parse_format(text: str, unit: str | None = None) -> NumberFormat | None:
    """The number format that a metric declares as `format`; None for an unknown format."""
    after = unit_text(unit)
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

    first = pattern.partition(";")[0]  # the section of positive numbers; text() writes minus signs
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
    """`"text"`, `\\x` and `[$€-407]` as the text they show; colors and padding are dropped."""
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


def unit_text(unit: str | None) -> str:
    """The text of a unit after a number: ` EUR`, `%`."""
    return "" if not unit else unit if unit == "%" else f" {unit}"


def _is_currency(unit: str | None) -> bool:
    return unit is not None and len(unit) == 3 and unit.isascii() and unit.isupper()


def _minor_units(unit: str | None) -> int:
    return _MINOR_UNITS.get(unit or "", 2)


def _decimals_of(column: Column, values: list[Number]) -> int:
    """The number of decimals: up to 4 for exact values, else 2, and more only for small values."""
    exact = [v if isinstance(v, Decimal) else Decimal(repr(v)) for v in values]
    most = max(map(decimals_in, exact), default=0)
    if column.type == "decimal" and most <= 4:
        return most
    smallest = min((v.adjusted() for v in exact if v and v.adjusted() >= -9), default=0)
    written = NumberFormat(most=min(most, max(2, 1 - smallest)))
    return max(decimals_in(written._rounded(v)) for v in exact) if exact else 0


def _two_digits(number: Decimal) -> str:
    if number < Decimal("0.000001"):
        return f"{number:.1e}"
    return format(number, f".{1 - number.adjusted()}f").rstrip("0")


def _is_huge(value: Number) -> bool:
    return isinstance(value, float) and abs(value) >= 1e18


def _e_notation(value: Number) -> str:
    return f"{abs(value):.6g}"
