"""Settings of the book itself and of its schedule."""

from __future__ import annotations

from datetime import date

import msgspec

from tallybook.core.calendar import WEEKDAY_NAMES
from tallybook.core.fiscal import MONTH_NAMES, WEEK_PATTERNS, BookCalendar, FiscalYear

WEEKDAYS = WEEKDAY_NAMES


class BookSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[book]`: name, time zone, first day of the week, and where the book is stored. `ledger` is a URL, and secret."""

    name: str = "book"
    id: str = ""
    """Identifies the book of this project, whatever its name."""
    timezone: str = "UTC"
    week_starts: str = "monday"
    fiscal_year_starts: str = "january"
    """The month in which fiscal years begin. It moves the scopes quarter and year."""
    calendar: str = ""
    """How a fiscal year of whole weeks is divided, such as 4-4-5. It also moves the scope month."""
    fiscal_year_named: str = "end"
    """Whether a fiscal year is named after the calendar year in which it ends or in which it starts."""
    store: str = "book"
    ledger: str = ""
    schema: str = "tallybook"
    access: str = "owner"
    """Who may read a new book or backup: owner or group."""
    start: date | None = None
    lookback: int = 3
    """Days collected again on every run."""
    keep_versions: int = 90
    """Days for which every version is kept. Of older versions, one a month is kept."""

    def periods(self, week_starts: str | None = None) -> BookCalendar:
        """The periods of every scope. `week_starts` replaces the book's first day of the week, for the scope week."""
        own = WEEKDAYS.index(self.week_starts)
        month, weeks = MONTH_NAMES.index(self.fiscal_year_starts) + 1, WEEK_PATTERNS.get(self.calendar, ())
        fiscal = FiscalYear(first_month=month, weeks=weeks, week_start=own, named=self.fiscal_year_named)
        return BookCalendar(
            week_start=WEEKDAYS.index(week_starts) if week_starts else own,
            fiscal=fiscal if weeks or month > 1 else None,
        )


class ServeSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[serve]`: where `tallybook serve` takes usage events."""

    listen: str | None = None
    insecure: bool = False
    """Whether it may listen on an address that other machines can reach, although it has no TLS."""
    durable: str | None = None
    """Where requests are kept until they are compacted: `disk` or `ledger`. The default is `disk` if the book has a
    folder."""
    backlog: int = 2_000_000_000
    """Bytes of events that may wait for compaction. Above this limit, new events are answered 503."""
    reserve: int = 1_000_000_000
    """Bytes that must stay free on the disk. Below this limit, new events are answered 503."""
    downtime: float = 900.0
    """Maximum length in seconds of an interruption of the server; a longer one makes its day incomplete."""
    workers: int = 1
    """Number of processes that handle requests."""
    origins: tuple[str, ...] = ()
    """Origins of pages that may send events with a browser key, such as https://app.acme.com."""
    identities: str = "signed"
    """Whether pages with a browser key need a signature to identify a user or an account: signed or open."""
    identity_secrets: tuple[str, ...] = ()
    """Secrets that may sign identities; several during a rotation."""
    proxies: tuple[str, ...] = ()
    """Networks of trusted proxies: their X-Forwarded-For, X-Forwarded-Proto and login header are believed. `unix` means
    a Unix socket; only the login header needs it."""
    login_header: str | None = None
    """The header in which a proxy sends the name of the signed-in person."""
    frames: tuple[str, ...] = ()
    """Origins of pages that may show shared pages in an <iframe>."""
    local: bool = True
    """Whether requests from this machine to a loopback address may read data without a key."""
    reads: int = 100
    """Requests per second that each reader may send to one worker."""
    max_rows: int = 200_000
    """Maximum rows of an answer over HTTP."""
    audit: float = 90 * 86400.0
    """Seconds for which the request log (who asked what) is kept; 0: nothing is logged."""
    contact: str | None = None
    """The contact shown for a shared link that is no longer valid."""
    certificate: str | None = None
    private_key: str | None = None
    """Paths of PEM files for the server's own TLS. Relative paths start at the project folder."""
    access_log: bool = True


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[schedule]`: when `tallybook serve` runs, and when `tallybook status` expects a run."""

    cron: str | None = None
    """A cron expression in the time zone of the book."""
    jitter: float = 0.0
    """Maximum random delay of each run, in seconds."""
