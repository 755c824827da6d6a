"""Limits for Apprise. Its services read a response to the end, follow redirects, and send custom headers along."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallybook.deliver.outgoing.channel import MAX_ANSWER_BYTES

_here = threading.local()
_lock = threading.Lock()


@contextmanager
def bounded_answers() -> Iterator[None]:
    """A context in which `requests` reads at most MAX_ANSWER_BYTES of an answer in this thread. It follows no redirect,
    because a redirect would turn a message into an empty GET."""
    _install()
    _here.bounded = True
    try:
        yield
    finally:
        _here.bounded = False


def _install() -> None:
    """Patch the adapter that receives every answer of `requests`. Other threads are not affected."""
    from requests.adapters import HTTPAdapter

    with _lock:
        adapter: Any = HTTPAdapter
        whole = adapter.send
        if getattr(whole, "bounded", False):
            return

        def send(self: Any, request: Any, stream: bool = False, **options: Any) -> Any:
            if not getattr(_here, "bounded", False):
                return whole(self, request, stream=stream, **options)
            answer = whole(self, request, stream=True, **options)
            is_redirect = answer.is_redirect
            if is_redirect:
                del answer.headers["location"]
            answer._content = b"" if is_redirect else next(answer.iter_content(MAX_ANSWER_BYTES), b"")
            answer._content_consumed = True
            answer.close()
            return answer

        send.bounded = True  # type: ignore[attr-defined]
        adapter.send = send
