"""Ad hoc questions over stored usage events, beside DuckDB's own SQL over the same files.

    python -m benchmarks.run --only ad_hoc [--quick]

Both read the days from the time of each event. Ours are those of the book's zone."""

from __future__ import annotations

import hashlib
import time
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any

import duckdb

from benchmarks.databases import FIRST_DAY
from benchmarks.figures import Budget, Report, print_progress
from benchmarks.projects import open_at, write_project
from benchmarks.scene import Scene
from tallybook.core import stamp_of
from tallybook.storage import SqlLedger

DAYS = 90
FILE_ROWS = 100_000
EVENT = "api_call"
QUESTIONS: dict[str, tuple[dict[str, Any], str, str]] = {
    "count by day": ({"count": True}, "day", "count(*)"),
    "count by week and type": ({"count": True, "by": ["apiType"], "scope": "week"}, "week", "apiType, count(*)"),
    "average by week and type": ({"avg": "n", "by": ["apiType"], "scope": "week"}, "week", "apiType, avg(n)"),
    "sum by month": ({"sum": "n", "scope": "month"}, "month", "sum(n)"),
}
"""The question, and the scope and the columns of DuckDB's."""
