"""Imports finished values from a file or a Google Sheet as points under a definition of their own."""
