"""The benchmarks by one command; JSON on stdout, progress on stderr.

    python -m benchmarks.run [--quick] [--only NAME]… [--output docs/benchmarks.json]

With --quick the tables are small and everything is run once or twice: to see that it works, not to know. With --output
each benchmark is written to the file as soon as it ends, with the commit that it measured; the others in it stay."""

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
from tests.soak import git

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
    "readers",
    "ad_hoc",
    "entities",
    "rules",
    "outbox",
    "init_tables",
    "pages",
)


def main() -> None:
    asked = _arguments()
    reports = []
    with _scene(quick=asked.quick) as scene:
        for name in asked.only or BENCHMARKS:
            started = time.monotonic()
            report = _measured(name, scene).to_dict()
            measured = {"seconds": round(time.monotonic() - started), "commit": git("rev-parse", "HEAD")}
            reports.append(report | measured)
            if asked.output is not None:
                there = json.loads(asked.output.read_text("utf-8"))["benchmarks"] if asked.output.exists() else []
                known = {one["name"]: one for one in [*there, *reports]}
                several = [known[name] for name in BENCHMARKS if name in known]
                asked.output.write_text(_page(several, is_quick=asked.quick) + "\n", "utf-8")
    print(_page(reports, is_quick=asked.quick))


def _page(reports: list[dict[str, Any]], *, is_quick: bool) -> str:
    """The JSON of several benchmarks. `missed`: the budgets that were not met."""
    found = {
        "command": "python -m benchmarks.run" + " --quick" * is_quick,
        "scale": "quick" if is_quick else "full",
        "seconds": sum(one.get("seconds", 0) for one in reports),
        "missed": [budget["what"] for one in reports for budget in one["budgets"] if not budget["met"]],
        "benchmarks": reports,
    }
    return json.dumps(found, indent=2, ensure_ascii=False)


def _arguments() -> Any:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.run", description="What Tallybook costs.")
    parser.add_argument("--quick", action="store_true", help="small tables, few rounds")
    parser.add_argument("--only", action="append", choices=BENCHMARKS, metavar="NAME", help=", ".join(BENCHMARKS))
    parser.add_argument("--output", type=Path, metavar="FILE", help="also write each benchmark to this file of JSON")
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
