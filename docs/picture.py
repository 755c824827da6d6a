"""Draws docs/pictures/terminal.svg: what the demo's company shows on a terminal, typed for real.

    python -m docs.picture

The database is that of `make demo` with fewer customers, seen on 10 March 2026. A test compares the picture with what
this would draw today."""

from __future__ import annotations

import os
import re
import shlex
import tempfile
from collections import defaultdict
from collections.abc import Iterator
from contextlib import chdir
from datetime import UTC, date, datetime
from html import escape
from io import StringIO
from pathlib import Path
from string import Template
from unittest import mock

from tallybook.cli import invoke
from tallybook.demo import __main__ as demo, saas

PICTURE = Path(__file__).resolve().parent / "pictures" / "terminal.svg"
NOW = datetime(2026, 3, 10, 8, tzinfo=UTC)
COMMANDS = (
    "tallybook query mrr --by plan --scope week --chart",
    "tallybook query revenue active_users mrr --scope month --last '3 months'",
    "tallybook query mrr --scope month --show total",
)
COLUMNS = 91
WIDE, HIGH, MARGIN = 8.0, 17.0, 16.0
"""Of a character, and around them all; in the picture's units."""
NAMES = {"1": "bold", "2": "dim", "3": "italic", "31": "red", "32": "green", "33": "yellow", "36": "cyan"}
"""Of the escapes that the terminal is sent."""
LIGHT = {
    "paper": "#f6f8fa",
    "edge": "#d0d7de",
    "ink": "#24292f",
    "frame": "#8c959f",
    "red": "#cf222e",
    "green": "#1a7f37",
    "yellow": "#bc4c00",
    "cyan": "#0969da",
}
DARK = {
    "paper": "#161b22",
    "edge": "#30363d",
    "ink": "#e6edf3",
    "frame": "#6e7681",
    "red": "#ff7b72",
    "green": "#56d364",
    "yellow": "#e3b341",
    "cyan": "#39c5cf",
}
FONT = '13px ui-monospace, SFMono-Regular, Menlo, Consolas, "DejaVu Sans Mono", monospace'


def style(colours: dict[str, str]) -> str:
    rules = [
        f"rect {{ fill: {colours['paper']}; stroke: {colours['edge']} }}",
        f"text {{ fill: {colours['ink']} }}",
        f"path {{ stroke: {colours['frame']} }}",
    ]
    named = ("red", "green", "yellow", "cyan")
    rules += [f"text.{name} {{ fill: {colours[name]} }} path.{name} {{ stroke: {colours[name]} }}" for name in named]
    return "\n".join(rules)


STYLE = f"""
text {{ font: {FONT} }} .bold {{ font-weight: bold }} .italic {{ font-style: italic }} text.dim {{ opacity: .7 }}
path {{ fill: none; stroke-width: 1 }} path.dots {{ stroke-width: 2.4; stroke-linecap: round }} \
path.dim {{ opacity: .5 }}
{style(LIGHT)}
@media (prefers-color-scheme: dark) {{
{style(DARK)}
}}
"""


class Screen(StringIO):
    """What a person looks at, so that there are colours."""

    def isatty(self) -> bool:
        return True


def typed() -> Iterator[str]:
    """The lines on the terminal, with its escapes for colours."""
    with tempfile.TemporaryDirectory() as home, chdir(home), mock.patch.dict(os.environ, COLUMNS=str(COLUMNS)):
        end = date(2026, 3, 9)
        first = saas.first_day(end, years=1)
        saas.write("app.db", end=end, first=first, scale=0.3, now=NOW.replace(tzinfo=None))
        Path("tallybook.toml").write_text(Template(demo.template()).substitute(start=first))
        printed("tallybook run --quiet revenue active_users mrr")
        for command in COMMANDS:
            yield f"\x1b[1m$ {command}\x1b[0m"
            yield from screen_lines(printed(command))
            yield ""


def printed(command: str) -> str:
    """What the command prints on a terminal, with escapes for colors."""
    screen = Screen()
    invoke(shlex.split(command)[1:], now=lambda: NOW, stdout=screen, stderr=screen, env={})
    return screen.getvalue().rstrip("\n")


def screen_lines(text: str) -> Iterator[str]:
    """The lines as a terminal breaks them at its edge; each begins with the look that the one before ended with."""
    look = ""
    for line in text.splitlines():
        hidden = sum(len(found[0]) for found in ESCAPE.finditer(line))
        edge = COLUMNS + hidden  # only lines whose looks end in their first part are so long
        parts = [line[:edge], *(line[i : i + COLUMNS] for i in range(edge, len(line), COLUMNS))]
        for part in parts:
            yield look + part
            look = next((found[0] for found in reversed(list(ESCAPE.finditer(part)))), look)


# --- the drawing: a text for each word, a stroke for each dot of the chart, so that no font can shift a column

ESCAPE = re.compile(r"\x1b\[([\d;]*)m")
STROKES = {"│": "V", "┤": "VL", "└": "NR", "─": "LR", "━": "LR"}
"""Of a chart's frame: V is up and down, N upwards, L and R to the left and right, all from the middle of the cell."""


def drawn(lines: list[str]) -> str:
    """The picture of a terminal that shows these lines."""
    strokes: dict[str, list[str]] = defaultdict(list)
    words = []
    for row, line in enumerate(lines):
        for column, text, look in pieces(line):
            x, y = MARGIN + column * WIDE, MARGIN + row * HIGH
            if all(is_braille(sign) or sign in STROKES for sign in text):
                for place, sign in enumerate(text):
                    draw, kind = (dots, "dots") if is_braille(sign) else (frame, "frame")
                    strokes[" ".join([kind, *look])] += draw(sign, x + place * WIDE, y)
            else:
                words.append(word(text, look, x, y))
    width, height = COLUMNS * WIDE + 2 * MARGIN, len(lines) * HIGH + 2 * MARGIN
    paths = [f'<path class="{kind}" d="{"".join(places)}"/>' for kind, places in sorted(strokes.items())]
    return "\n".join(
        [
            f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width:g} {height:g}" role="img">',
            f"<title>{escape(' · '.join(COMMANDS))}</title>",
            f"<style>{STYLE}</style>",
            f'<rect x=".5" y=".5" width="{width - 1:g}" height="{height - 1:g}" rx="6"/>',
            *paths,
            *words,
            "</svg>\n",
        ]
    )


SIGNS = "│┤└─━\u2800-\u28ff"
PIECE = re.compile(rf"[{SIGNS}]+|[^\s{SIGNS}]+(?: [^\s{SIGNS}]+)*")


def pieces(line: str) -> Iterator[tuple[int, str, list[str]]]:
    """Column, text and look of each stretch without two blanks in it; what is drawn apart from what is written."""
    column, look = 0, list[str]()
    for place, part in enumerate(ESCAPE.split(line)):
        if place % 2:
            look = [NAMES[code] for code in part.split(";") if code in NAMES]
            continue
        for found in PIECE.finditer(part):
            yield column + found.start(), found[0], look
        column += len(part)


def word(text: str, look: list[str], x: float, y: float) -> str:
    kind = f' class="{" ".join(look)}"' if look else ""
    return f'<text x="{x:g}" y="{y + 13:g}" textLength="{len(text) * WIDE:g}"{kind}>{escape(text, quote=False)}</text>'


def is_braille(sign: str) -> bool:
    return "\u2800" <= sign <= "\u28ff"


def dots(sign: str, x: float, y: float) -> Iterator[str]:
    """A point for each dot of the cell: two across, four down."""
    for bit, (across, down) in enumerate(((0, 0), (0, 1), (0, 2), (1, 0), (1, 1), (1, 2), (0, 3), (1, 3))):
        if (ord(sign) - 0x2800) >> bit & 1:
            yield f"M{x + (across + 0.5) * WIDE / 2:g} {y + (down + 0.5) * HIGH / 4:g}h0"


def frame(sign: str, x: float, y: float) -> Iterator[str]:
    middle, level = x + WIDE / 2, y + HIGH / 2
    ways = {
        "V": f"M{middle:g} {y:g}v{HIGH:g}",
        "N": f"M{middle:g} {y:g}v{HIGH / 2:g}",
        "L": f"M{x:g} {level:g}h{WIDE / 2:g}",
        "R": f"M{middle:g} {level:g}h{WIDE / 2:g}",
    }
    for way in STROKES[sign]:
        yield ways[way]


def picture() -> str:
    return drawn(list(typed())[:-1])


if __name__ == "__main__":
    PICTURE.parent.mkdir(exist_ok=True)
    PICTURE.write_text(picture(), "utf-8")
