"""Does a map change when the classifier's layers become random, from the last to the first?"""

import functools
from collections.abc import Sequence
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax.core.explain import explain
from saljax.metrics.robustness import parameters
from saljax.metrics.robustness.randomization import alike, cascade
from saljax.runs.loop import Ask, together, wait

STEPS = 5
"""Maps of partly random classifiers, from the last layer random to all of them. Our choice."""


class Step(NamedTuple):
    """One map of a partly random classifier.

    Attributes:
        number: of layers that are random, the last ones.
        of: how many layers there are.
        first: name of the first of these.
        saliency: (*spatial).
        spearman: of this map and that of the trained classifier; NaN where one is constant.
        ssim: likewise.
    """

    number: int
    of: int
    first: str
    saliency: np.ndarray
    spearman: float
    ssim: float

    @property
    def caption(self) -> str:
        """What is random, and how alike the maps are."""
        which = "all" if self.number == self.of else f"the last {self.number}"
        return f"random: {which}  rank {self.rank}, SSIM {self.ssim:.2f}"

    @property
    def rank(self) -> str:
        """The rank correlation; a dash where one of the maps is the same everywhere."""
        return "\u2013" if np.isnan(self.spearman) else f"{self.spearman:.2f}"

    def record(self) -> dict[str, Any]:
        """As JSON, without the map."""
        spearman, ssim = (None if np.isnan(x) else x for x in (self.spearman, self.ssim))
        return {
            "random": self.number, "of": self.of, "first": self.first,
            "spearman": spearman, "ssim": ssim,
        }  # fmt: skip


class Sanity:
    """Maps of one image by classifiers whose last layers are random.

    Random layers are those of `parameters.drawn`. The program of a method is compiled once for all
    of them.

    Args:
        asks: methods, see `loop.explain_all`.
        score_fn: what scores the images.
        shape: (*spatial, C) of an image.
        key: for the random layers, and for methods that draw at random.

    Raises:
        ValueError: the weights of the classifier cannot be seen.
    """

    def __init__(self, asks: Sequence[Ask], score_fn: Any, shape: Sequence[int], key: jax.Array):
        self._asks, self._key = asks, key
        subjects = {id(ask): ask.explained or score_fn for ask in asks}
        image = jnp.zeros(tuple(shape), jnp.float32)
        of = {
            id(f): cascade(f, image, key=key, init=parameters.drawn(f, key=key))
            for f in subjects.values()
        }
        self._cascades = [of[id(subjects[id(ask)])] for ask in asks]

    def steps(self, image: np.ndarray, target: int, found: np.ndarray) -> list[list[Step]]:
        """Steps of each method.

        Args:
            image: (*spatial, C).
            target: class that is explained.
            found: (M, *spatial), the maps of the trained classifier.
        """
        stack, ids = together([image])
        explained = []
        for ask, (layers, at), trained in zip(self._asks, self._cascades, found, strict=True):
            places = np.unique(np.linspace(1, len(layers), STEPS).round().astype(int)).tolist()
            maps = functools.partial(explain, ask.method, key=self._key, ids=ids)
            random = [np.asarray(wait(maps(at(n), stack, [target])))[0] for n in places]
            explained.append(
                [self._step(layers, n, trained, m) for n, m in zip(places, random, strict=True)]
            )
        return explained

    def _step(self, layers, number, trained, saliency):
        near = alike(jnp.asarray(trained), jnp.asarray(saliency))
        first = layers[-number].name
        return Step(number, len(layers), first, saliency, float(near.spearman), float(near.ssim))
