"""The emulators as a distribution of their own: what each wheel contains, and what happens without the second one."""

from __future__ import annotations

import json
import os
import subprocess
import sys
import sysconfig
import zipfile
from pathlib import Path

import pytest

from tests.house.syntax import facts

ROOT = Path(__file__).resolve().parents[2]
EMULATORS = ROOT / "packages" / "emulators"


@pytest.fixture(scope="module")
def wheels(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Both wheels, built as `pip install` builds them, by the name of their distribution."""
    folder = tmp_path_factory.mktemp("wheels")
    options = ["--quiet", "--no-deps", "--no-build-isolation", "--no-index", "--disable-pip-version-check"]
    pip = [sys.executable, "-m", "pip", "wheel", *options, "--wheel-dir", str(folder)]
    subprocess.run([*pip, str(ROOT), str(EMULATORS)], check=True, capture_output=True)
    return {path.name.split("-")[0]: path for path in folder.glob("*.whl")}


def names(wheel: Path) -> list[str]:
    with zipfile.ZipFile(wheel) as archive:
        return archive.namelist()


def run(*unpacked: Path, code: str = "") -> subprocess.CompletedProcess[str]:
    """`tallybook sheets emulator` (or `code`) with these folders and the dependencies, without editable installations."""
    paths = [str(path) for path in unpacked] + [sysconfig.get_path("purelib")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    # -S: the .pth files of editable installations are not read.
    words = ["-c", code] if code else ["-m", "tallybook", "sheets", "emulator", "--port", "0"]
    return subprocess.run(
        [sys.executable, "-S", *words], env=env, capture_output=True, text=True, check=False, timeout=60
    )


@pytest.fixture(scope="module")
def unpacked(wheels: dict[str, Path], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """A folder per wheel, as `pip install --no-deps --target` fills it."""
    folders = {}
    for name, wheel in wheels.items():
        folders[name] = tmp_path_factory.mktemp(name)
        with zipfile.ZipFile(wheel) as archive:
            archive.extractall(folders[name])
    return folders


def test_each_wheel_contains_its_own_package_only(wheels: dict[str, Path]) -> None:
    assert {name: {path.split("/")[0] for path in names(wheel)} for name, wheel in wheels.items()} == {
        "tallybook": {"tallybook", "tallybook-0.1.0.dist-info"},
        "tallybook_emulators": {"tallybook_emulators", "tallybook_emulators-0.1.0.dist-info"},
    }
    assert "tallybook_emulators/py.typed" in names(wheels["tallybook_emulators"])
    assert "tallybook_emulators-0.1.0.dist-info/licenses/LICENSE" in names(wheels["tallybook_emulators"])
    assert (EMULATORS / "LICENSE").read_text() == (ROOT / "LICENSE").read_text()


def test_the_command_without_the_emulators_prints_the_line_to_install_them(unpacked: dict[str, Path]) -> None:
    done = run(unpacked["tallybook"])
    assert (done.returncode, done.stdout) == (2, "")
    assert "the package tallybook-emulators is not installed" in done.stderr
    assert "pip install ./packages/emulators" in done.stderr


def test_a_test_without_the_emulators_fails_at_its_import_with_the_same_line(unpacked: dict[str, Path]) -> None:
    done = run(unpacked["tallybook"], code="from tallybook.testing.sheets import Emulator")
    assert done.returncode == 1
    assert "EmulatorsNotInstalled" in done.stderr
    assert "pip install ./packages/emulators" in done.stderr
    caught = "try:\n  from tallybook.testing.sheets import Emulator\nexcept ImportError:\n  print('caught')"
    assert run(unpacked["tallybook"], code=caught).stdout == "caught\n"


def test_an_unknown_name_is_an_import_error_with_and_without_the_emulators(unpacked: dict[str, Path]) -> None:
    for folders in (unpacked["tallybook"],), tuple(unpacked.values()):
        done = run(*folders, code="from tallybook.testing.sheets import Emulater")
        assert "cannot import name 'Emulater' from 'tallybook.testing.sheets'" in done.stderr


def test_the_command_starts_with_both_wheels(unpacked: dict[str, Path]) -> None:
    paths = [*map(str, unpacked.values()), sysconfig.get_path("purelib")]
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(paths)}
    command = [sys.executable, "-S", "-m", "tallybook", "sheets", "emulator", "--port", "0", "--format", "json"]
    with subprocess.Popen(command, env=env, stdout=subprocess.PIPE, text=True) as process:
        assert process.stdout
        lines = []
        for line in process.stdout:
            lines.append(line)
            if line == "}\n":
                break
        process.terminate()
        process.communicate(timeout=20)
    assert json.loads("".join(lines))["url"].startswith("http://127.0.0.1:")


def test_the_emulators_run_without_tallybook_and_its_dependencies(unpacked: dict[str, Path]) -> None:
    code = (
        "import sys\n"
        "from tallybook_emulators.sheets import Emulator\n"
        "with Emulator() as google:\n"
        "    assert google.create('Metrics') in google.document_ids\n"
        "print(sorted({name.split('.')[0] for name in sys.modules} - sys.stdlib_module_names))\n"
    )
    env = {**os.environ, "PYTHONPATH": str(unpacked["tallybook_emulators"])}
    done = subprocess.run([sys.executable, "-S", "-c", code], env=env, capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "['__main__', 'tallybook_emulators']\n"), done.stderr


def test_names_of_the_import_path_for_tests_are_those_of_the_emulators() -> None:
    import tallybook.testing.sheets
    import tallybook_emulators.sheets

    assert tallybook.testing.sheets.__all__ == tallybook_emulators.sheets.__all__
    assert tallybook.testing.sheets.Emulator is tallybook_emulators.sheets.Emulator


def test_the_emulators_never_import_tallybook_and_tallybook_imports_them_in_one_place() -> None:
    emulators, tallybook = EMULATORS / "src", ROOT / "src"
    assert [file for file in emulators.rglob("*.py") if "tallybook" in facts(file).imports] == []
    importing = [file for file in tallybook.rglob("*.py") if "tallybook_emulators" in facts(file).imports]
    assert [file.relative_to(tallybook).as_posix() for file in importing] == ["tallybook/testing/sheets.py"]
