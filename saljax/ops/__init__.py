"""Array mathematics; knows no classifier."""
