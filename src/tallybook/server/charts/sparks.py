"""Sparklines of complete periods, with gaps shown as gaps. Screen readers skip them, because the numbers are next to
them."""

from __future__ import annotations

from collections.abc import Sequence

from tallybook.server.charts.marks import n, polyline, runs


def spark(
    values: Sequence[float | None], *, width: int = 136, height: int = 30, kind: str = "spark", slot: int = 1
) -> str:
    """A line through values. None is a gap, and is shaded."""
    known = [value for value in values if value is not None]
    head = f'<svg class="{kind}" viewBox="0 0 {width} {height}" aria-hidden="true" focusable="false">'
    if len(known) < 2:
        return f"{head}</svg>"
    low, high = min(known), max(known)
    pad, step = 4.0, (width - 6.0) / (len(values) - 1)

    def place(index: int, value: float) -> tuple[float, float]:
        share = 0.5 if high == low else (value - low) / (high - low)
        return 3 + index * step, height - pad - share * (height - 2 * pad)

    shades = "".join(_shade(first, last, step, width, height) for first, last in _gaps(values))
    points = [None if value is None else place(index, value) for index, value in enumerate(values)]
    path = "".join(polyline(run) for run in runs(points))
    last = next(point for point in reversed(points) if point is not None)
    end = f'<circle class="f{slot}" cx="{n(last[0])}" cy="{n(last[1])}" r="2.6"/>'
    return f'{head}{shades}<path class="ln k{slot}" d="{path}"/>{end}</svg>'


def _gaps(values: Sequence[float | None]) -> list[tuple[int, int]]:
    """(first, last) index of each run of gaps."""
    found: list[tuple[int, int]] = []
    for index, value in enumerate(values):
        if value is not None:
            continue
        if found and found[-1][1] == index - 1:
            found[-1] = (found[-1][0], index)
        else:
            found.append((index, index))
    return found


def _shade(first: int, last: int, step: float, width: int, height: int) -> str:
    left = max(0.0, 3 + (first - 0.5) * step)
    right = min(float(width), 3 + (last + 0.5) * step)
    return f'<rect class="gapbg" x="{n(left)}" y="0" width="{n(right - left)}" height="{height}"/>'


def bar(share: float) -> str:
    """A share between 0 and 1, as a bar."""
    part = max(0.0, min(1.0, share)) * 100
    return (
        '<svg class="bar" viewBox="0 0 100 8" preserveAspectRatio="none" aria-hidden="true" focusable="false">'
        f'<rect class="rest" width="100" height="8" rx="2"/><rect width="{n(part)}" height="8" rx="2"/></svg>'
    )
