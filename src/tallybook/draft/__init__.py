"""`init`: a first tallybook.toml for a database, from its schema and a look at its rows."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "drafting": ("Draft", "draft"),
        "previewing": ("Preview", "preview"),
    },
)
