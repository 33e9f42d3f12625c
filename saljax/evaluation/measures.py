"""The metrics that judge maps, by name, and the columns of a table that come of their values."""

import functools
import warnings
from collections.abc import Callable, Mapping, Sequence
from typing import Any, Literal, NamedTuple, get_args

import jax
import jax.numpy as jnp
import numpy as np

from saljax import metrics
from saljax.core.compiled import call
from saljax.evaluation.rows import Settings, keywords
from saljax.metrics.faithfulness import baselines
from saljax.metrics.localization.overlap import Rule
from saljax.models.zoo import ModelInfo
from saljax.runs.hyperparameters import in_effect, named

Stored = Mapping[str, Sequence[Any]]
"""Row -> the values of one metric, one an image, None where it could not be measured."""


class Column(NamedTuple):
    """A number for each row and image.

    Attributes:
        name: in the table.
        better: "higher" or "lower", or "" where neither is.
        values: row -> (N,), NaN where there is none.
        notes: row -> how its numbers came about, where that differs.
    """

    name: str
    better: str
    values: dict[str, np.ndarray]
    notes: dict[str, str] = {}


class Asked(NamedTuple):
    """What columns are made for.

    Attributes:
        compared: rows among which relative numbers are made.
        pictures: (N,), number of the picture that each value is of; a picture with several classes
            has several values.
        settings: keywords of the metric.
    """

    compared: Sequence[str]
    pictures: np.ndarray
    settings: Mapping[str, Any]


class Known(NamedTuple):
    """A metric as it is known by name.

    Attributes:
        function: takes what it needs for one image.
        needs: (saliency, boxes); (score_fn, image, target, saliency); or (saliency).
        columns: stored values, what is asked -> columns.
        for_many: keywords whose default is another here, from what is known of the classifier.
        says: what a reader of the table must know.
    """

    function: Callable
    needs: Literal["boxes", "classifier", "map"]
    columns: Callable[[Stored, Asked], list[Column]]
    for_many: Callable[[ModelInfo], dict[str, Any]] = lambda about: {}
    says: str = ""


class Measure(NamedTuple):
    """A configured metric.

    Attributes:
        name: of the metric.
        known: the metric.
        function: with its keywords.
        program: (score_fn, images, targets, saliencies, boxes), all batches -> values, compiled.
    """

    name: str
    known: Known
    function: functools.partial
    program: Callable

    def settings(self) -> dict[str, Any]:
        """All keywords in effect."""
        return in_effect(self.function)

    def columns(
        self, stored: Stored, compared: Sequence[str], pictures: np.ndarray
    ) -> list[Column]:
        """Columns of a table, from values of all images; arguments as `Asked` has them."""
        return self.known.columns(stored, Asked(compared, pictures, self.settings()))


def measures(
    names: str | None, settings: Settings, about: ModelInfo, with_boxes: bool
) -> list[Measure]:
    """Metrics to measure.

    Args:
        names: separated by commas; None for all that can be measured.
        settings: what was set in each of them.
        about: the classifier.
        with_boxes: there are boxes.

    Returns:
        Configured metrics.

    Raises:
        ValueError: a name or a setting that is not known, or a metric of boxes where there are
            none.
    """
    if names is None:
        asked = [n for n, known in MEASURES.items() if with_boxes or known.needs != "boxes"]
    else:
        asked = [named(name.strip(), MEASURES, "metric") for name in names.split(",")]
    found = []
    for name in dict.fromkeys(asked):
        known = MEASURES[name]
        if known.needs == "boxes" and not with_boxes:
            raise ValueError(f"--metrics: {name} needs --boxes")
        given = known.for_many(about) | keywords(known.function, settings.get(name, {}), name)
        function = functools.partial(known.function, **given)
        found.append(Measure(name, known, function, _program(function, known.needs)))
    return found


def to_json(value: Any) -> Any:
    """Arrays of one image as numbers and lists; None where a number is not finite."""
    if hasattr(value, "_asdict"):
        value = value._asdict()
    if isinstance(value, dict):
        return {name: to_json(part) for name, part in value.items()}
    value = np.asarray(value, np.float64)
    return value.tolist() if np.isfinite(value).all() else None


def _program(function: Callable, needs: str) -> Callable:
    return lambda score_fn, *batch: call(
        functools.partial(_measure, function, needs, score_fn), *batch
    )


def _measure(function, needs, score_fn, images, targets, saliencies, boxes):
    if needs == "boxes":
        return jax.vmap(function)(saliencies, boxes)
    if needs == "map":
        return jax.vmap(function)(saliencies)
    return jax.vmap(lambda i, t, s: function(score_fn, i, t, s))(images, targets, saliencies)


def _array(values: Sequence[Any], part: str | None = None) -> np.ndarray:
    """(N, ...) of the values of all images, or of one part of them; NaN where there is none."""
    if part is not None:
        values = [None if value is None else value[part] for value in values]
    shape = next((np.shape(value) for value in values if value is not None), ())
    missing = np.full(shape, np.nan)
    return np.asarray([missing if value is None else value for value in values], np.float64)


def _each(name: str, better: str, part: str | None = None) -> Callable:
    def columns(stored, asked):
        return [Column(name, better, {row: _array(v, part) for row, v in stored.items()})]

    return columns


def _insertion_deletion(stored, asked):
    parts = [("insertion", "higher"), ("deletion", "lower")]
    return sum((_each(part, better, part)(stored, asked) for part, better in parts), [])


def _of_rise(about):
    """RISE's settings for many images: eight rows a step, and what 0 is to its classifiers."""
    rows = {"step": 8 * about.input_shape[-2]}
    return rows | ({"deletion_baseline": baselines.imagenet_mean} if about.imagenet_mean else {})


def _iou(stored, asked):
    arrays = {row: _array(values) for row, values in stored.items()}
    return [
        Column(
            f"IoU, map >= {threshold:g}",
            "higher",
            {row: a[:, i] if a.ndim > 1 else a for row, a in arrays.items()},
        )
        for i, threshold in enumerate(asked.settings["thresholds"])
    ]


def _faithfulness(stored, asked):
    curves = {row: _array(values) for row, values in stored.items()}
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
            errors = _array(of_row, rule)
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


MEASURES: dict[str, Known] = {
    "pointing_game": Known(
        metrics.pointing_game,
        "boxes",
        _each("pointing game", "higher"),
        says="pointing game: distances are in pixels of what the classifier sees, not of the "
        "photograph, and the mean is over images, not over classes",
    ),
    "pointing_game_fong": Known(
        metrics.pointing_game_fong, "boxes", _each("pointing game (Fong)", "higher")
    ),
    "pointing_game_glas": Known(
        metrics.pointing_game_glas, "boxes", _each("pointing game (GLAS)", "higher")
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
        metrics.explainability, "boxes", _each("explainability, 0..100", "higher")
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
        _insertion_deletion,
        _of_rise,
        says="insertion and deletion are of the class explained; RISE takes the classifier's first "
        "choice (--target top-1)",
    ),
    "score_drop": Known(metrics.score_drop, "classifier", _each("score drop", "higher")),
    "skewness": Known(metrics.skewness, "map", _each("skewness", "")),
}
"""Metrics by name, in the order of the table."""
