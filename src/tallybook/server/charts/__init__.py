"""Charts drawn as SVG by our own code. The same values always give the same text. Pure."""
