"""Runs the emulator until it is stopped: `python -m tallybook_emulators.gainsight_px --port 8977`."""

from __future__ import annotations

import argparse
import json
import sys
import threading
from typing import TextIO

from tallybook_emulators.gainsight_px.emulator import ALL, KEY, PX_LIMITS, PxEmulator


def main() -> int:
    """Serve until Ctrl-C. The first line on standard output has the address and the key."""
    given = _arguments()
    try:
        px = PxEmulator(
            port=given.port,
            limits=None if given.no_limits else PX_LIMITS,
            keys=dict.fromkeys(given.key or [KEY], ALL),
        )
        for words in given.attribute:
            model, api_name, kind = words.split(":")
            px.attribute(model, api_name, kind)
    except OSError as error:
        _say(f"cannot listen on 127.0.0.1:{given.port}: {error.strerror}; try --port 0", sys.stderr)
        return 2
    except (ValueError, KeyError):
        _say("cannot read --attribute: expected account:mrr__c:NUMBER or user:logins:NUMBER", sys.stderr)
        return 2
    with px:
        found = {"api": px.api, "key": px.key, "control": f"{px.url}/emulator"}
        if given.format == "json":
            _say(json.dumps(found), sys.stdout)
        else:
            words = "Gainsight PX is emulated on {api} with the key {key}; {control} is for tests. Ctrl-C stops it."
            _say(words.format(**found), sys.stdout)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            _say("stopped", sys.stderr)
    return 0


def _say(text: str, stream: TextIO) -> None:
    stream.write(f"{text}\n")
    stream.flush()


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m tallybook_emulators.gainsight_px", description=__doc__)
    parser.add_argument("--port", type=int, default=8977, help="the port; 0 takes a free one (default: 8977)")
    parser.add_argument("--key", action="append", help=f"an API key with every permission (default: {KEY})")
    parser.add_argument("--attribute", action="append", default=[], help="a custom attribute: account:mrr__c:NUMBER")
    parser.add_argument("--no-limits", action="store_true", help="do not limit requests per second and day")
    parser.add_argument("--format", choices=("text", "json"), default="text", help="of the first line")
    return parser.parse_args()


if __name__ == "__main__":
    raise SystemExit(main())
