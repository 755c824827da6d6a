"""Environments of clients and readers that are not ours: one for each folder of `tests/clients`, from its own lock."""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from functools import partial
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parents[2]
LOCKS = ROOT / "tests" / "clients"
PIP = (
    "--disable-pip-version-check",
    "--no-input",
    "install",
    "--quiet",
    "--require-hashes",
    "--no-deps",
    "--no-compile",
)


def client_python(name: str) -> Path:
    """The Python of an environment with what the lock of a client pins. It is made once, and again for another lock.

    Skips the test where it cannot be installed, with the reason."""
    lock = LOCKS / name / "requirements.lock"
    version = f"{sys.version_info.major}.{sys.version_info.minor}"
    content = hashlib.sha256(lock.read_bytes() + version.encode()).hexdigest()
    folder = ROOT / "build" / "clients" / name
    python, done = folder / "bin" / "python", folder / "installed"
    with _alone(folder):
        if not done.exists() or done.read_text() != content:
            # Our own pip installs into it: a pip of its own takes longer than the client.
            venv.create(folder, clear=True, with_pip=False)
            command = [sys.executable, "-m", "pip", "--python", str(python), *PIP, "--requirement", str(lock)]
            pip = subprocess.run(command, capture_output=True, text=True, check=False)
            if pip.returncode:
                pytest.skip(
                    f"cannot install the client {name}: {(pip.stderr.strip().splitlines() or ['pip failed'])[-1]}"
                )
            done.write_text(content)
    return python


def install_clients() -> None:
    """Make every environment, two at a time, so that no test has to wait for it."""
    makes = [partial(client_python, folder.parent.name) for folder in sorted(LOCKS.glob("*/requirements.lock"))]
    with ThreadPoolExecutor(2) as pool:
        for made in [pool.submit(make) for make in (*makes, node_modules)]:
            try:
                made.result()
            except pytest.skip.Exception as why:
                print(f"{why}; the tests that need it are skipped")


def node_modules() -> tuple[Path, Path]:
    """(node, the folder with the packages that tests/clients/node pins). Skips the test where there is no Node."""
    node, npm = shutil.which("node"), shutil.which("npm")
    if node is None or npm is None:
        pytest.skip("there is no Node here: node and npm are not found")
    lock = LOCKS / "node" / "package-lock.json"
    content = hashlib.sha256(lock.read_bytes()).hexdigest()
    folder = ROOT / "build" / "clients" / "node"
    done = folder / "installed"
    with _alone(folder):
        if not done.exists() or done.read_text() != content:
            folder.mkdir(parents=True, exist_ok=True)
            for name in ("package.json", "package-lock.json"):
                shutil.copy(LOCKS / "node" / name, folder / name)
            command = [npm, "ci", "--omit=dev", "--ignore-scripts", "--no-audit", "--no-fund"]
            made = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False)
            if made.returncode:
                pytest.skip(
                    f"cannot install the clients for Node: {(made.stderr.strip().splitlines() or ['npm failed'])[-1]}"
                )
            done.write_text(content)
    return Path(node), folder / "node_modules"


@contextmanager
def _alone(folder: Path) -> Iterator[None]:
    """Only one process makes an environment."""
    import fcntl

    folder.parent.mkdir(parents=True, exist_ok=True)
    handle = os.open(folder.parent / f"{folder.name}.lock", os.O_CREAT | os.O_RDWR)
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)
