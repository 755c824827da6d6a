"""The rows of an answer, one at a time. They come from the CSV text that the engine writes, so that a million rows need
little memory, or from a Result if the engine cannot write them."""

from __future__ import annotations

import itertools
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from datetime import date
from typing import TYPE_CHECKING, NamedTuple

if TYPE_CHECKING:
    from tallybook.core import Result

FLAGS = ("complete", "days", "days_expected", "approximate")


@dataclass(frozen=True, slots=True)
class RowNames:
    """The column names of rows, shared by all rows."""

    dimensions: tuple[str, ...]
    metrics: tuple[str, ...]


class AnswerRow(NamedTuple):
    """A row of an answer. `period` is ISO text. Dimensions are texts or None. `values` are numbers with all their
    digits, written as in JSON, or None if unknown."""

    names: RowNames
    period: str
    dimensions: tuple[str | None, ...]
    values: tuple[str | None, ...]
    is_complete: bool

    @property
    def day(self) -> date:
        """The first day of its period."""
        return date.fromisoformat(self.period)

    def dimension(self, name: str) -> str | None:
        return self.dimensions[self.names.dimensions.index(name)]

    def value(self, metric: str) -> str | None:
        return self.values[self.names.metrics.index(metric)]


def rows_of_csv(pieces: Iterable[str], dimensions: Sequence[str], metrics: Sequence[str]) -> Iterator[AnswerRow]:
    """The rows of CSV text in the format of `Result.to_csv(guard=False)`, in the same order."""
    names = RowNames(tuple(dimensions), tuple(metrics))
    lines = itertools.chain.from_iterable(map(_lines, pieces))
    heads = [head or "" for head in next(lines)]
    places = [heads.index(name) for name in dimensions]
    taken = {heads.index("period"), *places}
    numbers = [next(i for i, head in enumerate(heads) if head == name and i not in taken) for name in metrics]
    period, complete = heads.index("period"), len(heads) - len(FLAGS)
    for fields in lines:
        first = fields[period]
        if first is None:
            continue
        yield AnswerRow(
            names,
            first,
            tuple([fields[i] for i in places]),
            tuple([fields[i] for i in numbers]),
            fields[complete] == "true",
        )


def rows_of_result(result: Result, dimensions: Sequence[str], metrics: Sequence[str]) -> Iterator[AnswerRow]:
    """The rows of a Result."""
    return rows_of_csv([result.to_csv(guard=False)], dimensions, metrics)


def _lines(text: str) -> Iterator[list[str | None]]:
    """The fields of each line. None is an empty field; an empty text is written as two quotes."""
    start, end = 0, len(text)
    while start < end:
        stop = text.find("\n", start)
        stop = end if stop < 0 else stop
        line = text[start:stop]
        if '"' not in line:
            yield [field or None for field in line.split(",")]
            start = stop + 1
        else:
            fields, start = _quoted(text, start)
            yield fields


def _quoted(text: str, start: int) -> tuple[list[str | None], int]:
    """The fields of a line that has quotes, and the position of the next line."""
    fields: list[str | None] = []
    place, end = start, len(text)
    while True:
        if place < end and text[place] == '"':
            value, place = _quoted_field(text, place + 1)
            fields.append(value)
        else:
            stop = place
            while stop < end and text[stop] not in ",\n":
                stop += 1
            fields.append(text[place:stop] or None)
            place = stop
        if place >= end or text[place] == "\n":
            return fields, place + 1
        place += 1


def _quoted_field(text: str, place: int) -> tuple[str, int]:
    """The text of a quoted field, and the position after its closing quote."""
    parts = []
    while True:
        stop = text.index('"', place)
        parts.append(text[place:stop])
        if text[stop + 1 : stop + 2] != '"':
            return "".join(parts), stop + 1
        parts.append('"')
        place = stop + 2
