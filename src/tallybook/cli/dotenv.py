"""Stores a variable in the `.env` of a project, which only its owner can read and which git ignores."""

from __future__ import annotations

import os
from pathlib import Path

DOTENV, GITIGNORE = ".env", ".gitignore"
OWNER_ONLY = 0o600
_IGNORED = (".env", "/.env", "*.env", ".env*", "/.env*", ".env.*")


def keep_variable(folder: Path, name: str, value: str) -> list[str]:
    """Write a variable into `.env`, and add `.env` to the `.gitignore` of a git repository. Returns what was done, in
    words.

    A variable that is already in `.env` stays unchanged."""
    from tallybook.config import parse_dotenv
    from tallybook.core import Problems

    path = folder / DOTENV
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    known = parse_dotenv(text, Problems())
    if name in known:
        return [f"{DOTENV} has {name}" if known[name] == value else f"{DOTENV} has another {name}, and was not changed"]
    break_ = "" if not text or text.endswith("\n") else "\n"
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, OWNER_ONLY), "a", encoding="utf-8") as file:
        file.write(f"{break_}{name}={_quoted(value)}\n")
    done = [f"{DOTENV} has {name}, with the password" + ("" if text else "; only you can read it")]
    return [*done, *([f"{GITIGNORE} keeps {DOTENV} out of git"] if _ignore(folder) else [])]


def _quoted(value: str) -> str:
    if "'" not in value:
        return f"'{value}'"
    return '"' + value.replace("\\", "\\\\").replace('"', '\\"') + '"'


def _ignore(folder: Path) -> bool:
    """Add `.env` to the `.gitignore` of a folder, if the folder is in a git repository that does not ignore it. Returns
    whether it was added."""
    above = [folder.absolute(), *folder.absolute().parents]
    root = next((place for place in above if (place / ".git").exists()), None)
    if root is None:
        return False
    for place in above[: above.index(root) + 1]:
        lines = (place / GITIGNORE).read_text(encoding="utf-8").splitlines() if (place / GITIGNORE).exists() else []
        if any(line.strip() in _IGNORED for line in lines):
            return False
    path = folder / GITIGNORE
    text = path.read_text(encoding="utf-8") if path.exists() else ""
    path.write_text(text + ("" if not text or text.endswith("\n") else "\n") + f"{DOTENV}\n", encoding="utf-8")
    return True
