"""Methods that score perturbed images, forward passes only."""
