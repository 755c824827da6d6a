"""A new workbook with tables, charts and a page about where its numbers come from."""
