"""Checks of declarations as a whole. Pure: no file, clock, network or environment.

`keys` lists every key and the reader of its value. `rules` lists keys that cannot be combined. `sql` checks queries
without a database. `among` checks metrics against one another."""
