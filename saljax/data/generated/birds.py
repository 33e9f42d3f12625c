"""How one bird is drawn: its pose, and its parts as signed distances.

A bird lives in its own coordinates, complex numbers x + iy with x forwards and y downwards, about
1.8 units from beak to tail. Three frames share them: the upright bird, its body (tilted against
the upright) and its head (which turns on its own).
"""

import cmath
from typing import NamedTuple

import numpy as np

from saljax.data.generated import shapes
from saljax.data.generated.shapes import Points

PARTS = (
    *("tail", "tail_tip", "rump", "vent", "legs", "body", "belly", "breast"),
    *("head", "crown", "nape", "face", "throat", "eye", "beak"),
    *("wing", "coverts", "wing_bar", "shoulder"),
)
"""Every named part. `body` and `head` are what no other part covers."""


class Pose(NamedTuple):
    """Everything about a bird's shape; lengths in the bird's own unit, angles in radians."""

    position: complex
    scale: float
    facing: float
    tilt: float
    head: complex
    pitch: float
    looks_back: bool
    plump: float
    beak_length: float
    beak_depth: float
    tail_angle: float
    tail_length: float
    tail_width: float
    tail_notch: float
    wing_droop: float
    leg_length: float

    def upright(self, point: complex) -> complex:
        """Return a point of the body in the upright frame."""
        return point * cmath.exp(-1j * self.tilt)

    def scene(self, point: complex) -> complex:
        """Return a point of the upright frame in the picture, whose sides are [0, 1]."""
        return self.position + self.scale * complex(self.facing * point.real, point.imag)

    def local(self, points: Points) -> Points:
        """Return points of the picture in the upright frame."""
        p = (points - np.complex64(self.position)) / np.float32(self.scale)
        return p if self.facing > 0 else -np.conj(p)

    def feet(self) -> tuple[complex, complex]:
        """Return where the feet stand, in the upright frame."""
        down = self.upright(0.21j).imag + self.leg_length
        return complex(0.13, down), complex(-0.03, down)


def random_pose(
    rng: np.random.Generator, slot: tuple[float, float, float, float], scales: tuple[float, float]
) -> Pose:
    """Draw a pose that fits into a part of the picture.

    Args:
        rng: gives the same number of values for every slot.
        slot: left, upper, right, lower edge, in [0, 1].
        scales: least and greatest scale, picture sides per unit; less where the slot is small.
    """
    scale = rng.uniform(*scales)
    tilt = rng.uniform(0.10, 0.65)
    neck = rng.uniform(0.28, 0.37) * cmath.exp(-1j * rng.uniform(0.75, 1.15))
    place = rng.uniform(0, 1, 2)
    pose = Pose(
        position=0j,
        scale=scale,
        facing=float(rng.choice([-1, 1])),
        tilt=tilt,
        head=(0.20 - 0.07j) * cmath.exp(-1j * tilt) + neck,
        pitch=rng.uniform(-0.30, 0.30),
        looks_back=bool(rng.uniform() < 0.12),
        plump=rng.uniform(0.90, 1.12),
        beak_length=rng.uniform(0.17, 0.29),
        beak_depth=rng.uniform(0.060, 0.090),
        tail_angle=rng.uniform(-0.20, 0.35),
        tail_length=rng.uniform(0.42, 0.62),
        tail_width=rng.uniform(0.06, 0.10),
        tail_notch=rng.uniform(-0.06, 0.06),
        wing_droop=rng.uniform(-0.06, 0.05),
        leg_length=rng.uniform(0.20, 0.30),
    )
    corners = extremes(pose)
    low = complex(min(c.real for c in corners), min(c.imag for c in corners))
    high = complex(max(c.real for c in corners), max(c.imag for c in corners))
    room = complex(slot[2] - slot[0], slot[3] - slot[1]) * 0.94
    extent = high - low
    pose = pose._replace(scale=min(scale, room.real / extent.real, room.imag / extent.imag))
    if pose.facing < 0:
        low, high = complex(-high.real, low.imag), complex(-low.real, high.imag)
    free = room - pose.scale * extent
    start = complex(slot[0], slot[1]) + 0.03 * complex(slot[2] - slot[0], slot[3] - slot[1])
    corner = start + complex(free.real * place[0], free.imag * place[1])
    return pose._replace(position=corner - pose.scale * low)


def extremes(pose: Pose) -> list[complex]:
    """Return points of the upright frame whose bounding box holds the whole bird."""
    beak = 0.17 + pose.beak_length
    sign = -1 if pose.looks_back else 1
    tail = pose.upright(-0.45 - 0.03j + (pose.tail_length + 0.07) * _tail_direction(pose))
    return [
        pose.head + complex(sign * beak, -0.20),
        pose.head + complex(-sign * 0.2, -0.20),
        tail + 0.10,
        tail - 0.08 - 0.10j,
        *(foot + 0.16 + 0.04j for foot in pose.feet()),
        pose.upright(0.2) + 0.30 * pose.plump,
    ]


def _tail_direction(pose: Pose) -> complex:
    return -cmath.exp(1j * pose.tail_angle)


def silhouette(pose: Pose, p: Points) -> np.ndarray:
    """Signed distance to body, neck and head, without tail, legs and beak.

    Args:
        pose: the bird.
        p: points in its upright frame.
    """
    q = p * np.complex64(cmath.exp(1j * pose.tilt))
    body = shapes.capsule(q, 0.13 + 0.01j, -0.34 - 0.03j, 0.275 * pose.plump, 0.13)
    rump = shapes.capsule(q, -0.25 - 0.03j, -0.56 - 0.04j, 0.15, 0.05)
    body = shapes.smooth_union(body, rump, 0.10)
    shoulder = pose.upright(0.16 - 0.05j)
    neck = shapes.capsule(p, shoulder, pose.head, 0.21 * pose.plump, 0.155)
    head = shapes.ellipse(p, pose.head, 0.195, 0.18, pose.pitch)
    return shapes.smooth_union(body, shapes.smooth_union(neck, head, 0.06), 0.10)


def layers(pose: Pose, p: Points) -> tuple[list[tuple[str, np.ndarray]], np.ndarray]:
    """List a bird's shapes from back to front.

    Args:
        pose: the bird.
        p: points in its upright frame.

    Returns:
        (name, signed distance) of each shape, where a name may occur more than once and a name
        with a dash is a detail (`eye-ring`) that belongs to no part's own color; and the signed
        distance to the silhouette.
    """
    q = p * np.complex64(cmath.exp(1j * pose.tilt))
    h = (p - np.complex64(pose.head)) * np.complex64(cmath.exp(1j * pose.pitch))
    if pose.looks_back:
        h = -np.conj(h)
    outline = silhouette(pose, p)

    def within(distance):
        return np.maximum(distance, outline)

    skull = shapes.ellipse(h, 0j, 0.205, 0.19)
    return [
        *_tail(pose, q),
        *_legs(pose, p),
        ("body", outline),
        ("belly", within(shapes.ellipse(q, 0.02 + 0.25j, 0.42, 0.20))),
        ("vent", within(shapes.ellipse(q, -0.33 + 0.13j, 0.17, 0.125, 0.25))),
        ("head", within(shapes.ellipse(h, -0.01 + 0.03j, 0.235, 0.235))),
        ("breast", within(shapes.ellipse(q, 0.36 + 0.08j, 0.12, 0.15))),
        ("nape", within(shapes.ellipse(h, -0.20 + 0.09j, 0.105, 0.17))),
        ("throat", within(shapes.ellipse(h, 0.12 + 0.18j, 0.145, 0.115))),
        ("crown", within(np.maximum(skull, shapes.disc(h, 0.02 - 0.42j, 0.345)))),
        ("face", within(shapes.ellipse(h, -0.02 + 0.065j, 0.10, 0.065))),
        *_beak(pose, h),
        ("eye-ring", shapes.disc(h, 0.075 - 0.035j, 0.052)),
        ("eye", shapes.disc(h, 0.078 - 0.035j, 0.040)),
        ("eye-glint", shapes.disc(h, 0.090 - 0.050j, 0.013)),
        *_wing(pose, q),
        ("rump", within(shapes.ellipse(q, -0.40 - 0.135j, 0.17, 0.07, 0.18))),
    ], outline


def _tail(pose: Pose, q: Points) -> list[tuple[str, np.ndarray]]:
    t = (q - (-0.45 - 0.03j)) * np.complex64(1 / _tail_direction(pose))
    length, width = pose.tail_length, pose.tail_width
    outline = shapes.polygon(
        t,
        [-0.06 - 0.05j, length - width * 1j, length - pose.tail_notch, length + width * 1j]
        + [-0.06 + 0.05j],
    )
    outline = outline - 0.015
    shaft = shapes.capsule(t, 0j, complex(length, 0), 0.004, 0.010)
    tip = np.maximum(outline, shapes.half_plane(t, complex(0.60 * length, 0), -1 + 0j))
    return [("tail", outline), ("tail_tip", tip), ("tail-shaft", shaft)]


def _legs(pose: Pose, p: Points) -> list[tuple[str, np.ndarray]]:
    found = []
    for foot, hip in zip(pose.feet(), (0.02 + 0.17j, -0.08 + 0.16j), strict=True):
        leg = shapes.capsule(p, pose.upright(hip), foot, 0.042, 0.024)
        for toe in (0.11 + 0.035j, 0.09 + 0.01j, -0.07 + 0.03j):
            leg = np.minimum(leg, shapes.capsule(p, foot, foot + toe, 0.026, 0.018))
        found.append(("legs", leg))
    return found


def _beak(pose: Pose, h: Points) -> list[tuple[str, np.ndarray]]:
    length, depth = pose.beak_length, pose.beak_depth
    base = 0.155 + 0.03j
    tip = base + length + 0.03j
    middle = base + 0.5 * length
    outline = shapes.polygon(
        h,
        [base - depth * 1j, middle - 0.62j * depth, tip, middle + 0.60j * depth, base + depth * 1j],
    )
    gape = shapes.capsule(h, base + 0.02j, tip, 0.008, 0.004)
    return [("beak", outline - 0.006), ("beak-gape", gape)]


def _wing(pose: Pose, q: Points) -> list[tuple[str, np.ndarray]]:
    joint = 0.13 - 0.05j
    w = (q - joint) * np.complex64(cmath.exp(1j * pose.wing_droop))
    outline = shapes.smooth_union(
        shapes.capsule(w, 0.00 + 0.01j, -0.44 + 0.03j, 0.165, 0.055),
        shapes.capsule(w, -0.30 + 0.04j, -0.74 + 0.01j, 0.07, 0.012),
        0.05,
    )
    reach = np.abs(w - (0.14 - 0.03j))
    coverts = np.maximum(outline, reach - 0.29)
    bar = np.maximum(outline, np.abs(reach - 0.30) - 0.037)
    shoulder = np.maximum(outline, shapes.ellipse(w, 0.085 - 0.065j, 0.105, 0.075, 0.4))
    feathers = [
        ("wing-edge", np.maximum(outline, shapes.capsule(w, start, end, 0.004, 0.008)))
        for start, end in (
            (-0.12 - 0.07j, -0.52 - 0.02j),
            (-0.14 - 0.02j, -0.60 + 0.00j),
            (-0.16 + 0.04j, -0.66 + 0.02j),
            (-0.14 + 0.10j, -0.52 + 0.06j),
        )
    ]
    return [
        ("wing-shadow", outline - 0.012),
        ("wing", outline),
        *feathers,
        ("coverts", coverts),
        ("wing_bar", bar),
        ("shoulder", shoulder),
    ]
