"""The Python client of applications: it queues, sends and resends usage events, and imports no engine."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "application": ("Client",),
        "over_http": ("HttpTransport",),
        "transports": ("TransportAnswer", "TransportFailed"),
    },
)
