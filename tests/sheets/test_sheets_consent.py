"""The port on which `tallybook sheets setup` waits for the browser: anybody on this machine can call it."""

from __future__ import annotations

import threading
import urllib.request
from collections.abc import Iterator
from contextlib import contextmanager
from urllib.error import HTTPError

import pytest

from tallybook.core.errors import SignInError
from tallybook.sheets.consent import RedirectListener


@contextmanager
def waiting(seconds: float = 20.0) -> Iterator[tuple[str, list[str]]]:
    """A listener that waits for the state "ours": its address, and what it returns."""
    found: list[str] = []
    with RedirectListener() as back:
        thread = threading.Thread(target=lambda: found.append(back.wait(seconds, "ours")), daemon=True)
        thread.start()
        yield back.redirect, found
        thread.join(20)


def call(url: str) -> int:
    try:
        with urllib.request.urlopen(url, timeout=10) as answer:
            return int(answer.status)
    except HTTPError as error:
        return error.code


def test_an_answer_with_another_state_does_not_end_the_wait() -> None:
    with waiting() as (redirect, found):
        assert call(f"{redirect}/?error=x") == 404
        assert call(f"{redirect}/?code=stolen&state=theirs") == 404
        assert call(f"{redirect}/?error=access_denied&state=%C3%A4") == 404
        assert found == []
        assert call(f"{redirect}/?code=4/0abc&state=ours") == 200
    assert found == [f"{redirect}/?code=4/0abc&state=ours"]


def test_only_wrong_answers_are_no_answer() -> None:
    with RedirectListener() as back, pytest.raises(SignInError, match="no redirect from the browser"):
        back.wait(0.0, "ours")
