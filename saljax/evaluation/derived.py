"""Metrics that come to their columns by more than a mean: thresholds, curves, layers."""

import warnings
from typing import Any, get_args

import jax
import jax.numpy as jnp
import numpy as np

from saljax import metrics
from saljax.evaluation.columns import Asked, Column, Stored, array
from saljax.metrics.localization.overlap import Rule
from saljax.metrics.robustness.randomization import Order, Values


def iou(stored: Stored, asked: Asked) -> list[Column]:
    """A column a threshold."""
    arrays = {row: array(values) for row, values in stored.items()}
    return [
        Column(
            f"IoU, map >= {threshold:g}",
            "higher",
            {row: a[:, i] if a.ndim > 1 else a for row, a in arrays.items()},
        )
        for i, threshold in enumerate(asked.settings["thresholds"])
    ]


def faithfulness(stored: Stored, asked: Asked) -> list[Column]:
    """Mean of the curve, and what it is among the methods that are compared."""
    curves = {row: array(values) for row, values in stored.items()}
    means = {row: 100 * (c.mean(axis=1) if c.ndim > 1 else c) for row, c in curves.items()}
    found = [Column("faithfulness, 0..100", "higher", means)]
    complete = [row for row in asked.compared if curves[row].ndim > 1]
    if len(complete) < 2:
        return found
    together = np.stack([curves[row] for row in complete], axis=1)
    all_there = np.isfinite(together).all(axis=(1, 2))
    relative = np.full(together.shape[:2], np.nan)
    if all_there.any():
        of_all = jax.jit(jax.vmap(metrics.faithfulness_relative))
        relative[all_there] = of_all(jnp.asarray(together[all_there], jnp.float32))
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


def localization(stored: Stored, asked: Asked) -> list[Column]:
    """A column a rule, at the threshold that errs least on every other picture."""
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
    return _over_layers(metrics.randomization(method, score_fn, image, target, **settings))


def smooth_randomization_means(
    method: Any,
    score_fn: Any,
    image: Any,
    target: Any,
    *,
    key: Any,
    num_samples: int = 50,
    noise: float = 0.1,
    order: Order = "bottom-up",
    values: Values = "absolute",
) -> dict[str, Any]:
    """Smooth parameter randomization: how alike maps stay, on average over the layers.

    Args:
        method: see `metrics.smooth_randomization`, as all others.
        score_fn: what the method explains.
        image: (*spatial, C).
        target: class index ().
        key: for the random layers and the noise.
        num_samples: copies that each map is the mean of.
        noise: of the copies, a share of the image's range.
        order: "top-down", "bottom-up" or "independent".
        values: "absolute" or "signed".

    Returns:
        Similarity -> its mean over the steps at which neither map is constant.
    """
    found = metrics.smooth_randomization(
        method, score_fn, image, target, key=key, num_samples=num_samples, noise=noise,
        order=order, values=values,
    )  # fmt: skip
    return _over_layers(found)


def _over_layers(found):
    return {name: jnp.nanmean(value) for name, value in found._asdict().items()}
