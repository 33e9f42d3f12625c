"""The metrics that judge maps, by name: what each needs, costs and says."""

import math
import warnings
from collections.abc import Callable, Mapping
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from saljax import metrics
from saljax.evaluation.columns import Asked, Column, Stored, array, each, parts
from saljax.metrics.faithfulness import baselines
from saljax.metrics.localization.overlap import Rule
from saljax.metrics.robustness.randomization import Order, Values
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
        cost: what it costs, from its settings, where that is so much that it is not measured unless
            it is asked for; "" otherwise.
    """

    function: Callable
    needs: Literal["boxes", "classifier", "map", "method"]
    columns: Callable[[Stored, Asked], list[Column]]
    for_many: Callable[[ModelInfo], dict[str, Any]] = lambda about: {}
    says: str = ""
    scores: Literal["probabilities", "logits"] = "probabilities"
    cost: Callable[[Mapping[str, Any]], str] = lambda settings: ""


def _of_rise(about):
    """RISE's settings for many images: eight rows a step, and what 0 is to its classifiers."""
    rows = {"step": 8 * about.input_shape[-2]}
    return rows | ({"deletion_baseline": baselines.imagenet_mean} if about.imagenet_mean else {})


def _iou(stored, asked):
    arrays = {row: array(values) for row, values in stored.items()}
    return [
        Column(
            f"IoU, map >= {threshold:g}",
            "higher",
            {row: a[:, i] if a.ndim > 1 else a for row, a in arrays.items()},
        )
        for i, threshold in enumerate(asked.settings["thresholds"])
    ]


def _faithfulness(stored, asked):
    curves = {row: array(values) for row, values in stored.items()}
    means = {row: 100 * (c.mean(axis=1) if c.ndim > 1 else c) for row, c in curves.items()}
    found = [Column("faithfulness, 0..100", "higher", means)]
    complete = [row for row in asked.compared if curves[row].ndim > 1]
    if len(complete) < 2:
        return found
    together = np.stack([curves[row] for row in complete], axis=1)
    all_there = np.isfinite(together).all(axis=(1, 2))
    relative = np.full(together.shape[:2], np.nan)
    for n in np.flatnonzero(all_there):
        relative[n] = metrics.faithfulness_relative(jnp.asarray(together[n], jnp.float32))
    values = {row: np.full(len(relative), np.nan) for row in stored}
    values |= {row: relative[:, i] for i, row in enumerate(complete)}
    return [*found, Column("faithfulness, relative", "higher", values)]


ALPHAS = {
    "value": tuple(i / 20 for i in range(20)),
    "energy": tuple(i / 20 for i in range(20)),
    "mean": tuple(i / 2 for i in range(21)),
}
"""Thresholds of weak localization that are tried; those of `metrics.choose_alpha`."""


def localization_errors(saliency: Any, boxes: Any) -> dict[str, Any]:
    """Errors of weak localization at every threshold of every rule.

    Args:
        saliency: (H, W).
        boxes: (B, 4), as `metrics.localization_error` takes them, for an image of the map's size.

    Returns:
        Rule -> (A,).
    """

    def error(rule):
        return lambda alpha: metrics.localization_error(saliency, boxes, rule=rule, alpha=alpha)

    return {
        rule: jax.vmap(error(rule))(jnp.asarray(alphas, jnp.float32))
        for rule, alphas in ALPHAS.items()
    }


def _localization(stored, asked):
    found, tried = [], asked.pictures % 2 == 0
    for rule in get_args(Rule):
        values, notes = {}, {}
        for row, of_row in stored.items():
            errors = array(of_row, rule)
            values[row] = np.full(len(errors), np.nan)
            if errors.ndim == 1:
                continue
            with warnings.catch_warnings():
                warnings.simplefilter("ignore", RuntimeWarning)  # a mean of nothing is NaN
                share = np.nanmean(errors[tried], axis=0)
            if np.isfinite(share).all():
                best = int(share.argmin())
                values[row][~tried] = errors[~tried, best]
                notes[row] = f"alpha {ALPHAS[rule][best]:g}"
        found.append(Column(f"localization error, {rule}", "lower", values, notes))
    return found


def randomization_means(
    method: Any,
    score_fn: Any,
    image: Any,
    target: Any,
    *,
    key: Any,
    order: Order = "top-down",
    values: Values = "absolute",
) -> dict[str, Any]:
    """Parameter randomization: how alike maps stay, on average over the layers.

    Args:
        method: see `metrics.randomization`, as all others.
        score_fn: what the method explains.
        image: (*spatial, C).
        target: class index ().
        key: for the random layers.
        order: "top-down", "bottom-up" or "independent".
        values: "absolute" or "signed".

    Returns:
        Similarity -> its mean over the steps at which neither map is constant.
    """
    settings = {"key": key, "order": order, "values": values}
    found = metrics.randomization(method, score_fn, image, target, **settings)
    return {name: jnp.nanmean(value) for name, value in found._asdict().items()}


def _passes(number: Callable[[Mapping[str, Any]], int]) -> Callable:
    return lambda settings: f"some {number(settings)} passes through the classifier a map"


def _maps(number: Callable[[Mapping[str, Any]], str]) -> Callable:
    return lambda settings: f"{number(settings)} more of each method and image"


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
    "iou_curve": Known(metrics.iou_curve, "boxes", _iou),
    "localization_error": Known(
        localization_errors,
        "boxes",
        _localization,
        says="localization error: the threshold alpha errs least on pictures 1, 3, 5, ... for each "
        "method; the error is that on pictures 2, 4, 6, ..., of boxes in what the classifier sees",
    ),
    "explainability": Known(
        metrics.explainability, "boxes", each("explainability, 0..100", "higher")
    ),
    "relevance_mass": Known(metrics.relevance_mass, "boxes", each("relevance mass", "higher")),
    "relevance_rank": Known(metrics.relevance_rank, "boxes", each("relevance rank", "higher")),
    "top_k_intersection": Known(
        metrics.top_k_intersection,
        "boxes",
        each("top k in boxes", "higher"),
        lambda about: {"k": max(1, 1000 * math.prod(about.input_shape[:-1]) // 224**2)},
    ),
    "localization_auc": Known(
        metrics.localization_auc, "boxes", each("localization AUC", "higher")
    ),
    "faithfulness": Known(
        metrics.faithfulness_curve,
        "classifier",
        _faithfulness,
        says="faithfulness, relative: on each image 0 for the worst of the methods and 100 for the "
        "best, references aside",
    ),
    "insertion_deletion": Known(
        metrics.insertion_deletion,
        "classifier",
        parts(("insertion", "higher", "insertion"), ("deletion", "lower", "deletion")),
        _of_rise,
        says="insertion and deletion are of the class explained; RISE takes the classifier's first "
        "choice (--target top-1)",
    ),
    "score_drop": Known(metrics.score_drop, "classifier", each("score drop", "higher")),
    "average_drop": Known(
        metrics.average_drop,
        "classifier",
        parts(
            ("average drop, %", "lower", "drop"),
            ("increase in confidence, %", "higher", "increase"),
            ("average gain, %", "higher", "gain"),
        ),
    ),
    "road": Known(
        metrics.road,
        "classifier",
        parts(
            ("ROAD", "higher", "combined"),
            ("ROAD accuracy, most relevant first", "lower", "morf_correct"),
            ("ROAD accuracy, least relevant first", "higher", "lerf_correct"),
        ),
        says="ROAD accuracy: the class explained stays the first choice; mean over the shares",
    ),
    "irof": Known(metrics.irof, "classifier", each("IROF", "higher")),
    "pixel_flipping": Known(
        metrics.pixel_flipping,
        "classifier",
        parts(
            ("pixel flipping, MoRF", "lower", "morf"),
            ("pixel flipping, LeRF", "higher", "lerf"),
            ("pixel flipping, ABPC", "higher", "abpc"),
        ),
        cost=_passes(lambda s: 2 * s["num_steps"] + 2),
    ),
    "faithfulness_correlation": Known(
        metrics.faithfulness_correlation,
        "classifier",
        each("faithfulness correlation", "higher"),
        cost=_passes(lambda s: s["num_samples"] + 1),
    ),
    "mu_fidelity": Known(
        metrics.mu_fidelity,
        "classifier",
        each("MuFidelity", "higher"),
        cost=_passes(lambda s: s["num_samples"] + 1),
    ),
    "sensitivity_n": Known(
        metrics.sensitivity_n,
        "classifier",
        each("sensitivity-n", "higher"),
        lambda about: {"tile": max(1, 8 * min(about.input_shape[:-1]) // 224)},
        scores="logits",
        cost=_passes(lambda s: s["num_sizes"] * s["num_samples"] + 1),
    ),
    "monotonicity": Known(
        metrics.monotonicity,
        "classifier",
        parts(("monotonicity, share of steps", "higher", "share")),
        cost=_passes(lambda s: s["num_steps"] + 1),
    ),
    "monotonicity_correlation": Known(
        metrics.monotonicity_correlation,
        "classifier",
        each("monotonicity correlation", "higher"),
        cost=_passes(lambda s: s["num_blocks"] * s["num_samples"] + 1),
    ),
    "infidelity": Known(
        metrics.infidelity,
        "classifier",
        each("infidelity", "lower"),
        scores="logits",
        cost=_passes(lambda s: s["num_samples"] + 1),
    ),
    "completeness": Known(
        metrics.completeness,
        "classifier",
        parts(("completeness, relative error", "lower", "relative")),
        says="completeness: of methods that promise it alone, with their signed maps of logits",
        scores="logits",
        cost=lambda settings: "2 passes a map, and means something for few methods only",
    ),
    "adcc": Known(
        metrics.adcc,
        "method",
        parts(("ADCC", "higher", "adcc"), ("coherency", "higher", "coherency")),
        cost=_maps(lambda s: "2 maps"),
    ),
    "sensitivity": Known(
        metrics.sensitivity,
        "method",
        parts(("max-sensitivity", "lower", "largest"), ("average sensitivity", "lower", "average")),
        cost=_maps(lambda s: f"{s['num_samples'] + 1} maps"),
    ),
    "randomization": Known(
        randomization_means,
        "method",
        _similar("randomization"),
        says="randomization: of the map with that of the classifier with random layers, mean over "
        "the layers",
        cost=_maps(lambda s: "a map a layer"),
    ),
    "efficient_randomization": Known(
        metrics.efficient_randomization,
        "method",
        each("efficient randomization", "higher"),
        cost=_maps(lambda s: "2 maps"),
    ),
    "random_logit": Known(
        metrics.random_logit, "method", _similar("random logit"), cost=_maps(lambda s: "2 maps")
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
