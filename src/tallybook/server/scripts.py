"""Scripts for other sites' pages, such as /tallybook.js. There is no build step: the file is served as it is."""

from __future__ import annotations

import hashlib
from functools import cache
from pathlib import Path

from tallybook.server.answers import HttpAnswer, only
from tallybook.server.gate import Gate
from tallybook.server.requests import Request

SCRIPTS = {"/tallybook.js": "tallybook.js"}
"""The file in the folder `static`, by path."""
CACHE_SECONDS = 3600


class ScriptDoor:
    """Answers the paths of SCRIPTS. They are public."""

    def takes(self, request: Request) -> bool:
        return request.path in SCRIPTS

    async def answer(self, request: Request, gate: Gate) -> HttpAnswer:
        return only(request.method, "GET", "HEAD") or _script(request)


def _script(request: Request) -> HttpAnswer:
    text, tag = _file(SCRIPTS[request.path])
    headers = {
        "content-type": "text/javascript; charset=utf-8",
        "cache-control": f"public, max-age={CACHE_SECONDS}",
        "etag": tag,
        # Pages of any origin may include it, even with `crossorigin` and a hash of its content.
        "access-control-allow-origin": "*",
        "cross-origin-resource-policy": "cross-origin",
        "x-content-type-options": "nosniff",
    }
    if tag in request.headers.get("if-none-match", ""):
        return HttpAnswer(304, headers=headers)
    return HttpAnswer(200, headers=headers, text=text)


@cache
def _file(name: str) -> tuple[bytes, str]:
    """A script and its ETag."""
    text = (Path(__file__).parent / "static" / name).read_bytes()
    return text, f'"{hashlib.sha256(text).hexdigest()[:32]}"'
