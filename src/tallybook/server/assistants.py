"""The tools of assistants, by the Model Context Protocol: the questions that people ask, with the same answers.

There is no tool that takes SQL. A question without a right answer is refused in words, with what to ask instead."""

from __future__ import annotations

import inspect
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

from pydantic import Field

from tallybook.core import BookError, QueryError, Refused, SourceError, TallybookError
from tallybook.query import Question, question_options
from tallybook.server.answers import Refusal
from tallybook.server.assistant_values import (
    AnswerForAssistant,
    By,
    CheckedForAssistant,
    Compare,
    CoverageForAssistant,
    DescribedForAssistant,
    FromDay,
    Last,
    ListedMetric,
    ListedMetrics,
    Metrics,
    QuestionToAsk,
    Scope,
    Segments,
    Show,
    SomeMetrics,
    ToDay,
    Top,
    Totals,
    Where,
    WhyForAssistant,
    Window,
)
from tallybook.server.book_api import coverage_of, json_of, why_of
from tallybook.server.books import SharedBook
from tallybook.server.problems import as_refusal, questions_to_ask
from tallybook.server.readers import LOCAL, AnswerReader

if TYPE_CHECKING:
    from mcp.server.mcpserver import MCPServer
    from mcp.server.mcpserver.tools import Tool

    from tallybook.book import Book

T = TypeVar("T")
MAX_ROWS = 500
"""Rows of an answer: an assistant reads all of them."""
NAME = "tallybook"
INSTRUCTIONS = """\
Answers questions about the metrics of this company, from a book that is collected every day. Begin with list_metrics.
Each answer has `explain`, one sentence on how its numbers were computed, and for each row whether it is `complete`:
repeat both to the person who asks. Never add, average or subtract rows yourself: ask again with another scope, totals,
show or compare. A question that has no right answer is refused, with a question to ask instead."""


@dataclass(frozen=True)
class AssistantTools:
    """The tools over one book. `reader` returns who asks with the current call."""

    book: SharedBook
    reader: Callable[[], AnswerReader]
    on_error: Callable[[Exception], None] = lambda error: None

    async def list_metrics(
        self,
        search: Annotated[str, Field(description="Only metrics with this text in name, title or description.")] = "",
    ) -> ListedMetrics:
        """List the metrics that can be asked for, with their dimensions, units, and how far they are collected."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> ListedMetrics:
            visible = set(reader.visible_metrics(book.project.catalog))
            listed = [_listed(book, one) for one in book.metrics() if one.metric in visible]
            wanted = search.casefold().strip()
            kept = [m for m in listed if wanted in f"{m.name} {m.title or ''} {m.description or ''}".casefold()]
            return ListedMetrics(metrics=kept, today=str(book.today), timezone=book.project.catalog.book.timezone)

        return await self._read(None, read_for_assistant)

    async def describe_metric(
        self, metric: Annotated[str, Field(description="The name of a metric.")]
    ) -> DescribedForAssistant:
        """Describe one metric: how it is computed, what it is made of, and which days are collected or missing."""

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

        return await self._read(None, read_for_assistant)

    async def query(
        self,
        metrics: Metrics,
        scope: Scope = "month",
        by: By = [],  # noqa: B006  # the default is shown in the schema, and nobody changes it
        where: Where = [],  # noqa: B006
        from_day: FromDay = None,
        to_day: ToDay = None,
        last: Last = None,
        show: Show = None,
        compare: Compare = None,
        top: Top = None,
        totals: Totals = False,
        window: Window = None,
        segments: Segments = [],  # noqa: B006
    ) -> AnswerForAssistant:
        """Ask for metrics by period, split and filtered by their dimensions. The numbers are right at every scope, or
        the question is refused with one to ask instead."""
        question = _question(
            metrics,
            scope,
            by,
            where,
            from_day,
            to_day,
            last,
            show,
            compare,
            top,
            totals=totals,
            window=window,
            segments=segments,
        )
        return await self._read(question, lambda book, reader: _answer(book, reader, question))

    async def check_query(
        self,
        metrics: Metrics,
        scope: Scope = "month",
        by: By = [],  # noqa: B006
        where: Where = [],  # noqa: B006
        from_day: FromDay = None,
        to_day: ToDay = None,
        last: Last = None,
        show: Show = None,
        compare: Compare = None,
        top: Top = None,
        totals: Totals = False,
        window: Window = None,
        segments: Segments = [],  # noqa: B006
    ) -> CheckedForAssistant:
        """Check whether a question has a right answer, without computing it. Takes what query takes."""
        question = _question(
            metrics,
            scope,
            by,
            where,
            from_day,
            to_day,
            last,
            show,
            compare,
            top,
            totals=totals,
            window=window,
            segments=segments,
        )

        def read_for_assistant(book: Book, reader: AnswerReader) -> CheckedForAssistant:
            try:
                book.answers.check(reader.bounded(book.project.catalog, question))
            except Refused as refused:
                asks = [
                    QuestionToAsk(say=one["say"], query=one["query"]) for one in questions_to_ask(refused, question)
                ]
                return CheckedForAssistant(
                    can_be_answered=False, why_not=refused.why, hint=refused.ask, ask_instead=asks
                )
            except QueryError as error:
                return CheckedForAssistant(can_be_answered=False, why_not=error.message, hint=error.hint)
            return CheckedForAssistant(can_be_answered=True)

        return await self._read(question, read_for_assistant)

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

        return await self._read(None, read_for_assistant)

    async def coverage(
        self,
        metrics: SomeMetrics = [],  # noqa: B006
        from_day: FromDay = None,
        to_day: ToDay = None,
    ) -> CoverageForAssistant:
        """Tell which days of metrics are collected, and list the gaps with the command that collects them."""

        def read_for_assistant(book: Book, reader: AnswerReader) -> CoverageForAssistant:
            return CoverageForAssistant(metrics=json_of(coverage_of(book, reader, list(metrics), from_day, to_day)))

        return await self._read(None, read_for_assistant)

    async def _read(self, question: Question | None, work: Callable[[Book, AnswerReader], T]) -> T:
        """What `work` returns for the reader. Every error becomes a ToolError in words."""
        from mcp.server.mcpserver.exceptions import ToolError

        reader = self.reader()
        try:
            return await self.book.read(lambda book: work(book, reader))
        except (QueryError, Refused) as error:
            raise ToolError(in_words(error, question)) from None
        except Refusal as refusal:
            raise ToolError(f"{refusal.error.message}. {refusal.error.expected}".strip()) from None
        except (BookError, SourceError, TallybookError, OSError, ValueError, RuntimeError) as error:
            problem = as_refusal(error, question, self.on_error).error
            raise ToolError(f"{problem.message}. {problem.more.get('hint', '')}".strip()) from None


def in_words(error: QueryError | Refused, question: Question | None) -> str:
    """What an assistant is told about a question without an answer."""
    if isinstance(error, QueryError):
        return f"The question is not valid: {error.message}. {error.hint}".strip()
    lines = [f"Refused, because there is no right answer: {error.why}."]
    asks = questions_to_ask(error, question) if question is not None else []
    lines += [f"Ask instead for {one['say']}: query({json.dumps(_arguments(one['query']))})" for one in asks]
    if not asks and error.ask:
        lines.append(f"Ask instead: {error.ask}")
    return "\n".join(lines)


def _arguments(query: dict[str, Any]) -> dict[str, Any]:
    """The options of a question as arguments of the tool."""
    names = {"from": "from_day", "to": "to_day"}
    found = {names.get(name, name): value for name, value in query.items()}
    return {"scope": "day", **found} if "scope" not in found else found


def _question(
    metrics: Sequence[str],
    scope: str,
    by: Sequence[str],
    where: Sequence[str],
    from_day: str | None,
    to_day: str | None,
    last: str | None,
    show: str | None,
    compare: str | None,
    top: int | None,
    *,
    totals: bool,
    window: str | None,
    segments: Sequence[str],
) -> Question:
    return Question(
        metrics=tuple(metrics),
        scope=scope,
        by=tuple(by),
        where=tuple(where),
        from_=from_day,
        to=to_day,
        last=last,
        show=show,
        compare=compare,
        top=top,
        totals=totals,
        window=window,
        segments=tuple(segments),
    )


def _answer(book: Book, reader: AnswerReader, question: Question) -> AnswerForAssistant:
    result = reader.seen(book.ask(reader.bounded(book.project.catalog, question)))
    if len(result.data) > MAX_ROWS:
        raise QueryError(
            f"the answer has {len(result.data):,} rows, and at most {MAX_ROWS} are given",
            hint="ask for a wider scope, fewer days, top, a filter, or fewer dimensions",
        )
    plain = result.to_dict()
    return AnswerForAssistant(
        explain=plain["explain"],
        columns=json_of(plain["columns"]),
        rows=json_of(plain["rows"]),
        version=result.version,
        question=question_options(question),
        warnings=list(plain.get("warnings", [])),
    )


def _listed(book: Book, one: Any) -> ListedMetric:
    """A metric as assistants see it, of a description."""
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
    """Answer an assistant over stdin and stdout until they are closed. It reads as a person at this machine does."""
    assistant_server(AssistantTools(book, lambda: LOCAL, book.on_error)).run("stdio")


TOOLS = ("list_metrics", "describe_metric", "query", "check_query", "why", "coverage")


def assistant_server(tools: AssistantTools) -> MCPServer[Any]:
    """The server of the Model Context Protocol with these tools. All of them only read."""
    from mcp.server.mcpserver import MCPServer

    from tallybook import __version__

    made = [_tool(getattr(tools, name), name) for name in TOOLS]
    return MCPServer(NAME, instructions=INSTRUCTIONS, version=__version__, log_level="ERROR", tools=made)


def _tool(function: Callable[..., Any], name: str) -> Tool:
    """A tool that refuses arguments it does not know. Without that a misspelled filter would be left out."""
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
