"""Methods that weight the activations of a layer."""
