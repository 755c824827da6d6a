"""The databases that can be read, one file each. `core/adapters/sources.py` has a line for each of them."""
