"""What stands behind the numbers: one day's evidence, lineage, coverage, what a changed definition does, forgetting."""
