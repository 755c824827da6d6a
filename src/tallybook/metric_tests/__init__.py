"""Tests of metrics: given rows of tables, the answer must be as expected. They run in a scratch database, never in a
source."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "declared": ("EXAMPLE", "read_trials"),
        "run": ("run_trials",),
    },
)
