"""Servers on localhost that behave, and misbehave, like the services that Tallybook talks to.

One subpackage per service."""

from __future__ import annotations

__version__ = "0.1.0"
