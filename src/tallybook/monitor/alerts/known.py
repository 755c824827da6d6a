"""Which address was notified of each cause. This memory turns a lasting cause into one message.

nothing ── seen ──▶ on, not sent ── sent ──▶ on, sent ── over ──▶ over, sent ── sent ──▶ nothing
   ▲                     │                       ▲                    │
   └──────── over ───────┘                       └─────── again ──────┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tallybook.core import QuietHours, json_decoder
from tallybook.monitor.alerts.causes import Cause, Findings


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that is active, or whose end has not been sent to everyone: when it began, who was notified, and when it
    ended."""

    cause: Cause
    since: datetime
    told: tuple[str, ...] = ()
    """Names of the addresses that were notified; see `name_of`."""
    over: datetime | None = None

    @property
    def moment(self) -> datetime:
        """When it began or ended, whichever is later."""
        return self.over or self.since


@dataclass(frozen=True)
class Due:
    """The causes that an address has yet to receive."""

    begun: tuple[Known, ...] = ()
    ended: tuple[Known, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended)


def name_of(address: str) -> str:
    """The hash under which an address is stored, because the address itself is secret."""
    return hashlib.blake2b(address.encode(), digest_size=8).hexdigest()


def after(known: Mapping[str, Known], look: Findings, now: datetime) -> dict[str, Known]:
    """The known causes after new findings.

    A cause that ends before anyone was notified is forgotten, and so is a cause that the settings no longer ask for. A
    cause that returns before anyone was notified of its end counts as not ended."""
    found: dict[str, Known] = {}
    for id_, one in known.items():
        if id_ in look.unsure:
            found[id_] = one
        elif id_ in look.found and look.found[id_] is None and one.told:
            found[id_] = one if one.over else msgspec.structs.replace(one, over=now)
    for id_, cause in look.found.items():
        if cause is not None:
            before = known.get(id_)
            again = before and msgspec.structs.replace(before, cause=cause, over=None)
            found[id_] = again or Known(cause=cause, since=now)
    return dict(sorted(found.items()))


def due(known: Mapping[str, Known], address: str, quiet: QuietHours | None, now: datetime) -> Due:
    """The causes to send to an address now. In quiet hours, only causes that were already due before."""
    name = name_of(address)
    heard = [one for one in known.values() if quiet is None or not quiet.defers(one.moment, now)]
    return Due(
        begun=tuple(one for one in heard if one.over is None and name not in one.told),
        ended=tuple(one for one in heard if one.over is not None and name in one.told),
    )


def waiting(known: Mapping[str, Known], addresses: Iterable[str], now: datetime) -> int:
    """The number of causes that are not sent yet, including those that wait for the end of quiet hours."""
    dues = [due(known, address, None, now) for address in addresses]
    return len({one.cause.id for found in dues for one in (*found.begun, *found.ended)})


def after_sending(known: Mapping[str, Known], sent: Due, address: str) -> dict[str, Known]:
    """The known causes after sending. A cause that is over is forgotten once every notified address knows that it is
    over."""
    name, found = name_of(address), dict(known)
    for one in sent.begun:
        found[one.cause.id] = msgspec.structs.replace(one, told=(*one.told, name))
    for one in sent.ended:
        left = tuple(other for other in one.told if other != name)
        found[one.cause.id] = msgspec.structs.replace(one, told=left)
    return {id_: one for id_, one in found.items() if one.told or one.over is None}


def without_strangers(known: Mapping[str, Known], addresses: Iterable[str]) -> dict[str, Known]:
    """The known causes without the addresses that are no longer declared."""
    names = {name_of(address) for address in addresses}
    found = {
        id_: msgspec.structs.replace(one, told=tuple(name for name in one.told if name in names))
        for id_, one in known.items()
    }
    return {id_: one for id_, one in found.items() if one.told or one.over is None}


def as_kept(one: Known) -> str:
    """The cause as JSON, as stored in the ledger."""
    return msgspec.json.encode(one).decode()


def as_known(text: str) -> Known:
    """The cause that `as_kept` encoded."""
    return json_decoder(Known).decode(text)
