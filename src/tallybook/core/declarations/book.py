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
        """The periods of every scope; `week_starts` replaces that of the book for the scope week."""
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
    """Whether it may listen where others can reach it, although it has no TLS."""
    durable: str | None = None
    """Where requests are kept until they are compacted, `disk` or `ledger`; by default on the disk where the book has a
    folder."""
    backlog: int = 2_000_000_000
    """Bytes of events that may wait to be compacted. With more, events get 503."""
    reserve: int = 1_000_000_000
    """Free bytes on the disk. With fewer, events get 503."""
    downtime: float = 900.0
    """Seconds for which no server may have run on a day for it to be complete."""
    workers: int = 1
    """Processes that take requests."""
    origins: tuple[str, ...] = ()
    """Pages that may send events with a browser key, as https://app.acme.com."""
    identities: str = "signed"
    """Whether pages with a browser key need a signature to name a user or an account: signed, open."""
    identity_secrets: tuple[str, ...] = ()
    """What signed identities may be signed with; several while one replaces another."""
    proxies: tuple[str, ...] = ()
    """Networks whose X-Forwarded-For, X-Forwarded-Proto and login header are believed; `unix` for a Unix socket, where
    only the login header needs it."""
    login_header: str | None = None
    """The header in which a proxy names the person who signed in there."""
    frames: tuple[str, ...] = ()
    """Origins of pages that may show shared pages in an <iframe>."""
    local: bool = True
    """Whether requests from this machine to a loopback address may read without a key."""
    reads: int = 100
    """Requests a second that each reader may make to one worker."""
    max_rows: int = 200_000
    """Rows of an answer over HTTP."""
    audit: float = 90 * 86400.0
    """Seconds for which it is kept who asked what; 0: it is not."""
    contact: str | None = None
    """Whom to ask about a shared link that is no longer valid."""
    certificate: str | None = None
    private_key: str | None = None
    """Paths of PEM files, for TLS of its own. Relative ones begin at the project folder."""
    access_log: bool = True


class ScheduleSettings(msgspec.Struct, frozen=True, kw_only=True):
    """`[schedule]`: when `tallybook serve` runs, and when `tallybook status` expects a run."""

    cron: str | None = None
    """A cron expression in the time zone of the book."""
    jitter: float = 0.0
    """Maximum random delay of each run, in seconds."""
