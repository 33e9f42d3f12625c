"""Where the evidence is known, each method finds it: a floor for what its map has on the part.

Of what a map has above its median, the share that lies on the diagnostic part, in percent, averaged
over four held-out pictures; the parts cover half a percent of them. Floors are well below what was
measured, which stands beside them.
"""

import functools
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax import metrics
from saljax.data import birdlets
from saljax.methods.table import METHODS
from saljax.ops import perturb
from saljax.runs.classifier import load
from saljax.runs.explainers import equipped

SEED = 77
FINE = {"grid": 9, "sigma_light": 1.5, "sigma_shadow": 1.5, "sigma_spatial": 1.5}
FEW_MASKS = {"sizes": (12,), "auxiliary": ((24,),), "num_steps": 12}
BLUR = 10 * 96 / 224
SOFT = {"softness": BLUR, "blur": BLUR}


class Floor(NamedTuple):
    percent: float
    keywords: dict[str, Any] = {}


FLOORS = {
    "glas": Floor(4, FINE),  # 7.2
    "rglas": Floor(1.5, FINE | {"max_iterations": 2}),  # 2.9
    "occlusion": Floor(5, {"window": 15, "stride": 8}),  # 8.8
    "blur_occlusion": Floor(4, SOFT | {"diameter": 15.0, "stride": 8}),  # 7.4
    "variable_occlusion": Floor(2, {"num_masks": 100}),
    "rise": Floor(1.5, {"num_masks": 200}),  # 3.4
    "lime": Floor(6, {"num_samples": 150}),  # 12.2
    "gradient": Floor(3),  # 5.5
    "input_x_gradient": Floor(5),  # 11.0
    "smoothgrad": Floor(4, {"num_samples": 10}),  # 6.8
    "integrated_gradients": Floor(4, {"num_steps": 10}),  # 6.5
    "grad_cam": Floor(10),  # 17.1
    "grad_cam_plus_plus": Floor(10),  # 16.8
    "guided_backprop": Floor(9),  # 14.5
    "deconvnet": Floor(3),  # 5.0
    "excitation_backprop": Floor(18, {"layer": "block1"}),  # 28.8
    "contrastive_excitation_backprop": Floor(15, {"layer": "block1"}),  # 27.1
    "lrp": Floor(6),  # 11.9
    "attn_lrp": Floor(17),  # 34.8
    "meaningful_perturbation": Floor(  # 5.6
        3,
        {
            "num_steps": 30, "mask_size": 12, "mask_sigma": 2.0, "jitter": 2, "l1": 5e-3,
            "init": "half", "baseline": perturb.blurred(BLUR),
        },
    ),
    "meaningful_perturbation_at_layer": Floor(6, {"num_steps": 40}),  # 11.0
    "dynamic_masks": Floor(1.5, FEW_MASKS),  # 3.0
    "hierarchical_dynamic_masks": Floor(  # 3.0
        1.5, FEW_MASKS | {"num_stages": 2, "num_weight_steps": 10}
    ),
    "extremal_perturbation": Floor(  # 9.7
        5,
        {
            "areas": (0.02,), "num_steps": 15, "step": 4, "sigma": 8.0, "max_blur": 8.0,
            "num_levels": 3, "smoothing": 0.03,
        },
    ),
    "feature_inversion": Floor(7, {"num_steps": 15}),  # 13.4
    "dre": Floor(1.2),  # 2.4
    "dre_plus": Floor(2.5, {"num_steps": 8}),  # 4.8
    "masking_model": Floor(4),  # 7.8
    "variational": Floor(2),  # 3.9
}  # fmt: skip
"""Method -> its floor, and settings for 96 x 96 that are quick."""


@pytest.fixture(scope="module")
def birds():
    drawn, bundled = [birdlets.sample(SEED, index) for index in range(4)], load("birdlets", None)
    images, labels = np.stack([b.image for b in drawn]), [b.label for b in drawn]
    return bundled, images, labels, jnp.asarray([b.diagnostic_mask for b in drawn])


@jax.jit
@jax.vmap
def _percent(saliency, mask):
    return 100 * metrics.share_on_part(saliency - jnp.median(saliency), mask)


UNMEASURED = {
    "ablation_cam", "attention_rollout", "blur_ig", "deep_lift", "eigen_cam", "expected_gradients",
    "full_grad", "generic_attention", "guided_ig", "hires_cam", "hsic", "kernel_shap", "layer_cam",
    "le_grad", "opti_cam", "score_cam", "sobol", "xgrad_cam", "xrai",
}  # fmt: skip
"""Methods that have not been measured on birdlets yet."""


def test_every_method_has_a_floor():
    assert set(FLOORS) | UNMEASURED == set(METHODS) and not set(FLOORS) & UNMEASURED


@pytest.mark.parametrize("name", FLOORS)
def test_finds_the_part(name, birds):
    bundled, images, labels, parts = birds
    floor, keywords = FLOORS[name]
    method = equipped(functools.partial(METHODS[name].function, **keywords), name, bundled)
    asked = METHODS[name].explains == "logits"
    score_fn = bundled.logits if asked else bundled.probabilities
    saliency = saljax.explain(method, score_fn, images, labels)
    found = float(_percent(saliency, parts).mean())
    assert found >= floor
