"""Means over pictures drawn with replacement: how sure a mean is."""

import numpy as np

DRAWS = 1000
AT_ONCE = 100
"""Draws in memory; never changes the result."""


def means(values: np.ndarray, pictures: np.ndarray) -> np.ndarray:
    """Means over all pictures, and over as many drawn with replacement, again and again.

    Args:
        values: (N, M), NaN where there is none.
        pictures: (N,), number of the picture of each line of `values`; pictures are drawn, with all
            their lines.

    Returns:
        (1 + DRAWS, M): first the means themselves; NaN for a draw without any value. The draws are
        the same in every call for as many pictures.
    """
    names, own = np.unique(pictures, return_inverse=True)
    there = np.isfinite(values)
    sums, counts = np.zeros((2, len(names), values.shape[1]))
    np.add.at(sums, own, np.where(there, values, 0.0))
    np.add.at(counts, own, there)
    rng, found = np.random.default_rng(0), [_divided(sums.sum(0)[None], counts.sum(0)[None])]
    for _ in range(0, DRAWS, AT_ONCE):
        drawn = rng.integers(len(names), size=(AT_ONCE, len(names)))
        weights = np.stack([np.bincount(one, minlength=len(names)) for one in drawn])
        found.append(_divided(weights @ sums, weights @ counts))
    return np.concatenate(found)


def _divided(sums: np.ndarray, counts: np.ndarray) -> np.ndarray:
    return np.where(counts > 0, sums / np.maximum(counts, 1), np.nan)
