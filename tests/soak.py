"""The long run in parts: each part of a `make soak` writes its own entry of docs/soak.json, also when it is broken off."""

from __future__ import annotations

import json
import os
import platform
import subprocess
import time
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from tests.parts import EMPTY, PARTS

ROOT = Path(__file__).resolve().parent.parent
PAGE = Path("docs") / "soak.json"


def git(*words: str) -> str:
    """What git prints; empty where the tree is no clone."""
    try:
        return subprocess.run(["git", *words], cwd=ROOT, capture_output=True, text=True, check=False).stdout.strip()
    except OSError:
        return ""


def changed_files() -> list[str]:
    """Tracked files that differ from the commit, without the figures themselves."""
    return [name for name in git("diff", "--name-only", "HEAD").splitlines() if name != str(PAGE)]


def with_part(page: Mapping[str, Any], part: str, entry: Mapping[str, Any]) -> dict[str, Any]:
    """The page with the entry of one part replaced, and whether the parts are one whole run without a failure."""
    parts = {**page.get("parts", {}), part: dict(entry)}
    return {"whole": not unmet(parts), "missing": unmet(parts), "parts": {p: parts[p] for p in PARTS if p in parts}}


def unmet(parts: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Why the parts are not one whole run: a sentence each."""
    found = []
    for part in PARTS:
        entry = parts.get(part)
        if entry is None:
            found.append(f"{part} did not run")
            continue
        found += [f"{part} was broken off"] if not entry["complete"] else []
        found += [f"{part}: {len(entry['failed'])} failed"] if entry["failed"] else []
        found += [f"{part}: files differed from the commit"] if entry["changed"] else []
    commits = {entry["commit"] for entry in parts.values()}
    return found + (["the parts ran on different commits"] if len(commits) > 1 else [])


class SoakReport:
    """Collects the results of a run's tests, and what they recorded with `record_property`; writes those of a long
    run of one part, or of one without `PART` for all of its tests."""

    def __init__(self, config: pytest.Config, part: str | None) -> None:
        self.config, self.part = config, part
        self.began = time.monotonic()
        self.commit, self.changed = git("rev-parse", "HEAD"), changed_files()
        self.outcomes: dict[str, int] = {}
        self.tests: dict[str, dict[str, Any]] = {}
        self.failed: set[str] = set()
        self.done: set[str] = set()
        self.collected = 0

    @pytest.hookimpl(optionalhook=True)
    def pytest_xdist_node_collection_finished(self, ids: list[str]) -> None:
        self.collected = len(ids)

    def pytest_collection_finish(self, session: pytest.Session) -> None:
        self.collected = max(self.collected, len(session.items))

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.when == "teardown":
            self.done.add(report.nodeid)
        if report.when == "call" or report.outcome != "passed":
            self.outcomes[report.outcome] = self.outcomes.get(report.outcome, 0) + 1
            if report.failed:
                self.failed.add(report.nodeid)
                self.print_failure(report)
            if report.user_properties or "soak" in report.keywords:
                seen = {"outcome": report.outcome, "seconds": round(report.duration, 1)}
                self.tests[report.nodeid] = {**seen, **dict(report.user_properties)}

    def print_failure(self, report: pytest.TestReport) -> None:
        """Print a failure of the long run when it happens: its end is an hour away."""
        terminal = self.config.pluginmanager.get_plugin("terminalreporter")
        if self.part and terminal:
            terminal.write_line(f"\nFAILED {report.nodeid}\n{report.longreprtext[-6000:]}")

    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        config = session.config
        everything = config.args_source is pytest.Config.ArgsSource.TESTPATHS and not config.option.keyword
        everything = everything and not config.option.collectonly
        if self.part is None or not everything:
            return
        if self.part in EMPTY and session.exitstatus == pytest.ExitCode.NO_TESTS_COLLECTED:
            session.exitstatus = pytest.ExitCode.OK
        page = ROOT / PAGE
        before = json.loads(page.read_text(encoding="utf-8")) if page.exists() else {}
        page.write_text(json.dumps(with_part(before, self.part, self.entry()), indent=2) + "\n", encoding="utf-8")

    def entry(self) -> dict[str, Any]:
        """The figures of this run."""
        moved = [] if git("rev-parse", "HEAD") == self.commit else ["the commit, while the part ran"]
        empty = self.part in EMPTY and not self.collected
        return {
            "of": f"{PARTS[self.part or '']}{': no tests yet' if empty else ''}",
            "seed": int(os.environ["TALLYBOOK_SEED"]),
            "commit": self.commit,
            "changed": sorted({*self.changed, *changed_files(), *moved}),
            "python": platform.python_version(),
            "machine": f"{platform.system()} {platform.machine()}, {os.cpu_count()} cores",
            "seconds": round(time.monotonic() - self.began),
            "complete": len(self.done) >= self.collected and (self.collected > 0 or empty),
            "collected": self.collected,
            "outcomes": self.outcomes,
            "failed": sorted(self.failed),
            "tests": dict(sorted(self.tests.items())),
        }
