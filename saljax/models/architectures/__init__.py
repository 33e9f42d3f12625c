"""The classifiers themselves, one file an architecture, and the layers they share."""
