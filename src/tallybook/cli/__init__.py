"""The command `tallybook`: parses arguments, calls `Book`, prints results and errors. It makes no decisions of its own.

`invoke` is the command as a function of arguments, clock, environment and streams. Verbs import heavy packages other
than Click only when needed, so that `tallybook query` starts fast."""

from __future__ import annotations

import codecs
import os
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import redirect_stderr, redirect_stdout
from datetime import datetime
from itertools import pairwise
from typing import NoReturn, TextIO

Now = Callable[[], datetime]
LOGS = ("json", "text")


def main(argv: Sequence[str] | None = None, *, now: Now | None = None) -> NoReturn:
    """Run the command on this process's terminal and end the process."""
    import signal

    if argv is None:
        _read_names_as_utf8()
    # SIGTERM is handled like Ctrl-C: staged points are dropped, and the lease is released.
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    for stream in (sys.stdout, sys.stderr):
        # A character that the terminal cannot show becomes a question mark. Data is always UTF-8.
        if hasattr(stream, "reconfigure"):
            stream.reconfigure(errors="replace")
    code = invoke(argv, now=now)
    # Everything is closed, flushed and on disk. Unloading DuckDB would take 40 ms more.
    os._exit(code)


def _read_names_as_utf8() -> None:
    """Restart this process in Python's UTF-8 mode if the locale says that file names are ASCII."""
    ascii_ = codecs.lookup(sys.getfilesystemencoding()).name != "utf-8"
    if ascii_ and not sys.flags.utf8_mode and sys.executable and os.name == "posix":
        os.execv(sys.executable, [sys.executable, "-X", "utf8", "-m", "tallybook", *sys.argv[1:]])


def invoke(
    argv: Sequence[str] | None = None,
    *,
    now: Now | None = None,
    stdout: TextIO | None = None,
    stderr: TextIO | None = None,
    env: Mapping[str, str] | None = None,
    stdin: TextIO | None = None,
) -> int:
    """Run the command and return its exit code; see `core.errors`. Raises nothing.

    `now` is an aware clock, and `env` the environment. The defaults are those of the process."""
    from tallybook.cli.terminal import Terminal

    arguments = list(sys.argv[1:] if argv is None else argv)
    terminal = Terminal(stdout or sys.stdout, stderr or sys.stderr, os.environ if env is None else env, now, stdin)
    terminal.log = wanted_log(arguments, terminal.env)
    try:
        with redirect_stdout(terminal.stdout), redirect_stderr(terminal.stderr):
            ended = _run(arguments, terminal)
        terminal.flush()
        return ended
    except (Exception, KeyboardInterrupt) as error:  # noqa: BLE001  # printed, and returned as an exit code
        from tallybook.cli.failures import print_error

        return print_error(error, terminal, as_json=wants_json(arguments))
    finally:
        terminal.close()


def _run(arguments: list[str], terminal: object) -> int:
    from tallybook.cli.verbs import tallybook

    ended = tallybook.main(arguments, prog_name="tallybook", standalone_mode=False, obj=terminal)
    return ended if isinstance(ended, int) else 0


def wants_json(arguments: Sequence[str]) -> bool:
    """Whether errors are printed as JSON. Also works for arguments that cannot be parsed."""
    return "--format=json" in arguments or ("--format", "json") in pairwise(arguments)


def wanted_log(arguments: Sequence[str], env: Mapping[str, str]) -> str | None:
    """The format of the log, by `--log` or TALLYBOOK_LOG. Also works for arguments that cannot be parsed."""
    values = [other for one, other in pairwise(arguments) if one == "--log"]
    values += [one.removeprefix("--log=") for one in arguments if one.startswith("--log=")]
    return next((one for one in (*values, env.get("TALLYBOOK_LOG")) if one in LOGS), None)
