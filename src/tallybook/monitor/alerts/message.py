"""Messages about causes: one message for everything that an address has yet to receive."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, NamedTuple

from tallybook.core import calendar, shorten_list, utc_text
from tallybook.monitor.alerts.causes import STALE, Cause
from tallybook.monitor.alerts.known import Due, Known

MAX_NAMED = 8
"""Maximum number of subjects named in one sentence."""
MAX_IN_COMMAND = 3
"""Maximum number of metrics named in a command."""


class Recovery(NamedTuple):
    """How a recovered cause is reported: `signups` `has values again` (was `without values` since …)."""

    one: str
    many: str
    before: str

    def of(self, count: int) -> str:
        """The predicate for the given number of subjects."""
        return self.one if count == 1 else self.many


RECOVERIES = {
    "failed": Recovery("is working again", "are working again", "failing"),
    "late": Recovery("is up to date again", "are up to date again", "late"),
    "source": Recovery("is reachable again", "are reachable again", "down"),
    "stopped": Recovery("has values again", "have values again", "without values"),
    "unusual": Recovery("is back to normal", "are back to normal", "unusual"),
    "revised": Recovery(
        "is revised as little as usual again", "are revised as little as usual again", "revised unusually"
    ),
    "delivery": Recovery("is delivered again", "are delivered again", "not delivered"),
    "rejected": Recovery("sends good events again", "send good events again", "sending rejected events"),
    "silent": Recovery("sends events again", "send events again", "silent"),
    "unused": Recovery("feeds a metric now", "feed metrics now", "without a metric"),
}
BEHIND = Recovery("is up to date again", "are up to date again", "behind")
"""Used for a source that was reachable but not up to date."""


@dataclass(frozen=True, kw_only=True)
class Message:
    """A one-line title, a text, and the same facts as plain values for programs."""

    title: str
    text: str
    plain: dict[str, Any] = field(default_factory=dict)
    well: bool = False
    """Whether it reports only recoveries."""


def message(due: Due, *, book: str, zone: str, now: datetime) -> Message:
    """The message with everything that an address has yet to receive."""
    blocks = [*_begun(due.begun), *_ended(due.ended, zone)]
    facts = {
        "id": _id(due),
        "book": book,
        "at": utc_text(now),
        "problems": [plain(one) for one in due.begun],
        "recovered": [plain(one) for one in due.ended],
    }
    title = f"{book}: {_title(due)}"
    return Message(title=title, text="\n\n".join(blocks), well=not due.begun, plain={"title": title, **facts})


def trial(*, book: str, now: datetime) -> Message:
    """The message of `tallybook alerts --test`."""
    title, text = f"{book}: a test", "This is a test of [alerts] in tallybook.toml. Nothing is wrong."
    facts = {"title": title, "id": "test", "book": book, "at": utc_text(now), "problems": [], "recovered": []}
    return Message(title=title, text=text, plain=facts, well=True)


def _title(due: Due) -> str:
    if not due.begun:
        return f"{len(due.ended)} recovered" if len(due.ended) > 1 else _recovered(due.ended[0].cause)
    if len(grouped(due.begun)) == 1 and len(due.begun) == 1:
        one = due.begun[0].cause
        return _short(f"{one.subject} {one.said}")
    return f"{len(due.begun)} problem{'s' if len(due.begun) > 1 else ''}" + (
        f", {len(due.ended)} recovered" if due.ended else ""
    )


def _recovered(cause: Cause) -> str:
    return _short(f"{cause.subject} {recovery_of(cause).one}")


def recovery_of(cause: Cause) -> Recovery:
    """How the end of a cause is reported."""
    return BEHIND if cause.kind == "source" and cause.said.startswith(STALE) else RECOVERIES[cause.kind]


def _short(text: str, max_length: int = 110) -> str:
    line = " ".join(text.split())
    return line if len(line) <= max_length else line[: max_length - 1] + "…"


def grouped(several: Iterable[Known]) -> list[list[Known]]:
    """The causes, grouped by equal text."""
    groups: dict[tuple[str, str], list[Known]] = {}
    for one in several:
        groups.setdefault((one.cause.kind, one.cause.said), []).append(one)
    return list(groups.values())


def _begun(begun: Sequence[Known]) -> list[str]:
    return [_sentence(group) for group in grouped(begun)]


def _sentence(group: Sequence[Known]) -> str:
    cause = group[0].cause
    command = command_of([one.cause.subject for one in group], cause.next)
    indented = "\n".join(f"  {line}" for line in command.splitlines())
    return f"{named([one.cause.subject for one in group])}: {cause.said}" + (f"\n{indented}" if indented else "")


def named(subjects: Sequence[str]) -> str:
    """The subjects as text, with the first MAX_NAMED by name."""
    return shorten_list(subjects, MAX_NAMED)


def command_of(subjects: Sequence[str], template: str) -> str:
    """The command for the given subjects. A template without {subject} applies to all of them. `tallybook run` takes
    several subjects; any other command takes the first."""
    if "{subject}" not in template:
        return template
    if template.startswith("tallybook run"):
        several = " ".join(subjects) if len(subjects) <= MAX_IN_COMMAND else ""
        return template.replace("{subject}", several).strip()
    return template.replace("{subject}", subjects[0])


def _ended(ended: Sequence[Known], zone: str) -> list[str]:
    groups: dict[Recovery, list[Known]] = {}
    for one in ended:
        groups.setdefault(recovery_of(one.cause), []).append(one)
    return [_recovery(recovery, several, zone) for recovery, several in groups.items()]


def _recovery(recovery: Recovery, several: Sequence[Known], zone: str) -> str:
    was = "was" if len(several) == 1 else "were"
    names = named([one.cause.subject for one in several])
    return f"{names} {recovery.of(len(several))} ({was} {recovery.before} since {_since(several, zone)})"


def _since(several: Sequence[Known], zone: str) -> str:
    return f"{min(one.since for one in several).astimezone(calendar.zone(zone)):%Y-%m-%d %H:%M}"


def plain(one: Known) -> dict[str, Any]:
    """A cause as plain values for programs."""
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
    """An id that depends only on the reported changes, so that a receiver recognizes a repeated message."""
    parts = [f"{one.cause.id} {utc_text(one.since)}" for one in due.begun]
    parts += [f"{one.cause.id} {utc_text(one.moment)} over" for one in due.ended]
    return hashlib.blake2b("\n".join(parts).encode(), digest_size=8).hexdigest()
