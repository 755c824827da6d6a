"""Rejects SQL of chDB that reads outside of its folder."""

from __future__ import annotations

import re
from pathlib import Path
from typing import TYPE_CHECKING

from tallybook.core import SourceError

if TYPE_CHECKING:
    pass

_ELSEWHERE = (
    "file",
    "url",
    "s3",
    "gcs",
    "oss",
    "cosn",
    "hdfs",
    "azureBlobStorage",
    "remote",
    "remoteSecure",
    "cluster",
    "mysql",
    "postgresql",
    "sqlite",
    "mongodb",
    "redis",
    "jdbc",
    "odbc",
    "executable",
    "iceberg",
    "icebergLocal",
    "deltaLake",
    "deltaLakeLocal",
    "hudi",
    "Python",
)
"""Functions of chDB that read data outside its folder. Their cluster variants end in Cluster."""
_NO_CODE = re.compile(r"'(?:[^'\\]|\\.|'')*'|--[^\n]*|#[ !][^\n]*|/\*.*?\*/", re.DOTALL)
_READS_ELSEWHERE = re.compile(rf"[`\"]?\b({'|'.join(_ELSEWHERE)})(?:Cluster)?[`\"]?\s*\(", re.IGNORECASE)
_TEXT_AS_TABLE = re.compile(r"\b(?:from|join)\s+'", re.IGNORECASE)
_NAMES = re.compile(r"`([^`]+)`|\"([^\"]+)\"")


def check_reads_folder_only(name: str, sql: str) -> None:
    """Raise SourceError for SQL that reads a file outside the folder, or the network."""
    code = _NO_CODE.sub(lambda found: "''" if found[0].startswith("'") else " ", sql)
    function = _READS_ELSEWHERE.search(code)
    seen = f"{function[1]}()" if function else "a text in the place of a table" if _TEXT_AS_TABLE.search(code) else ""
    paths = (found[1] or found[2] for found in _NAMES.finditer(code))
    seen = seen or next((path for path in paths if path.startswith(("/", "./", "../")) or _is_file(path)), "")
    if seen:
        raise SourceError(
            f"source {name!r}: {seen} reads what is not in the folder of chDB",
            hint="bring the rows into a table of the folder, or read files through a DuckDB source with `files`",
        )


def _is_file(path: str) -> bool:
    try:
        return Path(path).is_file()
    except (OSError, ValueError):  # too long for a path
        return False
