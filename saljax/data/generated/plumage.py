"""What colors a bird has: browns, grays and olive, chosen part by part."""

import numpy as np

from saljax.data.generated.birds import PARTS

NEUTRALS = np.array(
    [
        [0.16, 0.15, 0.15],  # black
        [0.30, 0.30, 0.32],  # slate
        [0.45, 0.46, 0.48],  # gray
        [0.62, 0.62, 0.62],  # pale gray
        [0.90, 0.89, 0.86],  # white
        [0.80, 0.75, 0.65],  # cream
        [0.68, 0.59, 0.47],  # buff
        [0.54, 0.45, 0.35],  # light brown
        [0.42, 0.33, 0.26],  # brown
        [0.28, 0.22, 0.18],  # dark brown
        [0.44, 0.44, 0.32],  # olive
        [0.56, 0.56, 0.44],  # pale olive
    ],
    np.float32,
)
"""Plumage colors without evidence, RGB. Our choice, after common small birds."""


def random_colors(rng: np.random.Generator) -> dict[str, np.ndarray]:
    """Draw the colors of every shape, all neutral.

    Args:
        rng: gives the same number of values whatever the colors.

    Returns:
        Name of a shape -> (3,) float32 RGB.
    """
    picks = rng.integers(0, len(NEUTRALS), len(PARTS))
    own = rng.uniform(size=len(PARTS)) < 0.40
    jitter = rng.normal(0, 0.02, (len(PARTS), 3))
    back, under, wing = picks[:3]
    like = dict.fromkeys(PARTS, back)
    like |= dict.fromkeys(("belly", "breast", "vent", "throat"), under)
    like |= dict.fromkeys(("wing", "coverts", "wing_bar", "shoulder", "tail", "tail_tip"), wing)
    colors = {}
    for part, pick, alone, shift in zip(PARTS, picks, own, jitter, strict=True):
        base = NEUTRALS[pick if alone else like[part]]
        # One shift for all channels, and little of its own: neutral stays neutral.
        colors[part] = np.clip(base + shift[0] + 0.3 * shift, 0.05, 0.95).astype(np.float32)
    colors["beak"] = np.array([0.30, 0.27, 0.24], np.float32) + colors["beak"] * np.float32(0.3)
    colors["legs"] = np.array([0.24, 0.21, 0.19], np.float32) + colors["legs"] * np.float32(0.3)
    colors["eye"] = np.array([0.05, 0.04, 0.04], np.float32)
    return colors | {
        "eye-ring": np.clip(colors["face"] * np.float32(0.6) + np.float32(0.35), 0, 1),
        "eye-glint": np.full(3, 0.95, np.float32),
        "beak-gape": np.full(3, 0.12, np.float32),
        "tail-shaft": colors["tail"] * np.float32(0.6),
        "wing-edge": colors["wing"] * np.float32(0.55),
        "wing-shadow": colors["wing"] * np.float32(0.65),
    }
