"""Formats goals for pages."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tallybook.server.pages.page import PageWork
from tallybook.server.pages.words import Shown, number

if TYPE_CHECKING:
    from tallybook.query import Standing

OFF = ("behind", "missed")
WORDS = {
    False: {"reached": "reached", "ahead": "ahead", "behind": "behind", "missed": "missed"},
    True: {"reached": "within", "ahead": "within", "behind": "over", "missed": "over"},
}


@dataclass(frozen=True, kw_only=True)
class GoalLine:
    """A goal next to its metric: a word with its tone, and the target."""

    word: str
    tone: str
    icon: str
    target: str
    period: str


def goal_standings(work: PageWork) -> list[Standing]:
    """The standings of all goals, read once per page."""
    can_see = work.catalog.goals and work.book.reader.has_book and not work.reader.is_filtered
    return work.once("goals", lambda: work.book.goals() if can_see else [])


def goal_lines(work: PageWork) -> dict[str, GoalLine]:
    """The first goal of each metric."""
    found: dict[str, GoalLine] = {}
    for one in goal_standings(work):
        found.setdefault(one.metric, goal_line(one))
    return found


def goal_line(one: Standing) -> GoalLine:
    """A goal in a few words."""
    word, tone, icon = status_words(one)
    sign = "≤ " if one.at_most else ""
    return GoalLine(word=word, tone=tone, icon=icon, target=f"{sign}{in_goal(one, one.target)}", period=one.label)


def status_words(one: Standing) -> tuple[str, str, str]:
    """(word, tone, icon) of a goal."""
    word = WORDS[one.at_most].get(one.status, one.status)
    if one.status in OFF:
        return word, "bad", "goal"
    return (word, "good", "done") if one.status in ("reached", "ahead") else (word, "muted", "waiting")


def in_goal(one: Standing, value: Any) -> Shown:
    """A number, in the unit of a goal."""
    return number(value, one.column, brief=True)


def off_goal_sentence(one: Standing) -> str:
    """A sentence about a goal that is off track: `348 of 420 in 2026-11 after 28 of 30 days. Expected by now: 392.`"""
    value, target = in_goal(one, one.value), in_goal(one, one.target)
    if one.at_most:
        return f"{value} in {one.label}, goal at most {target}."
    words = f"{value.text} of {target} in {one.label}"
    words += f" after {one.days_gone} of {one.days_expected} days." if not one.complete else "."
    if one.expected is not None and not one.complete:
        words += f" Expected by now: {in_goal(one, _rounded(one.expected)).text}."
    if one.projection is not None and not one.complete:
        words += f" Projected: {in_goal(one, _rounded(one.projection)).text}."
    return words


def _rounded(value: Any) -> Any:
    return round(value) if abs(value) >= 100 else value
