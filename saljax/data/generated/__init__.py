"""Data whose evidence is known, since it was drawn with it."""
