"""One file, one paper; the function bears the method's name."""
