"""The scripts that write and build the docs."""
