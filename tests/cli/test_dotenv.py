"""The URL of a drafted project is kept in `.env`, so that the next command works in every shell."""

from __future__ import annotations

import io
import stat
from collections.abc import Callable, Mapping
from pathlib import Path

import pytest

from tallybook.cli import invoke
from tallybook.cli.dotenv import keep_variable
from tallybook.config import parse_dotenv
from tallybook.core import Problems
from tests.projects import Project

URL = 'postgresql://reader:it\'s "a" $ecret\\n#1@host/app'


def kept(folder: Path) -> dict[str, str]:
    return parse_dotenv((folder / ".env").read_text(encoding="utf-8"), Problems())


@pytest.mark.parametrize("before", ["", "A='1'", "A='1'\n"])
def test_a_url_is_kept_as_it_is_beside_what_is_there(tmp_path: Path, before: str) -> None:
    if before:
        (tmp_path / ".env").write_text(before, encoding="utf-8")
    said = keep_variable(tmp_path, "DATABASE_URL", URL)
    assert kept(tmp_path) == {"DATABASE_URL": URL} | ({"A": "1"} if before else {})
    assert said == [".env has DATABASE_URL, with the password" + ("" if before else "; only you can read it")]
    if not before:
        assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_a_variable_that_is_there_is_not_changed(tmp_path: Path) -> None:
    (tmp_path / ".env").write_text("DATABASE_URL='x://y'\n", encoding="utf-8")
    assert keep_variable(tmp_path, "DATABASE_URL", URL) == [".env has another DATABASE_URL, and was not changed"]
    assert keep_variable(tmp_path, "DATABASE_URL", "x://y") == [".env has DATABASE_URL"]
    assert kept(tmp_path) == {"DATABASE_URL": "x://y"}


@pytest.mark.parametrize(
    ("ignored", "place", "after"),
    [
        (None, ".", ".env\n"),
        ("*.log", ".", "*.log\n.env\n"),
        (".env\n", ".", ".env\n"),
        ("*.env\n", "..", None),
        (".env\n", "..", None),
    ],
)
def test_git_ignores_the_password(tmp_path: Path, ignored: str | None, place: str, after: str | None) -> None:
    folder = tmp_path / "metrics" if place == ".." else tmp_path
    folder.mkdir(exist_ok=True)
    (tmp_path / ".git").mkdir()
    if ignored is not None:
        (tmp_path / ".gitignore").write_text(ignored, encoding="utf-8")
    said = keep_variable(folder, "DATABASE_URL", URL)
    path = folder / ".gitignore"
    assert (path.read_text(encoding="utf-8") if path.exists() else None) == after
    assert (".gitignore keeps .env out of git" in said) == (after is not None and after != ignored)


def test_a_folder_outside_of_git_gets_no_gitignore(tmp_path: Path) -> None:
    keep_variable(tmp_path, "DATABASE_URL", URL)
    assert not (tmp_path / ".gitignore").exists()


@pytest.mark.parametrize("in_environment", [True, False])
def test_the_command_after_init_finds_the_url(
    tmp_path: Path, make_database: Callable[[str], str], in_environment: bool
) -> None:
    project = Project(tmp_path / "elsewhere", make_database("postgresql"))
    project.table("users (id int primary key, created_at timestamp)", [(1, "2024-03-01 10:00:00")])

    def typed(*words: str, env: Mapping[str, str]) -> tuple[int, str]:
        out = io.StringIO()
        arguments = [*words, "--project", str(tmp_path)]
        code = invoke(arguments, now=lambda: project.now, stdout=out, stderr=out, env=dict(env))
        return code, out.getvalue()

    code, said = typed("init", project.url, env={"DATABASE_URL": project.url} if in_environment else {})
    assert code == 0
    assert (tmp_path / ".env").exists() != in_environment
    assert ("put the URL into .env" in said) == in_environment
    assert project.url not in (tmp_path / "tallybook.toml").read_text(encoding="utf-8")
    if not in_environment:
        assert typed("check", "--source", env={})[0] == 0
