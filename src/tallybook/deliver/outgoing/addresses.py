"""Decides which addresses may be called. A name is looked up once, each of its addresses is checked, and the connection
goes to a checked address. So a name that changes between the check and the call has no effect."""

from __future__ import annotations

import ipaddress
import socket
import threading
import time
from dataclasses import dataclass, field
from urllib.parse import SplitResult, urlsplit

from tallybook.core import DestinationRefused, DestinationUnavailable, is_loopback

LOOKUP_SECONDS = 10.0
REMEMBERED_SECONDS = 60.0
"""Seconds after which a name is looked up again."""
PORTS = {"http": 80, "https": 443}
INSIDE = tuple(map(ipaddress.ip_network, ("::/96", "::ffff:0:0:0/96", "64:ff9b:1::/48", "fec0::/10")))
"""Networks that are not public, although the standard library calls them global: IPv4 addresses written and translated
in older ways, local translation, and networks of a site."""


@dataclass(frozen=True)
class Target:
    """A URL for requests. `is_private_allowed`: it may be an address inside a private network."""

    url: str
    is_private_allowed: bool = False

    @property
    def split(self) -> SplitResult:
        return urlsplit(self.url)

    @property
    def host(self) -> str:
        return (self.split.hostname or "").rstrip(".").lower()

    @property
    def port(self) -> int:
        return self.split.port or PORTS.get(self.split.scheme.lower(), 443)

    @property
    def is_tls(self) -> bool:
        return self.split.scheme.lower() == "https"

    @property
    def shown(self) -> str:
        """The target for messages: only its host, because the rest may be a secret."""
        host = f"[{self.host}]" if ":" in self.host else self.host
        return host if self.split.port is None else f"{host}:{self.port}"


def is_public(address: str) -> bool:
    """Whether an IP address belongs to the public network."""
    ip = ipaddress.ip_address(address.partition("%")[0])
    if isinstance(ip, ipaddress.IPv6Address):
        inner = ip.ipv4_mapped or ip.sixtofour or (ip.teredo[1] if ip.teredo else None)
        if inner is None and ip in ipaddress.ip_network("64:ff9b::/96"):
            inner = ipaddress.IPv4Address(int(ip) & 0xFFFFFFFF)
        if inner is not None:
            return is_public(str(inner))
        if any(ip in network for network in INSIDE):
            return False
    return ip.is_global and not ip.is_multicast


@dataclass
class Resolver:
    """Looks up names with a time limit, and caches the addresses for a minute."""

    known: dict[tuple[str, int], tuple[float, list[str]]] = field(default_factory=dict)

    def addresses(self, target: Target) -> list[str]:
        """The IP addresses that a request to a target may go to.

        Raises DestinationUnavailable if the name cannot be looked up, and DestinationRefused if one of its addresses is
        private and this is not declared."""
        key = (target.host, target.port)
        until, found = self.known.get(key, (0.0, []))
        if time.monotonic() >= until:
            found = _looked_up(target)
            self.known[key] = (time.monotonic() + REMEMBERED_SECONDS, found)
        if not target.is_private_allowed and not is_loopback(target.host):
            for address in found:
                if not is_public(address):
                    raise DestinationRefused(
                        f"{target.shown} is the private address {address}, and that is not declared",
                        hint="private = true, if the receiver is in your own network",
                    )
        return found


def _looked_up(target: Target) -> list[str]:
    found: list[str] = []
    failed: list[OSError] = []

    def look_up() -> None:
        try:
            infos = socket.getaddrinfo(target.host, target.port, type=socket.SOCK_STREAM)
            found.extend(dict.fromkeys(str(info[4][0]) for info in infos))
        except (OSError, UnicodeError) as error:
            failed.append(error if isinstance(error, OSError) else OSError(str(error)))

    thread = threading.Thread(target=look_up, daemon=True, name="tallybook-lookup")
    thread.start()
    thread.join(LOOKUP_SECONDS)
    if thread.is_alive():
        raise DestinationUnavailable(f"the name {target.host} was not found within {LOOKUP_SECONDS:g} seconds")
    if failed or not found:
        reason = failed[0].strerror or str(failed[0]) if failed else "it has no address"
        raise DestinationUnavailable(f"the name {target.host} cannot be looked up: {reason}")
    return found
