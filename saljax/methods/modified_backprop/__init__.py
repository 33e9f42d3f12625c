"""Methods that send another signal back than the derivative."""
