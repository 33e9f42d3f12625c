"""Configured metrics, and the programs that take them of a batch."""

import functools
import inspect
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import numpy as np

from saljax.core.compiled import call
from saljax.evaluation import own_metrics
from saljax.evaluation.columns import Asked, Column, Stored
from saljax.evaluation.curves import Curve
from saljax.evaluation.metrics_table import MEASURES as MEASURES
from saljax.evaluation.metrics_table import Known
from saljax.evaluation.rows import Settings, keywords
from saljax.models.zoo import ModelInfo
from saljax.runs import own
from saljax.runs.hyperparameters import in_effect, named


class Batched(NamedTuple):
    """What metrics may need of a batch.

    Attributes:
        targets: (N,).
        saliencies: (N, *spatial).
        boxes: (N, B, 4).
        images: (N, *spatial, C).
        score_fn: the classifier.
        method: that the maps are of.
        explained: what it explains of the classifier.
        key: for chance, the same for all images.
    """

    targets: Any
    saliencies: Any
    boxes: Any = None
    images: Any = None
    score_fn: Any = None
    method: Any = None
    explained: Any = None
    key: Any = None


class Measure(NamedTuple):
    """A configured metric.

    Attributes:
        name: of the metric.
        known: the metric.
        function: with its keywords.
        spatial: shape of the images.
        source: SHA-256 of its file, where it is one's own.
    """

    name: str
    known: Known
    function: functools.partial
    spatial: tuple[int, ...]
    source: str = ""

    def settings(self) -> dict[str, Any]:
        """All keywords in effect, but those that are no matter of choice here."""
        return {n: v for n, v in in_effect(self.function).items() if n not in GIVEN}

    @property
    def is_random(self) -> bool:
        """It draws at random."""
        return "key" in inspect.signature(self.function).parameters

    @property
    def passes(self) -> int:
        """Through the classifier, of a map; 0 where it needs none, or they are not known."""
        return self.known.passes(self.settings(), self.spatial)

    @property
    def cost(self) -> str:
        """What it costs, in words; "" where that is next to nothing."""
        maps = self.known.maps(self.settings())
        if maps:
            return f"{maps} more of each method and image"
        return f"some {self.passes} passes through the classifier a map" if self.passes else ""

    def program(self, batch: Batched) -> Any:
        """Values of a whole batch, as one compiled program."""
        of_images = batch.targets, batch.saliencies, batch.boxes, batch.images
        fixed = batch.score_fn, batch.explained, batch.key
        run = functools.partial(_measure, self.function, self.known.needs, batch.method)
        return call(run, fixed, of_images)

    def columns(
        self, stored: Stored, compared: Sequence[str], pictures: np.ndarray
    ) -> list[Column]:
        """Columns of a table, from values of all images; arguments as `Asked` has them."""
        return self.known.columns(stored, Asked(compared, pictures, self.settings()))

    def curves(self, stored: Stored) -> list[Curve]:
        """What those numbers are areas or means of, if they are of any."""
        return self.known.curves(stored, self.settings())


GIVEN = {"explains", "init", "is_parameter", "segments", "num_segments"}
"""Keywords of metrics that take arrays and functions."""


def measures(
    names: str | None, settings: Settings, about: ModelInfo, with_boxes: bool
) -> list[Measure]:
    """Metrics to measure.

    Args:
        names: separated by commas, FILE.py:NAME for one's own; "all" for all that can be measured,
            None for those of them that do not cost much.
        settings: what was set in each of them.
        about: the classifier.
        with_boxes: there are boxes.

    Returns:
        Configured metrics.

    Raises:
        ValueError: a name or a setting that is not known, or a metric of boxes where there are
            none.
    """
    if names in (None, "all"):
        asked = [n for n, known in MEASURES.items() if with_boxes or known.needs != "boxes"]
    else:
        asked = [name.strip() for name in names.split(",")]
    found: list[Measure] = []
    for text in dict.fromkeys(asked):
        name, known, source = _known(text)
        if name in [measure.name for measure in found]:
            raise ValueError(f"--metrics: there are two with the name {name!r}")
        if known.needs == "boxes" and not with_boxes:
            raise ValueError(f"--metrics: {name} needs --boxes")
        given = known.for_many(about) | keywords(known.function, settings.get(name, {}), name)
        function = functools.partial(known.function, **given)
        if names is not None or not known.dear:
            found.append(Measure(name, known, function, about.input_shape[:-1], source))
    return found


def _known(text: str) -> tuple[str, Known, str]:
    if own.is_own(text):
        return own_metrics.known(text)
    return text, MEASURES[named(text, MEASURES, "metric")], ""


def to_json(values: Any) -> list[Any]:
    """Arrays (N, ...) as numbers and lists, one an image; None where a number is not finite."""
    if hasattr(values, "_asdict"):
        values = values._asdict()
    if isinstance(values, dict):
        parts = {name: to_json(part) for name, part in values.items()}
        return [dict(zip(parts, one, strict=True)) for one in zip(*parts.values(), strict=True)]
    array = np.asarray(values, np.float64)
    finite = [bool(np.isfinite(one).all()) for one in array]
    return [one if known else None for one, known in zip(array.tolist(), finite, strict=True)]


def _measure(function, needs, method, fixed, of_images):
    score_fn, explained, key = fixed
    takes = inspect.signature(function).parameters
    own = {"key": key} if "key" in takes else {}
    if needs == "method":
        own |= {"explains": explained} if "explains" in takes else {}
        asked = score_fn if "explains" in takes else explained

    def of_one(of_image):
        target, saliency, boxes, image = of_image
        if needs == "boxes":
            return function(saliency, boxes)
        if needs == "map":
            return function(saliency)
        if needs == "method":
            return function(method, asked, image, target, **own)
        return function(score_fn, image, target, saliency, **own)

    return jax.vmap(of_one)(of_images)
