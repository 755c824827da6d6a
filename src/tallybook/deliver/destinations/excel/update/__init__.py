"""People's workbooks brought up to date in place: our cells are written again, everything else in the file stays byte
for byte."""
