"""The example packages of docs/extending.md, built and unpacked as pip installs them, once a run.

installed("tally_extras")      # the folder that has its modules and its metadata: for PYTHONPATH"""

from __future__ import annotations

import fcntl
import os
import subprocess
import sys
import tomllib
import zipfile
from pathlib import Path

from tests.conftest import ROOT
from tests.house.test_docs import DOCS, blocks

PIP = (
    "-m",
    "pip",
    "wheel",
    "--quiet",
    "--no-deps",
    "--no-build-isolation",
    "--no-index",
    "--disable-pip-version-check",
)
"""One run of pip for all packages: each takes it a second to start."""


def installed(name: str) -> Path:
    """The folder into which an example package is installed. Whoever asks first in a run installs all of them."""
    home = Path(os.environ["TALLYBOOK_TEST_RUN"]) / "installed"
    home.mkdir(exist_ok=True)
    with (home / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not (home / "done").exists():
            _install(home)
            (home / "done").touch()
    assert list((home / name).glob(f"{name}-*.dist-info/entry_points.txt"))
    return home / name


def _install(home: Path) -> None:
    projects = _write_projects(home / "projects")
    command = [sys.executable, *PIP, "--wheel-dir", str(home), *map(str, projects)]
    done = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)
    assert done.returncode == 0, done.stderr
    for wheel in home.glob("*.whl"):
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(home / wheel.name.split("-")[0])


def _write_projects(home: Path) -> list[Path]:
    """A folder per package: its pyproject.toml and the modules that this names."""
    files = {Path(name): block.text for block in blocks(DOCS / "extending.md") if (name := block.said("file"))}
    projects = []
    for path in [path for path in files if path.name == "pyproject.toml"]:
        declared = tomllib.loads(files[path])["project"]
        projects.append(home / declared["name"])
        projects[-1].mkdir(parents=True)
        for file in [one for one in files if one.parent == path.parent and one.suffix in (".py", ".toml")]:
            (projects[-1] / file.name).write_text(files[file])
    return projects
