"""Generated volumes with labelled regions, one of which carries the class.

A stand-in for brain images normalized to an anatomical template: an atlas of blobs in mirrored
pairs, every region with its own intensity, and in the second class one region is brighter, as a
tracer's uptake would make it. (Were it darker, as after an atrophy, then putting it in the shade
would not take the evidence away but add to it.) Everything else (each region's intensity, the
overall gain, a slow field, the grain) varies from subject to subject independently of the class.
All of it is our own design.
"""

import functools
from typing import NamedTuple

import numpy as np

NUM_REGIONS = 16
"""Labels are 1 to 16, background is 0."""

REGION = 5
"""The label of the region that carries the class."""

CLASSES = ("control", "patient")

UPTAKE = 0.2
"""How much brighter the region is in patients, in units of the brightest possible voxel."""

SPREAD = 0.03
"""Standard deviation of each region's intensity over the subjects."""

_ATLAS_SEED = 2020


class VolumeSample(NamedTuple):
    """A volume and the truth about it.

    Attributes:
        image: (D, H, W, 1) float32 in [0, 1].
        label: index into `CLASSES`.
        labels: (D, H, W) int32, the atlas: which region a voxel is in, 0 for none.
        region: the label in the atlas of the region that decides.
    """

    image: np.ndarray
    label: int
    labels: np.ndarray
    region: int


@functools.cache
def atlas(size: int = 32) -> np.ndarray:
    """Return which region each voxel is in.

    Args:
        size: voxels a side; at another size it is the same atlas.

    Returns:
        (size, size, size) int32, 0 outside of every region.
    """
    axis = (np.arange(size) + 0.5) / size * 2 - 1
    z, y, x = np.meshgrid(axis, axis, axis, indexing="ij")
    # A slow wave bends the borders, so that regions are blobs and not polyhedra.
    bent = np.stack([z, y, x], -1) + 0.05 * np.sin(5 * np.stack([y, x, z], -1))
    centers, radii = _blobs()
    away = np.stack(
        [np.sqrt(((bent - c) ** 2).sum(-1)) / r for c, r in zip(centers, radii, strict=True)]
    )
    return np.where(away.min(axis=0) < 1, away.argmin(axis=0) + 1, 0).astype(np.int32)


def _blobs() -> tuple[np.ndarray, np.ndarray]:
    """Centers in [-1, 1], as far apart as in a crowd, each with its mirror image in x."""
    rng = np.random.default_rng(_ATLAS_SEED)
    centers: list[np.ndarray] = []
    while len(centers) < NUM_REGIONS:
        c = rng.uniform([-0.62, -0.62, 0.2], [0.62, 0.62, 0.62])
        if np.linalg.norm(c) < 0.78 and all(np.linalg.norm(c - o) > 0.4 for o in centers):
            centers += [c, c * [1, 1, -1]]
    return np.array(centers), np.repeat(rng.uniform(0.26, 0.38, NUM_REGIONS // 2), 2)


@functools.cache
def _fractions(size: int) -> np.ndarray:
    """How much of each voxel air, each region and the tissue between them fill."""
    axis = (np.arange(2 * size) + 0.5) / size - 1
    inside = (axis[:, None, None] ** 2 + axis[:, None] ** 2 + (axis / 0.9) ** 2) < 0.93
    fine = np.where(inside & (atlas(2 * size) == 0), NUM_REGIONS + 1, atlas(2 * size))
    fine = fine.reshape(size, 2, size, 2, size, 2)
    return np.stack([(fine == k).mean(axis=(1, 3, 5)) for k in range(NUM_REGIONS + 2)]).astype("f")


def volume(seed: int, index: int, *, size: int = 32, label: int | None = None) -> VolumeSample:
    """Draw one subject.

    Args:
        seed: names a set of subjects.
        index: of the subject in its set.
        size: voxels a side.
        label: class; drawn if None. It changes the deciding region only.

    Returns:
        The volume and its truth, a pure function of the arguments.
    """
    rng = np.random.default_rng((seed, index))
    drawn = int(rng.integers(2))
    label = drawn if label is None else label
    template = np.random.default_rng(_ATLAS_SEED + 1).uniform(0.35, 0.75, NUM_REGIONS)
    regions = template + rng.normal(0, SPREAD, NUM_REGIONS)
    intensity = np.array([0.03, *regions, 0.25 + rng.normal(0, SPREAD)])
    intensity[REGION] += UPTAKE * label
    gain = rng.normal(1, 0.06)
    field = rng.normal(0, 0.015, (4, 4, 4))
    image = np.tensordot(intensity.astype(np.float32), _fractions(size), 1)
    image = gain * image + _stretched(field, size) + rng.normal(0, 0.03, (size, size, size))
    image = np.clip(image, 0, 1).astype(np.float32)[..., None]
    return VolumeSample(image, label, atlas(size), REGION)


def batch(seed: int, indices, *, size: int = 32) -> tuple[np.ndarray, np.ndarray]:
    """Draw many subjects.

    Args:
        seed: as in `volume`.
        indices: of the subjects.
        size: voxels a side.

    Returns:
        Volumes (N, size, size, size, 1) float32 and labels (N,) int32.
    """
    drawn = [volume(seed, int(index), size=size) for index in indices]
    images = np.array([one.image for one in drawn], np.float32)
    return images.reshape(-1, size, size, size, 1), np.array([one.label for one in drawn], np.int32)


def _stretched(values: np.ndarray, size: int) -> np.ndarray:
    """Stretch a small cube linearly over the volume."""
    n = len(values)
    at = np.linspace(0, n - 1, size)
    weights = np.maximum(1 - np.abs(at[:, None] - np.arange(n)), 0)
    return np.einsum("ai,bj,ck,ijk->abc", weights, weights, weights, values, optimize=True)
