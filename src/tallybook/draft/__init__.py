"""`init`: drafts a first tallybook.toml for a database, from its schema and a sample of its rows."""

from __future__ import annotations

from tallybook._door import opened

__getattr__, __dir__ = opened(
    __name__,
    {
        "drafting": ("Draft", "draft"),
        "previewing": ("Preview", "preview"),
    },
)
