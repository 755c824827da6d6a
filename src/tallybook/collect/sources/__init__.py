"""Databases that are read, one file each. `core/adapters/sources.py` has one line for each of them."""
