"""Score functions from models of other frameworks, one file a framework; see `saljax.scores`."""
