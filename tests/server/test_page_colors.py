"""The colors of the stylesheet, measured: contrast of text by WCAG, distances of series for all kinds of eyes."""

from __future__ import annotations

import math
import re
from itertools import combinations

import pytest

from tallybook.core.palette import COLORS
from tallybook.server.charts.standalone import SERIES_COLORS
from tallybook.server.pages.templates import static_file

CSS = static_file("pages.css").decode()
BLOCKS = {
    "light": CSS.partition(":root {")[2].partition("}")[0],
    "dark": CSS.partition(':root[data-theme="dark"] {')[2].partition("}")[0],
    "system": CSS.partition(':root:not([data-theme="light"]) {')[2].partition("}")[0],
}
TOKENS = {name: dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6});", block)) for name, block in BLOCKS.items()}
TEXTS = ("ink", "ink-2", "accent", "good", "bad", "warn")
SURFACES = ("bg", "surface", "sunken", "warn-soft", "accent-soft")
# Machado, Oliveira and Fernandes 2009, severity 1.
VISIONS = {
    "normal": ((1.0, 0.0, 0.0), (0.0, 1.0, 0.0), (0.0, 0.0, 1.0)),
    "protan": ((0.152286, 1.052583, -0.204868), (0.114503, 0.786281, 0.099216), (-0.003882, -0.048116, 1.051998)),
    "deutan": ((0.367322, 0.860646, -0.227968), (0.280085, 0.672501, 0.047413), (-0.01182, 0.04294, 0.968881)),
    "tritan": ((1.255528, -0.076749, -0.178779), (-0.078411, 0.930809, 0.147602), (0.004733, 0.691367, 0.3039)),
}
Color = tuple[float, float, float]


def linear(text: str) -> Color:
    parts = [int(text[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    r, g, b = (c / 12.92 if c <= 0.04045 else ((c + 0.055) / 1.055) ** 2.4 for c in parts)
    return r, g, b


def luminance(text: str) -> float:
    r, g, b = linear(text)
    return 0.2126 * r + 0.7152 * g + 0.0722 * b


def contrast(a: str, b: str) -> float:
    low, high = sorted((luminance(a), luminance(b)))
    return (high + 0.05) / (low + 0.05)


def lab(color: Color) -> Color:
    r, g, b = (min(1.0, max(0.0, part)) for part in color)
    x = (0.4124564 * r + 0.3575761 * g + 0.1804375 * b) / 0.95047
    y = 0.2126729 * r + 0.7151522 * g + 0.0721750 * b
    z = (0.0193339 * r + 0.1191920 * g + 0.9503041 * b) / 1.08883
    fx, fy, fz = (t ** (1 / 3) if t > 0.008856 else 7.787 * t + 16 / 116 for t in (x, y, z))
    return 116 * fy - 16, 500 * (fx - fy), 200 * (fy - fz)


def distance(one: Color, other: Color) -> float:
    """CIEDE2000."""
    (l1, a1, b1), (l2, a2, b2) = one, other
    c_mean = (math.hypot(a1, b1) + math.hypot(a2, b2)) / 2
    g = 0.5 * (1 - math.sqrt(c_mean**7 / (c_mean**7 + 25**7)))
    a1, a2 = a1 * (1 + g), a2 * (1 + g)
    c1, c2 = math.hypot(a1, b1), math.hypot(a2, b2)
    h1, h2 = math.degrees(math.atan2(b1, a1)) % 360, math.degrees(math.atan2(b2, a2)) % 360
    dh = ((h2 - h1 + 180) % 360 - 180) if c1 * c2 else 0.0
    big_h = 2 * math.sqrt(c1 * c2) * math.sin(math.radians(dh / 2))
    l_mean, c_mean = (l1 + l2) / 2, (c1 + c2) / 2
    h_mean = (h1 + h2) / 2 + (180 if abs(h1 - h2) > 180 else 0) if c1 * c2 else h1 + h2
    t = (
        1
        - 0.17 * math.cos(math.radians(h_mean - 30))
        + 0.24 * math.cos(math.radians(2 * h_mean))
        + 0.32 * math.cos(math.radians(3 * h_mean + 6))
        - 0.20 * math.cos(math.radians(4 * h_mean - 63))
    )
    s_l = 1 + 0.015 * (l_mean - 50) ** 2 / math.sqrt(20 + (l_mean - 50) ** 2)
    s_c, s_h = 1 + 0.045 * c_mean, 1 + 0.015 * c_mean * t
    turn = 60 * math.exp(-(((h_mean - 275) / 25) ** 2))
    r_t = -math.sin(math.radians(turn)) * 2 * math.sqrt(c_mean**7 / (c_mean**7 + 25**7))
    dl, dc, dhh = (l2 - l1) / s_l, (c2 - c1) / s_c, big_h / s_h
    return math.sqrt(max(0.0, dl**2 + dc**2 + dhh**2 + r_t * dc * dhh))


def seen(text: str, vision: str) -> Color:
    color = linear(text)
    r, g, b = (sum(m * c for m, c in zip(row, color, strict=True)) for row in VISIONS[vision])
    return lab((r, g, b))


def test_the_dark_theme_of_the_system_is_that_of_the_reader() -> None:
    assert TOKENS["dark"] == TOKENS["system"]
    assert TOKENS["light"].keys() == TOKENS["dark"].keys()


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_text_can_be_read_on_every_surface(theme: str) -> None:
    tokens = TOKENS[theme]
    ratios = {(text, on): contrast(tokens[text], tokens[on]) for text in TEXTS for on in SURFACES}
    assert min(ratios.values()) >= 4.5, min(ratios, key=lambda pair: ratios[pair])
    assert contrast(tokens["accent-ink"], tokens["accent"]) >= 4.5
    assert min(contrast(tokens["control"], tokens[on]) for on in ("bg", "surface")) >= 3
    assert min(contrast(tokens["axis"], tokens[on]) for on in ("bg", "surface")) >= 3


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_series_can_be_seen_and_told_apart(theme: str) -> None:
    tokens = TOKENS[theme]
    slots = [tokens[f"s{number}"] for number in range(1, 9)]
    assert min(contrast(slot, tokens["surface"]) for slot in slots) >= 3
    for vision in VISIONS:
        apart = min(distance(seen(a, vision), seen(b, vision)) for a, b in combinations(slots, 2))
        assert apart >= 11.5, (vision, apart)
        first = min(distance(seen(a, vision), seen(b, vision)) for a, b in combinations(slots[:5], 2))
        assert first >= 15.5, (vision, first)


def test_files_and_notebooks_have_the_colors_of_the_light_theme() -> None:
    assert tuple(TOKENS["light"][f"s{number}"] for number in range(9)) == SERIES_COLORS
    assert SERIES_COLORS[1:] == COLORS
