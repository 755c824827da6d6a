"""Engines that merge points with SQL."""
