"""Who sent a request: the client itself, or the one that a proxy names. Only named proxies are believed."""

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
UNIX = "unix"
"""The address of a client on a unix socket. The rights of its file decide who connects."""


@dataclass(frozen=True, kw_only=True)
class DoorPolicy:
    """What the settings say about who may come. It is replaced as a whole when they are read again."""

    origins: frozenset[str] = frozenset()
    identities: str = "signed"
    identity_secrets: tuple[str, ...] = field(default=(), repr=False)
    proxies: tuple[Network, ...] = ()
    trusts_unix: bool = False
    """Whether whoever connects to a Unix socket is believed to be a proxy that signs people in."""
    login_header: str = ""
    frames: tuple[str, ...] = ()
    local: bool = True
    reads: int = 100
    contact: str = ""
    needs_proxy: bool = False
    """Others reach the listener, and it has no TLS: only proxies may bring keys."""

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
    """It is on this machine, and no proxy is between."""
    may_bring_keys: bool
    is_loopback: bool = False
    """The socket is one of this machine, and the other end no named proxy. A Unix socket is none: others may connect to
    it."""
    is_proxy: bool = False
    """The other end of the socket is a proxy whose login header is believed."""


def client_of(
    peer: Sequence[object] | None, scheme: str, headers: Mapping[str, str], policy: DoorPolicy
) -> RequestClient:
    """The client of a request. Headers of a proxy that is not named change nothing."""
    address = _address(str(peer[0])) if peer else None
    is_here = address is None if peer is None else address is not None and address.is_loopback
    is_trusted = peer is None or _is_proxy(address, policy)
    shown = UNIX if peer is None else str(address or peer[0])
    real: Address | None = None
    if is_trusted:
        real = _first_stranger(headers.get("x-forwarded-for", ""), policy)
        scheme = headers.get("x-forwarded-proto", scheme).rpartition(",")[2].strip().lower()[:8] or scheme
    is_forwarded = any(name in headers for name in FORWARDING)
    return RequestClient(
        address=str(real) if real is not None else shown,
        scheme=scheme,
        is_local=real.is_loopback if real is not None else is_here and not is_forwarded,
        is_loopback=peer is not None and is_here and not _is_proxy(address, policy),
        is_proxy=policy.trusts_unix if peer is None else _is_proxy(address, policy),
        may_bring_keys=not policy.needs_proxy or is_trusted or is_here or scheme == "https",
    )


def _first_stranger(hops: str, policy: DoorPolicy) -> Address | None:
    """The last address of X-Forwarded-For that is no proxy of ours: those before it are the sender's own words."""
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
