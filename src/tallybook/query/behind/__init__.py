"""Explanations of numbers: `why`, lineage, coverage, and the difference between two definitions."""
