"""Programs forked from the warm process behave as those that Python starts."""

from __future__ import annotations

import os
import signal
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


WAITS = """
import os, signal, sys
signal.signal(signal.SIGTERM, lambda *_: sys.exit(5))
print(os.getpid(), os.getsid(0), file=sys.stderr)
signal.pause()
"""


@pytest.mark.parametrize(("which", "code"), [(signal.SIGTERM, 5), (signal.SIGKILL, -9)])
def test_a_program_that_runs_on_is_signaled_by_its_number(which: signal.Signals, code: int, tmp_path: Path) -> None:
    program = warm.start(["-c", WAITS], cwd=tmp_path)
    assert program.stderr
    assert program.stderr.readline() == f"{program.pid} {program.pid}\n"
    assert program.poll() is None
    with pytest.raises(subprocess.TimeoutExpired):
        program.wait(0.01)
    program.send_signal(which)
    assert (program.wait(60), program.poll(), program.stderr.read()) == (code, code, "")


def test_a_program_is_given_files_under_the_numbers_that_it_asks_for_and_no_others(tmp_path: Path) -> None:
    code = "import os; os.write(4, os.read(3, 9) + b' ' + str(sorted(map(int, os.listdir('/proc/self/fd')))).encode())"
    (first, first_end), (second, second_end) = os.pipe(), os.pipe()
    with Path(os.devnull).open("r+") as nothing:
        files = {0: nothing.fileno(), 1: nothing.fileno(), 2: 2, 3: second, 4: first_end}
        program = warm.Program(["-c", code], files, cwd=tmp_path)
    os.write(second_end, b"heard")
    assert program.wait(60) == 0
    text = os.read(first, 99).decode()
    for file in (first, first_end, second, second_end):
        os.close(file)
    assert text.startswith("heard [0, 1, 2, 3, 4, 5")
    assert text.endswith(", 512]")
