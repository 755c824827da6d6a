"""Finds the client of a request: the sender itself, or the client that a proxy names. Only proxies named in the
settings are trusted."""

from __future__ import annotations

import functools
import ipaddress
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from tallybook.core import ServeSettings

Network = ipaddress.IPv4Network | ipaddress.IPv6Network
Address = ipaddress.IPv4Address | ipaddress.IPv6Address
FORWARDING = (
    "x-forwarded-for",
    "x-forwarded-proto",
    "x-forwarded-host",
    "forwarded",
    "x-real-ip",
    "via",
    "x-client-ip",
    "cf-connecting-ip",
    "true-client-ip",
)
_FORWARDING = frozenset(FORWARDING)
MAX_KNOWN_CLIENTS = 4_096
UNIX = "unix"
"""The address of a client on a Unix socket. The permissions of the socket file decide who can connect."""


@dataclass(frozen=True, kw_only=True)
class DoorPolicy:
    """The settings that decide who may connect. They are replaced as a whole when the settings are read again."""

    origins: frozenset[str] = frozenset()
    identities: str = "signed"
    identity_secrets: tuple[str, ...] = field(default=(), repr=False)
    proxies: tuple[Network, ...] = ()
    trusts_unix: bool = False
    """Whether anyone who connects to a Unix socket is trusted as a proxy that signs people in."""
    login_header: str = ""
    frames: tuple[str, ...] = ()
    local: bool = True
    reads: int = 100
    contact: str = ""
    direct: dict[tuple[str, str], RequestClient] = field(default_factory=dict, repr=False, compare=False)
    """The clients of requests that no proxy passed on, by (address, scheme)."""
    needs_proxy: bool = False
    """Whether other machines can reach the listener and it has no TLS, so that only proxies may pass keys."""

    @classmethod
    def of(cls, settings: ServeSettings, *, needs_proxy: bool) -> DoorPolicy:
        return cls(
            origins=frozenset(settings.origins),
            identities=settings.identities,
            identity_secrets=settings.identity_secrets,
            proxies=tuple(ipaddress.ip_network(one) for one in settings.proxies if one != UNIX),
            trusts_unix=UNIX in settings.proxies,
            login_header=settings.login_header or "",
            frames=settings.frames,
            local=settings.local,
            reads=settings.reads,
            contact=settings.contact or "",
            needs_proxy=needs_proxy,
        )


@dataclass(frozen=True, kw_only=True)
class RequestClient:
    address: str
    scheme: str
    is_local: bool
    """Whether the client is on this machine with no proxy in between."""
    may_bring_keys: bool
    is_loopback: bool = False
    """Whether the socket is loopback and its other end is not a named proxy. A Unix socket does not count, because
    other users may connect to it."""
    is_proxy: bool = False
    """Whether the other end of the socket is a proxy whose login header is trusted."""


def client_of(
    peer: Sequence[object] | None, scheme: str, headers: Mapping[str, str], policy: DoorPolicy
) -> RequestClient:
    """The client of a request. Headers from a proxy that is not named are ignored."""
    if peer is not None and _FORWARDING.isdisjoint(headers):
        return _direct(str(peer[0]), scheme, policy)
    return _client_of(peer, scheme, headers, policy)


def _direct(peer: str, scheme: str, policy: DoorPolicy) -> RequestClient:
    """The client of a request that no proxy passed on. Most requests of a worker come from a few of them."""
    known = policy.direct
    if (found := known.get((peer, scheme))) is None:
        if len(known) >= MAX_KNOWN_CLIENTS:
            known.clear()
        found = known[peer, scheme] = _client_of((peer,), scheme, {}, policy)
    return found


def _client_of(
    peer: Sequence[object] | None, scheme: str, headers: Mapping[str, str], policy: DoorPolicy
) -> RequestClient:
    address = _address(str(peer[0])) if peer else None
    is_here = address is None if peer is None else address is not None and address.is_loopback
    is_trusted = peer is None or _is_proxy(address, policy)
    shown = UNIX if peer is None else str(address or peer[0])
    real: Address | None = None
    if is_trusted:
        real = _first_stranger(headers.get("x-forwarded-for", ""), policy)
        scheme = headers.get("x-forwarded-proto", scheme).rpartition(",")[2].strip().lower()[:8] or scheme
    is_forwarded = not _FORWARDING.isdisjoint(headers)
    return RequestClient(
        address=str(real) if real is not None else shown,
        scheme=scheme,
        is_local=real.is_loopback if real is not None else is_here and not is_forwarded,
        is_loopback=peer is not None and is_here and not _is_proxy(address, policy),
        is_proxy=policy.trusts_unix if peer is None else _is_proxy(address, policy),
        may_bring_keys=not policy.needs_proxy or is_trusted or is_here or scheme == "https",
    )


def _first_stranger(hops: str, policy: DoorPolicy) -> Address | None:
    """The last address in X-Forwarded-For that is not one of our proxies. Addresses before it come from the sender and
    may be false."""
    found: Address | None = None
    for hop in reversed(hops.split(",")):
        address = _address(hop.strip())
        if address is None:
            return found
        found = address
        if not _is_proxy(address, policy):
            return found
    return found


def _is_proxy(address: Address | None, policy: DoorPolicy) -> bool:
    return address is not None and any(address in network for network in policy.proxies)


@functools.lru_cache(maxsize=4096)
def _address(text: str) -> Address | None:
    host = text[1:].partition("]")[0] if text.startswith("[") else text
    if host.count(":") == 1:  # 10.0.0.1:4711
        host = host.partition(":")[0]
    try:
        found = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return None
    return getattr(found, "ipv4_mapped", None) or found
