"""HTTP responses with limits: a deadline for the whole body, and a maximum size.

Timeouts of requests apply to each read, so a server that sends a byte now and then would never reach them, and an
endless response would fill the memory."""

from __future__ import annotations

import io
import time
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3.exceptions import HTTPError

CHUNK_BYTES = 64 * 1024
MAX_TOKEN_BYTES = 64 * 1024
"""Maximum size of a response of a token server, which is usually a few hundred bytes."""
TOKEN_SECONDS = 30.0
MAX_ANSWER_BYTES = 500 * 1024 * 1024
"""Maximum uncompressed size of a response of Google Sheets. A document of 10 million cells is smaller."""
ANSWER_SECONDS = 300.0


class BoundedAdapter(HTTPAdapter):
    """An HTTP adapter that reads each response completely, within `seconds` and `max_bytes`.

    Raises requests.RequestException beyond these limits."""

    def __init__(self, *, seconds: float = ANSWER_SECONDS, max_bytes: int = MAX_ANSWER_BYTES) -> None:
        self.seconds, self.max_bytes = seconds, max_bytes
        super().__init__()

    def send(self, request: requests.PreparedRequest, stream: bool = False, *given: Any, **named: Any) -> Any:
        """Send a request, and return its complete response."""
        end = time.monotonic() + self.seconds
        response = super().send(request, True, *given, **named)
        kept = bytearray()
        try:
            # read1 returns the bytes that have arrived; read would wait for all of them.
            while chunk := response.raw.read1(CHUNK_BYTES, decode_content=True):
                kept += chunk
                if len(kept) > self.max_bytes:
                    raise requests.RequestException(
                        f"the response has more than {self.max_bytes} bytes", request=request
                    )
                if time.monotonic() > end:
                    raise requests.ReadTimeout(f"no complete response within {self.seconds:g} seconds", request=request)
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
    """An HTTP session for token servers."""
    session = requests.Session()
    session.mount("https://", BoundedAdapter(seconds=TOKEN_SECONDS, max_bytes=MAX_TOKEN_BYTES))
    session.mount("http://", BoundedAdapter(seconds=TOKEN_SECONDS, max_bytes=MAX_TOKEN_BYTES))
    return session
