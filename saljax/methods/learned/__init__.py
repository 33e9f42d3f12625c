"""Explainers that learn: a pass of the classifier, a small network behind it, and a map."""
