"""Finished values from a file or a Google Sheet become points under a definition of their own."""
