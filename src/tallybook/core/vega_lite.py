"""A Vega-Lite specification that can save itself as a picture."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

from tallybook.core.chart import MIME
from tallybook.core.errors import QueryError, TallybookError

SCALE = 2
"""Pixels of a PNG file for each pixel of the chart."""


class VegaLiteChart(dict[str, Any]):
    """A Vega-Lite v5 specification: a dict for `json.dumps`, Altair and the Vega tools. Notebooks draw it."""

    def save(self, path: str | Path) -> Path:
        """Write the chart to a file and return its path. `.json` is the specification; `.png`, `.svg` and `.html` are
        pictures.

        Pictures need `tallybook[charts]`. Nothing is fetched from the network."""
        target = Path(path)
        write = _WRITERS.get(target.suffix.lower())
        if write is None:
            raise QueryError(
                f"cannot tell the format of a chart from {target.name!r}",
                hint=f'save("{target.stem or "chart"}.png"), or another of {", ".join(_WRITERS)}',
            )
        target.write_bytes(write(self))
        return target

    def _repr_mimebundle_(self, include: object = None, exclude: object = None) -> dict[str, Any]:
        return {MIME: dict(self), "text/plain": str(self.get("description", ""))}


def _as_json(chart: VegaLiteChart) -> bytes:
    return (json.dumps(chart, ensure_ascii=False, indent=1) + "\n").encode()


def _as_png(chart: VegaLiteChart) -> bytes:
    picture: bytes = _converter().vegalite_to_png(dict(chart), scale=SCALE)
    return picture


def _as_svg(chart: VegaLiteChart) -> bytes:
    return str(_converter().vegalite_to_svg(dict(chart))).encode()


def _as_html(chart: VegaLiteChart) -> bytes:
    return str(_converter().vegalite_to_html(dict(chart), bundle=True)).encode()


_WRITERS: dict[str, Callable[[VegaLiteChart], bytes]] = {
    ".json": _as_json,
    ".png": _as_png,
    ".svg": _as_svg,
    ".html": _as_html,
}


def _converter() -> Any:
    try:
        import vl_convert
    except ImportError as error:
        raise TallybookError(
            "a chart as a picture needs the package vl-convert-python, which is not installed",
            hint="pip install 'tallybook[charts]'",
        ) from error
    return vl_convert
