"""The web pages: one module for each, over `Book` alone. Templates are in `server/templates`."""
