"""The calendar of a book: fiscal years that begin in another month, and years of whole weeks such as 4-4-5. Pure.

Days and calendar weeks come from `calendar`. A fiscal calendar moves quarters and years; one of whole weeks also
moves months. The periods of a scope have consecutive numbers, so that the same period of another year is a
subtraction."""

from __future__ import annotations

import re
from dataclasses import dataclass
from datetime import date
from itertools import accumulate

from tallybook.core import calendar
from tallybook.core.calendar import DAYS, MONTHS, ONE_DAY, plus_days

WEEK_PATTERNS = {"4-4-5": (4, 4, 5), "4-5-4": (4, 5, 4), "5-4-4": (5, 4, 4)}
"""The weeks in each month of a quarter, by the name of the calendar."""
MONTH_NAMES = (
    "january",
    "february",
    "march",
    "april",
    "may",
    "june",
    "july",
    "august",
    "september",
    "october",
    "november",
    "december",
)
NAMED_BY = ("end", "start")
PERIODS_A_YEAR = {"month": 12, "quarter": 4, "year": 1}
_LETTERS = {"month": "M", "quarter": "Q", "year": "", "week": "W"}
_LABEL = re.compile(r"^\s*fy\s*(\d{4})(?:\s*([qmw])\s*(\d{1,2}))?\s*$", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class FiscalYear:
    """How fiscal years are divided. `weeks`: the weeks in each month of a quarter, for a year of whole weeks.

    A year of whole weeks begins on `week_start` (0 is Monday), on the day nearest to the first of `first_month`.
    `named`: after the calendar year in which it ends, or in which it starts."""

    first_month: int = 1
    weeks: tuple[int, ...] = ()
    week_start: int = 0
    named: str = "end"

    def year_start(self, year: int) -> date:
        """The first day of the fiscal year whose first month belongs to the calendar year `year`."""
        if year < date.min.year:
            return date.min
        if year > date.max.year:
            return date.max
        first = date(year, self.first_month, 1)
        return plus_days(first, (self.week_start - first.weekday() + 3) % 7 - 3) if self.weeks else first

    def year_of(self, day: date) -> int:
        """The calendar year of the first month of the fiscal year that contains `day`."""
        return max(year for year in (day.year - 1, day.year, day.year + 1) if self.year_start(year) <= day)

    def name_of(self, year: int) -> int:
        """The number in the name of the fiscal year that `year_start` begins."""
        return year + (self.named == "end" and self.first_month > 1)

    @property
    def month_weeks(self) -> tuple[int, ...]:
        """The first week of each month, counted from 0."""
        return (0, *accumulate(self.weeks * 4))[:12]

    def in_words(self) -> str:
        """The calendar as part of a sentence."""
        month = MONTH_NAMES[self.first_month - 1].capitalize()
        if not self.weeks:
            return f"fiscal years from {month}"
        weekday = calendar.WEEKDAY_NAMES[self.week_start].capitalize()
        return f"{'-'.join(map(str, self.weeks))} years from the {weekday} nearest to {month} 1"


@dataclass(frozen=True, kw_only=True)
class BookCalendar:
    """The periods of every scope. `week_start` is the first day of scope week, counted from 0, Monday."""

    week_start: int = 0
    fiscal: FiscalYear | None = None

    def moves(self, scope: str) -> bool:
        """Whether periods of `scope` follow the fiscal calendar."""
        if self.fiscal is None:
            return False
        return scope in ("quarter", "year") or (scope == "month" and bool(self.fiscal.weeks))

    def by_weeks(self, scope: str) -> bool:
        """Whether periods of `scope` are whole weeks of a fiscal year, so that they do not match calendar months."""
        return self.moves(scope) and bool(self.fiscal and self.fiscal.weeks)

    @property
    def has_fiscal_weeks(self) -> bool:
        """Whether the weeks of scope week are the weeks of the fiscal years."""
        return self.fiscal is not None and bool(self.fiscal.weeks) and self.week_start == self.fiscal.week_start

    # -- periods

    def period_start(self, day: date, scope: str, first: date | None = None) -> date:
        """The first day of the period that contains `day`; for scope all it is `first`."""
        if not self.moves(scope):
            return calendar.period_start(day, scope, self.week_start, first)
        return self.start_of(self.number_of(day, scope), scope)

    def period_end(self, start: date, scope: str) -> date:
        """The last day of the period that begins on `start`, at most the last day of the calendar."""
        if not self.moves(scope):
            return calendar.period_end(start, scope)
        following = self.start_of(self.number_of(start, scope) + 1, scope)
        return date.max if following == date.max else following - ONE_DAY

    def periods(self, first: date, last: date, scope: str) -> list[tuple[date, date]]:
        """(first day, last day) of every period that overlaps first..last, in order. For scope all: the range."""
        if not self.moves(scope):
            return calendar.periods(first, last, scope, self.week_start)
        bounds = []
        start = self.period_start(first, scope)
        while True:
            end = self.period_end(start, scope)
            bounds.append((start, end))
            if end >= last:
                return bounds
            start = end + ONE_DAY

    def last_span(self, text: str, until: date) -> tuple[date, date]:
        """(first day, last day) of the span `text` that ends on `until`, from the start of its first period."""
        number, unit = calendar.parse_span(text)
        if not self.moves(unit):
            return calendar.last_span(text, until, self.week_start)
        return self.start_of(self.number_of(until, unit) - number + 1, unit), until

    # -- numbers of periods

    def number_of(self, day: date, scope: str) -> int:
        """The number of the month, quarter or year that contains `day`. Consecutive periods have consecutive
        numbers."""
        size = MONTHS[scope]
        if self.fiscal is None or not self.fiscal.weeks:
            return (day.year * 12 + day.month - self._first_month) // size
        year = self.fiscal.year_of(day)
        week = (day - self.fiscal.year_start(year)).days // 7
        month = sum(first <= week for first in self.fiscal.month_weeks) - 1
        return (year * 12 + month) // size

    def start_of(self, number: int, scope: str) -> date:
        """The first day of the month, quarter or year with this number, within the calendar."""
        size = MONTHS[scope]
        if self.fiscal is None or not self.fiscal.weeks:
            year, month = divmod(number * size + self._first_month - 1, 12)
            return date.min if year < date.min.year else date.max if year > date.max.year else date(year, month + 1, 1)
        year, month = divmod(number * size, 12)
        return plus_days(self.fiscal.year_start(year), 7 * self.fiscal.month_weeks[month])

    @property
    def _first_month(self) -> int:
        return self.fiscal.first_month if self.fiscal else 1

    # -- the same days of an earlier period

    def earlier(self, first: date, last: date, scope: str, number: int) -> tuple[date, date]:
        """The days of the period `number` periods of `scope` earlier that correspond to `first` … `last`.

        Days correspond by their distance from the first day of their period. The last day of a period corresponds to
        the last day of the other one, and so does a day that the other period is too short for."""
        return self._earlier(first, scope, number), self._earlier(last, scope, number)

    def _earlier(self, day: date, scope: str, number: int) -> date:
        own = self.number_of(day, scope)
        start, other = self.start_of(own, scope), self.start_of(own - number, scope)
        end = self.period_end(other, scope)
        return end if day == self.period_end(start, scope) else min(other + (day - start), end)

    def year_before(self, day: date, years: int = 1) -> date | None:
        """The day of the same week and weekday in the fiscal year `years` earlier; None for a week 53 without one.

        Only with years of whole weeks."""
        assert self.fiscal is not None
        year = self.fiscal.year_of(day)
        found = self.fiscal.year_start(year - years) + (day - self.fiscal.year_start(year))
        return found if found < self.fiscal.year_start(year - years + 1) else None

    # -- names

    def key(self, scope: str) -> str:
        """An identifier of the calendar used for `scope`, such as fiscal_2_4_4_5_6_end. Empty without a fiscal
        calendar."""
        if self.fiscal is None or not (self.moves(scope) or self.label(date.max, scope)):
            return ""
        numbers = (self.fiscal.first_month, *self.fiscal.weeks, self.fiscal.week_start)
        return "_".join(["fiscal", *map(str, numbers), self.fiscal.named])

    def label(self, start: date | None, scope: str) -> str | None:
        """The fiscal name of the period that begins on `start`, such as FY2027 Q1. None if only its first day names
        it."""
        if self.fiscal is None or start is None:
            return None
        if scope == "week" and self.has_fiscal_weeks:
            year = self.fiscal.year_of(start)
            return f"FY{self.fiscal.name_of(year)} W{(start - self.fiscal.year_start(year)).days // 7 + 1:02d}"
        if not self.moves(scope):
            return None
        year, place = divmod(self.number_of(start, scope), PERIODS_A_YEAR[scope])
        number = {"year": "", "quarter": f" Q{place + 1}", "month": f" M{place + 1:02d}"}[scope]
        return f"FY{self.fiscal.name_of(year)}{number}"

    def start_named(self, text: str, scope: str) -> date | None:
        """The first day of the period with the label `text`; None if it is not a label of `scope`."""
        found = _LABEL.match(text)
        if found is None or self.fiscal is None or (found[2] or "").upper() != _LETTERS.get(scope):
            return None
        year, place = int(found[1]) - (self.fiscal.name_of(0)), int(found[3] or 1) - 1
        if scope in DAYS:
            start = plus_days(self.fiscal.year_start(year), 7 * place)
        else:
            start = self.start_of(year * PERIODS_A_YEAR[scope] + place, scope)
        return start if self.label(start, scope) == _written(found, scope) else None


def _written(found: re.Match[str], scope: str) -> str:
    """A label as `BookCalendar.label` writes it."""
    digits = 2 if scope in ("month", "week") else 1
    return f"FY{found[1]}" + (f" {found[2].upper()}{int(found[3]):0{digits}d}" if found[2] else "")


PLAIN = BookCalendar()
"""Calendar months, quarters and years, and weeks from Monday."""
