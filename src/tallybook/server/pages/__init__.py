"""The web pages: one module for each, only over `Book`. Templates are in `server/templates`."""
