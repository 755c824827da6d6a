"""Matches rows of a table with lines of a grid, even after people edited the key cells. Pure.

A row is found by its key, which is the cells of its period and dimensions. Exact keys are matched first. Keys without a
row are then matched by meaning: a day may be a text, have a time or be computed, and a name may have another case or
blanks around it. If two keys share a meaning, the one that is written more alike is taken: `pro ` is `pro`, not `Pro`.
If both are equally alike, or another row has the key exactly, nothing matches. Such rows are reported, not guessed."""

from __future__ import annotations

import unicodedata
from bisect import bisect_right
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, timedelta
from functools import cached_property
from itertools import product

from tallybook.core import PLAIN, BookCalendar
from tallybook.deliver.destinations.layout import PERIOD, Field, Grid
from tallybook.deliver.destinations.typed_days import days_of

Cell = float | str | bool | None
Key = tuple[Cell, ...]
DAY_0 = date(1899, 12, 30)
"""Day 0 of spreadsheets."""
EMPTY_TEXT = "(empty)"
"""The key of an empty text, because a blank cell is null."""


class Formula(str):
    """A cell with a formula: its text, such as `=A1*2`, and in `shows` its result."""

    __slots__ = ("shows",)
    shows: float | str | bool | None

    def __new__(cls, text: str, shows: float | str | bool | None = None) -> Formula:
        made = super().__new__(cls, text)
        made.shows = shows
        return made


def key_text(text: str) -> str:
    """The key of a text, unique for each text. The empty text has a name, and a text equal to that name gets
    brackets."""
    inner = text.lstrip("(").rstrip(")")
    taken = inner == EMPTY_TEXT[1:-1] and text.startswith("(") and text.endswith(")")
    return EMPTY_TEXT if text == "" else f"({text})" if taken else text


@dataclass(frozen=True, kw_only=True)
class KeyReader:
    """Reads the meaning of key cells, given the wanted keys."""

    kinds: tuple[str, ...]
    """The kind of each key field: PERIOD or TEXT."""
    wanted: Collection[Key]
    scope: str
    month_first: bool = False
    """Whether the document writes 3 January as 1/3/2026."""
    day_0: date = DAY_0
    calendar: BookCalendar = PLAIN

    @classmethod
    def of(
        cls,
        grid: Grid,
        fields: Sequence[Field],
        wanted: Collection[Key],
        *,
        month_first: bool = False,
        day_0: date = DAY_0,
    ) -> KeyReader:
        kinds = tuple(field.kind for field in fields)
        return cls(
            kinds=kinds,
            wanted=wanted,
            scope=grid.scope,
            month_first=month_first,
            day_0=day_0,
            calendar=grid.calendar,
        )

    def meanings(self, cells: Key) -> Iterator[Key]:
        """Keys in their folded form, most likely first."""
        return product(*(self._of_cell(kind, cell) for kind, cell in zip(self.kinds, cells, strict=True)))

    @cached_property
    def folded(self) -> Mapping[Key, list[Key]]:
        """The wanted keys by their folded form. There are several keys if they differ only in case or blanks."""
        found: dict[Key, list[Key]] = {}
        for key in self.wanted:
            found.setdefault(next(self.meanings(key)), []).append(key)
        return found

    @cached_property
    def _starts(self) -> list[float]:
        """The wanted periods, as numbers."""
        places = [place for place, kind in enumerate(self.kinds) if kind == PERIOD]
        return sorted({cell for key in self.wanted for place in places if isinstance(cell := key[place], float)})

    def _of_cell(self, kind: str, cell: Cell) -> list[Cell]:
        value = cell.shows if isinstance(cell, Formula) else cell
        return self._periods(value) if kind == PERIOD else self._texts(value)

    def _periods(self, value: Cell) -> list[Cell]:
        """The periods that contain a day, as the number of their first day."""
        days = self.days(value)
        return [self._start(float((day - self.day_0).days)) for day in days] or [fold(value)]

    def days(self, value: Cell) -> list[date]:
        """The possible days of a period cell. Empty if the cell is not a day."""
        if isinstance(value, str):
            start = self.calendar.start_named(value, self.scope)
            return [start] if start else days_of(value, month_first=self.month_first, scope=self.scope)
        if isinstance(value, bool) or value is None or not 0 <= value < 2_958_466:
            return []
        year = int(value) if self.scope == "year" and value.is_integer() and 1900 <= value <= 2200 else 0
        if year:
            return [self.calendar.start_named(f"FY{year}", "year") or date(year, 1, 1)]
        return [self.day_0 + timedelta(days=int(value))]

    def _start(self, serial: float) -> float:
        place = bisect_right(self._starts, serial)
        start = self._starts[place - 1] if place else serial
        if start == serial or self.scope == "all":
            return serial
        end = self.calendar.period_end(self.day_0 + timedelta(days=int(start)), self.scope)
        return start if serial <= (end - self.day_0).days else serial

    def _texts(self, value: Cell) -> list[Cell]:
        if value is None or fold(value) == "":  # a blank cell looks empty, so it counts as empty
            return [None, fold(EMPTY_TEXT)]
        found = [fold(value)]
        if isinstance(value, float) and value.is_integer() and 0 <= value < 2_958_466:
            found.append(str(self.day_0 + timedelta(days=int(value))))  # a text that looked like a date
        return found


def fold(value: Cell) -> Cell:
    """A text without differences in case, width, blanks and leading zeros. Other values become such a text."""
    if value is None:
        return None
    if isinstance(value, bool):
        return str(value).casefold()
    if isinstance(value, float):
        return f"{value:.15g}"
    text = _without_blanks(value.casefold())
    return f"{float(text):.15g}" if text.isascii() and text.isdigit() and len(text) < 16 else text


@dataclass(kw_only=True)
class Matched:
    """The rows of a table by their kind."""

    rows: dict[Key, int] = field(default_factory=dict)
    """Rows of wanted keys."""
    edited: dict[int, Key] = field(default_factory=dict)
    """Rows that match a wanted key by meaning but are written differently."""
    twice: list[int] = field(default_factory=list)
    """Rows with the key of another row, in this form or another."""
    others: dict[int, Key] = field(default_factory=dict)
    """All other rows, with their cells."""


def match(rows: Mapping[int, Key], reader: KeyReader) -> Matched:
    """The row of each wanted key, if there is one."""
    found, wanted = Matched(), set(reader.wanted)
    for row, cells in rows.items():
        # True equals 1.0 and a formula equals its text, but neither is the value itself.
        exact = cells in wanted and not any(isinstance(cell, bool | Formula) for cell in cells)
        if exact and cells not in found.rows:
            found.rows[cells] = row
        else:
            found.others[row] = cells
    for row, cells in list(found.others.items()):
        meant = _meant(cells, reader)
        free = [key for key in meant if key not in found.rows and not (cells in wanted and _alike(key, cells, reader))]
        free = _closest(cells, [key for key in free if _alike(key, free[0], reader)])
        if len(free) > 1:
            continue  # keys that differ only in what was edited
        if free:
            found.rows[free[0]], found.edited[row] = row, free[0]
        elif meant:
            found.twice.append(row)
        else:
            continue
        del found.others[row]
    return found


def _meant(cells: Key, reader: KeyReader) -> list[Key]:
    return [key for folded in reader.meanings(cells) for key in reader.folded.get(folded, ())]


def _closest(cells: Key, keys: list[Key]) -> list[Key]:
    """Among keys with the same meaning, those with the most cells written like the cells of the row."""
    grades = [sum(map(_likeness, cells, key)) for key in keys]
    return [key for key, grade in zip(keys, grades, strict=True) if grade == max(grades)]


def _likeness(cell: Cell, wanted: Cell) -> int:
    """How alike two cells with the same meaning are written: 2 is identical, 1 differs in blanks or width, 0 also
    differs in case."""
    value = cell.shows if isinstance(cell, Formula) else cell
    if value == wanted and type(value) is type(wanted):
        return 2
    return int(isinstance(value, str) and isinstance(wanted, str) and _without_blanks(value) == _without_blanks(wanted))


def _without_blanks(text: str) -> str:
    """A text without differences in width and blanks."""
    return " ".join(unicodedata.normalize("NFKC", text).split()).removeprefix("'")


def _alike(one: Key, other: Key, reader: KeyReader) -> bool:
    return next(reader.meanings(one)) == next(reader.meanings(other))
