"""Servers on localhost that imitate the services that Tallybook uses, including their failures.

One subpackage per service."""

from __future__ import annotations

__version__ = "0.1.0"
