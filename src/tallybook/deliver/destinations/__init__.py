"""The destinations of results, one file or folder each."""
