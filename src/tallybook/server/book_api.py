"""The HTTP API of the book besides queries: metrics, why, coverage, runs, goals, alerts, status. Each returns the JSON
of the command with the same name."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl, unquote

import msgspec

from tallybook.core import ENTITY_KINDS, QueryError, RequestError, as_json, did_you_mean
from tallybook.monitor import plain
from tallybook.query import Question, entity_page, explain
from tallybook.server.access import reader_of
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.books import SharedBook
from tallybook.server.gate import Gate
from tallybook.server.metric_shows import metric_shows, period_of
from tallybook.server.problems import as_refusal, bad_question
from tallybook.server.queries import READ_HEADERS, is_known
from tallybook.server.readers import AnswerReader, view_hash
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.book import Book

METRICS = "/v1/metrics"
MAX_RUNS = 500
MAX_ENTITIES, MAX_OFFSET = 1_000, 100_000_000
PRIVATE_OF_RUNS = ("host", "pid")
"""Fields of runs with names of machines, which readers over HTTP do not need."""


@dataclass(frozen=True)
class BookRequest:
    """A request about the book: the parameters of the query string, each a list, and the rest of the path."""

    reader: AnswerReader
    parameters: Mapping[str, list[str]]
    name: str = ""

    def one(self, name: str) -> str | None:
        """The value of a parameter, or None if it is missing. Raises QueryError if it is given twice."""
        found = self.parameters.get(name, [])
        if len(found) > 1:
            raise QueryError(f"{name} is given twice", hint="once", field=name)
        return found[0] if found else None

    def several(self, *names: str) -> list[str]:
        """The values of a parameter that may be repeated or have commas."""
        return [
            part.strip() for name in names for one in self.parameters.get(name, []) for part in one.split(",") if part
        ]

    def filters(self) -> list[str]:
        return list(self.parameters.get("where", []))


Answerer = Callable[["Book", BookRequest], Any]


@dataclass(frozen=True, kw_only=True)
class BookDoor:
    """Answers the paths in `PATHS` and those below `/v1/metrics/`."""

    book: SharedBook
    on_error: Callable[[Exception], None] = lambda error: None

    def takes(self, request: Request) -> bool:
        return request.path in PATHS or request.path.startswith(f"{METRICS}/")

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        if (refused := only(request.method, "GET", "HEAD")) is not None:
            return refused
        reader = await reader_of(request, gate)
        try:
            work, known_parameters, name = _route(request)
            asked = BookRequest(reader, _parameters(request.query, known_parameters), name)
            known = request.headers.get("if-none-match", "")
            return await self.book.read(lambda book: _answered(book, work, asked, known))
        except Exception as error:  # noqa: BLE001  # whatever it is, the reader gets a problem, and the log the error
            raise as_refusal(error, self.on_error) from None


def _answered(book: Book, work: Answerer, asked: BookRequest, known: str) -> HttpAnswer:
    body = as_json(work(book, asked), exact=False).encode()
    tag = f'"{view_hash(body.decode())}"'
    headers = READ_HEADERS | {"etag": tag, "content-type": "application/json"}
    return HttpAnswer(304, headers=headers) if is_known(tag, known) else HttpAnswer(200, text=body, headers=headers)


# -- one answer per path, in a thread ------------------------------------------------------------------------------


def _metrics(book: Book, asked: BookRequest) -> Any:
    visible = set(asked.reader.visible_metrics(book.project.catalog))
    return [one.to_dict() for one in book.metrics() if one.metric in visible]


def _metric(book: Book, asked: BookRequest) -> Any:
    _check_visible(book, asked.reader, asked.name)
    return book.metric(asked.name).to_dict()


def _shows(book: Book, asked: BookRequest) -> Any:
    _check_visible(book, asked.reader, asked.name)
    text = asked.one("period")
    if text is None:
        raise QueryError("no period is asked for", hint="period=2024-01", field="period")
    period = period_of(book, text, asked.one("scope"))

    def ask(question: Question) -> Any:
        return asked.reader.seen(book.ask(asked.reader.bounded(book.project.catalog, question)))

    return metric_shows(book, asked.name, period, asked.filters(), ask)


def why_of(book: Book, reader: AnswerReader, metric: str, day: str | None, by: list[str], where: list[str]) -> Any:
    """The JSON of `tallybook why`, without the statements that would query the source. A filtered reader gets no counts
    of other series."""
    _check_visible(book, reader, metric)
    bounded = reader.bounded(book.project.catalog, Question(metrics=[metric], by=by, where=where))
    found = explain(book.answers, metric, book.day(day), by, where, within=bounded.within).to_dict()
    if reader.is_bound:
        found["used_by"] = [one for one in found["used_by"] if one in reader.visible_metrics(book.project.catalog)]
    if reader.is_filtered:
        kept = ("metric", "kept_as", "definition", "coverage", "error")
        found["behind"] = [{k: v for k, v in one.items() if k in kept} for one in found.get("behind", [])]
        found.pop("warnings", None)
    return found


def _why(book: Book, asked: BookRequest) -> Any:
    if (metric := asked.one("metric")) is None:
        raise QueryError("no metric is asked for", hint="metric=mrr&day=2024-01-31", field="metric")
    return why_of(book, asked.reader, metric, asked.one("day"), asked.several("by"), asked.filters())


def coverage_of(book: Book, reader: AnswerReader, names: list[str], first: str | None, last: str | None) -> Any:
    """The JSON of `tallybook coverage`."""
    visible = reader.visible_metrics(book.project.catalog)
    for name in names:
        _check_visible(book, reader, name)
    if not names and not visible:
        return []
    chosen = names or (visible if reader.is_bound else [])
    return [one.to_dict() for one in book.coverage(*chosen, from_=first, to=last)]


def _coverage(book: Book, asked: BookRequest) -> Any:
    return coverage_of(book, asked.reader, asked.several("metrics", "metric"), asked.one("from"), asked.one("to"))


def _entities(kind: str) -> Answerer:
    """An answerer that lists users or accounts by a condition."""

    def answered(book: Book, asked: BookRequest) -> Any:
        _check_unbound(asked.reader, kind)
        found = entity_page(
            book.entities(kind),
            asked.one("where") or "",
            find=asked.one("find") or "",
            sort=asked.one("sort") or "id",
            start=_whole(asked.one("offset") or "0", "offset", 0, MAX_OFFSET),
            limit=_whole(asked.one("limit") or "100", "limit", 1, MAX_ENTITIES),
        )
        return {
            kind: [dict(zip(found.columns, row, strict=True)) for row in found.rows],
            "total": found.found,
            "unknown": found.unknown,
            "commit": found.number,
            "why": dict(found.whys),
        }

    return answered


def _whole(text: str, name: str, least: int, most: int) -> int:
    """The whole number in a parameter. Raises QueryError."""
    if not (text.isascii() and text.isdigit() and len(text) < 10 and least <= int(text) <= most):
        raise QueryError(f"{name} is {text[:20]!r}", hint=f"{least} to {most:,}", field=name)
    return int(text)


def _runs(book: Book, asked: BookRequest) -> Any:
    _check_unbound(asked.reader, "runs")
    limit = _whole(asked.one("limit") or "20", "limit", 1, MAX_RUNS)
    runs = [run.to_dict() for run in book.runs(limit)]
    return [{name: value for name, value in run.items() if name not in PRIVATE_OF_RUNS} for run in runs]


def _goals(book: Book, asked: BookRequest) -> Any:
    visible = asked.reader.visible_metrics(book.project.catalog)
    if asked.reader.is_filtered:
        _check_unbound(asked.reader, "goals")
    goals = [name for name, goal in book.project.catalog.goals.items() if goal.metric in visible]
    names = asked.several("names", "name")
    for name in names:
        if name not in goals:
            hint = f"{did_you_mean(name, goals)} there are: {', '.join(goals) or 'none'}".strip()
            raise QueryError(f"there is no goal {name[:200]!r}", hint=hint, field="goal")
    if not goals:
        return {"goals": []}
    found = book.goals(*(names or goals), on=asked.one("on"), last=asked.one("last"))
    return {"goals": [one.to_dict() for one in found]}


def _alerts(book: Book, asked: BookRequest) -> Any:
    _check_unbound(asked.reader, "alerts")
    return {"alerts": [plain(one) | {"told": len(one.told)} for one in book.alerts()]}


def _status(book: Book, asked: BookRequest) -> Any:
    _check_unbound(asked.reader, "status")
    return book.status().to_dict()


PATHS: Mapping[str, tuple[Answerer, tuple[str, ...]]] = {
    METRICS: (_metrics, ()),
    "/v1/why": (_why, ("metric", "day", "by", "where")),
    "/v1/coverage": (_coverage, ("metrics", "metric", "from", "to")),
    "/v1/runs": (_runs, ("limit",)),
    "/v1/goals": (_goals, ("names", "name", "on", "last")),
    "/v1/alerts": (_alerts, ()),
    "/v1/status": (_status, ()),
    **{f"/v1/{kind}": (_entities(kind), ("where", "find", "sort", "limit", "offset")) for kind in ENTITY_KINDS},
}


def _route(request: Request) -> tuple[Answerer, tuple[str, ...], str]:
    """The function for a path, its parameters, and the metric in the path. Raises Refusal for an unknown path."""
    if request.path in PATHS:
        work, parameters = PATHS[request.path]
        return work, parameters, ""
    name, _, rest = request.raw_path.removeprefix(f"{METRICS}/").partition("/")
    if rest == "shows":
        return _shows, ("period", "scope", "where"), unquote(name)
    if not rest and name:
        return _metric, (), unquote(name)
    error = RequestError(status=404, code="not_found", message="there is nothing at this path", seen=request.path[:200])
    raise Refusal(error)


def _parameters(query: str, known: tuple[str, ...]) -> dict[str, list[str]]:
    try:
        pairs = parse_qsl(query, errors="strict", max_num_fields=200)
    except ValueError:
        raise bad_question("the query string cannot be read", "percent-encoded UTF-8") from None
    found: dict[str, list[str]] = {}
    for name, value in pairs:
        if name not in known:
            hint = f"{did_you_mean(name, known)} parameters: {', '.join(known) or 'none'}".strip()
            raise QueryError(f"there is no parameter {name[:80]!r}", hint=hint, field=name[:80])
        found.setdefault(name, []).append(value)
    return found


def _check_visible(book: Book, reader: AnswerReader, name: str) -> None:
    """Raise QueryError for a metric that does not exist for this reader."""
    visible = reader.visible_metrics(book.project.catalog)
    if name not in visible:
        raise QueryError(f"there is no metric {name[:200]!r}", hint=did_you_mean(name, visible), field="metric")


def _check_unbound(reader: AnswerReader, what: str) -> None:
    """Raise Refusal for a bound reader, because the answer is about all metrics and series."""
    if reader.is_bound:
        message = f"{reader.name!r} is bound to some metrics or series, and {what} are about all"
        raise Refusal(RequestError(status=403, code="not_bound", message=message, expected="a read key without bounds"))


def json_of(value: Any) -> Any:
    """A document's plain values, as in its JSON."""
    return msgspec.json.decode(as_json(value, exact=False))
