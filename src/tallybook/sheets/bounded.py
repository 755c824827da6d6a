"""Answers of web servers, read within bounds: a deadline for the whole body, and its greatest size.

The timeouts of requests apply to each step, so a server that sends a byte now and then would never reach them, and an
answer without an end would fill the memory."""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK_BYTES = 64 * 1024
MAX_TOKEN_BYTES = 64 * 1024
"""Of an answer of a token server, which is a few hundred bytes."""
TOKEN_SECONDS = 30.0
MAX_ANSWER_BYTES = 500 * 1024 * 1024
"""Of an answer of Google Sheets, unpacked: a whole document of 10 million cells is less."""
ANSWER_SECONDS = 300.0


class BoundedAdapter(HTTPAdapter):
    """An adapter whose answers are read to their end at once, within `seconds` and `max_bytes`.

    Raises requests.RequestException, and keeps no more than that."""

    def __init__(self, *, seconds: float = ANSWER_SECONDS, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self.seconds, self.max_bytes = seconds, max_bytes
        super().__init__()

    def send(self, request: requests.PreparedRequest, stream: bool = False, *given: Any, **named: Any) -> Any:
        end = time.monotonic() + self.seconds
        response = super().send(request, True, *given, **named)
        kept = bytearray()
        try:
            # read1 returns what has come; a read of more would wait for all of it.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                kept += chunk
                if len(kept) > self.max_bytes:
                    raise requests.RequestException(f"the answer has more than {self.max_bytes} bytes", request=request)
                if time.monotonic() > end:
                    raise requests.ReadTimeout(f"no complete answer within {self.seconds:g} seconds", request=request)
        except HTTPError as error:
            raise requests.exceptions.ChunkedEncodingError(error, request=request) from None
        finally:
            response.close()
        whole = requests.Response()
        whole.status_code, whole.headers, whole.url = response.status_code, response.headers, response.url
        whole.reason, whole.encoding, whole.request = response.reason, response.encoding, response.request
        whole.raw = io.BytesIO(kept)
        return whole


def token_session() -> requests.Session:
    """A session for token servers."""
    session = requests.Session()
    session.mount("https://", BoundedAdapter(seconds=TOKEN_SECONDS, max_bytes=MAX_TOKEN_BYTES))
    session.mount("http://", BoundedAdapter(seconds=TOKEN_SECONDS, max_bytes=MAX_TOKEN_BYTES))
    return session
