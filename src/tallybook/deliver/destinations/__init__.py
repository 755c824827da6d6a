"""Where results are written, one file or folder each."""
