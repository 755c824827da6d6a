"""Pages that need no book: signing in, and errors with a reference."""

from __future__ import annotations

from datetime import datetime

from tallybook.core import RequestError
from tallybook.server.pages.page import PageRequest
from tallybook.server.pages.templates import render
from tallybook.server.pages.words import begins_sentence

TITLES = {
    400: "This address cannot be read",
    403: "You may not see this",
    404: "There is nothing here",
    410: "This link no longer works",
    422: "This query has no right answer",
    500: "We could not load this page",
    503: "The book cannot be read now",
}


def problem_page(ask: PageRequest, error: RequestError, *, now: datetime, is_shared: bool = False) -> str:
    """An error as a page: what happened, its reference, and links back. It shows no SQL and no path. A reader of a
    shared link gets no links back, because other pages are not for that reader."""
    facts = {
        "Reference": str(error.more.get("reference", "")),
        "At": f"{now:%Y-%m-%d %H:%M:%S} UTC",
        "Page": ask.path,
    }
    return render(
        "problem.html",
        ask=ask,
        theme=ask.theme,
        status=error.status,
        title=TITLES.get(error.status, "This did not work"),
        message=_sentence(error),
        facts=[(name, text) for name, text in facts.items() if text],
        is_ours=error.status >= 500,
        is_shared=is_shared,
    )


def _sentence(error: RequestError) -> str:
    if error.status == 500:
        return "This is a bug on our side, not in your question. Your data is safe and collection continues."
    words = begins_sentence(error.message)
    asks = f" For a new one, ask {error.more['ask']}." if error.status == 410 and error.more.get("ask") else ""
    return f"{words}.{asks}" + (f" Expected: {error.expected}." if error.expected else "")


def signin_page(ask: PageRequest, *, onward: str, wrong: str = "", invite: str = "") -> str:
    """The form for a read key or an invitation."""
    return render("signin.html", ask=ask, theme=ask.theme, onward=onward, wrong=wrong, invite=invite)
