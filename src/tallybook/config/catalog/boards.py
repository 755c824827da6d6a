"""Reads boards and notes, and checks them against the metrics that they name."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from tallybook.config.catalog.asking import Asking, filtered
from tallybook.config.catalog.keys import BOARD_KEYS, NOTE_KEYS, SERIES_KEYS, VIEW_KEYS
from tallybook.config.catalog.rules import wrong_show
from tallybook.config.catalog.tables import SectionTable, read_section
from tallybook.config.catalog.words import shorten_toml, toml
from tallybook.core import (
    EVENT_MEASURES,
    FILTER,
    SERIES_LETTERS,
    Board,
    BoardSeries,
    BoardView,
    Note,
    QueryError,
    parsed_formula,
    split_segment,
)


class Boards(Asking):
    """The boards, each with its views."""

    def read(self, raw: Mapping[str, object]) -> dict[str, Board]:
        """Read every `[boards.NAME]` with its views."""
        tables = raw.get("boards", {})
        if not isinstance(tables, Mapping):
            expected = "one table for each, with its name: [boards.NAME]"
            seen = type(tables).__name__
            self.problems.add("boards", "has no table names", seen=seen, expected=expected, paste="[boards.NAME]")
            return {}
        return {name: self.board(name, keys) for name, keys in tables.items()}

    def board(self, name: str, keys: object) -> Board:
        """Read one board, and report its problems."""
        table = read_section(keys, BOARD_KEYS, f"boards.{name}", self.problems)
        self.needs(table, "views", "a board needs views", BOARD_KEYS["views"])
        given = table.values.pop("views", ())
        views = tuple(self.view(f"{table.path}.views", number, one) for number, one in enumerate(given, 1))
        board = Board(name=name, views=views, **table.values)
        for view in views:
            self.check_filters(table, board, view)
        return board

    def view(self, path: str, number: int, keys: object) -> BoardView:
        """Read one view of a board. Reports unknown metrics and dimensions, and shows without a correct answer."""
        table = read_section(keys, VIEW_KEYS, f"{path}.{number}", self.problems)
        if not {"series", "metrics"} & {*table.given, *table.bad}:
            self.needs(table, "metrics", "a view needs metrics or series", VIEW_KEYS["metrics"])
        given = table.values.pop("series", ())
        series = tuple(self.series(f"{table.path}.series", place, one) for place, one in enumerate(given, 1))
        view = BoardView(series=series, **table.values)
        self.check_together(table, view)
        asked = {"by": view.by, "where": filtered(view.where), "segments": self.conditions(table, view)}
        for metric in view.metrics:
            self.check_metric(table, "metrics", metric, asked)
            self.check_unit(table, metric, view.by, view.where, can_split=True)
            self.check_view_show(table, metric, view.show)
        for one in series:
            if one.metric in self.catalog.metrics:
                self.check_dimensions(table, one.metric, {"by": view.by, "segments": asked["segments"]})
                self.check_unit(table, one.metric, view.by, one.where, can_split=True)
        if view.top and not view.by and not {"by", "top"} & table.bad:
            self.report(table, "top", "top picks series, and there is one only", expected='with by = ["DIMENSION"]')
        return view

    def series(self, path: str, number: int, keys: object) -> BoardSeries:
        """Read one series of a view. Reports unknown metrics and dimensions, and shows without a correct answer.

        Events need not be declared. An unknown event is reported later, as a message on the board."""
        table = read_section(keys, SERIES_KEYS, f"{path}.{number}", self.problems)
        one = BoardSeries(**table.values)
        named = [key for key in ("metric", "event") if key in {*table.given, *table.bad}]
        if not named:
            self.needs(table, "metric", "a series needs a metric or an event", SERIES_KEYS["metric"])
        if len(named) > 1:
            self.report(table, "event", "a series is of a metric or of an event", expected="one of metric and event")
        if one.metric:
            self.check_metric(table, "metric", one.metric, {"where": filtered(one.where)})
            self.check_view_show(table, one.metric, one.show)
        for key in ("measure", "property") if one.metric else ("show",) if one.event else ():
            if key in table.given:
                expected = f"a series with {'event' if one.metric else 'metric'}, or without this key"
                self.report(table, key, f"{key} belongs to {'events' if one.metric else 'metrics'}", expected=expected)
        if one.event and (one.measure == EVENT_MEASURES[0]) == bool(one.of) and "property" not in table.bad:
            self.check_property(table, one)
        return one

    def check_property(self, table: SectionTable, one: BoardSeries) -> None:
        """Report a measure without a property, or a property that is not measured."""
        if one.of:
            expected = "measure = " + " or ".join(EVENT_MEASURES[1:])
            self.report(table, "property", "count counts events, not a property", expected=expected)
        else:
            self.needs(table, "property", f"{one.measure} needs a property", SERIES_KEYS["property"])

    def check_together(self, table: SectionTable, view: BoardView) -> None:
        """Report keys that exclude each other, and a formula that cannot be read."""
        if view.series:
            for key in ("metrics", "where", "show"):
                if key in table.given:
                    self.report(
                        table, key, f"a view with series has {key} in each of them", expected="without this key"
                    )
        if len(view.series) > 1:
            for key in ("by", "segments", "top", "compare"):
                if key in table.given:
                    message = f"{key} is for a view with one series, and there are {len(view.series)}"
                    self.report(table, key, message, expected="a filter in each series, or one series")
        if view.from_ and view.last:
            self.report(table, "from", "a range has a first day or a length", expected="one of from and last")
        if view.formula and "series" not in table.bad:
            self.check_formula(table, view)

    def check_formula(self, table: SectionTable, view: BoardView) -> None:
        """Report a formula without series, or one that cannot be read."""
        if not view.series:
            expected = f"series = {VIEW_KEYS['series'].example}"
            self.report(table, "formula", "a formula is computed from series, and there are none", expected=expected)
            return
        try:
            parsed_formula(view.formula, SERIES_LETTERS[: len(view.series)])
        except QueryError as error:
            self.report(table, "formula", error.message, expected=error.hint)

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
        """Report a filter of the board whose dimension a view's metric lacks."""
        for metric in (*view.metrics, *(one.metric for one in view.series)):
            if metric in self.catalog.metrics:
                self.check_dimensions(table, metric, {"where": filtered(board.where)})


class Notes(Asking):
    """The notes: events on a day."""

    def read(self, raw: Mapping[str, object]) -> tuple[Note, ...]:
        """Read every `[[notes]]`, in order of day."""
        tables = raw.get("notes", [])
        if not isinstance(tables, list | tuple):
            example = '[[notes]]\nday = "2026-07-06"\ntext = "Pricing page redesigned"'
            seen = shorten_toml(tables)
            self.problems.add("notes", "is not a list of notes", seen=seen, expected="[[notes]]", paste=example)
            return ()
        notes = [self.note(number, keys) for number, keys in enumerate(tables, 1)]
        return tuple(sorted(_known(notes), key=lambda note: note.day))

    def note(self, number: int, keys: object) -> Note | None:
        """Read one note. Reports a note without a day or text, and returns None for it."""
        table = read_section(keys, NOTE_KEYS, f"notes.{number}", self.problems)
        for key, message in (("day", "a note needs its day"), ("text", "a note needs a text")):
            self.needs(table, key, message, NOTE_KEYS[key])
        for metric in table.values.get("metrics", ()):
            self.check_metric(table, "metrics", metric, {})
        return Note(**table.values) if {"day", "text"} <= table.values.keys() else None


def _known(notes: Iterable[Note | None]) -> list[Note]:
    return [note for note in notes if note is not None]
