"""The paths of other services' wire protocols, and of the beacon for pages, for `/openapi.json`."""

from __future__ import annotations

from typing import Any

from tallybook.core import PROTOCOLS, ProtocolKind
from tallybook.ingest import OWN_PROTOCOL
from tallybook.server.beacons import BEACON_PATH

KEY_IN_BODY = "The key may be in the body or the query, where clients of the service send it there."
_SECURITY: list[dict[str, list[str]]] = [{"bearer": []}, {"basic": []}, {}]
_JSON: dict[str, Any] = {"application/json": {"schema": {}}}


def protocol_paths() -> dict[str, dict[str, Any]]:
    """The operations by path. If several protocols share a path, it is one operation, because the body decides between
    them."""
    kinds: dict[str, list[ProtocolKind]] = {}
    own = PROTOCOLS.kind(OWN_PROTOCOL).paths
    for kind in PROTOCOLS.kinds():
        for path in kind.paths if kind.name != OWN_PROTOCOL else ():
            if path not in own:
                kinds.setdefault(path, []).append(kind)
    found: dict[str, dict[str, Any]] = {BEACON_PATH: {"post": _BEACON}}
    for path, those in sorted(kinds.items()):
        methods = sorted({method.lower() for kind in those for method in kind.methods})
        found[path] = {method: _operation(path, method, those) for method in methods}
    return found


def _operation(path: str, method: str, kinds: list[ProtocolKind]) -> dict[str, Any]:
    titles = " and ".join(kind.title for kind in kinds)
    also = ", ".join(f"{kind.prefix}{path}" for kind in kinds if kind.prefix and not path.startswith(kind.prefix))
    below = f" Also at {also}." if also else ""
    found: dict[str, Any] = {
        "operationId": f"{method}{path.replace('/', '_')}",
        "summary": f"Requests of clients of {titles}",
        "description": f"Scope of the key: write. {KEY_IN_BODY}{below} Answers are as these clients expect them.",
        "responses": {
            "200": {"description": "stored; what was not is named in the body"},
            "default": {"description": "refused, in the form of the protocol"},
        },
        "security": _SECURITY,
    }
    if method == "post":
        found["requestBody"] = {"required": True, "content": _JSON}
    return found


_BEACON: dict[str, Any] = {
    "operationId": "post_v1_beacon",
    "summary": "Events that a page sends while it is left, with its browser key in the body",
    "description": "Scope of the key: browser. The body is sent as text/plain, as navigator.sendBeacon does.",
    "responses": {
        "200": {
            "description": "done",
            "content": {"application/json": {"schema": {"$ref": "#/components/schemas/VerdictsBody"}}},
        },
        "default": {
            "description": "refused",
            "content": {"application/problem+json": {"schema": {"$ref": "#/components/schemas/ProblemBody"}}},
        },
    },
    "security": [],
    "requestBody": {
        "required": True,
        "content": {
            "text/plain": {
                "schema": {
                    "type": "object",
                    "required": ["key", "events"],
                    "properties": {
                        "key": {"type": "string"},
                        "identity": {"type": "string"},
                        "events": {"type": "array", "items": {"$ref": "#/components/schemas/EventBody"}},
                    },
                }
            }
        },
    },
}
