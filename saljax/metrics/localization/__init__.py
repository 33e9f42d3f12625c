"""Metrics of whether a map lies on the object."""
