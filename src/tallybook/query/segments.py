"""Segments: the same question for each of several named lists of filters, as series of one answer.

Nothing is summed over segments, because a fact may be in several of them or in none."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import date
from typing import TYPE_CHECKING, Any, Generic, TypeVar

import msgspec

from tallybook.core import Catalog, Column, QueryError, Result, split_segment
from tallybook.query.filter_texts import parse_filter
from tallybook.query.mixed_units import check_units_of_segments
from tallybook.query.question import BoundedQuestion, Question

if TYPE_CHECKING:
    from tallybook.query.questions import Query

SEGMENT = "segment"
"""The column with the segment name of each row."""
MAX_SEGMENTS = 20
_WIDTHS = ("integer", "decimal", "float")
Row = dict[str, Any]
Q = TypeVar("Q")


@dataclass(frozen=True, kw_only=True)
class QuestionSegment:
    """A name and its conditions. Each is a filter like those of `--where`, and they are combined like those."""

    name: str
    where: tuple[str, ...]

    @property
    def text(self) -> str:
        """The segment as written in a question."""
        return f"{self.name}: {', '.join(self.where)}"


@dataclass(frozen=True, kw_only=True)
class SegmentQuery(Generic[Q]):
    """A segment and its checked question."""

    segment: QuestionSegment
    query: Q


def parse_segment(text: str) -> QuestionSegment:
    """Parse a segment such as `paid: plan=pro, country=DE`. Raises QueryError with the expected form."""
    written = split_segment(text)
    name, where = written.name, written.conditions
    for one in where:
        try:
            parse_filter(one)
        except QueryError as error:
            raise _wrong(f"condition {one!r} of segment {name!r} is not understood", error.hint) from None
    _check_words(name, where, written.words)
    return QuestionSegment(name=name, where=where)


def segments_of(question: Question) -> list[QuestionSegment]:
    """The segments of a question. Raises QueryError for an invalid segment or a repeated name."""
    found: dict[str, QuestionSegment] = {}
    for text in question.segments:
        one = parse_segment(text)
        if (other := found.get(one.name.casefold())) is not None:
            raise _wrong(f"two segments are called {one.name!r}: {other.text!r} and {one.text!r}", "a name for each")
        found[one.name.casefold()] = one
    if len(found) > MAX_SEGMENTS:
        raise _wrong(f"{len(found)} segments are asked for, at most {MAX_SEGMENTS} are possible", "fewer segments")
    return list(found.values())


def check_segments(catalog: Catalog, question: Question, check: Callable[[Question], Query]) -> Query:
    """The Query of a question with segments. `check` creates the Query of each segment, and its errors are raised."""
    segments = segments_of(question)
    plain = replace(question, segments=(), sort=[key for key in question.sort if key.removeprefix("-") != SEGMENT])
    group = len(plain.within) + 1
    found = []
    for one in segments:
        query = _checked(plain, one, check)
        query = replace(query, sort=(), limit=None, segment_group=group)
        found.append(SegmentQuery(segment=one, query=query))
    first = found[0].query
    if SEGMENT in (*first.metrics, *first.by):
        raise _wrong("--segment adds a column 'segment', and there is one already", "--where in place of --segment")
    check_units_of_segments(catalog, question, [one.query for one in found])
    where = tuple(one for one in first.where if one.group != group)
    sort = tuple(part.strip() for key in question.sort for part in key.split(",") if part.strip())
    return replace(
        first, where=where, segments=tuple(found), segment_group=None, sort=sort, limit=question.limit, weekdays=None
    )


def side_by_side(query: Query, results: Sequence[Result], arranged: Callable[[Query, list[Row]], list[Row]]) -> Result:
    """Combine the answers of the segments into one: by period, then by segment in the order of the question."""
    names = [one.segment.name for one in query.segments]
    by_period: dict[date | None, list[Row]] = {}
    for name, result in zip(names, results, strict=True):
        for row in result.data:
            by_period.setdefault(row["period"], []).append({"period": row["period"], SEGMENT: name, **row})
    periods = sorted(by_period, key=lambda period: (period is None, period or date.min))
    rows = [row for period in periods for row in by_period[period]]
    period, *others = (_widest(columns) for columns in zip(*(one.columns for one in results), strict=True))
    return msgspec.structs.replace(
        results[0],
        columns=[period, Column(name=SEGMENT, role="dimension", type="text"), *others],
        data=arranged(replace(query, having=()), rows),
        explain=_explained(query, results),
        warnings=list(dict.fromkeys(why for one in results for why in one.warnings)),
        sql=results[-1].sql,
    )


# -- inside


def _wrong(message: str, hint: str) -> QueryError:
    return QueryError(message, hint=hint, field="segments")


def _check_words(name: str, where: Sequence[str], words: Sequence[str]) -> None:
    """Raise QueryError if `and` and `or` would mean something else than the filters do.

    Filters on one dimension with = are alternatives; all others must be true together."""
    if "and" in words and "or" in words:
        raise _wrong(
            f"segment {name!r} has both `and` and `or`, which people read in two ways",
            f'"{name}: {", ".join(where)}": one dimension with = several times means or, else and',
        )
    filters = [parse_filter(text) for text in where]
    for word, one, other in zip(words, filters, filters[1:], strict=False):
        if word == "or" and not (one.equal and other.equal and one.dimension == other.dimension):
            raise _wrong(
                f"`or` in segment {name!r} joins conditions that are not values of one dimension",
                "a segment for each; `or` is for plan=pro or plan=team",
            )
    equal = [one.dimension for one in filters if one.equal]
    twice = next((one for one in equal if equal.count(one) > 1), None)
    if "and" in words and twice is not None:
        raise _wrong(
            f"no row is in segment {name!r}: {twice} cannot have two values at once",
            f"`or` in place of `and`: {twice}=… or {twice}=…",
        )


def _checked(plain: Question, segment: QuestionSegment, check: Callable[[Question], Query]) -> Query:
    """The Query of one segment. Errors that only its conditions cause name the segment."""
    try:
        return check(BoundedQuestion.bounded(plain, [*plain.within, segment.where]))
    except QueryError as error:
        if error.field == "where":
            check(plain)
            raise _wrong(f"segment {segment.name!r}: {error.message}", error.hint) from None
        raise


def _widest(columns: Sequence[Column]) -> Column:
    """The column with the widest type. A column without values may have a narrower type that depends on the filters."""
    return max(columns, key=lambda one: _WIDTHS.index(one.type) if one.type in _WIDTHS else 0)


def _explained(query: Query, results: Sequence[Result]) -> str:
    conditions = [f"{one.segment.name!r} ({', '.join(one.segment.where)})" for one in query.segments]
    listed = f"A series for each segment, each computed from its own rows: {', '.join(conditions)}."
    sentences = list(dict.fromkeys(one.explain for one in results))
    if len(sentences) == 1:
        return f"{sentences[0]} {listed}"
    own = (f"Segment {one.segment.name!r}: {text.explain}" for one, text in zip(query.segments, results, strict=True))
    return " ".join([*own, listed])
