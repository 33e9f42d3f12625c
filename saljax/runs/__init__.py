"""The host loop that explains: inputs, batches, devices, progress, files, records."""
