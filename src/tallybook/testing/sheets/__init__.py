"""A Google Sheets, Drive and OAuth server on localhost, in memory, for tests."""
