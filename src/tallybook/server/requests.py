"""A request before its body is read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from tallybook.server.answers import Receive, Scope
from tallybook.server.clients import DoorPolicy, RequestClient, client_of
from tallybook.storage import ApiKey


@dataclass
class Request:
    """One request without its body."""

    method: str
    path: str
    raw_path: str
    query: str
    headers: Mapping[str, str]
    receive: Receive
    client: RequestClient
    policy: DoorPolicy
    version: str = "1.1"
    """The HTTP version."""
    key: ApiKey | None = None
    """Set once the key is known to be valid."""
    reader: str = ""
    """The reader, once known."""
    asked: object = None
    """What the reader asks for, if the path and the query string do not show it."""
    shown_path: str = ""
    """Shown in logs instead of a path that is a secret."""


def request_of(scope: Scope, receive: Receive, policy: DoorPolicy) -> Request:
    """The request of an ASGI scope. Repeated headers are joined by commas, as proxies do."""
    headers: dict[str, str] = {}
    for raw, value in scope["headers"]:
        name, text = raw.decode("latin-1"), value.decode("latin-1")  # ASGI has names in lower case
        headers[name] = f"{headers[name]}, {text}" if name in headers else text
    return Request(
        method=scope["method"],
        path=scope["path"],
        raw_path=scope.get("raw_path", scope["path"].encode()).decode("latin-1"),
        query=scope.get("query_string", b"").decode("latin-1"),
        headers=headers,
        receive=receive,
        client=client_of(scope.get("client"), scope.get("scheme", "http"), headers, policy),
        policy=policy,
        version=scope.get("http_version", "1.1"),
    )
