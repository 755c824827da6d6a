"""`/v1/query`: the queries of `tallybook query` over HTTP, with the same answers."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING, Any
from urllib.parse import parse_qsl

import msgspec

from tallybook.core import DestinationError, QueryError, Refused, RequestError
from tallybook.ingest import unpack
from tallybook.query import Question, options_of_texts, question_options, read_question
from tallybook.server.access import reader_of
from tallybook.server.answers import HttpAnswer, Refusal, only
from tallybook.server.bodies import BodyRoom, body_of
from tallybook.server.books import BookState, SharedBook
from tallybook.server.formats import FORMATS, AnswerFormat, chosen_format, written
from tallybook.server.gate import Gate
from tallybook.server.instead import questions_to_ask, refused_in_words, tried_in
from tallybook.server.problems import QUERY_PATH, as_refusal, bad_question, certain_rows, query_link, too_many_rows
from tallybook.server.readers import AnswerReader, view_hash
from tallybook.server.requests import Request

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.core import Result

MAX_BODY = 200_000
_FOLDERS = re.compile(r"'(?:[^']|'')*/(?=[^/']+\.parquet')")
MAX_ROWS = 200_000
"""Maximum number of rows of an answer over HTTP."""
HOW = ("format", "exact", "explain", "sql")
"""Options of a request that are not part of the query: how to write the answer."""
READ_HEADERS = {
    "cache-control": "private, no-cache",
    "vary": "accept, authorization, cookie",
    "x-content-type-options": "nosniff",
    "cross-origin-resource-policy": "same-origin",
}


@dataclass(frozen=True, kw_only=True)
class AskedQuestion:
    """A query as it was sent, and the format of its answer."""

    question: Question
    form: AnswerFormat
    exact: bool = False
    explain: bool = False
    sql: bool = False

    @classmethod
    def of(cls, options: Mapping[str, Any], accept: str) -> AskedQuestion:
        """Read a request. Raises QueryError and Refusal."""
        flags = {name: options.get(name) or False for name in HOW[1:]}
        for name, value in flags.items():
            if not isinstance(value, bool):
                raise QueryError(f"{name} is {str(value)[:80]!r}, not true or false", field=name)
        form = chosen_format(accept, options.get("format"))
        return cls(question=read_question(options, also=HOW), form=form, **flags)

    @property
    def says_how(self) -> bool:
        """Whether only the explanation or the SQL is requested."""
        return self.explain or self.sql


@dataclass(frozen=True, kw_only=True)
class QueryDoor:
    """Answers `/v1/query`."""

    book: SharedBook
    clock: Callable[[], datetime]
    on_error: Callable[[Exception], None] = lambda error: None
    max_rows: int = MAX_ROWS
    room: BodyRoom = field(default_factory=BodyRoom)

    def takes(self, request: Request) -> bool:
        return request.path == QUERY_PATH

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        refused = only(request.method, "POST", "GET", "HEAD")
        if refused is not None:
            return refused
        reader = await reader_of(request, gate)
        try:
            asked = AskedQuestion.of(await self._options(request), request.headers.get("accept", ""))
            request.asked = question_options(asked.question)
            known = request.headers.get("if-none-match", "")
            return await self.book.read(lambda book: self.answered(book, asked, reader, known))
        except Exception as error:  # noqa: BLE001  # whatever it is, the reader gets a problem, and the log the error
            raise as_refusal(error, self.on_error) from None

    async def _options(self, request: Request) -> Mapping[str, Any]:
        if request.method != "POST":
            return options_of_query(request.query)
        with self.room.share() as share:
            sent = await body_of(request.headers, request.receive, share, MAX_BODY)
        body = unpack(sent, request.headers.get("content-encoding", ""))
        if isinstance(body, RequestError):
            raise Refusal(body)
        if request.headers.get("content-type", "").startswith("application/x-www-form-urlencoded"):
            return options_of_query(body.decode("latin-1"))
        try:
            options = msgspec.json.decode(body)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise bad_question(f"the body is not JSON: {error}", '{"metrics": ["mrr"], "scope": "week"}') from None
        if not isinstance(options, dict):
            raise bad_question("the body is no question", '{"metrics": ["mrr"], "scope": "week"}')
        return options

    # -- in a thread

    def answered(self, book: Book, asked: AskedQuestion, reader: AnswerReader, known: str = "") -> HttpAnswer:
        """The answer for a reader, or a 304 if its ETag is in `known`, without using an engine. Raises like `Book.ask`,
        and Refusal."""
        question = reader.bounded(book.project.catalog, asked.question)
        state = self.book.state(book)
        tag = answer_tag(state, asked, reader)
        headers = dict(READ_HEADERS) | ({"etag": tag} if tag else {})
        if tag and is_known(tag, known):
            return HttpAnswer(304, headers=headers)
        try:
            if certain := certain_rows(book, question, self.max_rows):
                raise too_many_rows(certain, self.max_rows, question.by)
            result = reader.seen(book.ask(question))
            if len(result.data) > self.max_rows:
                raise too_many_rows(len(result.data), self.max_rows, question.by)
            body = self._written(result, asked, state, reader)
        except Refused as refused:
            asks = questions_to_ask(refused, asked.question, tried_in(book, reader))
            raise refused_in_words(refused, asks) from None
        except DestinationError as error:
            hint = {"hint": error.hint} if error.hint else {}
            problem = RequestError(status=422, code="does_not_fit", message=error.message, more=hint)
            raise Refusal(problem) from None
        if tag and self.book.state(book) != state:
            # Another commit happened between reading the state and the answer.
            del headers["etag"]
        headers |= {
            "content-type": FORMATS["json"].content_type if asked.says_how else asked.form.content_type,
            "tallybook-version": str(result.version or state.version),
            "tallybook-events": str(state.events),
        }
        if asked.form.name not in ("json", "ndjson", "table", "markdown") and not asked.says_how:
            headers["content-disposition"] = f'attachment; filename="{file_name(result)}{asked.form.ending}"'
        return HttpAnswer(200, text=body, headers=headers)

    def _written(self, result: Result, asked: AskedQuestion, state: BookState, reader: AnswerReader) -> bytes:
        if asked.says_how:
            parts = {"explain": result.explain} if asked.explain else {}
            return msgspec.json.encode(parts | ({"sql": without_folders(result.sql or "")} if asked.sql else {}))
        if asked.form.name != "json":
            return written(result, asked.form, exact=asked.exact, created=self.clock())
        options = question_options(asked.question)
        more = {
            "version": result.version or state.version,
            "events": state.events,
            "links": {name: query_link(options, format=name) for name in FORMATS},
        }
        return result.to_json(asked.exact).encode()[:-1] + b"," + msgspec.json.encode(more)[1:]


def options_of_query(query: str) -> dict[str, Any]:
    """The options in a query string. Raises QueryError and Refusal if it cannot be read."""
    try:
        pairs = parse_qsl(query, keep_blank_values=True, errors="strict", max_num_fields=500)
    except ValueError:
        raise bad_question("the query string cannot be read", "percent-encoded UTF-8") from None
    how = {name: text for name, text in pairs if name in HOW}
    options = options_of_texts([(name, text) for name, text in pairs if name not in HOW])
    for name in HOW[1:]:
        if name in how:
            options[name] = how[name].casefold() in ("true", "1", "on", "yes", "")
    if how.get("format"):
        options["format"] = how["format"]
    return options


def answer_tag(state: BookState, asked: AskedQuestion, reader: AnswerReader) -> str:
    """The ETag of an answer: a hash of everything that it depends on. Empty if that cannot be known."""
    if asked.question.live or not state.is_settled:
        return ""
    from tallybook import __version__

    depends = (
        *state.commits,
        state.declarations,
        str(state.today),
        __version__,
        reader.view,
        question_options(asked.question),
        (asked.form.name, asked.exact, asked.explain, asked.sql),
    )
    return f'"{view_hash(depends)}"'


def is_known(tag: str, known: str) -> bool:
    """Whether an `If-None-Match` header contains an ETag. `*` matches nothing, because a query is not a stored
    resource."""
    return tag in [one.strip().removeprefix("W/") for one in known.split(",")]


def without_folders(sql: str) -> str:
    """The SQL with the names of the book's files, but without the folders of this machine."""
    return _FOLDERS.sub("'", sql)


def file_name(result: Result) -> str:
    """A file name for an answer, with only ASCII letters, digits, _ and -."""
    name = "-".join(result.metrics)[:60]
    return "".join(one if one.isascii() and (one.isalnum() or one in "_-") else "_" for one in name) or "answer"
