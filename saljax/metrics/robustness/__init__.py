"""Metrics of whether a map follows the image and the classifier, and nothing else."""
