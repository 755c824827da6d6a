"""What was told of each cause, and to whom: the memory that makes one message of a cause that lasts.

nothing ── seen ──▶ on, not told ── sent ──▶ on, told ── over ──▶ over, told ── sent ──▶ nothing
   ▲                     │                       ▲                    │
   └──────── over ───────┘                       └─────── again ──────┘
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

import msgspec

from tallybook.core import QuietHours
from tallybook.monitor.alerts.causes import Cause, Findings


class Known(msgspec.Struct, frozen=True, kw_only=True):
    """A cause that is not done with: since when it is on, which addresses know of it, and since when it is over, which
    they do not know yet."""

    cause: Cause
    since: datetime
    told: tuple[str, ...] = ()
    """Names of addresses; see `name_of`."""
    over: datetime | None = None

    @property
    def moment(self) -> datetime:
        """When there was last something to tell of it."""
        return self.over or self.since


@dataclass(frozen=True)
class Due:
    """What an address has yet to hear."""

    begun: tuple[Known, ...] = ()
    ended: tuple[Known, ...] = ()

    def __bool__(self) -> bool:
        return bool(self.begun or self.ended)


def name_of(address: str) -> str:
    """By what an address is remembered: itself is secret."""
    return hashlib.blake2b(address.encode(), digest_size=8).hexdigest()


def after(known: Mapping[str, Known], look: Findings, now: datetime) -> dict[str, Known]:
    """What is known after a look. A cause nobody was told of is forgotten when it is over; one that comes back before
    anybody heard that it was over was never over; one that is not looked at any more is forgotten."""
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
    """What is to be told to an address now. In quiet hours that is only what nobody told while it was time."""
    name = name_of(address)
    heard = [one for one in known.values() if quiet is None or not quiet.defers(one.moment, now)]
    return Due(
        begun=tuple(one for one in heard if one.over is None and name not in one.told),
        ended=tuple(one for one in heard if one.over is not None and name in one.told),
    )


def waiting(known: Mapping[str, Known], addresses: Iterable[str], now: datetime) -> int:
    """How much is yet to be told, whether or not it is time."""
    dues = [due(known, address, None, now) for address in addresses]
    return len({one.cause.id for found in dues for one in (*found.begun, *found.ended)})


def told(known: Mapping[str, Known], heard: Due, address: str) -> dict[str, Known]:
    """What is known when an address has heard it. What is over, and known to be over by all, is done with."""
    name, found = name_of(address), dict(known)
    for one in heard.begun:
        found[one.cause.id] = msgspec.structs.replace(one, told=(*one.told, name))
    for one in heard.ended:
        left = tuple(other for other in one.told if other != name)
        found[one.cause.id] = msgspec.structs.replace(one, told=left)
    return {id_: one for id_, one in found.items() if one.told or one.over is None}


def without_strangers(known: Mapping[str, Known], addresses: Iterable[str]) -> dict[str, Known]:
    """Nobody waits for word at an address that is no longer named."""
    names = {name_of(address) for address in addresses}
    found = {
        id_: msgspec.structs.replace(one, told=tuple(name for name in one.told if name in names))
        for id_, one in known.items()
    }
    return {id_: one for id_, one in found.items() if one.told or one.over is None}


def as_kept(one: Known) -> str:
    """As the ledger keeps it."""
    return msgspec.json.encode(one).decode()


def as_known(text: str) -> Known:
    return msgspec.json.decode(text, type=Known)
