"""Metrics for data whose evidence is known."""
