"""Programs forked from the warm process behave as those that Python starts."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from tests import warm

SAYS_ALL = "import os, sys; print(sys.argv, os.getcwd(), os.environ['GIVEN'], __name__); print('x', file=sys.stderr)"
HEARS = "import sys; print(sys.stdin.read().upper(), sys.argv[1:])"


@pytest.mark.parametrize(
    "code",
    [
        SAYS_ALL,
        "import a_module_of_the_path; print(a_module_of_the_path.__name__)",
        "raise SystemExit(3)",
        "raise SystemExit('refused')",
        "1 / 0",
        "import os; os._exit(4)",
        "import os; os.kill(os.getpid(), 9)",
        "import os; pid = os.fork(); pid or os._exit(5); sys = os.waitpid(pid, 0); raise SystemExit(6)",
        "import atexit, threading\natexit.register(print, 'last')\nthreading.Thread(target=print, args=('first',)).start()",
    ],
)
def test_a_forked_program_prints_and_ends_as_one_that_was_started(code: str, tmp_path: Path) -> None:
    (tmp_path / "a_module_of_the_path.py").touch()
    env = {**os.environ, "GIVEN": "ü", "PYTHONPATH": str(tmp_path)}
    started = subprocess.run(
        [sys.executable, "-c", code, "one"], cwd=tmp_path, env=env, capture_output=True, text=True, check=False
    )
    forked = warm.run(["-c", code, "one"], cwd=tmp_path, env=env)
    assert (forked.returncode, forked.stdout) == (started.returncode, started.stdout)
    assert forked.stderr.splitlines()[-1:] == started.stderr.splitlines()[-1:]


def test_a_command_of_a_shell_reads_its_input_and_ends_with_its_code(tmp_path: Path) -> None:
    warm.write_command(tmp_path / "hears", "-c", HEARS)
    warm.write_command(tmp_path / "fails", "-c", "raise SystemExit(7)")
    script = "echo in | ./hears --one 'two words' | cat; ./fails; echo $?"
    done = subprocess.run(["bash", "-c", script], cwd=tmp_path, capture_output=True, text=True, check=True)
    assert done.stdout == "IN\n ['--one', 'two words']\n7\n", done.stderr
