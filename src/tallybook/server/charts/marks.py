"""Marks and lines of series as SVG. Color is never the only difference: shapes and dashes differ too."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

SHAPES = ("circle", "square", "up", "diamond", "down", "plus", "hexagon", "cross")


def n(value: float) -> str:
    """A coordinate: one decimal, without a trailing zero."""
    text = f"{value:.1f}"
    return text.removesuffix(".0") if text != "-0.0" else "0"


def mark(slot: int, x: float, y: float, size: float = 4.0, *, hollow: bool = False) -> str:
    """The mark of a series at a point."""
    paint = f"hollow k{slot}" if hollow else f"dot f{slot}"
    shape = SHAPES[(slot - 1) % len(SHAPES)] if slot else "circle"
    if shape == "circle":
        return f'<circle class="{paint}" cx="{n(x)}" cy="{n(y)}" r="{n(size)}"/>'
    if shape == "square":
        return (
            f'<rect class="{paint}" x="{n(x - size)}" y="{n(y - size)}" width="{n(2 * size)}" height="{n(2 * size)}"/>'
        )
    return f'<path class="{paint}" d="{_outline(shape, x, y, size * 1.15)}"/>'


def _outline(shape: str, x: float, y: float, s: float) -> str:
    third = s * 0.42
    corners: dict[str, list[tuple[float, float]]] = {
        "up": [(0, -s), (s, s * 0.8), (-s, s * 0.8)],
        "down": [(0, s), (s, -s * 0.8), (-s, -s * 0.8)],
        "diamond": [(0, -s * 1.1), (s * 1.1, 0), (0, s * 1.1), (-s * 1.1, 0)],
        "hexagon": [(-s, 0), (-s / 2, -s), (s / 2, -s), (s, 0), (s / 2, s), (-s / 2, s)],
        "plus": _plus(s, third),
        "cross": [((a - b) * 0.75, (a + b) * 0.75) for a, b in _plus(s, third)],
    }
    return "M" + "L".join(f"{n(x + a)} {n(y + b)}" for a, b in corners[shape]) + "Z"


def _plus(s: float, third: float) -> list[tuple[float, float]]:
    quarter = [(third, -s), (third, -third), (s, -third), (s, third), (third, third), (third, s)]
    return [*quarter, *((-a, -b) for a, b in quarter)]


def polyline(points: Sequence[tuple[float, float]]) -> str:
    """The path through points."""
    return "M" + "L".join(f"{n(x)} {n(y)}" for x, y in points) if points else ""


def runs(points: Iterable[tuple[float, float] | None]) -> list[list[tuple[float, float]]]:
    """The groups of consecutive points without gaps."""
    found: list[list[tuple[float, float]]] = [[]]
    for point in points:
        if point is None:
            found.append([])
        else:
            found[-1].append(point)
    return [run for run in found if run]


def text(x: float, y: float, words: str, kind: str, anchor: str = "") -> str:
    """A text. `anchor`: middle or end."""
    where = f' text-anchor="{anchor}"' if anchor else ""
    return f'<text class="{kind}" x="{n(x)}" y="{n(y)}"{where}>{escape(words)}</text>'


def rect(kind: str, x: float, y: float, width: float, height: float, more: str = "") -> str:
    """A rectangle."""
    return f'<rect class="{kind}" x="{n(x)}" y="{n(y)}" width="{n(max(width, 0))}" height="{n(max(height, 0))}"{more}/>'


def line(kind: str, x1: float, y1: float, x2: float, y2: float) -> str:
    """A straight line."""
    return f'<line class="{kind}" x1="{n(x1)}" y1="{n(y1)}" x2="{n(x2)}" y2="{n(y2)}"/>'
