"""The benchmarks by one command; JSON on stdout, progress on stderr.

    python -m benchmarks.run [--quick] [--only NAME]…

With --quick the tables are small and everything is run once or twice: to see that it works, not to know."""

from __future__ import annotations

import argparse
import contextlib
import importlib
import json
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from benchmarks.figures import Report, print_progress
from benchmarks.scene import Scene

BENCHMARKS = (
    "collect_additive",
    "collect_distinct",
    "interval_levels",
    "query_latency",
    "api",
    "cold_start",
    "sql_build",
    "bytes_per_point",
    "growth",
    "sheets_requests",
    "many_metrics",
    "csv_rows",
    "servers_without_index",
    "ingest",
    "ad_hoc",
    "entities",
    "rules",
    "outbox",
    "init_tables",
    "pages",
)


def main() -> None:
    asked = _arguments()
    began = time.monotonic()
    with _scene(quick=asked.quick) as scene:
        reports = [_measured(name, scene) for name in asked.only or BENCHMARKS]
    found = {
        "command": "python -m benchmarks.run" + " --quick" * asked.quick,
        "scale": "quick" if asked.quick else "full",
        "seconds": round(time.monotonic() - began),
        "missed": [b.what for r in reports for b in r.budgets if not b.met],
        "benchmarks": [report.to_dict() for report in reports],
    }
    print(json.dumps(found, indent=2, ensure_ascii=False))


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="What Tallybook costs.")
    parser.add_argument("--quick", action="store_true", help="small tables, few rounds")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    return parser.parse_args()


@contextlib.contextmanager
def _scene(*, quick: bool) -> Iterator[Scene]:
    with tempfile.TemporaryDirectory(prefix="tallybook-bench-") as folder, Scene(Path(folder), quick=quick) as scene:
        yield scene


def _measured(name: str, scene: Scene) -> Report:
    print_progress(name)
    report: Report = importlib.import_module(f"benchmarks.{name}").measure(scene)
    for budget in report.budgets:
        said = "met" if budget.met else "MISSED"
        print_progress(
            f"  {said:6} {budget.what}: {budget.to_dict()['seen']} {budget.unit} (budget {budget.to_dict()['budget']})"
        )
    return report


if __name__ == "__main__":
    main()
