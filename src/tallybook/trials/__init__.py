"""Tests of metrics: given rows of tables, what must an answer be? Run in a scratch database, never in a source."""

from __future__ import annotations

from tallybook.trials.declared import Trial, read_trials
from tallybook.trials.run import Outcome, run_trials

__all__ = ["Outcome", "Trial", "read_trials", "run_trials"]
