"""The Containerfile, without a container runtime: its commands are executed, on paths of a temporary folder."""

from __future__ import annotations

import json
import re
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.ingest.servers import TOML

ROOT = Path(__file__).resolve().parents[2]
KNOWN = ("FROM", "COPY", "RUN", "USER", "WORKDIR", "EXPOSE", "STOPSIGNAL", "HEALTHCHECK", "ENTRYPOINT", "CMD")


def instructions() -> list[tuple[str, str]]:
    lines = (ROOT / "Containerfile").read_text().splitlines()
    return [(word, rest) for word, _, rest in (line.partition(" ") for line in lines if line and line[0] != "#")]


def command(word: str) -> list[str]:
    """The words of a command in its JSON form."""
    (rest,) = (rest for name, rest in instructions() if name == word)
    found: list[str] = json.loads(rest.removeprefix("CMD "))
    return found


def test_the_containerfile_has_known_instructions_and_paths_of_the_image() -> None:
    words = [word for word, _ in instructions()]
    assert words[0] == "FROM"
    assert set(words) == set(KNOWN)
    assert words.index("USER") > max(i for i, word in enumerate(words) if word == "RUN")
    assert ("STOPSIGNAL", "SIGTERM") in instructions()
    assert ("COPY", ". /src") in instructions()


def test_its_command_serves_is_healthy_and_ends_at_the_stop_signal(tmp_path: Path) -> None:
    (tmp_path / "tallybook.toml").write_text(TOML.replace("[serve]", '[serve]\nlisten = "127.0.0.1:0"'))
    image = {"/opt/tallybook/bin/python": sys.executable}
    started = [image.get(word, word) for word in (*command("ENTRYPOINT"), *command("CMD"))]
    process = subprocess.Popen(started, cwd=tmp_path, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    assert process.stderr is not None
    try:
        said = next(one for one in map(json.loads, process.stderr) if one["event"] == "listening")
        port = said["address"].rpartition(":")[2]
        health = [image.get(word, word.replace("8321", port)) for word in command("HEALTHCHECK")]
        assert any(subprocess.run(health, check=False, stderr=subprocess.DEVNULL).returncode == 0 for _ in range(60))
    finally:
        process.send_signal(signal.SIGTERM)
        process.stderr.read()
        process.stderr.close()
        assert process.wait(60) == 0


@pytest.mark.soak
def test_its_image_can_be_built_from_a_checkout(tmp_path: Path) -> None:
    source = tmp_path / "src"
    source.mkdir()
    for name in ("src", "pyproject.toml", "README.md", "LICENSE"):
        found = ROOT / name
        shutil.copytree(found, source / name) if found.is_dir() else shutil.copy(found, source / name)
    for word, rest in instructions():
        if word == "RUN" and not rest.startswith("useradd"):
            line = rest.replace("/opt/", f"{tmp_path}/opt/").replace("/src", str(source))
            line = re.sub(r"^python ", f"{sys.executable} ", line)
            subprocess.run(line, shell=True, check=True, cwd=tmp_path, timeout=600)
    done = [f"{tmp_path}/opt/tallybook/bin/python", "-m", "tallybook", "serve", "--help"]
    assert "--listen" in subprocess.run(done, capture_output=True, text=True, check=True).stdout
