"""Wire protocols, one file each. `core/adapters/protocols.py` has a line for each."""
