"""What libraries log: it belongs to a program's logging, never to stderr by itself."""

from __future__ import annotations


def quiet(library: str) -> None:
    """Keep what a library logs away from stderr, where the program has set up no logging. May be called often."""
    import logging

    logger = logging.getLogger(library)
    if not any(isinstance(handler, logging.NullHandler) for handler in logger.handlers):
        logger.addHandler(logging.NullHandler())
