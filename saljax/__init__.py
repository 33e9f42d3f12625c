"""saljax: which pixels made this classifier say that?

A method is a pure function of one image, `method(score_fn, image, target, *, ...) -> saliency`;
`explain` turns it into one compiled program over many.
"""

import importlib

from saljax import scores as scores
from saljax.core.explain import explain as explain
from saljax.core.layers import layers as layers
from saljax.core.override import override as override
from saljax.core.statistics import activation_statistics as activation_statistics
from saljax.core.taps import tag as tag
from saljax.methods.attention.attention_rollout import attention_rollout as attention_rollout
from saljax.methods.attention.generic_attention import generic_attention as generic_attention
from saljax.methods.attention.le_grad import le_grad as le_grad
from saljax.methods.cams.ablation_cam import ablation_cam as ablation_cam
from saljax.methods.cams.eigen_cam import eigen_cam as eigen_cam
from saljax.methods.cams.grad_cam import grad_cam as grad_cam
from saljax.methods.cams.grad_cam_plus_plus import grad_cam_plus_plus as grad_cam_plus_plus
from saljax.methods.cams.hires_cam import hires_cam as hires_cam
from saljax.methods.cams.layer_cam import layer_cam as layer_cam
from saljax.methods.cams.score_cam import score_cam as score_cam
from saljax.methods.cams.xgrad_cam import xgrad_cam as xgrad_cam
from saljax.methods.gradients.blur_ig import blur_ig as blur_ig
from saljax.methods.gradients.expected_gradients import expected_gradients as expected_gradients
from saljax.methods.gradients.full_grad import full_grad as full_grad
from saljax.methods.gradients.gradient import gradient as gradient
from saljax.methods.gradients.gradient import input_x_gradient as input_x_gradient
from saljax.methods.gradients.guided_ig import guided_ig as guided_ig
from saljax.methods.gradients.integrated_gradients import (
    integrated_gradients as integrated_gradients,
)
from saljax.methods.gradients.smoothgrad import smoothgrad as smoothgrad
from saljax.methods.gradients.xrai import xrai as xrai
from saljax.methods.learned.one_pass import dre as dre
from saljax.methods.learned.one_pass import dre_plus as dre_plus
from saljax.methods.learned.one_pass import masking_model as masking_model
from saljax.methods.learned.one_pass import variational as variational
from saljax.methods.modified_backprop.attn_lrp import attn_lrp as attn_lrp
from saljax.methods.modified_backprop.deconvnet import deconvnet as deconvnet
from saljax.methods.modified_backprop.deep_lift import deep_lift as deep_lift
from saljax.methods.modified_backprop.excitation_backprop import (
    contrastive_excitation_backprop as contrastive_excitation_backprop,
)
from saljax.methods.modified_backprop.excitation_backprop import (
    excitation_backprop as excitation_backprop,
)
from saljax.methods.modified_backprop.guided_backprop import guided_backprop as guided_backprop
from saljax.methods.modified_backprop.lrp import lrp as lrp
from saljax.methods.optimization.dynamic_masks import dynamic_masks as dynamic_masks
from saljax.methods.optimization.extremal import extremal_perturbation as extremal_perturbation
from saljax.methods.optimization.feature_inversion import feature_inversion as feature_inversion
from saljax.methods.optimization.hierarchical_dynamic_masks import (
    hierarchical_dynamic_masks as hierarchical_dynamic_masks,
)
from saljax.methods.optimization.information_bottleneck import (
    information_bottleneck as information_bottleneck,
)
from saljax.methods.optimization.meaningful import (
    meaningful_perturbation as meaningful_perturbation,
)
from saljax.methods.optimization.meaningful_at_layer import (
    meaningful_perturbation_at_layer as meaningful_perturbation_at_layer,
)
from saljax.methods.optimization.opti_cam import opti_cam as opti_cam
from saljax.methods.perturbation.glas import glas as glas
from saljax.methods.perturbation.glas_regions import glas_regions as glas_regions
from saljax.methods.perturbation.hsic import hsic as hsic
from saljax.methods.perturbation.kernel_shap import kernel_shap as kernel_shap
from saljax.methods.perturbation.lime import lime as lime
from saljax.methods.perturbation.occlusion import blur_occlusion as blur_occlusion
from saljax.methods.perturbation.occlusion import occlusion as occlusion
from saljax.methods.perturbation.rglas import rglas as rglas
from saljax.methods.perturbation.rise import rise as rise
from saljax.methods.perturbation.sobol import sobol as sobol
from saljax.methods.perturbation.variable_occlusion import (
    variable_occlusion as variable_occlusion,
)
from saljax.ops.gaussians import gaussian_mask as gaussian_mask
from saljax.ops.kronecker import kronecker_kl as kronecker_kl
from saljax.ops.perturb import perturb as perturb
from saljax.ops.skew import skew_controller as skew_controller
from saljax.ops.soft_topk import soft_topk as soft_topk

__version__ = "0.5.0"


# Models and explainers that learn need flax, pictures matplotlib, which take longer to import than
# all of saljax; metrics and data are rarely needed at once. They come with their first use.
_MODULES = ("models", "metrics", "data")
_LATER = {
    "plot": "report.plot",
    "read_values": "evaluation.values",
    "train_dre": "training.by_name",
    "train_masking_model": "training.by_name",
    "train_variational": "training.by_name",
    "save_explainer": "runs.explainers",
    "load_explainer": "runs.explainers",
}


def __getattr__(name: str):
    if name in _MODULES:
        return importlib.import_module(f"saljax.{name}")
    if name in _LATER:
        return getattr(importlib.import_module(f"saljax.{_LATER[name]}"), name)
    raise AttributeError(f"module 'saljax' has no attribute {name!r}")


def __dir__():
    return sorted({*globals(), *_MODULES, *_LATER})
