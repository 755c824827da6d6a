"""Reads boards and notes, and checks them against the metrics that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallybook.config.catalog.asking import Asking, filtered
from tallybook.config.catalog.keys import BOARD_KEYS, NOTE_KEYS, VIEW_KEYS
from tallybook.config.catalog.rules import wrong_show
from tallybook.config.catalog.tables import SectionTable, read_section
from tallybook.config.catalog.words import shorten_toml, toml
from tallybook.core import FILTER, Board, BoardView, Note, QueryError, split_segment


class Boards(Asking):
    """The boards, each with its views."""

    def read(self, raw: Mapping[str, object]) -> dict[str, Board]:
        """Every `[boards.NAME]`, with views that have an answer."""
        tables = raw.get("boards", {})
        if not isinstance(tables, Mapping):
            expected = "one table for each, with its name: [boards.NAME]"
            seen = type(tables).__name__
            self.problems.add("boards", "has no table names", seen=seen, expected=expected, paste="[boards.NAME]")
            return {}
        return {name: self.board(name, keys) for name, keys in tables.items()}

    def board(self, name: str, keys: object) -> Board:
        """One board. Reports what cannot be read."""
        table = read_section(keys, BOARD_KEYS, f"boards.{name}", self.problems)
        self.needs(table, "views", "a board needs views", BOARD_KEYS["views"])
        given = table.values.pop("views", ())
        views = tuple(self.view(f"{table.path}.views", number, one) for number, one in enumerate(given, 1))
        board = Board(name=name, views=views, **table.values)
        for view in views:
            self.check_filters(table, board, view)
        return board

    def view(self, path: str, number: int, keys: object) -> BoardView:
        """One view of a board. Reports unknown metrics and dimensions, and shows without a right answer."""
        table = read_section(keys, VIEW_KEYS, f"{path}.{number}", self.problems)
        self.needs(table, "metrics", "a view needs metrics", VIEW_KEYS["metrics"])
        view = BoardView(**table.values)
        asked = {"by": view.by, "where": filtered(view.where), "segments": self.conditions(table, view)}
        for metric in view.metrics:
            self.check_metric(table, "metrics", metric, asked)
            self.check_unit(table, metric, view.by, view.where, can_split=True)
            self.check_view_show(table, metric, view.show)
        if view.top and not view.by and not {"by", "top"} & table.bad:
            self.report(table, "top", "top picks series, and there is one only", expected='with by = ["DIMENSION"]')
        return view

    def conditions(self, table: SectionTable, view: BoardView) -> list[str]:
        """The dimensions of the conditions of all segments. Reports a segment that cannot be read."""
        found: list[str] = []
        for text in view.segments:
            try:
                written = split_segment(text)
            except QueryError as error:
                expected = VIEW_KEYS["segments"].example
                self.report(table, "segments", error.message.replace("--segment ", ""), expected=f"such as {expected}")
                continue
            for one in written.conditions:
                if FILTER.match(one) is None:
                    self.report(table, "segments", f"the condition {one!r} is not understood", expected="plan=pro")
            found += filtered([one for one in written.conditions if FILTER.match(one)])
        return found

    def check_view_show(self, table: SectionTable, name: str, show: str | None) -> None:
        """Report a show that the metric does not have."""
        metric = self.catalog.metrics.get(name)
        refused = wrong_show(metric, show) if metric and show else None
        if refused:
            why, instead = refused
            paste = f"show = {toml(instead[0])}" if instead[0] else ""
            self.report(table, "show", why, expected=" or ".join(instead) or "a view without this key", paste=paste)

    def check_filters(self, table: SectionTable, board: Board, view: BoardView) -> None:
        """Report a filter of the board that a view lacks the dimension of."""
        for metric in view.metrics:
            if metric in self.catalog.metrics:
                self.check_dimensions(table, metric, {"where": filtered(board.where)})


class Notes(Asking):
    """What happened on a day."""

    def read(self, raw: Mapping[str, object]) -> tuple[Note, ...]:
        """Every `[[notes]]`, by day."""
        tables = raw.get("notes", [])
        if not isinstance(tables, list | tuple):
            example = '[[notes]]\nday = "2026-07-06"\ntext = "Pricing page redesigned"'
            seen = shorten_toml(tables)
            self.problems.add("notes", "is not a list of notes", seen=seen, expected="[[notes]]", paste=example)
            return ()
        notes = [self.note(number, keys) for number, keys in enumerate(tables, 1)]
        return tuple(sorted(_known(notes), key=lambda note: note.day))

    def note(self, number: int, keys: object) -> Note | None:
        """One note; None, and a problem, for one without a day or text."""
        table = read_section(keys, NOTE_KEYS, f"notes.{number}", self.problems)
        for key, message in (("day", "a note needs its day"), ("text", "a note needs a text")):
            self.needs(table, key, message, NOTE_KEYS[key])
        for metric in table.values.get("metrics", ()):
            self.check_metric(table, "metrics", metric, {})
        return Note(**table.values) if {"day", "text"} <= table.values.keys() else None


def _known(notes: Iterable[Note | None]) -> list[Note]:
    return [note for note in notes if note is not None]
