"""The map that a mirrored classifier has of the mirrored image is the mirrored map.

One axis is even and one odd; each is mirrored. All lengths are the defaults, which follow the size
of the image. A few steps of optimization, so that rounding is not amplified much.
"""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import scipy.ndimage
from jax.tree_util import Partial

import saljax

SHAPE = (24, 31, 3)
METHODS = {
    "glas": (saljax.glas, {"grid": 5}),
    "rglas": (saljax.rglas, {"grid": 5, "max_iterations": 2}),
    "occlusion": (saljax.occlusion, {}),
    "blur_occlusion": (saljax.blur_occlusion, {"stride": 3}),
    "meaningful_perturbation": (
        functools.partial(saljax.meaningful_perturbation, key=jax.random.key(0)),
        {"num_steps": 6},
    ),
    "meaningful_perturbation_at_layer": (
        saljax.meaningful_perturbation_at_layer,
        {"num_steps": 6, "layer": "hidden", "init": "half", "l1": 1e-5, "tv": 1e-5},
    ),
    "extremal_perturbation": (
        saljax.extremal_perturbation,
        {"num_steps": 6, "learning_rate": 0.05, "areas": (0.1, 0.3)},
    ),
    "dynamic_masks": (saljax.dynamic_masks, {"sizes": (3,), "auxiliary": ((6,),), "num_steps": 6}),
    "hierarchical_dynamic_masks": (
        saljax.hierarchical_dynamic_masks,
        {"sizes": (4,), "auxiliary": (), "num_steps": 6, "num_stages": 2, "num_weight_steps": 3},
    ),
    "feature_inversion": (
        saljax.feature_inversion, {"layer": "hidden", "num_inversion_steps": 3, "num_steps": 3},
    ),
}  # fmt: skip


def network(weights, images):
    """Two convolutions; what counts of the second lies at one place for each class."""
    hidden = images - 0.5
    for name, kernel in (("hidden", weights["first"]), ("deep", weights["second"])):
        dimensions = ("NHWC", "HWIO", "NHWC")
        out = jax.lax.conv_general_dilated(
            hidden, kernel, (1, 1), "SAME", dimension_numbers=dimensions
        )
        hidden = saljax.tag(jax.nn.relu(out), name)
    seen = jnp.einsum("nhwc,hwk->nkc", hidden, weights["places"])
    return jax.nn.softmax(jnp.einsum("nkc,ck->nk", seen, weights["classes"]))


def flipped(weights, axis):
    turned = {name: jnp.flip(weights[name], axis) for name in ("first", "second", "places")}
    return weights | turned


@pytest.fixture(scope="module")
def scene():
    """A classifier that knows left from right, and an image with something to see."""
    rng = np.random.default_rng(0)
    rows, columns = np.indices(SHAPE[:2]) / np.reshape(SHAPE[:2], (2, 1, 1))
    centers = [(0.3, 0.3), (0.7, 0.6), (0.2, 0.8)]
    places = [np.exp(-((rows - y) ** 2 + (columns - x) ** 2) / 0.02) for y, x in centers]
    weights = {
        "first": rng.normal(0, 0.5, (3, 3, 3, 6)),
        "second": rng.normal(0, 0.3, (3, 3, 6, 6)),
        "places": np.stack([place / place.sum() for place in places], axis=-1),
        "classes": rng.normal(0, 2, (6, 3)),
    }
    image = scipy.ndimage.gaussian_filter(rng.uniform(size=SHAPE), (1.5, 1.5, 0))
    image = np.clip(3 * image - 1, 0, 1)
    return jax.tree.map(lambda x: jnp.asarray(x, jnp.float32), (weights, image))


@pytest.mark.parametrize("name", METHODS)
def test_a_mirrored_image_has_the_mirrored_map(scene, name):
    (method, settings), (weights, image) = METHODS[name], scene
    run = jax.jit(functools.partial(method, **settings))
    saliency = run(Partial(network, weights), image, 1)
    apart = float(saliency.max() - saliency.min())
    assert apart > 1e-5
    for axis in (0, 1):
        mirrored = run(Partial(network, flipped(weights, axis)), jnp.flip(image, axis), 1)
        away = float(jnp.abs(jnp.flip(mirrored, axis) - saliency).max())
        assert away <= 1e-3 * apart, f"{away / apart:.4f} of the range on axis {axis}"
