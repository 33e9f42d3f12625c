"""Metrics of whether the classifier changes its mind where the map says so."""
