"""Answers to Apprise are read as far as our own: its services read all that a server sends."""

from __future__ import annotations

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from tallybook.deliver import MAX_ANSWER_BYTES

_here = threading.local()
_lock = threading.Lock()


@contextmanager
def bounded_answers() -> Iterator[None]:
    """In this thread `requests` reads of an answer at most MAX_ANSWER_BYTES, also of one that redirects."""
    _install()
    _here.bounded = True
    try:
        yield
    finally:
        _here.bounded = False


def _install() -> None:
    """Put the limit where every answer of `requests` arrives. Other threads are not affected."""
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
            answer._content = next(answer.iter_content(MAX_ANSWER_BYTES), b"")
            answer._content_consumed = True
            answer.close()
            return answer

        send.bounded = True  # type: ignore[attr-defined]
        adapter.send = send
