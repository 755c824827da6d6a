"""Opens the socket of a server: an address with a port, or a Unix socket."""

from __future__ import annotations

import ipaddress
import os
import re
import socket
import stat
from contextlib import suppress
from pathlib import Path

from tallybook.core import DeclarationError, ServeSettings

BACKLOG = 2048
_ADDRESS = re.compile(r"(\[[0-9a-fA-F:.]+\]|[\w.-]+):(\d{1,5})")


def listening_socket(listen: str, settings: ServeSettings) -> socket.socket:
    """A socket that listens at `host:port` or `unix:/path`. Raises DeclarationError for an address that other machines
    can reach if keys would be sent unencrypted."""
    if listen.startswith("unix:"):
        return _unix(listen.removeprefix("unix:"))
    found = _ADDRESS.fullmatch(listen)
    if found is None or int(found[2]) > 65535:
        raise DeclarationError(
            f"cannot listen at {listen!r}", hint='an address and a port: listen = "127.0.0.1:8321", or "unix:/path"'
        )
    host, port = found[1].strip("[]"), int(found[2])
    is_safe = settings.certificate or settings.proxies or settings.insecure
    if not is_safe and not _is_loopback(host):
        raise DeclarationError(
            f"{listen} can be reached by others, and this listener has no TLS: keys would travel in the clear",
            hint='in [serve]: certificate = "cert.pem" and private_key = "key.pem"; or proxies = ["10.0.0.0/8"], the '
            "addresses of a proxy with TLS; or listen on 127.0.0.1; or insecure = true",
        )
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    made = socket.socket(family, socket.SOCK_STREAM)
    made.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    try:
        made.bind((host, port))
    except OSError as error:
        made.close()
        raise DeclarationError(
            f"cannot listen at {listen}: {error.strerror}", hint="name another port: --listen 127.0.0.1:8322"
        ) from None
    made.listen(BACKLOG)
    return made


def _unix(path: str) -> socket.socket:
    made = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
    try:
        _remove_left(Path(path))
        made.bind(path)
        # Anyone who connects still needs a key. The folder's permissions can restrict who connects.
        os.chmod(path, 0o666)  # noqa: PTH101
        made.listen(BACKLOG)
    except OSError as error:
        made.close()
        raise DeclarationError(
            f"cannot listen at unix:{path}: {error.strerror or error}", hint="--listen unix:/run/tallybook.sock"
        ) from None
    return made


def _remove_left(path: Path) -> None:
    """Delete a socket left by a server that was killed. Raises OSError for a file, and for a socket in use."""
    try:
        mode = path.stat().st_mode
    except FileNotFoundError:
        return
    if not stat.S_ISSOCK(mode):
        raise OSError(17, "there is a file of this name")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as other:
        try:
            other.connect(str(path))
        except ConnectionRefusedError:
            path.unlink()
            return
    raise OSError(98, "another server listens there")


def _is_loopback(host: str) -> bool:
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def shown_address(listener: socket.socket, settings: ServeSettings) -> str:
    """The address of a socket, in the form used in a URL."""
    name = listener.getsockname()
    if isinstance(name, str):
        return f"unix:{name}"
    scheme = "https" if settings.certificate else "http"
    return f"{scheme}://[{name[0]}]:{name[1]}" if ":" in name[0] else f"{scheme}://{name[0]}:{name[1]}"


def needs_proxy(listener: socket.socket, settings: ServeSettings) -> bool:
    """Whether other machines can reach a listener without TLS, so that only named proxies may pass keys."""
    name = listener.getsockname()
    return not (
        isinstance(name, str | bytes) or settings.certificate or settings.insecure or _is_loopback(str(name[0]))
    )


def close_listener(listener: socket.socket, listen: str) -> None:
    """Accept no more connections. The file of a Unix socket is deleted."""
    listener.close()
    if listen.startswith("unix:"):
        with suppress(OSError):
            Path(listen.removeprefix("unix:")).unlink()
