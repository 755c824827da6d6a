"""Several threads decode a type for the first time at once. A process of its own does it: a mistake here crashes."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

SRC = Path(__file__).parents[2] / "src" / "tallybook"
PROGRAM = """
from __future__ import annotations
import sys, threading
import msgspec
from tallybook.core import json_decoder

sys.setswitchinterval(1e-6)

def used(number):
    inner = msgspec.defstruct(f"Inner{number}", [(f"f{i}", dict[str, list[int]]) for i in range(9)])
    outer = msgspec.defstruct(f"Outer{number}", [(f"f{i}", list[inner]) for i in range(9)])
    text = msgspec.json.encode({f"f{i}": [{f"f{k}": {"a": [1]} for k in range(9)}] for i in range(9)})
    start = threading.Barrier(4)

    def decode():
        start.wait()
        DECODE
    threads = [threading.Thread(target=decode) for _ in range(4)]
    for one in threads:
        one.start()
    for one in threads:
        one.join()

for number in range(100):
    used(number)
"""


def test_threads_that_decode_a_type_for_the_first_time_do_not_crash() -> None:
    program = PROGRAM.replace("DECODE", "json_decoder(outer).decode(text)")
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stderr) == (0, "")


def test_structs_are_decoded_by_decoders_that_one_thread_builds() -> None:
    direct = re.compile(r"msgspec\.(json|msgpack)\.(decode\([^\n]*type=[A-Z_]|Decoder\()")
    found = {path.name for path in SRC.rglob("*.py") if direct.search(path.read_text())}
    assert found == set()
