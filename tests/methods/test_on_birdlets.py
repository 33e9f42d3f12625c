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
    model: str = "birdlets"


FLOORS = {
    "glas": Floor(4, FINE),  # 7.2
    "rglas": Floor(1.5, FINE | {"max_iterations": 2}),  # 2.9
    "occlusion": Floor(5, {"window": 15, "stride": 8}),  # 8.8
    "blur_occlusion": Floor(4, SOFT | {"diameter": 15.0, "stride": 8}),  # 7.4
    "variable_occlusion": Floor(2, {"num_masks": 100}),  # 3.1
    "rise": Floor(1.5, {"num_masks": 200}),  # 3.4
    "lime": Floor(6, {"num_samples": 150}),  # 12.2
    "kernel_shap": Floor(5, {"num_samples": 150}),  # 9.5
    "gradient": Floor(3),  # 5.5
    "input_x_gradient": Floor(5),  # 11.0
    "smoothgrad": Floor(4, {"num_samples": 10}),  # 6.8
    "integrated_gradients": Floor(4, {"num_steps": 10}),  # 6.5
    "expected_gradients": Floor(4, {"num_samples": 10}),  # 6.4
    "blur_ig": Floor(8, {"num_steps": 10}),  # 14.9
    "full_grad": Floor(3.5),  # 6.2
    "grad_cam": Floor(10),  # 17.1
    "grad_cam_plus_plus": Floor(10),  # 16.8
    "layer_cam": Floor(10),  # 18.7
    "hires_cam": Floor(10),  # 18.8
    "xgrad_cam": Floor(10),  # 17.6
    "eigen_cam": Floor(10),  # 18.5
    "score_cam": Floor(9),  # 16.7
    "ablation_cam": Floor(10),  # 18.0
    "guided_backprop": Floor(9),  # 14.5
    "deconvnet": Floor(3),  # 5.0
    "excitation_backprop": Floor(18, {"layer": "block1"}),  # 28.8
    "contrastive_excitation_backprop": Floor(15, {"layer": "block1"}),  # 27.1
    "lrp": Floor(6),  # 11.9
    "deep_lift": Floor(14),  # 24.9
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
    "attention_rollout": Floor(4.5, model="birdlets_vit"),  # 8.2
    "generic_attention": Floor(11, model="birdlets_vit"),  # 19.5
    "le_grad": Floor(4.5, model="birdlets_vit"),  # 8.1
}  # fmt: skip
"""Method -> its floor, and settings for 96 x 96 that are quick."""


ELSEWHERE = {"sobol", "hsic", "guided_ig", "xrai", "opti_cam"}
"""Dear ones: `experiments/birdlets_all_methods.py floors` has theirs."""
TOGETHER = (
    *("gradient", "input_x_gradient", "full_grad", "grad_cam", "grad_cam_plus_plus", "layer_cam"),
    *("hires_cam", "xgrad_cam", "eigen_cam", "guided_backprop", "deconvnet", "deep_lift", "lrp"),
    *("excitation_backprop", "contrastive_excitation_backprop", "attn_lrp"),
    *("attention_rollout", "generic_attention", "le_grad"),
)
"""Methods of a pass or two, without chance: one program of each classifier, which compiles what
they share once."""


class Birds(NamedTuple):
    images: np.ndarray
    labels: np.ndarray
    parts: np.ndarray


@pytest.fixture(scope="module")
def birds():
    drawn = [birdlets.sample(SEED, index) for index in range(4)]
    images, labels = np.stack([b.image for b in drawn]), np.asarray([b.label for b in drawn])
    return Birds(images, labels, np.stack([b.diagnostic_mask for b in drawn]))


bundled = functools.cache(functools.partial(load, weights=None))


def _configured(name):
    """The method, and the scores that it explains."""
    floor, known = FLOORS[name], METHODS[name]
    method = functools.partial(known.function, **floor.keywords)
    score_fn = getattr(bundled(floor.model), known.explains)
    return equipped(method, name, bundled(floor.model)), score_fn


@pytest.fixture(scope="module")
def of_few_passes(birds):
    """Name -> maps."""
    found = {}
    for model in ("birdlets", "birdlets_vit"):
        methods = {n: _configured(n)[0] for n in TOGETHER if FLOORS[n].model == model}

        @jax.jit
        def explain(score_fn, images, labels, methods=methods):
            return {
                name: jax.vmap(functools.partial(method, score_fn))(images, labels)
                for name, method in methods.items()
            }

        found |= explain(bundled(model).logits, birds.images, birds.labels)
    return found


@jax.jit
@jax.vmap
def _percent(saliency, mask):
    return 100 * metrics.share_on_part(saliency - jnp.median(saliency), mask)


def test_every_method_has_a_floor():
    assert set(FLOORS) | ELSEWHERE == set(METHODS) and not set(FLOORS) & ELSEWHERE


@pytest.mark.parametrize("name", TOGETHER)
def test_of_few_passes_finds_the_part(name, birds, of_few_passes):
    assert METHODS[name].explains == "logits"
    assert float(_percent(of_few_passes[name], birds.parts).mean()) >= FLOORS[name].percent


@pytest.mark.parametrize("name", [name for name in FLOORS if name not in TOGETHER])
def test_finds_the_part(name, birds):
    method, score_fn = _configured(name)
    saliency = saljax.explain(method, score_fn, birds.images, birds.labels)
    assert float(_percent(saliency, birds.parts).mean()) >= FLOORS[name].percent
