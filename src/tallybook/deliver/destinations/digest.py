"""Digests: a board or some metrics, sent by mail and chat at fixed times of the week, with charts as pictures."""

from __future__ import annotations

import re
import tempfile
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import date, datetime, time as clock_time, timedelta
from difflib import get_close_matches
from pathlib import Path
from typing import TYPE_CHECKING, Any
from zoneinfo import ZoneInfo

import msgspec

from tallybook.config import read_recipients, read_text, read_time_of_day, read_weekday_names
from tallybook.core import (
    DELIVER,
    Catalog,
    Delivery,
    DestinationKind,
    DestinationUnavailable,
    Option,
    OptionProblem,
    QueryError,
    Refused,
    TallybookError,
)
from tallybook.deliver.destinations.notification import notified
from tallybook.deliver.destinations.outbox import OutboxDestination, OutboxTask
from tallybook.deliver.outgoing.failures import REJECTED, TRY_LATER, SendVerdict
from tallybook.storage import ATTRIBUTE, OutboxItem, OutboxRow, item_key

if TYPE_CHECKING:
    from tallybook.core import Board, BoardView, Result
    from tallybook.deliver.outgoing.addresses import Target
    from tallybook.deliver.outgoing.channel import Channel, OutgoingRequest
    from tallybook.query import Question

MAX_ROWS = 12
LATEST = timedelta(hours=12)
"""A digest that is late by more than this is skipped, because the next one has newer numbers."""


class Digest(OutboxDestination):
    """Mail and chat through Apprise. Mail has no ids, so a digest with an unknown outcome may arrive twice."""

    kind = DestinationKind(
        name="digest",
        noun="a digest",
        place="recipients",
        uses=(DELIVER,),
        outbox=True,
        is_timed=True,
        instead_of_metrics="board",
        options=(
            Option(
                name="recipients",
                read=read_recipients,
                example='["${MAIL_URL}"]',
                default=(),
                secret=True,
                help="the Apprise addresses (mail, chat) of a digest",
            ),
            Option(
                name="board",
                read=read_text,
                example='"sales"',
                default="",
                help="the board of [boards.NAME] that a digest shows instead of metrics",
            ),
            Option(
                name="on",
                read=read_weekday_names,
                example='["mon"]',
                default=(),
                help="the weekdays on which a digest is sent; default: every day",
            ),
            Option(
                name="at",
                read=read_time_of_day,
                example='"08:00"',
                default="08:00",
                help="the time of a digest in the book's zone; the next run after it, or `serve`, sends it",
            ),
        ),
    )
    threads = 2

    def problems(self, delivery: Delivery, given: Iterable[str]) -> Iterable[OptionProblem]:
        if delivery.options.get("board") and delivery.metrics:
            yield OptionProblem(
                key="board", message="a digest shows a board or metrics", expected="one of board and metrics"
            )

    def problems_in(self, delivery: Delivery, catalog: Catalog) -> Iterable[OptionProblem]:
        name = delivery.options.get("board")
        if name and name not in catalog.boards:
            meant = get_close_matches(str(name), catalog.boards, 1) or list(catalog.boards)[:1]
            yield OptionProblem(
                key="board",
                message=f"there is no board {name!r}",
                expected=", ".join(catalog.boards) or "a board of [boards.NAME]",
                paste=f'board = "{meant[0]}"' if meant else f"[boards.{name}]",
            )

    # -- planning ----------------------------------------------------------------------------------

    def completed(self, delivery: Delivery, catalog: Catalog) -> Delivery:
        """The delivery without metrics of its own, because the metrics are queried when the digest is sent."""
        return msgspec.structs.replace(delivery, metrics=())

    def latest(self, task: OutboxTask) -> Iterable[OutboxItem]:
        due = last_due(task.clock(), task.catalog.book.timezone, task.options["at"], task.options["on"])
        if due is None:
            return
        for place in range(len(task.options["recipients"])):
            yield OutboxItem(item_key(ATTRIBUTE, "digest", "", str(place)), "", f'{{"due":"{due}"}}')

    # -- sending -----------------------------------------------------------------------------------

    def target(self, task: OutboxTask) -> Target:
        from tallybook.deliver.outgoing.addresses import Target

        return Target("https://apprise.invalid")  # Apprise opens its own connections

    def request(self, rows: Sequence[OutboxRow], task: OutboxTask) -> OutgoingRequest:
        """The text of the digest as a request, for a dry run."""
        from tallybook.deliver.outgoing.channel import OutgoingRequest

        text = "\n\n".join(one.text for one in _sections(task))
        return OutgoingRequest(method="SEND", path="/", body=text.encode())

    def send(self, rows: Sequence[OutboxRow], task: OutboxTask, channel: Channel) -> SendVerdict:
        try:
            import apprise
        except ImportError:
            return SendVerdict(outcome=TRY_LATER, said="apprise is not installed: pip install 'tallybook[alerts]'")
        place = int(rows[0].parts[3])
        if place >= len(task.options["recipients"]):
            return SendVerdict(outcome=REJECTED, said="the recipient was removed")
        service = apprise.Apprise.instantiate(task.options["recipients"][place], suppress_exceptions=True)
        if service is None:
            return SendVerdict(outcome=REJECTED, said="Apprise cannot read this address")
        try:
            sections = _sections(task)
        except TallybookError as error:
            raise DestinationUnavailable(f"the digest cannot be made: {error.message}", hint=error.hint) from None
        return _sent(service, _title(task), sections)


def last_due(now: datetime, zone: str, at: str, weekdays: Sequence[int]) -> date | None:
    """The day of the digest that is due now: the last one whose time was within the past 12 hours. None if no digest is
    due."""
    local = now.astimezone(ZoneInfo(zone))
    for day in (local.date(), local.date() - timedelta(days=1)):
        moment = datetime.combine(day, clock_time.fromisoformat(at), tzinfo=ZoneInfo(zone))
        if moment <= local < moment + LATEST and (not weekdays or day.weekday() in weekdays):
            return day
    return None


def _title(task: OutboxTask) -> str:
    name = task.options["board"]
    board = task.catalog.boards.get(name) if name else None
    return f"{task.catalog.book.name}: {(board.title or name) if board else task.delivery.name}"


@dataclass(frozen=True, kw_only=True)
class DigestSection:
    """A part of the text of a digest. `result`: the answer for the attached chart."""

    text: str
    result: Result | None = None


def _sections(task: OutboxTask) -> list[DigestSection]:
    """The sections of a digest: one for the metrics, or one for each view of a board."""
    declared = task.catalog.deliveries.get(task.delivery.name, task.delivery)
    board = _board(task)
    if board is not None:
        return [section for view in board.views for section in _sections_of_view(task, board, view)]
    question = _declared_question(declared)
    return [_section(", ".join(declared.metrics), _answer(task, question))]


def _section(title: str, result: Result) -> DigestSection:
    return DigestSection(text=f"{title}\n{result.to_text(max_rows=MAX_ROWS, width=None)}", result=result)


def _declared_question(d: Delivery) -> Question:
    from tallybook.query import Question

    return Question(metrics=d.metrics, scope=d.scope, by=d.by, where=d.where, from_=d.from_, last=d.last)


def _sections_of_view(task: OutboxTask, board: Board, view: BoardView) -> Iterator[DigestSection]:
    """A section for each query of a view, and one for its formula."""
    from tallybook.core import SERIES_LETTERS
    from tallybook.query import view_questions

    questions = view_questions(board, view)
    name = view.title or view.name
    results = {}
    for letter, question in zip(SERIES_LETTERS, questions, strict=False):
        asked = [*question.metrics, *([question.event] if question.event else []), *question.where]
        title = name if len(questions) == 1 else f"{name}, {letter} {', '.join(asked)}"
        try:
            results[letter] = _answer(task, question)
        except (QueryError, Refused) as error:
            if question.event is None:
                raise
            # An event that nobody sent yet is no reason to send nothing.
            yield DigestSection(text=f"{title}\n{error.message}")
            continue
        yield _section(title, results[letter])
    if view.formula and len(results) == len(questions):
        yield DigestSection(text=f"{name}, {view.formula}\n{_formula_text(view.formula, results, task.today)}")


def _formula_text(formula: str, results: Mapping[str, Result], today: date) -> str:
    """The values of a formula, one line per period."""
    from tallybook.core import parsed_formula
    from tallybook.query import formula_values

    values = formula_values(parsed_formula(formula, list(results)), results, today)
    shown = next(iter(results.values()))
    lines = []
    for day, one in sorted(values.items(), reverse=True)[:MAX_ROWS]:
        value = "–" if one.value is None else f"{one.value:,.2f}"
        lines.append(f"{shown.period_text(day)}  {value}{'' if one.is_complete else ' *'}")
    return "\n".join(lines)


def _answer(task: OutboxTask, question: Question) -> Result:
    from tallybook.collect import EventAnswers
    from tallybook.query import check_question

    assert task.service is not None
    if question.event is not None:
        return EventAnswers(task.service.reader.project, task.clock).answer(question)
    return task.service.stored(check_question(task.catalog, question, today=task.today))


def _board(task: OutboxTask) -> Board | None:
    name = task.options["board"]
    if name and name not in task.catalog.boards:
        listed = ", ".join(task.catalog.boards) or "none"
        raise QueryError(f"there is no board {name!r}", hint=f"boards: {listed}")
    return task.catalog.boards.get(name) if name else None


def _sent(service: Any, title: str, sections: Sequence[DigestSection]) -> SendVerdict:
    text = "\n\n".join(one.text for one in sections)
    with tempfile.TemporaryDirectory(prefix="tallybook-digest-") as folder:
        return notified(service, title=title, body=text, attach=_pictures(Path(folder), sections))


def _pictures(folder: Path, sections: Sequence[DigestSection]) -> list[str]:
    """The files of the charts. Empty if the package that draws them is missing."""
    found = []
    for place, one in enumerate(sections, 1):
        if one.result is None:
            continue
        name = re.sub(r"[^A-Za-z0-9]+", "-", one.text.partition("\n")[0])[:40].strip("-") or "chart"
        try:
            found.append(str(one.result.chart().save(folder / f"{place}-{name}.png")))
        except TallybookError:
            return []
    return found
