"""Lists what needs attention: failed, late, unusual, off goal, missing. Each item is one sentence with one link."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from tallybook.server.pages.frame import status_of
from tallybook.server.pages.goal_words import OFF, goal_standings, off_goal_sentence
from tallybook.server.pages.page import PageWork, address
from tallybook.server.pages.words import days_phrase, listed, title_of

if TYPE_CHECKING:
    from tallybook.monitor import Known
    from tallybook.query import CoverageCalendar

VALUE_KINDS = ("unusual", "stopped", "revised")
KINDS = {
    "failed": ("Failed", "bad", "failed"),
    "source": ("Source", "bad", "failed"),
    "late": ("Late", "bad", "late"),
    "stopped": ("Stopped", "bad", "failed"),
    "unusual": ("Unusual", "warn", "unusual"),
    "revised": ("Revised", "warn", "unusual"),
    "goal": ("Off goal", "bad", "goal"),
    "missing": ("Missing", "warn", "missing"),
    "delivery": ("Delivery", "warn", "waiting"),
}
MAX_ITEMS = 12


@dataclass(frozen=True, kw_only=True)
class AttentionItem:
    """One item. `subject` is a metric, which links to its page."""

    kind: str
    words: str
    tone: str
    icon: str
    subject: str = ""
    subject_link: str = ""
    text: str
    link: str
    link_words: str


def attention_items(work: PageWork) -> list[AttentionItem]:
    """Everything that needs attention, most urgent first."""
    if work.reader.is_bound:
        return []
    found = [*_problems(work), *_unusual(work), *_off_goal(work), *_missing(work)]
    order = list(KINDS)
    return sorted(found, key=lambda item: order.index(item.kind))[:MAX_ITEMS]


def _item(kind: str, **rest: str) -> AttentionItem:
    words, tone, icon = KINDS[kind]
    return AttentionItem(kind=kind, words=words, tone=tone, icon=icon, **rest)


def _problems(work: PageWork) -> list[AttentionItem]:
    """Failed and late metrics, and waiting deliveries."""
    found, status = [], status_of(work)
    for one in status.metrics:
        metric = work.catalog.metrics[one.metric]
        about = {"subject": title_of(metric), "subject_link": f"/m/{one.metric}", "link": "/health"}
        if one.error:
            text = " failed in the last run."
            found.append(_item("failed", text=text, link_words="See health", **about))
        elif one.days_late:
            to = f"collected to {one.to}, due to {status.due}" if one.to else "never collected as declared now"
            text = f" is {days_phrase(one.days_late)} late: {to}."
            found.append(_item("late", text=text, link_words="See health", **about))
    for delivery in status.deliveries:
        if delivery.waiting and not status.running:
            text = f"The delivery {delivery.delivery} is not up to date."
            found.append(_item("delivery", text=text, link="/health", link_words="See health"))
    return found


def known_causes(work: PageWork) -> list[Known]:
    """The known causes of alerts about values of metrics, read once per page."""
    can_see = work.book.reader.has_book and not work.reader.is_filtered
    return work.once("causes", lambda: work.book.alerts() if can_see else [])


def unusual_metrics(work: PageWork) -> set[str]:
    """The metrics with an unusual last value."""
    current = [one for one in known_causes(work) if one.over is None and one.cause.kind in VALUE_KINDS]
    return {one.cause.metric for one in current if one.cause.metric}


def _unusual(work: PageWork) -> list[AttentionItem]:
    found = []
    for one in known_causes(work):
        cause = one.cause
        if one.over is not None or cause.kind not in VALUE_KINDS or cause.metric not in work.catalog.metrics:
            continue
        day = cause.next.rpartition(" ")[2]
        found.append(
            _item(
                cause.kind,
                subject=title_of(work.catalog.metrics[cause.metric]),
                subject_link=f"/m/{cause.metric}",
                text=f": {cause.said}.",
                link=address(f"/m/{cause.metric}", scope="day", day=day) + "#computed",
                link_words="See the day",
            )
        )
    return found


def _off_goal(work: PageWork) -> list[AttentionItem]:
    found = []
    for one in goal_standings(work):
        if one.status in OFF:
            title = one.title or title_of(work.catalog.metrics[one.metric])
            text, link = f": {off_goal_sentence(one)}", address(f"/m/{one.metric}", scope=one.scope)
            about: dict[str, Any] = {"subject": title, "subject_link": f"/m/{one.metric}"}
            found.append(_item("goal", text=text, link=link, link_words="See the goal", **about))
    return found


def calendars(work: PageWork) -> list[CoverageCalendar]:
    """The coverage of all metrics, read once per page."""
    return work.once("coverage", lambda: work.book.coverage() if work.book.reader.has_book else [])


def gaps_of(work: PageWork) -> dict[str, int]:
    """By collected metric, how many days are missing between its first and last collected day."""
    late = {one.metric: str(one.to) for one in status_of(work).metrics if one.days_late and one.to}
    found = {}
    for one in calendars(work):
        if work.catalog.metrics[one.metric].derived:
            continue
        days = sum(gap.days for gap in one.gaps if gap.from_ <= late.get(one.metric, "9999"))
        if days:
            found[one.metric] = days
    return found


def _missing(work: PageWork) -> list[AttentionItem]:
    gaps = gaps_of(work)
    if not gaps:
        return []
    each = [f"{title_of(work.catalog.metrics[name])} {days:,}" for name, days in gaps.items()]
    total = sum(gaps.values())
    verb = "is" if total == 1 else "are"
    text = f"{days_phrase(total)} {verb} not collected: {listed(each)}."
    return [_item("missing", text=text, link="/health#gaps", link_words="Fill the gaps")]
