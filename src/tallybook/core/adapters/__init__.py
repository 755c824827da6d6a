"""Descriptors of adapters, and the registries with one line for each adapter."""
