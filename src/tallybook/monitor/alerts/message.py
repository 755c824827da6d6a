"""What is said of causes: one message for all that is to be told at once, each thing once."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from tallybook.core import calendar, shorten_list, utc_text
from tallybook.monitor.alerts.known import Due, Known

MANY = 8
"""So many subjects are named in one sentence."""
FEW = 3
"""So many are named in a command."""
OVER = {
    "failed": "well again",
    "late": "up to date again",
    "source": "answers again",
    "stopped": "has values again",
    "unusual": "as usual again",
    "revised": "revised no more than usual again",
    "delivery": "made again",
}


@dataclass(frozen=True, kw_only=True)
class Message:
    """A title of one line, a text, and the same for programs."""

    title: str
    text: str
    plain: dict[str, Any] = field(default_factory=dict)
    well: bool = False
    """It tells only of what is over."""


def message(due: Due, *, book: str, zone: str, now: datetime) -> Message:
    """One message for everything that an address has yet to hear."""
    blocks = [*_begun(due.begun), *_ended(due.ended, zone)]
    told = {
        "id": _id(due),
        "book": book,
        "at": utc_text(now),
        "problems": [plain(one) for one in due.begun],
        "recovered": [plain(one) for one in due.ended],
    }
    title = f"{book}: {_title(due)}"
    return Message(title=title, text="\n\n".join(blocks), well=not due.begun, plain={"title": title, **told})


def trial(*, book: str, now: datetime) -> Message:
    """What `tallybook alerts --test` sends."""
    title, text = f"{book}: a test", "This is a test of [alerts] in tallybook.toml. Nothing is wrong."
    told = {"title": title, "id": "test", "book": book, "at": utc_text(now), "problems": [], "recovered": []}
    return Message(title=title, text=text, plain=told, well=True)


def _title(due: Due) -> str:
    if not due.begun:
        return _counted(due.ended, "is over", "are over") if len(due.ended) > 1 else _over(due.ended)
    if len(grouped(due.begun)) == 1 and len(due.begun) == 1:
        one = due.begun[0].cause
        return _short(f"{one.subject} {one.said}")
    return _counted(due.begun, "problem", "problems") + (f", {len(due.ended)} over" if due.ended else "")


def _over(ended: Sequence[Known]) -> str:
    one = ended[0].cause
    return _short(f"{one.subject} {OVER[one.kind]}")


def _counted(several: Sequence[Known], one: str, many: str) -> str:
    return f"{len(several)} {one if len(several) == 1 else many}"


def _short(text: str, most: int = 110) -> str:
    line = " ".join(text.split())
    return line if len(line) <= most else line[: most - 1] + "…"


def grouped(several: Iterable[Known]) -> list[list[Known]]:
    """What is said alike is said once."""
    groups: dict[tuple[str, str], list[Known]] = {}
    for one in several:
        groups.setdefault((one.cause.kind, one.cause.said), []).append(one)
    return list(groups.values())


def _begun(begun: Sequence[Known]) -> list[str]:
    return [_sentence(group) for group in grouped(begun)]


def _sentence(group: Sequence[Known]) -> str:
    cause = group[0].cause
    command = command_of([one.cause.subject for one in group], cause.next)
    told = "\n".join(f"  {line}" for line in command.splitlines())
    return f"{named([one.cause.subject for one in group])}: {cause.said}" + (f"\n{told}" if told else "")


def named(subjects: Sequence[str]) -> str:
    return shorten_list(subjects, MANY)


def command_of(subjects: Sequence[str], template: str) -> str:
    """The command for some subjects: for the first of many where it takes one, for all of them where it takes none."""
    if "{subject}" not in template:
        return template
    if template.startswith("tallybook run"):
        several = " ".join(subjects) if len(subjects) <= FEW else ""
        return template.replace("{subject}", several).strip()
    return template.replace("{subject}", subjects[0])


def _ended(ended: Sequence[Known], zone: str) -> list[str]:
    by_kind: dict[str, list[Known]] = {}
    for one in ended:
        by_kind.setdefault(one.cause.kind, []).append(one)
    return [
        f"{named([one.cause.subject for one in several])}: {OVER[kind]}; it was not since {_since(several, zone)}"
        for kind, several in by_kind.items()
    ]


def _since(several: Sequence[Known], zone: str) -> str:
    return f"{min(one.since for one in several).astimezone(calendar.zone(zone)):%Y-%m-%d %H:%M}"


def plain(one: Known) -> dict[str, Any]:
    """A cause for programs."""
    cause = one.cause
    return {
        "id": cause.id,
        "kind": cause.kind,
        "subject": cause.subject,
        "said": cause.said,
        "next": command_of([cause.subject], cause.next),
        "since": utc_text(one.since),
        **({"over": utc_text(one.over)} if one.over else {}),
    }


def _id(due: Due) -> str:
    """The same for the same news: who gets it twice can tell."""
    told = [f"{one.cause.id} {utc_text(one.since)}" for one in due.begun]
    told += [f"{one.cause.id} {utc_text(one.moment)} over" for one in due.ended]
    return hashlib.blake2b("\n".join(told).encode(), digest_size=8).hexdigest()
