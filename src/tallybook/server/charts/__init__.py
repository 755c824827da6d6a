"""Charts as SVG, drawn by us: the same values always give the same text. Pure."""
