"""The formats of an answer over HTTP: selects the one that a request accepts, and writes it."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from io import BytesIO
from typing import TYPE_CHECKING

from tallybook.core import DESTINATIONS, RequestError, did_you_mean
from tallybook.deliver import OutputSettings
from tallybook.server.answers import Refusal

if TYPE_CHECKING:
    from datetime import datetime

    from tallybook.core import Result


@dataclass(frozen=True, kw_only=True)
class AnswerFormat:
    """One format. `media`: its media types, the usual one first."""

    name: str
    media: tuple[str, ...]
    ending: str
    charset: str = "; charset=utf-8"

    @property
    def content_type(self) -> str:
        return self.media[0] + self.charset


FORMATS: Mapping[str, AnswerFormat] = {
    one.name: one
    for one in (
        AnswerFormat(name="json", media=("application/json",), ending=".json", charset=""),
        AnswerFormat(name="csv", media=("text/csv",), ending=".csv"),
        AnswerFormat(
            name="ndjson",
            media=("application/x-ndjson", "application/ndjson", "application/jsonl"),
            ending=".ndjson",
            charset="",
        ),
        AnswerFormat(name="parquet", media=("application/vnd.apache.parquet",), ending=".parquet", charset=""),
        AnswerFormat(name="arrow", media=("application/vnd.apache.arrow.stream",), ending=".arrows", charset=""),
        AnswerFormat(name="markdown", media=("text/markdown",), ending=".md"),
        AnswerFormat(
            name="xlsx",
            media=("application/vnd.openxmlformats-officedocument.spreadsheetml.sheet",),
            ending=".xlsx",
            charset="",
        ),
        AnswerFormat(name="table", media=("text/plain",), ending=".txt"),
    )
}


def chosen_format(accept: str, named: object = None) -> AnswerFormat:
    """The format named `named`, or else the best format for an `Accept` header. JSON if any format is accepted.

    Raises Refusal: 400 for an unknown name, 406 if none of our formats is accepted."""
    if named is not None:
        if isinstance(named, str) and named in FORMATS:
            return FORMATS[named]
        hint = did_you_mean(named, FORMATS)
        message = f"there is no format {str(named)[:40]!r}"
        more = {"field": "format", "hint": hint} if hint else {"field": "format"}
        expected = ", ".join(FORMATS)
        raise Refusal(RequestError(status=400, code="bad_question", message=message, expected=expected, more=more))
    wanted = _accepted(accept)
    if not wanted:
        return FORMATS["json"]
    ranked = [(_quality(one, wanted), -place, one) for place, one in enumerate(FORMATS.values())]
    quality, _, best = max(ranked, key=lambda one: one[:2])
    if quality <= 0:
        message = "none of the accepted types can be given"
        expected = ", ".join(one.media[0] for one in FORMATS.values())
        raise Refusal(
            RequestError(status=406, code="not_acceptable", message=message, seen=accept[:200], expected=expected)
        )
    return best


_RANGE = re.compile(r"\s*([\w!#$&^.+*-]+/[\w!#$&^.+*-]+)\s*((?:;[^,]*)?)")


def _accepted(accept: str) -> list[tuple[str, float]]:
    """(type, quality) of each part of an `Accept` header."""
    found = []
    for part in accept.split(",")[:50]:
        if (matched := _RANGE.fullmatch(part)) is not None:
            given = re.search(r";\s*q=([01](?:\.\d{1,3})?)\s*(?:;|$)", matched[2])
            found.append((matched[1].lower(), float(given[1]) if given else 1.0))
    return found


def _quality(one: AnswerFormat, wanted: Sequence[tuple[str, float]]) -> float:
    """How much a format is wanted, by the most specific range that matches it."""
    best: tuple[int, float] = (0, 0.0)
    for media, quality in wanted:
        exact = 3 if media in one.media else 0
        group = 2 if media.endswith("/*") and any(m.startswith(media[:-1]) for m in one.media) else 0
        best = max(best, (exact or group or (1 if media == "*/*" else 0), quality))
    return best[1] if best[0] else 0.0


def written(result: Result, form: AnswerFormat, *, exact: bool, created: datetime) -> bytes:
    """The bytes of an answer, the same as those of `tallybook query --format`, or of `export` for a workbook."""
    if form.name == "arrow":
        return _arrow_stream(result)
    destination, file = DESTINATIONS.adapter(form.name)(), BytesIO()
    given = {"exact": exact} if destination.kind.option("exact") else {}
    destination.write(result, file, OutputSettings(options=destination.kind.with_defaults(given), created=created))
    return file.getvalue()


def _arrow_stream(result: Result) -> bytes:
    """The answer in the stream format of Arrow IPC."""
    from nanoarrow.ipc import StreamWriter

    file = BytesIO()
    with StreamWriter.from_writable(file) as writer:
        writer.write_stream(result)
    return file.getvalue()
