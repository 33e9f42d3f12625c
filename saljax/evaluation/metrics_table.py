"""The metrics that judge maps, by name: what each needs, costs and says."""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple

from saljax import metrics
from saljax.evaluation import curves, derived
from saljax.evaluation.columns import Asked, Column, Stored, each, parts
from saljax.evaluation.curves import Curve
from saljax.metrics.faithfulness import baselines
from saljax.models.zoo import ModelInfo


class Known(NamedTuple):
    """A metric as it is known by name.

    Attributes:
        function: takes what it needs for one image.
        needs: (saliency, boxes); (score_fn, image, target, saliency); (saliency); or (method,
            score_fn, image, target). What draws at random takes a `key`.
        columns: stored values, what is asked -> columns.
        for_many: keywords whose default is another here, from what is known of the classifier.
        says: what a reader of the table must know.
        scores: of the classifier that it is given; a metric of a method is given what that
            explains, and these as well if it has a keyword `explains`.
        passes: through the classifier, of a map, from its settings and the spatial shape of images;
            of a metric of a method none are known.
        maps: what a metric of a method explains again, from its settings.
        dear: it costs so much, or says something of so few methods, that it is not measured unless
            it is asked for.
        by_mask: it takes a mask (*spatial) in the place of boxes, and is given one where the
            objects have them.
        curves: those that its values are areas or means of, from stored values and its settings.
    """

    function: Callable
    needs: Literal["boxes", "classifier", "map", "method"]
    columns: Callable[[Stored, Asked], list[Column]]
    for_many: Callable[[ModelInfo], dict[str, Any]] = lambda about: {}
    says: str = ""
    scores: Literal["probabilities", "logits"] = "probabilities"
    passes: Callable[[Mapping[str, Any], Sequence[int]], int] = lambda settings, spatial: 0
    maps: Callable[[Mapping[str, Any]], str] = lambda settings: ""
    dear: bool = False
    by_mask: bool = False
    curves: Callable[[Stored, Mapping[str, Any]], list[Curve]] = lambda stored, settings: []


def _of_rise(about):
    """RISE's settings for many images: eight rows a step, and what 0 is to its classifiers."""
    kept = {"step": 8 * about.input_shape[-2], "details": True}
    return kept | ({"deletion_baseline": baselines.imagenet_mean} if about.imagenet_mean else {})


def _passes(number: Callable[[Mapping[str, Any]], int]) -> Callable:
    return lambda settings, spatial: number(settings)


_SIMILARITIES = ("spearman", "Spearman"), ("pearson", "Pearson"), ("ssim", "SSIM")


def _similar(name: str) -> Callable:
    return parts(*((f"{name}, {shown}", "lower", part) for part, shown in _SIMILARITIES))


MEASURES: dict[str, Known] = {
    "pointing_game": Known(
        metrics.pointing_game,
        "boxes",
        each("pointing game", "higher"),
        says="pointing game: distances are in pixels of what the classifier sees, not of the "
        "photograph, and the mean is over images, not over classes",
    ),
    "pointing_game_fong": Known(
        metrics.pointing_game_fong, "boxes", each("pointing game (Fong)", "higher")
    ),
    "pointing_game_glas": Known(
        metrics.pointing_game_glas, "boxes", each("pointing game (GLAS)", "higher")
    ),
    "iou_curve": Known(metrics.iou_curve, "boxes", derived.iou, by_mask=True, curves=curves.iou),
    "localization_error": Known(
        derived.localization_errors,
        "boxes",
        derived.localization,
        says="localization error: the threshold alpha errs least on pictures 1, 3, 5, ... for each "
        "method; the error is that on pictures 2, 4, 6, ..., of boxes in what the classifier sees",
    ),
    "explainability": Known(
        metrics.explainability, "boxes", each("explainability, 0..100", "higher")
    ),
    "relevance_mass": Known(
        metrics.relevance_mass, "boxes", each("relevance mass", "higher"), by_mask=True
    ),
    "relevance_rank": Known(
        metrics.relevance_rank, "boxes", each("relevance rank", "higher"), by_mask=True
    ),
    "top_k_intersection": Known(
        metrics.top_k_intersection,
        "boxes",
        each("top k in boxes", "higher"),
        lambda about: {"k": max(1, 1000 * math.prod(about.input_shape[:-1]) // 224**2)},
        by_mask=True,
    ),
    "localization_auc": Known(
        metrics.localization_auc, "boxes", each("localization AUC", "higher"), by_mask=True
    ),
    "faithfulness": Known(
        metrics.faithfulness_curve,
        "classifier",
        derived.faithfulness,
        passes=_passes(lambda s: s["num_steps"]),
        curves=curves.faithfulness,
        says="faithfulness, relative: on each image 0 for the worst of the methods and 100 for the "
        "best, references aside",
    ),
    "insertion_deletion": Known(
        metrics.insertion_deletion,
        "classifier",
        parts(("insertion", "higher", "insertion"), ("deletion", "lower", "deletion")),
        _of_rise,
        passes=lambda s, spatial: 2 * (-(-math.prod(spatial) // s["step"]) + 1),
        curves=curves.insertion_deletion,
        says="insertion and deletion are of the class explained; RISE takes the classifier's first "
        "choice (--target top-1)",
    ),
    "score_drop": Known(
        metrics.score_drop, "classifier", each("score drop", "higher"), passes=_passes(lambda s: 2)
    ),
    "average_drop": Known(
        metrics.average_drop,
        "classifier",
        parts(
            ("average drop, %", "lower", "drop"),
            ("increase in confidence, %", "higher", "increase"),
            ("average gain, %", "higher", "gain"),
        ),
        passes=_passes(lambda s: 2),
    ),
    "road": Known(
        metrics.road,
        "classifier",
        parts(
            ("ROAD", "higher", "combined"),
            ("ROAD accuracy, most relevant first", "lower", "morf_correct"),
            ("ROAD accuracy, least relevant first", "higher", "lerf_correct"),
        ),
        passes=_passes(lambda s: 2 * len(s["shares"])),
        says="ROAD accuracy: the class explained stays the first choice; mean over the shares",
    ),
    "irof": Known(
        metrics.irof,
        "classifier",
        each("IROF", "higher"),
        passes=lambda s, spatial: math.prod(min(s["grid"], n) for n in spatial) + 1,
    ),
    "pixel_flipping": Known(
        metrics.pixel_flipping,
        "classifier",
        parts(
            ("pixel flipping, MoRF", "lower", "morf"),
            ("pixel flipping, LeRF", "higher", "lerf"),
            ("pixel flipping, ABPC", "higher", "abpc"),
        ),
        dear=True,
        passes=_passes(lambda s: 2 * s["num_steps"] + 2),
    ),
    "faithfulness_correlation": Known(
        metrics.faithfulness_correlation,
        "classifier",
        each("faithfulness correlation", "higher"),
        dear=True,
        passes=_passes(lambda s: s["num_samples"] + 1),
    ),
    "mu_fidelity": Known(
        metrics.mu_fidelity,
        "classifier",
        each("MuFidelity", "higher"),
        dear=True,
        passes=_passes(lambda s: s["num_samples"] + 1),
    ),
    "sensitivity_n": Known(
        metrics.sensitivity_n,
        "classifier",
        each("sensitivity-n", "higher"),
        lambda about: {"tile": max(1, 8 * min(about.input_shape[:-1]) // 224)},
        scores="logits",
        dear=True,
        passes=_passes(lambda s: s["num_sizes"] * s["num_samples"] + 1),
    ),
    "monotonicity": Known(
        metrics.monotonicity,
        "classifier",
        parts(("monotonicity, share of steps", "higher", "share")),
        dear=True,
        passes=_passes(lambda s: s["num_steps"] + 1),
    ),
    "monotonicity_correlation": Known(
        metrics.monotonicity_correlation,
        "classifier",
        each("monotonicity correlation", "higher"),
        dear=True,
        passes=_passes(lambda s: s["num_blocks"] * s["num_samples"] + 1),
    ),
    "infidelity": Known(
        metrics.infidelity,
        "classifier",
        each("infidelity", "lower"),
        scores="logits",
        dear=True,
        passes=_passes(lambda s: s["num_samples"] + 1),
    ),
    "completeness": Known(
        metrics.completeness,
        "classifier",
        parts(("completeness, relative error", "lower", "relative")),
        says="completeness: of methods that promise it alone, with their signed maps of logits",
        scores="logits",
        passes=_passes(lambda s: 2),
        dear=True,
    ),
    "adcc": Known(
        metrics.adcc,
        "method",
        parts(("ADCC", "higher", "adcc"), ("coherency", "higher", "coherency")),
        dear=True,
        maps=lambda s: "2 maps",
    ),
    "arcc": Known(
        metrics.arcc,
        "method",
        parts(("ARCC", "higher", "arcc")),
        dear=True,
        maps=lambda s: "2 maps",
    ),
    "sensitivity": Known(
        metrics.sensitivity,
        "method",
        parts(("max-sensitivity", "lower", "largest"), ("average sensitivity", "lower", "average")),
        dear=True,
        maps=lambda s: f"{s['num_samples'] + 1} maps",
    ),
    "randomization": Known(
        derived.randomization_means,
        "method",
        _similar("randomization"),
        says="randomization: of the map with that of the classifier with random layers, mean over "
        "the layers",
        dear=True,
        maps=lambda s: "a map a layer",
    ),
    "smooth_randomization": Known(
        derived.smooth_randomization_means,
        "method",
        _similar("smooth randomization"),
        says="smooth randomization: the same of means of maps of noisy copies",
        dear=True,
        maps=lambda s: f"{s['num_samples']} maps a layer",
    ),
    "efficient_randomization": Known(
        metrics.efficient_randomization,
        "method",
        each("efficient randomization", "higher"),
        dear=True,
        maps=lambda s: "2 maps",
    ),
    "random_logit": Known(
        metrics.random_logit, "method", _similar("random logit"), dear=True, maps=lambda s: "2 maps"
    ),
    "skewness": Known(metrics.skewness, "map", each("skewness", "")),
    "sparseness": Known(metrics.sparseness, "map", each("sparseness", "higher")),
    "complexity": Known(metrics.complexity, "map", each("complexity", "lower")),
    "effective_complexity": Known(
        metrics.effective_complexity,
        "map",
        each("effective complexity", "lower"),
        lambda about: {"threshold": 0.01},
    ),
}
"""Metrics by name, in the order of the table. Which of their numbers are better is said here only:
of sparseness and complexity as in LATEC, which takes maps that say little at once for better."""
