"""Boards and charts as files: one self-contained HTML file without a script, PDF, SVG and PNG."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import TYPE_CHECKING

from tallybook.core import QueryError
from tallybook.server.charts.standalone import BoardPicture, as_document, as_pdf, as_png, board_document
from tallybook.server.pages.board_card import BoardCard
from tallybook.server.pages.board_views import board_cards
from tallybook.server.pages.boards import controls_of, known_board
from tallybook.server.pages.builder_answer import single_chart
from tallybook.server.pages.builder_form import AskedSeries, BuilderForm
from tallybook.server.pages.frame import frame_of
from tallybook.server.pages.page import PageRequest, PageWork
from tallybook.server.pages.shows import shown_period
from tallybook.server.pages.templates import check_templates, markup, render, static_file

if TYPE_CHECKING:
    from tallybook.book import Book
    from tallybook.query import Question
    from tallybook.server.charts.data import ChartData

REPORT_ENDINGS = (".html", ".pdf", ".svg", ".png")
CHART_ENDINGS = (".svg", ".png", ".pdf")


def board_file(book: Book, name: str, ending: str, *, now: datetime, fields: Sequence[tuple[str, str]] = ()) -> bytes:
    """A board as a file. `fields`: scope and last, if they differ from the board's, and dim and value of its filter.

    Raises QueryError for an unknown board or extension, and TallybookError if a package is missing."""
    _known_ending(ending, REPORT_ENDINGS)
    work = PageWork(book=book, ask=PageRequest(path=f"/boards/{name}", fields=fields), now=now)
    if ending == ".html":
        check_templates()
        return board_html(work, name).encode()
    board = known_board(work, name)
    controls = controls_of(work, board)
    cards = board_cards(work, board, controls)
    pictures = [picture for one in cards for picture in _pictures(one)]
    only = "".join(f", only {text}" for text in controls.where)
    said = f"{work.catalog.book.name}, last {controls.last}{only}, version {frame_of(work).version}"
    return _bytes(board_document(board.title or board.name, said, pictures), ending)


def _pictures(card: BoardCard) -> list[BoardPicture]:
    """The charts of a card, one below the other. The first one has the card's title."""
    charts: list[ChartData | None] = [one.chart for one in card.figures]
    charts = charts or [None]
    names = [_headed(card), *(one.chart.name for one in card.figures[1:])]
    return [BoardPicture(title=name, chart=chart) for name, chart in zip(names, charts, strict=True)]


def _headed(card: BoardCard) -> str:
    return f"{card.title}: {card.value}{f' ({card.change.text})' if card.change else ''}" if card.value else card.title


def board_html(work: PageWork, name: str) -> str:
    """A board as one HTML file, with its styles inside and without scripts."""
    board = known_board(work, name)
    controls = controls_of(work, board)
    return render(
        "report.html",
        frame=frame_of(work),
        theme="",
        board=board,
        name=board.title or board.name,
        controls=controls,
        cards=board_cards(work, board, controls),
        period=shown_period(work, controls.scope),
        style=markup(static_file("pages.css").decode()),
        made=f"{work.now:%Y-%m-%d %H:%M} UTC",
        filters=controls.where,
    )


def chart_file(book: Book, question: Question, form: str, ending: str, *, now: datetime) -> bytes:
    """The chart of a query as a file. Raises like `Book.ask`, and QueryError for an unknown extension."""
    _known_ending(ending, CHART_ENDINGS)
    result = book.ask(question)
    work = PageWork(book=book, ask=PageRequest(path="/q"), now=now)
    first = AskedSeries(letter="A", metric=result.metrics[0], where=tuple(question.where), show=question.show or "")
    asked = BuilderForm(series=(first,), scope=question.scope, compare=question.compare or "", chart=form)
    return _bytes(as_document(single_chart(work, asked, result)), ending)


def _bytes(document: str, ending: str) -> bytes:
    if ending == ".svg":
        return document.encode()
    return as_pdf(document) if ending == ".pdf" else as_png(document)


def _known_ending(ending: str, known: Sequence[str]) -> None:
    if ending not in known:
        raise QueryError(f"cannot tell the format from the extension {ending!r}", hint=f"one of {', '.join(known)}")
