"""The emulator of Google Sheets, under the name that users' tests import.

    from tallybook.testing.sheets import Emulator

The names come from `tallybook_emulators.sheets`, which is imported on first use. Raises EmulatorsNotInstalled where
that package is missing."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from tallybook.core import USAGE, TallybookError

if TYPE_CHECKING:
    from tallybook_emulators.sheets import (
        Emulator,
        Fault,
        GoogleError,
        Landing,
        Limits,
        Person,
        Seen,
        Snapshot,
        Tab,
        described,
    )

__all__ = [
    "Emulator",
    "Fault",
    "GoogleError",
    "Landing",
    "Limits",
    "Person",
    "Seen",
    "Snapshot",
    "Tab",
    "described",
]


class EmulatorsNotInstalled(TallybookError, ImportError):
    """The distribution `tallybook-emulators` is not installed."""

    exit_code = USAGE


def __getattr__(name: str) -> Any:
    if name not in __all__:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    try:
        from tallybook_emulators import sheets
    except ModuleNotFoundError as error:
        if error.name != "tallybook_emulators":
            raise
        raise EmulatorsNotInstalled(
            "cannot run the emulator of Google Sheets: the package tallybook-emulators is not installed",
            hint="pip install ./packages/emulators    # in a checkout of Tallybook",
        ) from error
    return getattr(sheets, name)


def __dir__() -> list[str]:
    return sorted(__all__)
