"""Excel workbooks: new files, and workbooks of people brought up to date in place."""
