"""The parts around every page: the navigation, how fresh the numbers are, and the footer."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime
from typing import TYPE_CHECKING, Any

from tallybook.server.pages.page import Page, PageWork
from tallybook.server.pages.templates import render

if TYPE_CHECKING:
    from tallybook.monitor import Status

FRESH_SECONDS = 300
"""Seconds for which a rendered page is reused. A page reports what is late, which changes with the clock."""
SECTIONS = (
    ("overview", "Overview", "/"),
    ("query", "Query", "/q"),
    ("boards", "Boards", "/boards"),
    ("accounts", "Accounts", "/accounts"),
    ("health", "Health", "/health"),
)


@dataclass(frozen=True, kw_only=True)
class Frame:
    """The facts that every page shows."""

    book: str
    zone: str
    week_starts: str
    version: int
    through: str
    """The day up to which metrics are collected; empty before the first run."""
    late: str = ""
    """A sentence about what is late."""
    last_run: str = ""
    sections: tuple[tuple[str, str, str], ...] = SECTIONS


def status_of(work: PageWork) -> Status:
    """The status of the book, read once per page. Pages that do not explain it share it for a while."""
    if work.ask.path == "/health":
        if "status" not in work.found:
            work.found["status"] = work.book.status(values=False)
        status: Status = work.found["status"]
        return status
    moment = int(work.now.timestamp() // FRESH_SECONDS)
    # Pages list unusual values and goals by themselves, once for a version.
    return work.once("status", lambda: work.book.status(values=False), moment)


def frame_of(work: PageWork) -> Frame:
    """The facts that surround a page."""
    catalog, status = work.catalog, status_of(work)
    visible = [one for one in status.metrics if one.metric in work.metrics]
    reached = [one.to for one in visible if one.to is not None]
    late = [one for one in visible if one.days_late or one.error]
    sections = [one for one in SECTIONS if _is_there(one[0], catalog)]
    users = [("users", "Users", "/users")] if {*catalog.entities} == {"users"} else []
    ran = status.last_run["started"] if status.last_run else ""
    return Frame(
        book=catalog.book.name,
        zone=catalog.book.timezone,
        week_starts=catalog.book.week_starts.capitalize(),
        version=status.version,
        through=str(max(reached)) if reached else "",
        late=f"{len(late)} of {len(visible)} metrics late" if late and reached else "",
        last_run=f"{datetime.fromisoformat(ran):%Y-%m-%d %H:%M} UTC" if ran else "",
        sections=tuple(sections[:-1] + users + sections[-1:]),
    )


def _is_there(section: str, catalog: Any) -> bool:
    return section != "accounts" or "accounts" in catalog.entities


def _signed_in(work: PageWork) -> str:
    """The name of a reader who can sign out, or an empty text."""
    return work.reader.name if work.reader.is_ambient and work.reader.key is not None else ""


def page(work: PageWork, template: str, section: str, title: str, *, status: int = 200, **values: Any) -> Page:
    """A page within its frame."""
    html = render(
        template,
        frame=frame_of(work),
        section=section,
        title=title,
        theme=work.ask.theme,
        ask=work.ask,
        who=_signed_in(work),
        **values,
    )
    return Page(html=html, status=status)
