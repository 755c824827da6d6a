# The names of this door, for type checkers: those of __init__.py.
