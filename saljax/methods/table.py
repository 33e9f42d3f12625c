"""The methods the command line knows, by name."""

from saljax.methods.cams.grad_cam import grad_cam
from saljax.methods.cams.grad_cam_plus_plus import grad_cam_plus_plus
from saljax.methods.gradients.gradient import gradient, input_x_gradient
from saljax.methods.gradients.integrated_gradients import integrated_gradients
from saljax.methods.gradients.smoothgrad import smoothgrad
from saljax.methods.modified_backprop.deconvnet import deconvnet
from saljax.methods.modified_backprop.excitation_backprop import (
    contrastive_excitation_backprop,
    excitation_backprop,
)
from saljax.methods.modified_backprop.guided_backprop import guided_backprop
from saljax.methods.modified_backprop.lrp import lrp
from saljax.methods.optimization.dynamic_masks import dynamic_masks
from saljax.methods.optimization.extremal import extremal_perturbation
from saljax.methods.optimization.feature_inversion import feature_inversion
from saljax.methods.optimization.hierarchical_dynamic_masks import hierarchical_dynamic_masks
from saljax.methods.optimization.meaningful import meaningful_perturbation
from saljax.methods.optimization.meaningful_at_layer import meaningful_perturbation_at_layer
from saljax.methods.perturbation.glas import glas
from saljax.methods.perturbation.lime import lime
from saljax.methods.perturbation.occlusion import blur_occlusion, occlusion
from saljax.methods.perturbation.rglas import rglas
from saljax.methods.perturbation.rise import rise
from saljax.methods.perturbation.variable_occlusion import variable_occlusion

METHODS = {
    "glas": glas,
    "rglas": rglas,
    "occlusion": occlusion,
    "blur_occlusion": blur_occlusion,
    "variable_occlusion": variable_occlusion,
    "rise": rise,
    "lime": lime,
    "gradient": gradient,
    "input_x_gradient": input_x_gradient,
    "smoothgrad": smoothgrad,
    "integrated_gradients": integrated_gradients,
    "grad_cam": grad_cam,
    "grad_cam_plus_plus": grad_cam_plus_plus,
    "guided_backprop": guided_backprop,
    "deconvnet": deconvnet,
    "excitation_backprop": excitation_backprop,
    "contrastive_excitation_backprop": contrastive_excitation_backprop,
    "lrp": lrp,
    "meaningful_perturbation": meaningful_perturbation,
    "meaningful_perturbation_at_layer": meaningful_perturbation_at_layer,
    "extremal_perturbation": extremal_perturbation,
    "dynamic_masks": dynamic_masks,
    "hierarchical_dynamic_masks": hierarchical_dynamic_masks,
    "feature_inversion": feature_inversion,
}

_INSIDE = frozenset(
    {
        "gradient", "input_x_gradient", "smoothgrad", "integrated_gradients",
        "grad_cam", "grad_cam_plus_plus",
        "guided_backprop", "deconvnet", "excitation_backprop", "contrastive_excitation_backprop",
        "lrp",
    }
)  # fmt: skip

LOGITS = _INSIDE | {
    "occlusion", "blur_occlusion", "variable_occlusion", "extremal_perturbation",
}  # fmt: skip
"""Methods that explain the classifier's logits, as their papers do; the others probabilities."""

ONE_CLASS = _INSIDE | {
    "meaningful_perturbation", "meaningful_perturbation_at_layer",
    "dynamic_masks", "hierarchical_dynamic_masks", "extremal_perturbation", "feature_inversion",
}  # fmt: skip
"""Methods that answer one class at a time, since each class needs backward passes of its own; the
others answer several from the same passes."""

AT_A_LAYER = frozenset(
    {
        "grad_cam",
        "grad_cam_plus_plus",
        "excitation_backprop",
        "contrastive_excitation_backprop",
        "meaningful_perturbation_at_layer",
        "feature_inversion",
    }
)
"""Methods whose map is that of a layer; the command line takes the one the model names."""

_EXCITATION = "Top-down Neural Attention by Excitation Backprop (ECCV 2016)"
_DYNAMIC = "Hierarchical Dynamic Masks for Visual Explanation of Neural Networks (2023)"
_GLAS = "Salient Explanation for Fine-grained Classification (submitted to ICLR 2020)"
_INVERSION = "Towards Explanation of DNN-based Prediction with Guided Feature Inversion (KDD 2018)"
_PERTURBATION = "Interpretable Explanations of Black Boxes by Meaningful Perturbation (ICCV 2017)"

PAPERS = {
    "glas": _GLAS,
    "rglas": _GLAS,
    "occlusion": "Visualizing and Understanding Convolutional Networks (ECCV 2014)",
    "blur_occlusion": _PERTURBATION,
    "variable_occlusion": _PERTURBATION,
    "rise": "RISE: Randomized Input Sampling for Explanation of Black-box Models (BMVC 2018)",
    "lime": '"Why Should I Trust You?" Explaining the Predictions of Any Classifier (KDD 2016)',
    "gradient": "Deep Inside Convolutional Networks (ICLR workshop 2014)",
    "input_x_gradient": "Not Just a Black Box (2016)",
    "smoothgrad": "SmoothGrad: Removing Noise by Adding Noise (2017)",
    "integrated_gradients": "Axiomatic Attribution for Deep Networks (ICML 2017)",
    "grad_cam": "Grad-CAM: Visual Explanations from Deep Networks (ICCV 2017)",
    "grad_cam_plus_plus": "Grad-CAM++: Improved Visual Explanations (WACV 2018)",
    "guided_backprop": "Striving for Simplicity: The All Convolutional Net (ICLR workshop 2015)",
    "deconvnet": "Visualizing and Understanding Convolutional Networks (ECCV 2014)",
    "excitation_backprop": _EXCITATION,
    "contrastive_excitation_backprop": _EXCITATION,
    "lrp": "On Pixel-wise Explanations by Layer-wise Relevance Propagation (PLOS ONE 2015)",
    "meaningful_perturbation": _PERTURBATION,
    "meaningful_perturbation_at_layer": _PERTURBATION,
    "extremal_perturbation": "Understanding Deep Networks via Extremal Perturbations (ICCV 2019)",
    "dynamic_masks": _DYNAMIC,
    "hierarchical_dynamic_masks": _DYNAMIC,
    "feature_inversion": _INVERSION,
}
