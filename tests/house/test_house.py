"""How the house is kept: unique class names, short files and functions, doors that say what they offer."""

from __future__ import annotations

import ast
import importlib
import re
import tomllib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.house.syntax import facts

ROOT = Path(__file__).resolve().parents[2]
SOURCE = ROOT / "src" / "tallybook"
EMULATORS = ROOT / "packages" / "emulators" / "src" / "tallybook_emulators"
ROOMS = sorted(path.parent.name for path in SOURCE.glob("*/__init__.pyi"))
MAX_FILE_LINES = 400
MAX_FUNCTION_LINES = 50
MAX_COLUMNS = 120

LONG_FILES: dict[str, str] = {}
"""Longer than MAX_FILE_LINES, with the reason. This list may only shrink."""
LONG_FUNCTIONS: dict[str, str] = {}
"""Longer than MAX_FUNCTION_LINES, with the reason. This list may only shrink."""
OFFERED_TO_OTHER_PACKAGES = {"collect": {"DescribedServer", "FileSource", "Reader"}, "sheets": {"Worksheet"}}
"""Names of doors that nothing here imports: for adapters of other packages, and annotations in code that uses Tallybook."""


def modules(package: Path) -> Iterator[tuple[str, Path]]:
    """(name, path) of each module. Names are relative to src/tallybook, and to the folder of any other package."""
    base = package if package == SOURCE else package.parent
    for path in sorted(package.rglob("*.py")):
        yield path.relative_to(base).as_posix(), path


def scripts() -> Iterator[tuple[str, str]]:
    """(path, text) of each script of the benchmarks and the docs."""
    for path in sorted([*(ROOT / "benchmarks").glob("*.py"), *(ROOT / "docs").glob("*.py")]):
        yield path.relative_to(ROOT).as_posix(), path.read_text(encoding="utf-8")


def files() -> Iterator[tuple[str, str]]:
    """(name, text) of each module of every distribution."""
    for package in (SOURCE, EMULATORS):
        for name, path in modules(package):
            yield name, path.read_text(encoding="utf-8")


@pytest.mark.parametrize("package", [SOURCE, EMULATORS], ids=lambda package: package.name)
def test_a_class_name_is_used_once_in_its_package(package: Path) -> None:
    found = defaultdict(list)
    for module, path in modules(package):
        for name in facts(path).classes:
            found[name].append(module)
    assert {name: paths for name, paths in found.items() if len(paths) > 1} == {}


def test_files_are_short() -> None:
    long = {path: text.count("\n") for path, text in files() if text.count("\n") > MAX_FILE_LINES}
    assert sorted(long) == sorted(LONG_FILES), long


def test_functions_are_short() -> None:
    long = [
        f"{module}: {name}"
        for package in (SOURCE, EMULATORS)
        for module, path in modules(package)
        for name, lines in facts(path).functions
        if lines > MAX_FUNCTION_LINES
    ]
    assert sorted(long) == sorted(LONG_FUNCTIONS), long


def test_lines_are_short_and_formatted() -> None:
    long = [
        f"{path}:{number}"
        for path, text in [*files(), *scripts()]
        for number, line in enumerate(text.splitlines(), 1)
        if len(line) > MAX_COLUMNS
    ]
    assert long == []
    waived = [path for path, text in [*files(), *scripts()] for _ in re.finditer(r"#\s*fmt:\s*(skip|off)", text)]
    assert waived == []


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_offers_what_its_stub_says(room: str) -> None:
    stub = ast.parse((SOURCE / room / "__init__.pyi").read_text(encoding="utf-8"))
    typed = {alias.name for node in stub.body if isinstance(node, ast.ImportFrom) for alias in node.names}
    door = importlib.import_module(f"tallybook.{room}")
    assert set(dir(door)) == typed
    # A module of the same name would hide it once it is imported.
    assert typed & {path.stem for path in (SOURCE / room).iterdir()} == set()
    for name in typed:
        assert getattr(door, name) is not None


@pytest.fixture(scope="module")
def texts() -> dict[Path, str]:
    """Every Python module and every page, by path."""
    found = [ROOT / "README.md"]
    for folder in ("src", "packages", "tests", "benchmarks", "docs"):
        found += [path for path in sorted((ROOT / folder).rglob("*")) if path.suffix in (".py", ".md")]
    return {path: path.read_text(encoding="utf-8") for path in found}


@pytest.mark.parametrize("room", ROOMS)
def test_a_door_offers_only_what_somebody_outside_uses(room: str, texts: dict[Path, str]) -> None:
    used: set[str] = set()
    for path, text in texts.items():
        if SOURCE / room not in path.parents:
            used |= names_used(room, text)
    unused = set(dir(importlib.import_module(f"tallybook.{room}"))) - used
    assert unused == OFFERED_TO_OTHER_PACKAGES.get(room, set())


def names_used(room: str, text: str) -> set[str]:
    """The names of a door in a text: imported from it, or with its name or alias in front."""
    if room not in text:
        return set()
    found = {name for name, _ in imported(f"tallybook.{room}", text)}
    aliases = [alias for name, alias in imported("tallybook", text) if name == room]
    for prefix in (rf"tallybook\.{room}", *aliases):
        found |= set(re.findall(rf"\b{prefix}\.(\w+)", text))
    return found


def imported(module: str, text: str) -> Iterator[tuple[str, str]]:
    """(name, alias) of each name that `from module import …` imports."""
    if f"from {module} import " not in text:
        return
    for names in re.findall(rf"from {re.escape(module)} import (\([^)]*\)|[^\n]*)", text):
        for one in names.strip("()").split(","):
            name, _, alias = one.strip().partition(" as ")
            yield name, alias or name


def test_the_demo_installs_what_its_server_imports() -> None:
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    installed = {re.split(r"[>=<\[;]", line)[0] for line in project["dependency-groups"]["demo"]}
    optional = {"uvloop", "vl-convert-python"}
    needed = {re.split(r"[>=<\[;]", line)[0] for line in project["project"]["optional-dependencies"]["server"]}
    assert needed - optional - installed == set()
    locked = re.findall(r"(?m)^([\w.-]+)==", (ROOT / "requirements-demo.lock").read_text(encoding="utf-8"))
    assert installed - set(locked) == set()
