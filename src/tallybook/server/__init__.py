"""HTTP: the listener for usage events, and the processes of `tallybook serve`."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(__name__, {})
