"""Colors: each has two fields, such as `backgroundColor` and `backgroundColorStyle`, and its parts are 32-bit floats.

https://developers.google.com/workspace/sheets/api/reference/rest/v4/spreadsheets/other#ColorStyle"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterable
from typing import Any

Json = dict[str, Any]
PARTS = frozenset({"red", "green", "blue", "alpha"})
STYLE = "Style"
COLORS = frozenset(
    {
        "backgroundColor",
        "barColor",
        "bubbleBorderColor",
        "color",
        "firstBandColor",
        "footerColor",
        "foregroundColor",
        "headerColor",
        "maxValueColor",
        "midValueColor",
        "minValueColor",
        "negativeColor",
        "noDataColor",
        "nodeColor",
        "positiveColor",
        "secondBandColor",
        "selectedNodeColor",
        "tabColor",
        "visibleBackgroundColor",
        "visibleForegroundColor",
    }
)
"""Fields of type Color that have a sibling field of type ColorStyle."""
STYLES = frozenset(name + STYLE for name in COLORS)
ONLY_STYLES = "rowsProperties"
"""The field with TableRowsProperties, which has fields of type ColorStyle only."""
THEME_RGB = {
    "TEXT": (0, 0, 0),
    "BACKGROUND": (255, 255, 255),
    "ACCENT1": (66, 133, 244),
    "ACCENT2": (234, 67, 53),
    "ACCENT3": (251, 188, 4),
    "ACCENT4": (52, 168, 83),
    "ACCENT5": (255, 109, 1),
    "ACCENT6": (70, 189, 198),
    "LINK": (17, 85, 204),
}
"""Theme colors of a new spreadsheet."""


def sibling_field(name: str) -> str | None:
    """The sibling field of the same color: `backgroundColorStyle` for `backgroundColor`, and the reverse."""
    if name in COLORS:
        return name + STYLE
    return name.removesuffix(STYLE) if name in STYLES else None


def without_stale_siblings(target: Json, given: Iterable[str]) -> Json:
    """`target` without the sibling fields of the colors in `given`, because they still have the old color."""
    names = set(given)
    gone = {other for name in names if (other := sibling_field(name)) and other not in names}
    return {name: value for name, value in target.items() if name not in gone}


def with_both_color_fields(message: Json, name: str) -> Json:
    """A message with both fields of each color. A style takes precedence. `name` is the field that contains it."""
    if name == ONLY_STYLES:
        return message
    made = dict(message)
    for color in COLORS.intersection(made):
        if made[color].keys() <= PARTS and color + STYLE not in made:
            made[color + STYLE] = {"rgbColor": made[color]}
    for style in STYLES.intersection(made):
        shown = made[style].get("rgbColor", _of_theme(made[style].get("themeColor", "")))
        if shown is not None:
            made[style.removesuffix(STYLE)] = shown
    return made


def _of_theme(name: str) -> Json | None:
    if name not in THEME_RGB:
        return None
    return {part: float32(n / 255) for part, n in zip(("red", "green", "blue"), THEME_RGB[name], strict=True) if n}


def float32(value: float) -> float:
    """A number as Google prints a 32-bit float: the shortest decimal that parses to the same float."""
    try:
        bits = struct.pack("f", value)
    except OverflowError:
        return value
    if math.isnan(value):
        return value
    (kept,) = struct.unpack("f", bits)
    found = next(one for one in (float(f"{kept:.{n}g}") for n in range(1, 10)) if struct.pack("f", one) == bits)
    return int(found) if found.is_integer() else found
