"""Suggestions for mistyped names: the valid name that is closest. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def closest_match(word: object, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name in `valid` that `word` probably means, ignoring case; None if none is close enough."""
    import difflib

    if not isinstance(word, str):
        return None
    folded = {name.casefold(): name for name in valid}
    close = difflib.get_close_matches(word.casefold(), folded, n=3, cutoff=cutoff)
    return folded[max(close, key=lambda name: _likeness(word.casefold(), name))] if close else None


def did_you_mean(word: object, valid: Iterable[str], otherwise: str = "") -> str:
    """A hint with the closest valid name, `did you mean 'revenue'?`, or `otherwise`."""
    match = closest_match(word, valid)
    return f"did you mean {match!r}?" if match else otherwise


def _likeness(word: str, other: str) -> tuple[float, bool]:
    """The similarity of two words; the first letter breaks ties, because it is seldom wrong (munday: monday, not
    sunday)."""
    import difflib

    ratio = difflib.SequenceMatcher(None, other, word).ratio()
    return ratio, word[:1] == other[:1]
