"""Keeps log messages of libraries off stderr; a program that sets up logging still gets them."""

from __future__ import annotations


def quiet(library: str) -> None:
    """Keep log messages of `library` off stderr in programs without logging. Safe to call again."""
    import logging

    logger = logging.getLogger(library)
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
