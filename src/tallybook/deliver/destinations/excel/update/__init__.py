"""Updates people's workbooks in place: our cells are rewritten, and everything else in the file stays the same, byte
for byte."""
