"""The host loop: images, batches, devices, progress."""
