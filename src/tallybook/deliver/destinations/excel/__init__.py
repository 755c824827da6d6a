"""Excel workbooks: writes new files, and updates people's workbooks in place."""
