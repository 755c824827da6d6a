"""The command, from nothing: a new process each time."""

from __future__ import annotations

import resource
import statistics
import subprocess
import sys
from collections.abc import Sequence
from pathlib import Path

from benchmarks import points
from benchmarks.figures import Budget, Report, Way, side_by_side
from benchmarks.scene import Scene

TIMES = 9


def measure(scene: Scene) -> Report:
    folder, large = points.additive(scene), points.large(scene)
    ways = {
        "python": command("-c", "pass"),
        "python_with_duckdb": command("-c", "import duckdb; duckdb.connect().execute('select 1')"),
        "help": command("-m", "tallybook", "--help"),
        "query": command("-m", "tallybook", "query", "m7", "--scope", "month", "--project", str(folder)),
        "query_json": command(
            "-m", "tallybook", "query", "m7", "--scope", "month", "--format", "json", "--project", str(folder)
        ),
        "query_large": command("-m", "tallybook", "query", "m1", "--scope", "month", "--project", str(large)),
    }
    for way in ways.values():
        way()
    costs = side_by_side(TIMES, ways, cpu=processor_of_children)
    # On a shared machine, wall-clock time includes the waits for other processes.
    found = {name: 1000 * statistics.median(map(min, c.seconds, c.cpu)) for name, c in costs.items()}
    return Report(
        name="cold_start",
        what=f"the command in a new process, by the clock or the processor, whichever is less; median of {TIMES}",
        figures={f"{name}_ms": ms for name, ms in found.items()} | {"large_book_mb": points.megabytes(large)},
        budgets=[
            Budget(what="tallybook query, cold", seen=found["query"], limit=400, unit="ms"),
            # Every file that a question opens is compared with its SHA-256 first.
            Budget(what="tallybook query, cold, of a book of 40 MB", seen=found["query_large"], limit=400, unit="ms"),
            Budget(what="tallybook --help", seen=found["help"], limit=150, unit="ms"),
        ],
    )


def processor_of_children() -> float:
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def command(*words: str) -> Way:
    return lambda: run([sys.executable, *words])


def run(words: Sequence[str]) -> None:
    done = subprocess.run(words, cwd=Path(__file__).parent.parent, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(words)}: {done.stderr or done.stdout}")
