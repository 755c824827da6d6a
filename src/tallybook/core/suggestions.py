"""Did you mean …? The valid name that is closest to a mistyped one. Pure."""

from __future__ import annotations

from collections.abc import Iterable


def closest_match(word: object, valid: Iterable[str], cutoff: float = 0.6) -> str | None:
    """The name of `valid` that `word` probably means, whatever its case; None where none is close enough."""
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
    """The likeness of two words. munday is as close to sunday as to monday, but the first letter is seldom wrong."""
    import difflib

    ratio = difflib.SequenceMatcher(None, other, word).ratio()
    return ratio, word[:1] == other[:1]
