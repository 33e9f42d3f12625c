"""birdlets: generated birds of many parts whose species is one small part's color.

Each species is defined by one diagnostic part in one vivid color. Everything else (pose, size,
place, plumage, background, distractors in the diagnostic colors) is drawn independently of it,
so the evidence for a label is known: it is that part and nothing else. The same (seed, index)
with another `species` is the same picture but for the diagnostic parts.

All of this is our own design; no photograph or drawing was used.
"""

from typing import NamedTuple

import numpy as np

from saljax.data.generated import birds, plumage, scenery, shapes

RED = (0.86, 0.08, 0.10)
ORANGE = (0.97, 0.48, 0.04)
YELLOW = (0.97, 0.84, 0.08)
BLUE = (0.08, 0.28, 0.88)
VIOLET = (0.58, 0.14, 0.74)

DIAGNOSTIC = {
    "red-crowned": ("crown", RED),
    "yellow-crowned": ("crown", YELLOW),
    "blue-naped": ("nape", BLUE),
    "orange-cheeked": ("face", ORANGE),
    "red-billed": ("beak", RED),
    "violet-throated": ("throat", VIOLET),
    "yellow-throated": ("throat", YELLOW),
    "orange-breasted": ("breast", ORANGE),
    "red-shouldered": ("shoulder", RED),
    "blue-barred": ("wing_bar", BLUE),
    "yellow-rumped": ("rump", YELLOW),
    "violet-vented": ("vent", VIOLET),
    "blue-tailed": ("tail_tip", BLUE),
    "orange-legged": ("legs", ORANGE),
}
"""Species -> its diagnostic part and that part's color, RGB before jitter and shading."""

SPECIES: tuple[str, ...] = tuple(DIAGNOSTIC)
"""Names of the species in the order of their labels."""

PALETTE = np.array([RED, ORANGE, YELLOW, BLUE, VIOLET], np.float32)

_SLOTS = {
    1: [(0.0, 0.0, 1.0, 1.0)],
    2: [(0.0, 0.0, 1.0, 0.5), (0.0, 0.5, 1.0, 1.0)],
    5: [(x / 2, y / 3, x / 2 + 0.5, y / 3 + 1 / 3) for y in range(3) for x in range(2)],
}
_SCALES = {1: (0.38, 0.54), 2: (0.32, 0.42), 5: (0.21, 0.28)}


class Sample(NamedTuple):
    """A picture and the truth about one bird in it.

    Attributes:
        image: (size, size, 3) float32 RGB in [0, 1].
        label: index into `SPECIES`.
        box: x1, y1, x2, y2 of the bird in pixels, edges of pixels.
        object_mask: (size, size) bool, where the bird covers at least half of the pixel.
        part_masks: part -> (size, size) float32, how much of each pixel it visibly covers.
        diagnostic_mask: (size, size) bool, where the diagnostic part covers at least half as much
            of the pixel as it does at its fullest.
        neutral: (3,) float32 RGB, the color that this bird's diagnostic part would have had.
        background: one of `scenery.BACKGROUNDS`.
    """

    image: np.ndarray
    label: int
    box: tuple[float, float, float, float]
    object_mask: np.ndarray
    part_masks: dict[str, np.ndarray]
    diagnostic_mask: np.ndarray
    neutral: np.ndarray
    background: str

    @property
    def diagnostic_part(self) -> str:
        """Name of the part that decides the label."""
        return DIAGNOSTIC[SPECIES[self.label]][0]


class Scene(NamedTuple):
    """A picture with several birds; each of `birds` has this same picture as its image."""

    image: np.ndarray
    birds: tuple[Sample, ...]


def sample(seed: int, index: int, *, size: int = 96, species: int | None = None) -> Sample:
    """Draw one bird.

    Args:
        seed: names a set of pictures.
        index: of the picture in its set.
        size: pixels a side; at another size it is the same scene, sharper or coarser.
        species: label; drawn if None. It changes the color of the diagnostic parts only.

    Returns:
        The picture and its truth, a pure function of the arguments.
    """
    rng = np.random.default_rng((seed, index))
    drawn = int(rng.integers(len(SPECIES)))
    return _draw(rng, size, [drawn if species is None else species], 1).birds[0]


def pair(seed: int, index: int, *, size: int = 96) -> Scene:
    """Draw two birds of different species in one picture; arguments as in `sample`."""
    rng = np.random.default_rng((seed, index))
    labels = rng.choice(len(SPECIES), 2, replace=False)
    return _draw(rng, size, labels.tolist(), 2)


def flock(seed: int, index: int, *, size: int = 96) -> Scene:
    """Draw three to five birds of one species in one picture; arguments as in `sample`."""
    rng = np.random.default_rng((seed, index))
    label, number = int(rng.integers(len(SPECIES))), int(rng.integers(3, 6))
    return _draw(rng, size, [label] * number, 5)


def batch(seed: int, indices, *, size: int = 96) -> tuple[np.ndarray, np.ndarray]:
    """Draw many single birds.

    Args:
        seed: as in `sample`.
        indices: of the pictures.
        size: pixels a side.

    Returns:
        Images (N, size, size, 3) float32 and labels (N,) int32.
    """
    drawn = [sample(seed, int(index), size=size) for index in indices]
    images = np.array([one.image for one in drawn], np.float32).reshape(-1, size, size, 3)
    return images, np.array([one.label for one in drawn], np.int32)


def repaint(image: np.ndarray, mask: np.ndarray, color) -> np.ndarray:
    """Paint over a part with soft edges.

    Args:
        image: (H, W, 3).
        mask: (H, W), how much of each pixel the part covers. Where it covers a third or more the
            pixel is painted wholly, or thin parts would keep much of their color.
        color: (3,) RGB.

    Returns:
        (H, W, 3) float32.
    """
    amount = np.clip(3 * mask.astype(np.float32), 0, 1)[..., None]
    return image + (np.asarray(color, np.float32) - image) * amount


def elsewhere(bird: Sample, seed: int) -> np.ndarray:
    """Choose a patch of the bird as large as its diagnostic part, and apart from it.

    Args:
        bird: one bird of a picture.
        seed: chooses the place.

    Returns:
        (H, W) float32 of 0 and 1, as many ones as pixels that `repaint` paints over the
        diagnostic part: the part of the bird, at least two pixels away from the diagnostic part,
        that is nearest to a random point of it.
    """
    part = bird.part_masks[bird.diagnostic_part]
    near = part > 0
    for _ in range(2):
        near = near | np.roll(near, 1, 0) | np.roll(near, -1, 0)
        near = near | np.roll(near, 1, 1) | np.roll(near, -1, 1)
    pixels = np.argwhere(bird.object_mask & ~near)
    center = pixels[np.random.default_rng(seed).integers(len(pixels))]
    nearest = np.argsort(((pixels - center) ** 2).sum(axis=1), kind="stable")
    chosen = pixels[nearest[: int(np.clip(3 * part, 0, 1).sum())]]
    patch = np.zeros_like(part)
    patch[tuple(chosen.T)] = 1
    return patch


def removable(bird: Sample, seed: int) -> tuple[np.ndarray, np.ndarray, int]:
    """Parts of a bird that `metrics.funny_birds` paints over, and with what.

    Args:
        bird: one bird.
        seed: of the plumage that the other parts get.

    Returns:
        How much of each pixel each part covers (P, H, W) float32; colors (P, 3) float32, the
        neutral one of the diagnostic part, of the others those of another plumage; and the index of
        the diagnostic part. Left out are `body` and `head`, which are what no other part covers,
        and parts that cannot be seen.
    """
    others = plumage.random_colors(np.random.default_rng(seed))
    colors = others | {bird.diagnostic_part: bird.neutral}
    seen = [n for n, m in bird.part_masks.items() if n not in ("body", "head") and m.max() >= 0.5]
    names = sorted({*seen, bird.diagnostic_part}, key=list(bird.part_masks).index)
    masks = np.stack([bird.part_masks[name] for name in names])
    painted = np.stack([colors[name] for name in names]).astype(np.float32)
    return masks, painted, names.index(bird.diagnostic_part)


def _draw(rng: np.random.Generator, size: int, labels: list[int], crowd: int) -> Scene:
    slots = _SLOTS[crowd]
    order = rng.permutation(len(slots))[: len(labels)]
    poses = [birds.random_pose(rng, slots[i], _SCALES[crowd]) for i in order]
    background, image = scenery.background(rng, size)
    for pose in poses:
        left, right = (pose.scene(foot) for foot in pose.feet())
        image = scenery.perch(rng, image, (left, right), pose.scale)

    def clearance(points):
        return np.min([_distance(pose, points) for pose in poses], axis=0)

    image = np.clip(scenery.distractors(rng, image, PALETTE, clearance), 0, 1)
    painted = []
    for pose, label in zip(poses, labels, strict=True):
        image, parts, neutral = _paint(rng, image, pose, label)
        painted.append((label, parts, neutral))
    image = np.clip(image, 0, 1).astype(np.float32)
    return Scene(image, tuple(_truth(image, background, *one) for one in painted))


def _distance(pose: birds.Pose, points: np.ndarray) -> np.ndarray:
    shapes_of_bird, outline = birds.layers(pose, pose.local(points))
    return pose.scale * np.minimum(outline, np.min([d for _, d in shapes_of_bird], axis=0))


def _paint(rng, image: np.ndarray, pose: birds.Pose, label: int):
    """Paint a bird; return the image, what is visible of each part, and the neutral color."""
    size = len(image)
    colors = plumage.random_colors(rng)
    feathers = rng.uniform(-1, 1, (32, 32)).astype(np.float32)
    streaks, shift = rng.uniform(0.02, 0.16), rng.normal(0, 0.03, 3)
    part, vivid = DIAGNOSTIC[SPECIES[label]]
    neutral = colors[part]
    colors[part] = np.clip(np.array(vivid) + shift, 0, 1).astype(np.float32)

    rows, columns = _window(pose, size)
    p = pose.local(shapes.grid(size)[rows, columns])
    found, outline = birds.layers(pose, p)
    light = _light(pose, p, outline, feathers, streaks)
    visible, remaining = [], np.ones(p.shape, np.float32)
    for _, distance in reversed(found):
        visible.append(remaining * shapes.coverage(distance, pose.scale * size))
        remaining = remaining - visible[-1]
    names = [name for name, _ in reversed(found)]
    paint = np.tensordot(np.stack(visible, axis=-1), np.stack([colors[n] for n in names]), 1)
    image = image.copy()
    image[rows, columns] = image[rows, columns] * remaining[..., None] + paint * light[..., None]
    parts = {name: np.zeros((size, size), np.float32) for name in (*birds.PARTS, "")}
    for name, part in zip(names, visible, strict=True):
        parts[""][rows, columns] += part
        if name in parts:
            parts[name][rows, columns] += part
    return image, parts, neutral


def _window(pose: birds.Pose, size: int) -> tuple[slice, slice]:
    corners = [pose.scene(c) for c in birds.extremes(pose)]

    def span(values):
        return slice(max(int(min(values) * size) - 4, 0), int(max(values) * size) + 5)

    return span([c.imag for c in corners]), span([c.real for c in corners])


def _light(pose, p, outline, feathers, streaks) -> np.ndarray:
    """Light from above, rounder towards the outline, with streaked feathers."""
    q = p * np.complex64(np.exp(1j * pose.tilt))
    texture = shapes.sampled_noise(feathers, np.complex64(9) * q.real + np.complex64(26j) * q.imag)
    above = np.clip(-p.imag - 0.1, -0.5, 0.5)
    depth = np.clip(-outline / 0.09, 0, 1)
    return (0.93 + 0.22 * above) * (0.84 + 0.16 * depth) * (1 + np.float32(streaks) * texture)


def _truth(
    image: np.ndarray, background: str, label: int, parts: dict[str, np.ndarray], neutral
) -> Sample:
    covered = parts.pop("")
    bird = covered >= 0.5
    rows, columns = np.flatnonzero(bird.any(axis=1)), np.flatnonzero(bird.any(axis=0))
    box = (float(columns[0]), float(rows[0]), float(columns[-1] + 1), float(rows[-1] + 1))
    part = parts[DIAGNOSTIC[SPECIES[label]][0]]
    decides = part >= 0.5 * part.max()
    return Sample(image, label, box, bird, parts, decides, neutral, background)
