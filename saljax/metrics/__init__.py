"""What judges a map; plain arrays in."""

from saljax.metrics.pointing_game import pointing_game_glas as pointing_game_glas
