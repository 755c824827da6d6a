"""Readers that compute one part of a point from a row of the source."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

from tallybook.collect.plans import Read
from tallybook.collect.sources.base import Source
from tallybook.collect.sources.values import ColumnType, Moments, as_integer, no_number


@dataclass(frozen=True)
class At:
    """Reads one column and converts it."""

    place: int
    convert: Callable[[Any], Any]

    def __call__(self, row: Sequence[Any]) -> Any:
        return self.convert(row[self.place])


def read_column(place: int, convert: Callable[[Any], Any]) -> Read:
    return At(place, convert)


def checked_numbers(read: Read, number: int, example: int) -> Read:
    def checked(row: Sequence[Any]) -> Any:
        if row[number]:
            raise no_number(row[example], int(row[number]))
        return read(row)

    return checked


def read_spread(source: Source, places: list[int], count: int) -> dict[str, Read]:
    """Readers for squares around a K that is the mean of the values, so that the sum of distances to it is 0."""

    seen: list[Any] = [None, (None, None)]  # the last row, because three parts are read from it

    def read(row: Sequence[Any]) -> Moments:
        if seen[0] is not row:
            seen[:] = row, source.read_spread([row[place] for place in places])
        found: Moments = seen[1]
        return found

    def squares(row: Sequence[Any]) -> float | None:
        variance = read(row)[1]
        return None if variance is None else variance * int(row[count])

    def distances(row: Sequence[Any]) -> float | None:
        return None if read(row)[0] is None else 0.0

    return {"n": read_column(count, as_integer), "k": lambda row: read(row)[0], "s1": distances, "s2": squares}


def read_total(source: Source, places: list[int], type_: ColumnType, convert: Callable[[Any], Any]) -> Read:
    return lambda row: convert(source.read_total([row[p] for p in places], type_))
