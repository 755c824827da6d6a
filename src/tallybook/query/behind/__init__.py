"""What is behind a number: `why`, lineage, coverage, and the difference of two versions."""
