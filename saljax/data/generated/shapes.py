"""Signed distances and smooth noise in continuous coordinates, as complex numbers x + iy.

A drawing made of these has no resolution: it can be sampled on any grid. Distances are negative
inside; where an exact one would cost more, they are first-order approximations, good near the
edge, where alone they matter.
"""

import numpy as np
from numpy.typing import NDArray

Points = NDArray[np.complex64]
Distances = NDArray[np.floating]


def grid(size: int) -> Points:
    """Return the pixel centers of a square picture whose sides are [0, 1], y downwards.

    Args:
        size: pixels a side.

    Returns:
        (size, size) complex64.
    """
    axis = (np.arange(size, dtype=np.float32) + np.float32(0.5)) / np.float32(size)
    return (axis[None, :] + 1j * axis[:, None]).astype(np.complex64)


def coverage(distance: Distances, pixels: float) -> np.ndarray:
    """Return how much of each pixel lies inside, in [0, 1].

    Args:
        distance: signed distances.
        pixels: pixels per unit of distance.
    """
    return np.clip(0.5 - distance * np.float32(pixels), 0, 1)


def disc(p: Points, center: complex, radius: float) -> Distances:
    """Signed distance to a disc."""
    return np.abs(p - center) - radius


def ellipse(p: Points, center: complex, rx: float, ry: float, angle: float = 0.0) -> Distances:
    """Approximate signed distance to an ellipse whose first axis points along `angle`."""
    q = (p - center) * np.complex64(np.exp(-1j * angle))
    x, y = q.real / rx, q.imag / ry
    k = np.sqrt(x * x + y * y)
    slope = np.sqrt((x / rx) ** 2 + (y / ry) ** 2)
    return k * (k - 1) / np.maximum(slope, 1e-6)


def capsule(p: Points, a: complex, b: complex, ra: float, rb: float) -> Distances:
    """Signed distance to a segment thickened from radius `ra` at `a` to `rb` at `b`."""
    q = (p - a) * np.complex64(np.conj(b - a) / abs(b - a))
    length = abs(b - a)
    t = np.clip(q.real, 0, length)
    return np.sqrt((q.real - t) ** 2 + q.imag**2) - (ra + (rb - ra) / length * t)


def half_plane(p: Points, point: complex, normal: complex) -> Distances:
    """Signed distance to the half plane behind `point`, whose outward normal is given."""
    q = (p - point) * np.complex64(np.conj(normal) / abs(normal))
    return q.real


def polygon(p: Points, vertices: list[complex]) -> Distances:
    """Signed distance to a polygon."""
    nearest = np.full(p.shape, np.inf, np.float32)
    inside = np.zeros(p.shape, bool)
    for a, b in zip(vertices, [*vertices[1:], vertices[0]], strict=True):
        q = p - a
        edge = b - a
        t = np.clip((q * np.complex64(np.conj(edge) / abs(edge) ** 2)).real, 0, 1)
        away = q - np.complex64(edge) * t
        nearest = np.minimum(nearest, away.real**2 + away.imag**2)
        straddles = (p.imag >= a.imag) != (p.imag >= b.imag)
        if a.imag != b.imag:
            inside ^= straddles & (q.real < q.imag * (edge.real / edge.imag))
    return np.where(inside, -1, 1) * np.sqrt(nearest)


def smooth_union(a: Distances, b: Distances, width: float) -> Distances:
    """Union of two shapes, rounded over `width` where they meet."""
    h = np.maximum(width - np.abs(a - b), 0) / width
    return np.minimum(a, b) - h * h * (width / 4)


def lattice_noise(rng: np.random.Generator, size: int, cells: tuple[int, int]) -> np.ndarray:
    """Smooth random values over the unit square, the same at every size.

    Args:
        rng: gives (cells + 1) values, whatever the size.
        size: pixels a side.
        cells: lattice cells over the height and over the width.

    Returns:
        (size, size) float32, mean 0, standard deviation about 0.6 on the lattice points.
    """
    values = rng.uniform(-1, 1, (cells[0] + 1, cells[1] + 1)).astype(np.float32)
    return _weights(size, cells[0]) @ values @ _weights(size, cells[1]).T


def _weights(size: int, cells: int) -> np.ndarray:
    at = (np.arange(size) + 0.5) / size * cells
    low = np.minimum(at.astype(int), cells - 1)
    t = at - low
    t = t * t * (3 - 2 * t)
    weights = np.zeros((size, cells + 1), np.float32)
    rows = np.arange(size)
    weights[rows, low], weights[rows, low + 1] = 1 - t, t
    return weights


def sampled_noise(values: np.ndarray, p: Points) -> np.ndarray:
    """Smooth noise at any points: a lattice of values, repeated over the plane.

    Args:
        values: (n, n) lattice values at the integer points.
        p: points in lattice units.

    Returns:
        The interpolated values, of the shape of `p`.
    """
    n = len(values)
    x, y = np.floor(p.real), np.floor(p.imag)
    tx, ty = p.real - x, p.imag - y
    tx, ty = tx * tx * (3 - 2 * tx), ty * ty * (3 - 2 * ty)
    i, j = y.astype(int) % n, x.astype(int) % n
    i1, j1 = (i + 1) % n, (j + 1) % n
    top = values[i, j] * (1 - tx) + values[i, j1] * tx
    bottom = values[i1, j] * (1 - tx) + values[i1, j1] * tx
    return top * (1 - ty) + bottom * ty
