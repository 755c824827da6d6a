"""The declarations, checked as a whole. Pure: no file, clock, network or environment. `keys` lists every key, `rules` what cannot be
combined; `sql` knows what can be known of a query without its database, `among` checks metrics against one another."""
