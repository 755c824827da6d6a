"""Records requests: counters, the access log, and internal errors."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime

from tallybook.core import ENTITY_KINDS, utc_text
from tallybook.server.access_log import AccessLog
from tallybook.server.answers import HttpAnswer
from tallybook.server.audit_log import AuditLog
from tallybook.server.counts import Counts
from tallybook.server.protocol_routes import ProtocolRoutes
from tallybook.server.requests import Request
from tallybook.storage import ApiKey

KNOWN_PATHS = frozenset(
    (
        "/v1/events",
        "/v1/values",
        "/v1/events/schema",
        "/v1/rejected",
        "/v1/rejected/replay",
        "/healthz",
        "/readyz",
        "/metrics",
        "/openapi.json",
        "/v1/query",
        "/v1/metrics",
        "/v1/why",
        "/v1/coverage",
        "/v1/runs",
        "/v1/goals",
        "/v1/alerts",
        "/v1/status",
        "/mcp",
        "/login",
        "/logout",
        "/v1/import/csv",
        "/tallybook.js",
    )
)


def _nothing(_: Exception) -> None:
    pass


@dataclass
class Watching:
    """`gauges`: (about, value) by name. `on_error` is called with unexpected errors."""

    counts: Counts = field(default_factory=Counts)
    access: AccessLog | None = None
    gauges: Callable[[], Mapping[str, tuple[str, float]]] = dict
    on_error: Callable[[Exception], None] = _nothing
    audit: AuditLog | None = None
    routes: ProtocolRoutes | None = None
    """The paths of wire protocols."""

    def stored(self, key: ApiKey, answer: HttpAnswer, bytes_: int) -> None:
        """Count the verdicts of a request."""
        body = answer.body or {}
        self.counts.add("http_request_bytes_total", bytes_)
        for verdict, count in (
            ("stored", body["stored"]),
            ("duplicate", body["duplicates"]),
            ("rejected", len(body["rejected"])),
        ):
            if count:
                self.counts.add("events_total", count, key=key.name, verdict=verdict)
        for one in body["rejected"]:
            self.counts.add("rejected_events_total", key=key.name, code=one["code"])

    def answered(self, now: datetime, request: Request, answer: HttpAnswer, seconds: float) -> None:
        """Count an answer, and write its line in the access log and in the audit log."""
        self.counts.request(request.method, self._template(request.path), answer.status, seconds)
        path = request.shown_path or request.path[:200]
        if self.audit is not None and request.reader:
            self.audit.write(
                {
                    "reader": request.reader,
                    "method": request.method[:20],
                    "path": path,
                    **({"asked": request.asked} if request.asked is not None else {"query": request.query[:2000]}),
                    "status": answer.status,
                    "ms": round(seconds * 1000, 1),
                    "client": request.client.address,
                }
            )
        if self.access is not None:
            line = {
                "time": utc_text(now),
                "event": "request",
                "method": request.method[:20],
                "path": path,
                "status": answer.status,
                "ms": round(seconds * 1000, 1),
                "client": request.client.address,
                "scheme": request.client.scheme,
                "worker": self.counts.worker,
            }
            self.access.write({**line, "key": request.key.name} if request.key else line)

    def _template(self, path: str) -> str:
        route = self.routes.find(path) if self.routes is not None else None
        return route.template if route is not None else _own_template(path)


def _own_template(path: str) -> str:
    """A path with its variable parts replaced, so that counters have few different paths."""
    if path.startswith("/v1/days/"):
        return "/v1/days/{event}/{day}"
    if path.startswith("/v1/hooks"):
        return "/v1/hooks"
    for kind in ENTITY_KINDS:
        if path.startswith(f"/v1/{kind}/"):
            return f"/v1/{kind}/{{id}}"
    return path if path in KNOWN_PATHS else "other"
