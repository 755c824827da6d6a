"""Writes a new workbook with tables, charts, and a page about the origin of its numbers."""
