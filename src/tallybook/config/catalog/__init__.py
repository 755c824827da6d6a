"""Checks declarations as a whole. Pure: no file, clock, network or environment.

`keys` lists every key and how its value is read. `rules` lists keys that cannot be combined. `sql` checks queries
without a database. `among` checks metrics against one another."""
