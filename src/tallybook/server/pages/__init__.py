"""The web pages, one module each. They use only `Book`. Templates are in `server/templates`."""
