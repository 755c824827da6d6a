"""What becomes of the rows and cells of a tab."""

HISTORY, LATEST, MIRROR = "history", "latest", "mirror"
SHEET_MODES = (HISTORY, LATEST, MIRROR)
"""history: rows that are no longer asked for stay; mirror: the tab is the answer; latest: one row for each metric."""
RESTORE, KEEP = "restore", "keep"
BY_HAND = (RESTORE, KEEP)
"""What becomes of our cells that people wrote into: they get our number again, or stay as they are."""
