"""Formats numbers, changes and periods for pages. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import pairwise
from statistics import median
from typing import Any

from tallybook.core import HIGHER, Column, Metric, Row, metric_words, number_format

MINUS, UNKNOWN = "−", "–"
USUAL_FACTOR = 2.0
"""A change is colored if it is larger than the usual change by this factor."""
MIN_USUAL_CHANGES = 4
BRIEF_FROM = 1000
SHOW_NAMES = {"total": "Total", "average": "Daily average", "min": "Lowest day", "max": "Highest day"}
MARKS = (("carried", "†"), ("imported", "‡"))


@dataclass(frozen=True, kw_only=True)
class Shown:
    """A number as text, its unit, and its marks."""

    text: str
    unit: str = ""
    marks: str = ""

    @property
    def spaced_unit(self) -> str:
        return self.unit if self.unit in ("", "%") else f" {self.unit}"

    def __str__(self) -> str:
        return f"{self.text}{self.marks}{self.spaced_unit}"


@dataclass(frozen=True, kw_only=True)
class Change:
    """A change in words. `way`: up, down or flat. `tone`: good or bad, if it is known and the change is unusual."""

    text: str
    way: str
    tone: str = ""


def number(value: Any, column: Column, *, brief: bool = False, values: Iterable[Any] = ()) -> Shown:
    """A value, formatted for people. `brief`: no decimals from 1,000 on. `values`: other values with the same
    format."""
    how = number_format(column, [*values, value])
    unit = how.after.strip()
    if value is None:
        return Shown(text=UNKNOWN)
    text = how.text(value)
    if how.after and text.endswith(how.after):
        text = text[: -len(how.after)]
    if brief and not how.asked and abs(value) >= BRIEF_FROM and "." in text and "e" not in text:
        text = f"{Decimal(str(value)).quantize(Decimal(1)):,}"
    return Shown(text=text.replace("-", MINUS), unit=unit)


def numbers(values: Sequence[Any], column: Column) -> list[Shown]:
    """Values of a column, all with the same number of decimals."""
    return [number(value, column, values=values) for value in values]


def marks_of(row: Row, metric: str) -> str:
    """The marks of a value: ≈ approximate, † carried, ‡ imported."""
    note = (row.get("notes") or {}).get(metric) or {}
    if row.get(metric) is None:
        return ""
    approximate = "≈" if row.get("approximate") and (note.get("error") or len(row.get("notes") or {}) == 0) else ""
    return approximate + "".join(mark for key, mark in MARKS if note.get(key))


def change_of(now: Any, before: Any) -> float | None:
    """The change as a fraction, or None if it cannot be computed."""
    if now is None or before is None or before == 0:
        return None
    return float(now) / float(before) - 1 if float(before) > 0 else None


def change(share: float | None, better: str = "", usual: float | None = None) -> Change | None:
    """A change in words. It has a tone only if the metric declares which direction is better."""
    if share is None:
        return None
    digits = 0 if abs(share) >= 10 else 1
    shown = round(share * 100, digits)
    if shown == 0:
        return Change(text="0.0%", way="flat")
    text = f"{'+' if shown > 0 else MINUS}{abs(shown):,.{digits}f}%"
    is_unusual = bool(better) and usual is not None and abs(share) > USUAL_FACTOR * usual
    tone = ("good" if (share > 0) == (better == HIGHER) else "bad") if is_unusual else ""
    return Change(text=text, way="up" if shown > 0 else "down", tone=tone)


def usual_change(values: Sequence[Any]) -> float | None:
    """The median size of the changes between neighbors. None if there are too few."""
    found = [abs(one) for a, b in pairwise(values) if (one := change_of(b, a)) is not None]
    return median(found) if len(found) >= MIN_USUAL_CHANGES else None


def title_of(metric: Metric) -> str:
    """The display name of a metric: its title, or else its name in words."""
    return metric_words({"name": metric.name, "title": metric.title, "unit": metric.unit})


def period_phrase(label: str, scope: str) -> str:
    """A period in a sentence: `week of 2026-11-16`, `2026-11`."""
    return f"week of {label}" if scope == "week" else label


def show_name(show: str, scope: str, *, is_level: bool, adds_up: bool = True) -> str:
    """The name of a show, in words. A metric that does not add up has no total; for example, an average covers all
    facts of a period."""
    if show == "total" and not adds_up:
        return f"Whole {scope}"
    if show in SHOW_NAMES:
        return SHOW_NAMES[show]
    if show == "change":
        return f"Change over {scope}"
    end = show == "last"
    if is_level:
        return f"{'End' if end else 'First day'} of {scope}"
    return "Last day" if end else "First day"


def begins_sentence(text: str) -> str:
    """The text with a capital first letter, unless the text begins with a name such as tallybook.toml or api_calls."""
    first = text.partition(" ")[0].rstrip(".,:;")
    return text[:1].upper() + text[1:] if first.isalpha() and first != "tallybook" else text


def listed(texts: Sequence[str], most: int = 3) -> str:
    """`a`, `a and b`, `a, b and c`, `a, b and 4 more`."""
    shown = list(texts[:most]) if len(texts) > most else list(texts)
    rest = [f"{len(texts) - most} more"] if len(texts) > most else []
    parts = [*shown, *rest]
    return parts[0] if len(parts) == 1 else f"{', '.join(parts[:-1])} and {parts[-1]}" if parts else ""


def days_phrase(days: int) -> str:
    return f"{days:,} day{'' if days == 1 else 's'}"
