"""HTTP: the listener for usage events, and the processes of `tallybook serve`."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "processes": ("Processes", "ROLES", "listening_socket", "shown_address"),
        "worker": ("check_installed", "end_with_parent", "event_ledger", "run_worker"),
    },
)
