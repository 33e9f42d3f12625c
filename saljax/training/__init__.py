"""Loops that learn: steps, checkpoints, what is learned from."""
