"""Wire protocols: one file for each. `core/adapters/protocols.py` has a line for each."""
