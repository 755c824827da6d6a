"""A workbook being written: its sheets, cell formats and comments, and what fits into a cell."""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from io import BytesIO
from typing import Any

from tallybook.core import Result

MAX_ROWS, MAX_COLUMNS, MAX_TEXT = 1_048_576, 16_384, 32_767
MAX_COMMENTS = 1_000  # each comment is a drawing, and a workbook with many thousands opens slowly
METRICS, CHARTS, TOTALS, ABOUT, CHART_DATA = "Metrics", "Charts", "Totals", "About", "Chart data"
GREY = "#8A8A8A"
# A workbook needs a creation time. If the caller gives none, it is the time of every file in the zip.
NO_INSTANT = datetime(1980, 1, 1, tzinfo=UTC)


class Pages:
    """The workbook being written: its sheets in order, its cell formats, and its comments."""

    def __init__(
        self,
        result: Result,
        file: BytesIO,
        created: datetime | None,
        *,
        chart_data: bool = False,
        sheets: Sequence[str] = (),
    ) -> None:
        """`chart_data`: charts draw from cells of a separate sheet. `sheets`: the sheets to use instead of those of an
        answer."""
        import xlsxwriter

        self.result, self.chart_data = result, chart_data
        self.book = xlsxwriter.Workbook(
            file,
            {
                "in_memory": True,
                "strings_to_formulas": False,
                "strings_to_urls": False,
                "strings_to_numbers": False,
            },
        )
        instant = created or NO_INSTANT
        instant = instant.astimezone(UTC) if instant.tzinfo else instant
        self.book.set_properties({"title": clean_text(", ".join(result.metrics)), "created": instant})
        self._formats: dict[tuple[tuple[str, Any], ...], Any] = {}
        self.comments = 0
        for name in sheets or self._sheet_names():
            self.book.add_worksheet(name)

    def _sheet_names(self) -> list[str]:
        drawn = any(not row.get("total") for row in self.result.data)
        wanted = {
            METRICS: True,
            CHARTS: drawn,
            TOTALS: self.result.has_totals,
            ABOUT: True,
            CHART_DATA: drawn and self.chart_data,
        }
        return [name for name, is_there in wanted.items() if is_there]

    def sheet(self, name: str) -> Any:
        return self.book.get_worksheet_by_name(name)

    def format(self, **look: Any) -> Any:
        key = tuple(sorted(look.items()))
        if key not in self._formats:
            self._formats[key] = self.book.add_format({"valign": "top", **look})
        return self._formats[key]

    def either(self, **look: Any) -> dict[bool, Any]:
        """The formats for complete and for incomplete rows."""
        return {True: self.format(**look), False: self.format(italic=True, font_color=GREY, **look)}

    def comment(self, sheet: Any, row: int, column: int, text: str) -> None:
        self.comments += 1
        if self.comments <= MAX_COMMENTS:
            size = {"width": 240, "height": 24 + 18 * (1 + len(text) // 36), "author": "Tallybook"}
            sheet.write_comment(row, column, clean_text(text)[:MAX_TEXT], size)


def clean_text(text: str) -> str:
    """The text as allowed in a workbook's XML, cut to the length of a cell. Other characters are replaced by �."""
    text = re.sub("[\x00-\x08\x0b-\x1f\ud800-\udfff\ufffe\uffff]", "\ufffd", text)
    # The limit counts UTF-16 units.
    return text if len(text.encode("utf-16-le")) // 2 <= MAX_TEXT else text[: MAX_TEXT // 2] + "…"
