"""The tests of this checkout. A package, so that no other folder `tests` on the path takes its name."""
