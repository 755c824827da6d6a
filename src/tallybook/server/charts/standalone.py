"""Exports a chart as a file of its own, with its title, its legend and the colors of the light theme. Also as PNG and
PDF."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import Any

from tallybook.core import TallybookError
from tallybook.server.charts.data import ChartData
from tallybook.server.charts.drawing import WIDE, draw
from tallybook.server.charts.marks import text

SCALE = 2.0
SERIES_COLORS = ("#7f7f77", "#1d56d8", "#dc7557", "#149b8e", "#a00076", "#7b6205", "#9175ff", "#d51e58", "#003444")
DASHES = ("3 3", "", "9 3", "2 3.5", "9 4 2 4", "14 4", "5 3", "12 3 2 3 2 3", "4 2")
HEAD, PAD = 58, 16
FONT = "Inter, system-ui, 'Segoe UI', Roboto, 'Noto Sans', 'DejaVu Sans', Arial, sans-serif"
STYLE = """
svg{background:#fff;font-family:%s;font-variant-numeric:tabular-nums}
.name{font-size:16px;font-weight:600;fill:#191b1f}.said{font-size:12px;fill:#555a63}
.grid{stroke:#e9e8e3}.axis{stroke:#7f7f77}.tick{fill:#555a63;font-size:12px}
.end{fill:#191b1f;font-size:12.5px;font-weight:600}
.ln{fill:none;stroke-width:2.25;stroke-linejoin:round;stroke-linecap:round}.pale{stroke-dasharray:2 4;stroke-width:2}
.was{fill:none;stroke:#7f7f77;stroke-width:1.5;stroke-dasharray:5 3}.lfl{stroke:#191b1f;stroke-width:2}
.goal{stroke:#555a63;stroke-dasharray:1 3}.hatch{fill:none;stroke:#7f7f77;opacity:.4}.gapbg{fill:#f0f0ec}
.gaptx{fill:#555a63;font-size:11.5px}.hit{fill:none}.flag{fill:#ffe9a8;stroke:#7f7f77}
.flagtx{fill:#191b1f;font-size:11px;font-weight:650;text-anchor:middle}.flagln{stroke:#7f7f77;stroke-dasharray:2 2}
.odd{fill:none;stroke:#855000;stroke-width:2}
%s
.hollow{fill:#fff;stroke-width:2}.dot{stroke:#fff}.fade{opacity:.12}.seam{stroke:#fff}
.partbar{fill-opacity:.35;stroke-width:1.25;stroke-dasharray:3 2}
"""


def style() -> str:
    """The style rules of a chart outside the stylesheet of the pages."""
    slots = []
    for slot, color in enumerate(SERIES_COLORS):
        dash = f".d{slot}{{stroke-dasharray:{DASHES[slot]}}}" if DASHES[slot] else ""
        slots.append(f".k{slot}{{stroke:{color}}}.f{slot}{{fill:{color}}}{dash}")
    return STYLE % (FONT, "".join(slots))


def as_document(chart: ChartData) -> str:
    """The chart as a document with title, summary and drawing."""
    inner = draw(chart, WIDE, "c1")
    width, height = WIDE.width + 2 * PAD, WIDE.height + HEAD + PAD
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{height}" viewBox="0 0 {width} {height}">'
        f"<title>{escape(chart.name)}</title><desc>{escape(chart.summary)}</desc><style>{style()}</style>"
        f'<rect width="{width}" height="{height}" fill="#fff"/>'
        f"{text(PAD, 28, chart.name, 'name')}{text(PAD, 47, _cut(chart.summary), 'said')}"
        f'<g transform="translate({PAD} {HEAD})">{_nested(inner)}</g></svg>\n'
    )


def _nested(drawn: str) -> str:
    """A drawing to nest inside another one. It needs its own size."""
    return drawn.replace('<svg class="wide" ', f'<svg width="{WIDE.width}" height="{WIDE.height}" ', 1)


def _cut(summary: str, most: int = 140) -> str:
    return summary if len(summary) <= most else summary[: most - 1] + "…"


def as_png(document: str) -> bytes:
    """A drawing as PNG. If vl-convert is not installed, raises TallybookError with the command that installs it."""
    drawn: bytes = _converter().svg_to_png(document, scale=SCALE)
    return drawn


def as_pdf(document: str) -> bytes:
    """A drawing as PDF. Raises like `as_png`."""
    drawn: bytes = _converter().svg_to_pdf(document)
    return drawn


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError:
        reason = "a chart as a picture needs the package vl-convert-python, which is not installed"
        raise TallybookError(reason, hint="pip install 'tallybook[server]'") from None
    return vl_convert


@dataclass(frozen=True, kw_only=True)
class BoardPicture:
    """A card of a board: its title and, if it has one, its chart."""

    title: str
    chart: ChartData | None


def board_document(title: str, said: str, pictures: Sequence[BoardPicture]) -> str:
    """Several charts below each other, as one document."""
    parts, y = [text(PAD, 32, title, "board"), text(PAD, 52, said, "said")], 84
    for place, one in enumerate(pictures):
        parts.append(text(PAD, y, one.title, "name"))
        y += 14
        if one.chart is not None:
            drawn = _nested(draw(one.chart, WIDE, f"b{place}"))
            parts.append(f'<g transform="translate({PAD} {y})">{drawn}</g>')
            y += WIDE.height
        y += 30
    width = WIDE.width + 2 * PAD
    rules = style() + ".board{font-size:24px;font-weight:650;fill:#191b1f}"
    return (
        f'<svg xmlns="http://www.w3.org/2000/svg" width="{width}" height="{y}" viewBox="0 0 {width} {y}">'
        f"<title>{escape(title)}</title><style>{rules}</style>"
        f'<rect width="{width}" height="{y}" fill="#fff"/>{"".join(parts)}</svg>\n'
    )
