"""Tools for assistants over the Model Context Protocol. They give the same answers that people get.

No tool takes SQL. A query without a correct answer is refused with an explanation and a query to use instead."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from tallybook.core import BookError, QueryError, Refused, RequestError, SourceError, TallybookError
from tallybook.query import Question, question_options, read_question
from tallybook.server.answers import Refusal
from tallybook.server.assistant_values import (
    AnswerForAssistant,
    By,
    CheckedForAssistant,
    CoverageForAssistant,
    DescribedForAssistant,
    FromDay,
    ListedMetric,
    ListedMetrics,
    QuestionToAsk,
    SomeMetrics,
    ToDay,
    Where,
    WhyForAssistant,
    asked_by_tool,
    with_all_digits,
)
from tallybook.server.book_api import coverage_of, json_of, why_of
from tallybook.server.books import SharedBook
from tallybook.server.instead import questions_to_ask, refused_in_words, tried_in
from tallybook.server.problems import as_refusal, certain_rows
from tallybook.server.readers import LOCAL, AnswerReader

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.tools import Tool

    from tallybook.book import Book

T = TypeVar("T")
MAX_ROWS = 500
"""Maximum number of rows in an answer, because an assistant reads all of them."""
NAME = "tallybook"
INSTRUCTIONS = """\
Answers questions about the metrics of this company, from a book that is collected every day. Begin with list_metrics.
Each answer has `explain`, one sentence on how its numbers were computed, and for each row whether it is `complete`:
repeat both to the person who asks. Never add, average or subtract rows yourself: ask again with another scope, totals,
show or compare. A question that has no right answer is refused, with a question to ask instead."""


@dataclass(frozen=True)
class AssistantTools:
    """The tools for one book. `reader` returns the reader of the current call."""

    book: SharedBook
    reader: Callable[[], AnswerReader]
    on_error: Callable[[Exception], None] = lambda error: None

    async def list_metrics(
        self,
        search: Annotated[str, Field(description="Only metrics with this text in name, title or description.")] = "",
    ) -> ListedMetrics:
        """List the metrics that can be queried, with their dimensions, units, and how far they are collected."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> ListedMetrics:
            visible = set(reader.visible_metrics(book.project.catalog))
            listed = [_listed(book, one) for one in book.metrics() if one.metric in visible]
            wanted = search.casefold().strip()
            kept = [m for m in listed if wanted in f"{m.name} {m.title or ''} {m.description or ''}".casefold()]
            return ListedMetrics(metrics=kept, today=str(book.today), timezone=book.project.catalog.book.timezone)

        return await self._read(read_for_assistant)

    async def describe_metric(
        self, metric: Annotated[str, Field(description="The name of a metric.")]
    ) -> DescribedForAssistant:
        """Describe one metric: how it is computed, which metrics it is computed from, and which days are collected or
        missing."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> DescribedForAssistant:
            reader.bounded(book.project.catalog, Question(metrics=[metric]))
            one = book.metric(metric)
            return DescribedForAssistant(
                metric=_listed(book, one),
                measure=one.measure,
                made_of=list(one.operands),
                collected=[list(stretch) for stretch in one.coverage],
                missing=[list(stretch) for stretch in one.missing],
            )

        return await self._read(read_for_assistant)

    @asked_by_tool(AnswerForAssistant)
    async def query(self, **arguments: Any) -> AnswerForAssistant:
        """Query metrics by period, split and filtered by their dimensions. The numbers are correct at every scope.
        Otherwise the query is refused, with a query to use instead."""
        return await self._read(lambda book, reader: _answer(book, reader, _question(arguments)))

    @asked_by_tool(CheckedForAssistant)
    async def check_query(self, **arguments: Any) -> CheckedForAssistant:
        """Check whether a query has a correct answer, without computing it. Takes the same arguments as query."""
        return await self._read(lambda book, reader: _checked(book, reader, arguments))

    async def why(
        self,
        metric: Annotated[str, Field(description="The name of a metric.")],
        day: Annotated[str | None, Field(description="A day, as 2026-03-01. Without it only the lineage.")] = None,
        by: By = [],  # noqa: B006
        where: Where = [],  # noqa: B006
    ) -> WhyForAssistant:
        """Explain the number of one day: its definition, the run that collected it, revisions, and tables."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> WhyForAssistant:
            plain = json_of(why_of(book, reader, metric, day, list(by), list(where)))
            return WhyForAssistant(
                metric=metric,
                day=plain.get("day"),
                explain=plain.get("explain", ""),
                rows=plain.get("rows", []),
                behind=plain.get("behind", []),
                lineage=plain["lineage"],
            )

        return await self._read(read_for_assistant)

    async def coverage(
        self,
        metrics: SomeMetrics = [],  # noqa: B006
        from_day: FromDay = None,
        to_day: ToDay = None,
    ) -> CoverageForAssistant:
        """Show which days of metrics are collected, and list the gaps with the command that collects them."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> CoverageForAssistant:
            return CoverageForAssistant(metrics=json_of(coverage_of(book, reader, list(metrics), from_day, to_day)))

        return await self._read(read_for_assistant)

    async def _read(self, work: Callable[[Book, AnswerReader], T]) -> T:
        """The result of `work` for the reader. Every error becomes a ToolError with an explanation."""
        from mcp.server.mcpserver.exceptions import ToolError

        reader = self.reader()
        try:
            return await self.book.read(lambda book: work(book, reader))
        except QueryError as error:
            raise ToolError(f"The question is not valid: {error.message}. {error.hint}".strip()) from None
        except Refusal as refusal:
            raise ToolError(in_words(refusal.error)) from None
        except (BookError, SourceError, TallybookError, OSError, ValueError, RuntimeError) as error:
            raise ToolError(in_words(as_refusal(error, self.on_error).error)) from None


def in_words(problem: RequestError) -> str:
    """The explanation that an assistant gets instead of an answer."""
    if problem.code != "refused":
        return f"{problem.message}. {problem.more.get('hint', problem.expected)}".strip()
    lines = [f"Refused, because there is no right answer: {problem.message}."]
    asks = problem.more.get("ask", [])
    lines += [f"Ask instead for {one['say']}: query({json.dumps(_arguments(one['query']))})" for one in asks]
    if not asks and problem.more.get("hint"):
        lines.append(f"Ask instead: {problem.more['hint']}")
    return "\n".join(lines)


def _arguments(query: dict[str, Any]) -> dict[str, Any]:
    """The options of a query as arguments of the tool."""
    names = {"from": "from_day", "to": "to_day"}
    found = {names.get(name, name): value for name, value in query.items()}
    return {"scope": "day", **found} if "scope" not in found else found


def _question(arguments: Mapping[str, Any]) -> Question:
    """The query for the arguments of a tool. Raises QueryError for values that the options do not accept."""
    names = {"from_day": "from", "to_day": "to"}
    return read_question({names.get(name, name): value for name, value in arguments.items()})


def _checked(book: Book, reader: AnswerReader, arguments: Mapping[str, Any]) -> CheckedForAssistant:
    question: Question | None = None
    try:
        question = _question(arguments)
        book.check(reader.bounded(book.project.catalog, question))
    except Refused as refused:
        assert question is not None
        tried = questions_to_ask(refused, question, tried_in(book, reader))
        asks = [QuestionToAsk(say=one["say"], query=one["query"]) for one in tried]
        return CheckedForAssistant(can_be_answered=False, why_not=refused.why, hint=refused.ask, ask_instead=asks)
    except QueryError as error:
        return CheckedForAssistant(can_be_answered=False, why_not=error.message, hint=error.hint)
    return CheckedForAssistant(can_be_answered=True)


def _answer(book: Book, reader: AnswerReader, question: Question) -> AnswerForAssistant:
    try:
        bounded = reader.bounded(book.project.catalog, question)
        if certain := certain_rows(book, bounded, MAX_ROWS):
            raise _too_many(certain)
        result = reader.seen(book.ask(bounded))
    except Refused as refused:
        raise refused_in_words(refused, questions_to_ask(refused, question, tried_in(book, reader))) from None
    if len(result.data) > MAX_ROWS:
        raise _too_many(len(result.data))
    plain, exact = result.to_dict(), result.to_dict(exact=True)
    return AnswerForAssistant(
        explain=plain["explain"],
        columns=json_of(plain["columns"]),
        rows=json_of([with_all_digits(*both) for both in zip(plain["rows"], exact["rows"], strict=True)]),
        version=result.version,
        question=question_options(question),
        warnings=list(plain.get("warnings", [])),
    )


def _too_many(count: int) -> QueryError:
    return QueryError(
        f"the answer has {count:,} rows, and at most {MAX_ROWS} are given",
        hint="ask for a wider scope, fewer days, top, a filter, or fewer dimensions",
    )


def _listed(book: Book, one: Any) -> ListedMetric:
    """A metric in the form for assistants, from its description."""
    declared = book.project.catalog.metrics[one.metric]
    shows = [] if declared.derived else [declared.default_show, *sorted(set(declared.shows) - {declared.default_show})]
    return ListedMetric(
        name=one.metric,
        title=one.title,
        description=one.description,
        kind=one.kind,
        unit=one.unit,
        dimensions=list(book.project.catalog.queryable_dims(one.metric)),
        shows=shows,
        collected_from=one.from_,
        collected_to=one.to,
        missing_days=one.gaps,
    )


def serve_assistant(book: SharedBook) -> None:
    """Serve an assistant over stdin and stdout until they are closed. The assistant has the rights of a person at this
    machine."""
    assistant_server(AssistantTools(book, lambda: LOCAL, book.on_error)).run("stdio")


TOOLS = ("list_metrics", "describe_metric", "query", "check_query", "why", "coverage")


def assistant_server(tools: AssistantTools) -> MCPServer[Any]:
    """The Model Context Protocol server with these tools. All of them are read-only."""
    from mcp.server.mcpserver import MCPServer

    from tallybook import __version__

    made = [_tool(getattr(tools, name), name) for name in TOOLS]
    return MCPServer(NAME, instructions=INSTRUCTIONS, version=__version__, log_level="ERROR", tools=made)


def _tool(function: Callable[..., Any], name: str) -> Tool:
    """A tool that rejects unknown arguments. Otherwise a misspelled filter would be ignored."""
    from mcp.server.mcpserver.tools import Tool
    from mcp_types import ToolAnnotations

    only_reads = ToolAnnotations(read_only_hint=True, idempotent_hint=True, open_world_hint=False)
    about = inspect.cleandoc(function.__doc__ or "").replace("\n", " ")
    made = Tool.from_function(function, name=name, description=about, annotations=only_reads, structured_output=True)
    arguments = made.fn_metadata.arg_model
    arguments.model_config["extra"] = "forbid"
    arguments.model_rebuild(force=True)
    made.parameters["additionalProperties"] = False
    return made
