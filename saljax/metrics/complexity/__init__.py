"""Metrics of how much a map says at once."""
