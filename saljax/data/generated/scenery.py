"""What stands behind the birds: sky, leaves, bark or water, perches, and distractors."""

import cmath
import math

import numpy as np

from saljax.data.generated import shapes

BACKGROUNDS = ("sky", "leaves", "bark", "water")

NUM_DISTRACTORS = 14
"""Places that are tried for berries, leaves and flowers; those too near a bird stay empty."""


def background(rng: np.random.Generator, size: int) -> tuple[str, np.ndarray]:
    """Draw a textured background.

    Args:
        rng: gives the same number of values for every kind of background and every size.
        size: pixels a side.

    Returns:
        Which of `BACKGROUNDS`, and (size, size, 3) float32.
    """
    kind = BACKGROUNDS[rng.integers(len(BACKGROUNDS))]
    warm, bright, phase = rng.uniform(-1, 1, 3).astype(np.float32)
    coarse = shapes.lattice_noise(rng, size, (3, 3))[..., None]
    middle = shapes.lattice_noise(rng, size, (9, 9))[..., None]
    fine = shapes.lattice_noise(rng, size, (40, 40))[..., None]
    ripples = shapes.lattice_noise(rng, size, (30, 4))[..., None]
    streaks = shapes.lattice_noise(rng, size, (5, 26))[..., None]
    spots = rng.uniform(0, 1, (26, 6)).tolist()
    p = shapes.grid(size)
    down = p.imag[..., None]
    if kind == "sky":
        clouds = 0.45 * np.maximum(coarse + middle / 2, 0)
        return kind, _mix(_sky(warm, down), 0.86 + 0.06 * warm, clouds)
    if kind == "leaves":
        return kind, _foliage(p, warm, bright, coarse, middle, fine, spots)
    if kind == "bark":
        color = np.array([0.40, 0.33, 0.27], np.float32) + 0.06 * bright
        furrows = np.abs(np.sin(9 * p.real[..., None] + phase + 1.2 * coarse + 1.5 * streaks))
        return kind, color * (0.62 + 0.35 * furrows + 0.18 * streaks + 0.12 * fine + 0.10 * middle)
    color = np.array([0.42, 0.52, 0.58], np.float32) + 0.06 * bright
    waves = np.sin(40 * down**1.3 + 4 * coarse + 5 * ripples + phase)
    return kind, color * (0.80 + 0.25 * down) + 0.06 * waves + 0.10 * ripples + 0.03 * fine


def _sky(warm: np.float32, down: np.ndarray) -> np.ndarray:
    top = np.array([0.50, 0.64, 0.80], np.float32) + 0.08 * warm
    low = np.array([0.84, 0.87, 0.88], np.float32) + np.array([0.05, 0, -0.06], np.float32) * warm
    return top + (low - top) * down


def _foliage(p, warm, bright, coarse, middle, fine, spots) -> np.ndarray:
    light = np.array([0.36, 0.46, 0.26], np.float32) + 0.04 * bright
    image = light * (0.75 + 0.35 * coarse + 0.20 * middle)
    blurred = 12.0  # pixels a unit: soft edges, out of focus
    for x, y, radius, angle, shade, yellow in spots:
        long, short = 0.04 + 0.10 * radius, 0.03 + 0.04 * radius
        leaf = shapes.ellipse(p, complex(x, y), long, short, 6 * angle)
        color = np.array([0.30 + 0.14 * yellow, 0.42, 0.20], np.float32) * np.float32(0.5 + shade)
        image = _mix(image, color, 0.75 * shapes.coverage(leaf, blurred)[..., None])
    return image * (1 + 0.10 * fine) + 0.03 * warm


def _mix(image: np.ndarray, color, amount: np.ndarray) -> np.ndarray:
    return image + (color - image) * amount


def perch(
    rng: np.random.Generator, image: np.ndarray, feet: tuple[complex, complex], scale: float
) -> np.ndarray:
    """Paint the branch a bird stands on.

    Args:
        rng: gives the same number of values for every branch.
        image: (size, size, 3).
        feet: where the feet stand, in the picture, whose sides are [0, 1].
        scale: of the bird.

    Returns:
        The image with the branch.
    """
    size = len(image)
    thick, shade, bend, side, reach = rng.uniform(0, 1, 5).tolist()
    grain = shapes.lattice_noise(rng, size, (14, 40))[..., None]
    radius = scale * (0.05 + 0.06 * thick)
    p = shapes.grid(size)
    along = (feet[0] - feet[1]) / abs(feet[0] - feet[1])
    middle = (feet[0] + feet[1]) / 2 + 1j * radius + 0.01j * scale
    start, end = middle - 1.2 * along, middle + 1.2 * along * complex(np.exp(0.15j * (bend - 0.5)))
    branch = np.minimum(
        shapes.capsule(p, start, middle, radius * 1.5, radius),
        shapes.capsule(p, middle, end, radius, radius * 0.6),
    )
    fork = middle + along * (0.25 if side < 0.5 else -0.25)
    tip = fork + (0.2 + 0.3 * reach) * ((-along if side > 0.5 else along) + 0.8j)
    branch = np.minimum(branch, shapes.capsule(p, fork, tip, radius * 0.5, radius * 0.2))
    color = np.array([0.42, 0.34, 0.27], np.float32) * np.float32(0.6 + 0.8 * shade)
    round_light = 1 + 0.35 * np.clip(-branch / radius, 0, 1)[..., None] - 0.2
    return _mix(image, color * (round_light + 0.22 * grain), _cover(branch, size))


def distractors(rng: np.random.Generator, image: np.ndarray, palette: np.ndarray, clearance):
    """Scatter berries, leaves and flowers in the diagnostic colors around the birds.

    Args:
        rng: gives the same number of values whatever is painted.
        image: (size, size, 3).
        palette: (n, 3) the diagnostic colors.
        clearance: points (complex, in the picture) -> distance to the nearest bird.

    Returns:
        The image with them.
    """
    size = len(image)
    wanted = rng.integers(3, 9)
    centers = rng.uniform(0.02, 0.98, (NUM_DISTRACTORS, 2)) @ np.array([1, 1j])
    radii = rng.uniform(0.018, 0.042, NUM_DISTRACTORS)
    kinds = rng.integers(0, 3, NUM_DISTRACTORS)
    angles = rng.uniform(0, 2 * np.pi, NUM_DISTRACTORS)
    colors = palette[rng.integers(0, len(palette), NUM_DISTRACTORS)]
    colors = np.clip(colors + rng.normal(0, 0.03, colors.shape), 0, 1).astype(np.float32)
    free = clearance(centers.astype(np.complex64)) > 1.6 * radii + 0.015
    p = shapes.grid(size)
    for i in np.flatnonzero(free)[:wanted]:
        c, r = complex(centers[i]), float(radii[i])
        rows, columns = _window(c, 1.7 * r, size)
        image[rows, columns] = _PAINT[kinds[i]](
            image[rows, columns],
            p[rows, columns] - np.complex64(c),
            r,
            float(angles[i]),
            colors[i],
            size,
        )
    return image


def _window(center: complex, radius: float, size: int) -> tuple[slice, slice]:
    def span(middle):
        return slice(max(int((middle - radius) * size), 0), int((middle + radius) * size) + 2)

    return span(center.imag), span(center.real)


def _berry(image, p, radius, angle, color, size):
    end = radius * (0.4 * math.cos(angle) - 1.7j)
    stalk = shapes.capsule(p, 0j, end, 0.10 * radius, 0.07 * radius)
    image = _mix(image, np.array([0.30, 0.30, 0.18], np.float32), _cover(stalk, size))
    image = _mix(image, color * np.float32(0.5), _cover(shapes.disc(p, 0, radius), size))
    body = shapes.disc(p, -0.1 * radius * (1 + 1j), 0.85 * radius)
    image = _mix(image, color, _cover(body, size))
    glint = shapes.disc(p, -0.35 * radius * (1 + 1j), 0.22 * radius)
    return _mix(image, 0.95, 0.8 * _cover(glint, size))


def _leaf(image, p, radius, angle, color, size):
    p = p * np.complex64(cmath.exp(-1j * angle))
    blade = np.maximum(
        shapes.disc(p, 1.2j * radius, 1.85 * radius), shapes.disc(p, -1.2j * radius, 1.85 * radius)
    )
    image = _mix(image, color, _cover(blade, size))
    vein = shapes.capsule(p, -1.3 * radius + 0j, 1.5 * radius + 0j, 0.07 * radius, 0.04 * radius)
    return _mix(image, color * np.float32(0.6), _cover(vein, size))


def _flower(image, p, radius, angle, color, size):
    petals = np.stack(
        [
            shapes.disc(p, cmath.rect(0.75 * radius, angle + math.tau * k / 5), 0.5 * radius)
            for k in range(5)
        ]
    )
    image = _mix(image, color, _cover(petals.min(axis=0), size))
    return _mix(image, color * np.float32(0.45), _cover(shapes.disc(p, 0, 0.32 * radius), size))


def _cover(distance: np.ndarray, size: int) -> np.ndarray:
    return shapes.coverage(distance, size)[..., None]


_PAINT = (_berry, _leaf, _flower)
