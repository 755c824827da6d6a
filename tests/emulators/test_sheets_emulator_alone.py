"""The Sheets emulator as a process of its own, spoken to over HTTP alone."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import pytest
import requests


@pytest.fixture(scope="module")
def alone() -> Iterator[dict[str, Any]]:
    command = [
        sys.executable,
        "-m",
        "tallybook",
        "sheets",
        "emulator",
        "--port",
        "0",
        "--document",
        "Metrics",
        "--format",
        "json",
    ]
    with subprocess.Popen(command, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        yield json.loads("".join(lines))
        process.send_signal(signal.SIGTERM)
        _, said = process.communicate(timeout=20)
        assert (process.returncode, said) == (0, "stopped\n")


def test_documents_people_faults_and_the_clock_are_reached_over_http(alone: dict[str, Any]) -> None:
    own, number = f"{alone['url']}/emulator", alone["documents"]["Metrics"]
    words = alone["authorized_user"]
    form = {name: words[name] for name in ("client_id", "client_secret", "refresh_token")} | {
        "grant_type": "refresh_token"
    }
    token = requests.post(alone["token_uri"], data=form, timeout=10).json()["access_token"]
    bearer = {"Authorization": f"Bearer {token}"}
    values = f"{alone['url']}/v4/spreadsheets/{number}/values"

    def typed(tab: str) -> requests.Response:
        url = f"{values}/{tab}!A1?valueInputOption=USER_ENTERED"
        return requests.put(url, headers=bearer, json={"values": [["3/10/2026", 5]]}, timeout=10)

    did = requests.post(
        f"{own}/documents/{number}/people", json={"do": "rename_tab", "tab": "Sheet1", "to": "Daily"}, timeout=10
    )
    assert did.status_code == 200
    assert typed("Sheet1").status_code == 400
    requests.post(f"{own}/faults", json={"answer": 503, "after": True, "verb": "PUT"}, timeout=10)
    assert [typed("Daily").status_code for _ in range(2)] == [503, 200]
    (tab,) = requests.get(f"{own}/documents/{number}", timeout=10).json()["tabs"]
    assert (tab["title"], tab["values"], tab["shown"]) == ("Daily", [[46091, 5]], [["3/10/2026", "5"]])
    seen = requests.get(f"{own}/requests", timeout=10).json()
    assert seen["calls"] == {"sheets.spreadsheets.values.update": 3}
    requests.post(f"{own}/clock", json={"hours": 2}, timeout=10)
    assert typed("Daily").status_code == 401


def test_what_it_cannot_do_is_said(alone: dict[str, Any]) -> None:
    own, number = f"{alone['url']}/emulator", alone["documents"]["Metrics"]
    unknown = requests.post(f"{own}/documents/{number}/people", json={"do": "fly"}, timeout=10)
    assert (unknown.status_code, "a person cannot 'fly'; there are:" in unknown.text) == (400, True)
    assert requests.post(f"{own}/faults", json={"answr": 1}, timeout=10).status_code == 400
    assert requests.get(f"{own}/nothing", timeout=10).status_code == 404
    assert requests.get(f"{alone['url']}/v4/nothing", timeout=10).status_code == 404
