"""The methods the command line knows, by name: one record a method."""

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from saljax.methods.attention.attention_rollout import attention_rollout
from saljax.methods.attention.generic_attention import generic_attention
from saljax.methods.attention.le_grad import le_grad
from saljax.methods.cams.ablation_cam import ablation_cam
from saljax.methods.cams.eigen_cam import eigen_cam
from saljax.methods.cams.grad_cam import grad_cam
from saljax.methods.cams.grad_cam_plus_plus import grad_cam_plus_plus
from saljax.methods.cams.hires_cam import hires_cam
from saljax.methods.cams.layer_cam import layer_cam
from saljax.methods.cams.score_cam import score_cam
from saljax.methods.cams.xgrad_cam import xgrad_cam
from saljax.methods.gradients.blur_ig import blur_ig
from saljax.methods.gradients.expected_gradients import expected_gradients
from saljax.methods.gradients.full_grad import full_grad
from saljax.methods.gradients.gradient import gradient, input_x_gradient
from saljax.methods.gradients.guided_ig import guided_ig
from saljax.methods.gradients.integrated_gradients import integrated_gradients
from saljax.methods.gradients.smoothgrad import smoothgrad
from saljax.methods.gradients.xrai import xrai
from saljax.methods.learned.one_pass import dre, dre_plus, masking_model, variational
from saljax.methods.modified_backprop.attn_lrp import attn_lrp
from saljax.methods.modified_backprop.deconvnet import deconvnet
from saljax.methods.modified_backprop.deep_lift import deep_lift
from saljax.methods.modified_backprop.excitation_backprop import (
    contrastive_excitation_backprop,
    excitation_backprop,
)
from saljax.methods.modified_backprop.guided_backprop import guided_backprop
from saljax.methods.modified_backprop.lrp import lrp
from saljax.methods.optimization import extremal, meaningful
from saljax.methods.optimization import feature_inversion as inversion
from saljax.methods.optimization.dynamic_masks import dynamic_masks
from saljax.methods.optimization.extremal import extremal_perturbation
from saljax.methods.optimization.feature_inversion import feature_inversion
from saljax.methods.optimization.hierarchical_dynamic_masks import hierarchical_dynamic_masks
from saljax.methods.optimization.meaningful import meaningful_perturbation
from saljax.methods.optimization.meaningful_at_layer import meaningful_perturbation_at_layer
from saljax.methods.optimization.opti_cam import opti_cam
from saljax.methods.perturbation import occlusion as occluding
from saljax.methods.perturbation.glas import glas
from saljax.methods.perturbation.hsic import hsic
from saljax.methods.perturbation.kernel_shap import kernel_shap
from saljax.methods.perturbation.lime import lime
from saljax.methods.perturbation.occlusion import blur_occlusion, occlusion
from saljax.methods.perturbation.rglas import rglas
from saljax.methods.perturbation.rise import rise
from saljax.methods.perturbation.sobol import sobol
from saljax.methods.perturbation.variable_occlusion import variable_occlusion


class Known(NamedTuple):
    """What is known of a method beside its signature and docstring.

    Attributes:
        function: the method.
        paper: title, where it appeared and when.
        explains: what of the classifier it is asked about, as its paper has it.
        one_class: it answers one class at a time, since each class needs backward passes of its
            own; the others answer several from the same passes.
        at_layer: its map is that of a layer; the command line takes the one the model names.
        learned: keywords that take explainers that learned, each with the kind it takes; the
            command line reads them from files. Only `explainer` must be there.
        signed: its maps speak for a class and against it, around zero; or, if False, what is below
            zero is only little. None: their values say which.
        defaults_for: what stands for None among its hyperparameters in an image of a spatial shape,
            where that depends on it.
    """

    function: Callable[..., Any]
    paper: str
    explains: Literal["logits", "probabilities"]
    one_class: bool = False
    at_layer: bool = False
    learned: Mapping[str, str] = {}
    signed: bool | None = None
    defaults_for: Callable[[Sequence[int]], dict[str, Any]] | None = None


_EXCITATION = "Top-down Neural Attention by Excitation Backprop (ECCV 2016)"
_DRE = "Differentiated Explanation of Deep Neural Networks with Skewed Distributions (TPAMI 2021)"
_DYNAMIC = "Hierarchical Dynamic Masks for Visual Explanation of Neural Networks (2023)"
_GLAS = "Salient Explanation for Fine-grained Classification (submitted to ICLR 2020)"
_INVERSION = "Towards Explanation of DNN-based Prediction with Guided Feature Inversion (KDD 2018)"
_PERTURBATION = "Interpretable Explanations of Black Boxes by Meaningful Perturbation (ICCV 2017)"

METHODS = {
    "glas": Known(glas, _GLAS, "probabilities"),
    "rglas": Known(rglas, _GLAS, "probabilities"),
    "occlusion": Known(
        occlusion,
        "Visualizing and Understanding Convolutional Networks (ECCV 2014)",
        "logits",
        defaults_for=occluding.defaults_for,
    ),
    "blur_occlusion": Known(
        blur_occlusion, _PERTURBATION, "logits", defaults_for=occluding.blur_defaults_for
    ),
    "variable_occlusion": Known(variable_occlusion, _PERTURBATION, "logits"),
    "rise": Known(
        rise,
        "RISE: Randomized Input Sampling for Explanation of Black-box Models (BMVC 2018)",
        "probabilities",
    ),
    "lime": Known(
        lime,
        '"Why Should I Trust You?" Explaining the Predictions of Any Classifier (KDD 2016)',
        "probabilities",
    ),
    "kernel_shap": Known(
        kernel_shap,
        "A Unified Approach to Interpreting Model Predictions (NeurIPS 2017)",
        "probabilities",
    ),
    "sobol": Known(
        sobol,
        "Look at the Variance! Black-box Explanations with Sobol-based Sensitivity (NeurIPS 2021)",
        "probabilities",
    ),
    "hsic": Known(
        hsic,
        "Making Sense of Dependence: Explanations Using Dependence Measure (NeurIPS 2022)",
        "probabilities",
    ),
    "gradient": Known(
        gradient,
        "Deep Inside Convolutional Networks (ICLR workshop 2014)",
        "logits",
        one_class=True,
    ),
    "input_x_gradient": Known(
        input_x_gradient, "Not Just a Black Box (2016)", "logits", one_class=True
    ),
    "smoothgrad": Known(
        smoothgrad, "SmoothGrad: Removing Noise by Adding Noise (2017)", "logits", one_class=True
    ),
    "integrated_gradients": Known(
        integrated_gradients,
        "Axiomatic Attribution for Deep Networks (ICML 2017)",
        "logits",
        one_class=True,
    ),
    "expected_gradients": Known(
        expected_gradients,
        "Improving performance with attribution priors and expected gradients (2019)",
        "logits",
        one_class=True,
    ),
    "guided_ig": Known(
        guided_ig,
        "Guided Integrated Gradients: An Adaptive Path Method for Removing Noise (CVPR 2021)",
        "probabilities",
        one_class=True,
    ),
    "blur_ig": Known(
        blur_ig,
        "Attribution in Scale and Space (CVPR 2020)",
        "probabilities",
        one_class=True,
    ),
    "xrai": Known(
        xrai,
        "XRAI: Better Attributions Through Regions (ICCV 2019)",
        "probabilities",
        one_class=True,
    ),
    "full_grad": Known(
        full_grad,
        "Full-Gradient Representation for Neural Network Visualization (NeurIPS 2019)",
        "logits",
        one_class=True,
    ),
    "grad_cam": Known(
        grad_cam,
        "Grad-CAM: Visual Explanations from Deep Networks (ICCV 2017)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "grad_cam_plus_plus": Known(
        grad_cam_plus_plus,
        "Grad-CAM++: Improved Visual Explanations (WACV 2018)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "layer_cam": Known(
        layer_cam,
        "LayerCAM: Exploring Hierarchical Class Activation Maps for Localization (TIP 2021)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "hires_cam": Known(
        hires_cam,
        "Use HiResCAM instead of Grad-CAM for faithful explanations of CNNs (2020)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "xgrad_cam": Known(
        xgrad_cam, "Axiom-based Grad-CAM (BMVC 2020)", "logits", one_class=True, at_layer=True
    ),
    "eigen_cam": Known(
        eigen_cam,
        "Eigen-CAM: Class Activation Map using Principal Components (IJCNN 2020)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "ablation_cam": Known(
        ablation_cam,
        "Ablation-CAM: Gradient-free Localization of Deep Convolutional Networks (WACV 2020)",
        "logits",
        at_layer=True,
    ),
    "opti_cam": Known(
        opti_cam,
        "Opti-CAM: Optimizing saliency maps for interpretability (CVIU 2024)",
        "logits",
        one_class=True,
        at_layer=True,
    ),
    "score_cam": Known(
        score_cam,
        "Score-CAM: Score-Weighted Visual Explanations for CNNs (CVPR workshops 2020)",
        "probabilities",
        at_layer=True,
    ),
    "guided_backprop": Known(
        guided_backprop,
        "Striving for Simplicity: The All Convolutional Net (ICLR workshop 2015)",
        "logits",
        one_class=True,
    ),
    "deconvnet": Known(
        deconvnet,
        "Visualizing and Understanding Convolutional Networks (ECCV 2014)",
        "logits",
        one_class=True,
    ),
    "excitation_backprop": Known(
        excitation_backprop, _EXCITATION, "logits", one_class=True, at_layer=True
    ),
    "contrastive_excitation_backprop": Known(
        contrastive_excitation_backprop, _EXCITATION, "logits", one_class=True, at_layer=True
    ),
    "lrp": Known(
        lrp,
        "On Pixel-wise Explanations by Layer-wise Relevance Propagation (PLOS ONE 2015)",
        "logits",
        one_class=True,
    ),
    "deep_lift": Known(
        deep_lift,
        "Learning Important Features Through Propagating Activation Differences (ICML 2017)",
        "logits",
        one_class=True,
    ),
    "attn_lrp": Known(
        attn_lrp,
        "AttnLRP: Attention-Aware Layer-Wise Relevance Propagation for Transformers (ICML 2024)",
        "logits",
        one_class=True,
    ),
    "meaningful_perturbation": Known(
        meaningful_perturbation,
        _PERTURBATION,
        "probabilities",
        one_class=True,
        defaults_for=meaningful.defaults_for,
    ),
    "meaningful_perturbation_at_layer": Known(
        meaningful_perturbation_at_layer,
        _PERTURBATION,
        "probabilities",
        one_class=True,
        at_layer=True,
    ),
    "extremal_perturbation": Known(
        extremal_perturbation,
        "Understanding Deep Networks via Extremal Perturbations (ICCV 2019)",
        "logits",
        one_class=True,
        defaults_for=extremal.defaults_for,
    ),
    "dynamic_masks": Known(dynamic_masks, _DYNAMIC, "probabilities", one_class=True),
    "hierarchical_dynamic_masks": Known(
        hierarchical_dynamic_masks, _DYNAMIC, "probabilities", one_class=True
    ),
    "feature_inversion": Known(
        feature_inversion,
        _INVERSION,
        "probabilities",
        one_class=True,
        at_layer=True,
        defaults_for=inversion.defaults_for,
    ),
    "attention_rollout": Known(
        attention_rollout,
        "Quantifying Attention Flow in Transformers (ACL 2020)",
        "logits",
        one_class=True,
    ),
    "generic_attention": Known(
        generic_attention,
        "Generic Attention-model Explainability for Interpreting Bi-Modal and Encoder-Decoder "
        "Transformers (ICCV 2021)",
        "logits",
        one_class=True,
    ),
    "le_grad": Known(
        le_grad,
        "LeGrad: An Explainability Method for Vision Transformers via Feature Formation "
        "Sensitivity (ICCV 2025)",
        "logits",
        one_class=True,
    ),
    "dre": Known(dre, _DRE, "logits", learned={"explainer": "dre"}),
    "dre_plus": Known(
        dre_plus,
        _DRE,
        "logits",
        one_class=True,
        learned={"explainer": "dre", "masking_model": "masking_model"},
    ),
    "masking_model": Known(
        masking_model,
        "Real Time Image Saliency for Black Box Classifiers (NeurIPS 2017)",
        "logits",
        learned={"explainer": "masking_model"},
    ),
    "variational": Known(
        variational,
        "Variational saliency maps (submitted to ICLR 2021)",
        "logits",
        learned={"explainer": "variational"},
        signed=False,
    ),
}
