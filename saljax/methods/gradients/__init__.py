"""Methods that follow the derivative down to the image."""
