"""Training an explainer by the name of its kind, for arrays in memory and for whatever streams."""

import functools
import inspect
import os
from collections.abc import Callable, Mapping
from dataclasses import asdict
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np
from jaxtyping import Array, Float, Key, UInt

from saljax.core.types import Images, ScoreFn
from saljax.methods.learned.explainer import Stage, fit_to
from saljax.methods.learned.kinds import KINDS, build
from saljax.runs.explainers import save_explainer
from saljax.training import explainers, record
from saljax.training.explainers import Epoch, Recipe
from saljax.training.pace import Pace
from saljax.training.shown import Shown, of_arrays

FILE = "explainer.safetensors"


def train_dre(
    score_fn: ScoreFn,
    images: Images | Float[np.ndarray, "images *spatial channels"],
    *,
    key: Key[Array, ""] | UInt[Array, "2"],
    held_out: Any = 0.1,
    layers: tuple[str, ...] | None = None,
    out: str | os.PathLike | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    **options: Any,
) -> Any:
    """Train a differentiated relevance estimator: `saljax.dre`, masks in one pass.

    It is trained for one classifier, which is its encoder and stays as it is; no label is used but
    the classifier's own predictions. First the class filter learns, then everything else.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), with tagged activations.
        images: to learn from, (N, *spatial, C) in [0, 1].
        key: of everything random.
        held_out: images to test on after each epoch, or the share of `images` kept back for it;
            0 for none. The explainer of the best epoch of the last stage is returned.
        layers: tagged activations to read, the coarsest first; chosen if not given, see
            `generator.layers_for`.
        out: folder for `explainer.safetensors`, `training.json` and checkpoints, from which the
            same call goes on after it was broken off; None: nothing is written.
        report: called after each epoch, such as `print`.
        **options: keywords of `dre.stages` (`epochs`, `learning_rate`, ...), of `DRE` (`eta`, `h`,
            ...) and of `Recipe` (`batch_size`, `mirror`, ...).

    Returns:
        The explainer: a function of (score_fn, image, target), and a method like any other.

    Raises:
        ValueError: no such option or layer; too few images; or the loss is no longer finite.
        OSError: `out` cannot be written.

    Source: the DRE paper, see `DRE` and `dre.stages`.
    """
    shown = of_arrays(images, held_out, seed_of_images(key))
    return prepare("dre", score_fn, shown, key, options, layers=layers).train(out, report)


def train_masking_model(
    score_fn: ScoreFn,
    images: Images | Float[np.ndarray, "images *spatial channels"],
    *,
    key: Key[Array, ""] | UInt[Array, "2"],
    held_out: Any = 0.1,
    layers: tuple[str, ...] | None = None,
    out: str | os.PathLike | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    **options: Any,
) -> Any:
    """Train a masking model: `saljax.masking_model`, masks in one pass. As `train_dre`.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), with tagged activations.
        images: to learn from, (N, *spatial, C) in [0, 1].
        key: of everything random.
        held_out: see `train_dre`.
        layers: see `train_dre`.
        out: see `train_dre`.
        report: see `train_dre`.
        **options: keywords of `masking_model.stages`, of `MaskingModel` and of `Recipe`.

    Returns:
        The explainer.

    Raises:
        ValueError: see `train_dre`.
        OSError: `out` cannot be written.

    Source: Dabkowski & Gal, NeurIPS 2017, see `MaskingModel` and `masking_model.stages`.
    """
    shown = of_arrays(images, held_out, seed_of_images(key))
    return prepare("masking_model", score_fn, shown, key, options, layers=layers).train(out, report)


def train_variational(
    score_fn: ScoreFn,
    images: Images | Float[np.ndarray, "images *spatial channels"],
    *,
    key: Key[Array, ""] | UInt[Array, "2"],
    held_out: Any = 0.1,
    out: str | os.PathLike | None = None,
    report: Callable[[Epoch], None] = lambda epoch: None,
    **options: Any,
) -> Any:
    """Train an encoder of variational saliency maps: `saljax.variational`. As `train_dre`.

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K).
        images: to learn from, (N, *spatial, C) in [0, 1].
        key: of everything random.
        held_out: see `train_dre`.
        out: see `train_dre`.
        report: see `train_dre`.
        **options: keywords of `variational.stages`, of `Variational` and of `Recipe`.

    Returns:
        The explainer.

    Raises:
        ValueError: see `train_dre`.
        OSError: `out` cannot be written.

    Source: the VSM paper, see `Variational` and `variational.stages`.
    """
    shown = of_arrays(images, held_out, seed_of_images(key))
    return prepare("variational", score_fn, shown, key, options).train(out, report)


class Prepared(NamedTuple):
    """A training run that has not begun.

    Attributes:
        explainer: that has learned nothing yet.
        stages: of its training.
        score_fn: the classifier it is for.
        shown: images to learn from and images to test on.
        recipe: how.
        key: of everything random in the steps.
        settings: what decides the result, as JSON.
    """

    explainer: Any
    stages: tuple[Stage, ...]
    score_fn: ScoreFn
    shown: Shown
    recipe: Recipe
    key: Key[Array, ""]
    settings: dict[str, Any]

    @property
    def num_steps(self) -> int:
        """Of all stages."""
        epochs = sum(stage.epochs for stage in self.stages)
        return epochs * self.recipe.per_epoch(len(self.shown.train))

    def train(
        self,
        out: str | os.PathLike | None = None,
        report: Callable[[Epoch], None] = lambda epoch: None,
        advance: Callable[[Pace | None], None] = lambda pace: None,
    ) -> Any:
        """Train it, see `explainers.train`; in `out` lies afterwards `FILE` too."""
        explainer, stages, score_fn, shown, recipe, key, settings = self
        out = None if out is None else Path(out)
        trained = explainers.train(
            explainer, stages, score_fn, shown, recipe, key,
            out=out, settings=settings, report=report, advance=advance,
        )  # fmt: skip
        if out is not None:
            epochs = record.same_run(out, settings)
            save_explainer(trained, out / FILE, training={"settings": settings, "epochs": epochs})
        return trained


def seed_of_images(key: Key[Array, ""] | UInt[Array, "2"]) -> int:
    """Of what is kept back to test on, and of what is drawn."""
    return int(jax.random.randint(jax.random.split(key, 3)[0], (), 0, 2**31 - 1))


def prepare(
    name: str,
    score_fn: ScoreFn,
    shown: Shown,
    key: Key[Array, ""] | UInt[Array, "2"],
    options: Mapping[str, Any],
    *,
    layers: tuple[str, ...] | None = None,
    about: Mapping[str, Any] | None = None,
) -> Prepared:
    """Make an explainer of a kind, and say how it will be trained.

    Args:
        name: of its kind, one of `KINDS`.
        score_fn: the classifier it is for.
        shown: the images, whatever is random in them from `seed_of_images(key)`.
        key: of everything random.
        options: see `train_dre`.
        layers: see `train_dre`.
        about: what there is to say of the classifier, as JSON.

    Raises:
        ValueError: no such option or layer, or a value that has no meaning.
    """
    kind = KINDS[name]
    own, of_stages, of_recipe = _sorted(name, options)
    _, of_start, of_steps = jax.random.split(key, 3)
    image = jnp.asarray(shown.train[np.arange(1)][0])
    fit = fit_to(score_fn, image, layers or kind.layers(score_fn, image))
    explainer = kind.begin(build(kind, fit, own, of_start), score_fn, image)
    recipe = Recipe(**of_recipe)
    settings = {
        "kind": name,
        **(about or {}),
        **explainer.settings,
        **_keywords(kind.stages),
        **of_stages,
        **asdict(recipe),
        "layers": fit.layers,
        "classifier": fit.fingerprint,
        **shown.about,
        "key": np.asarray(jax.random.key_data(key)).tolist(),
    }
    stages = _stages(name, **of_stages)
    return Prepared(explainer, stages, score_fn, shown, recipe, of_steps, settings)


def _sorted(name, options):
    """Options of a kind parted in those of the explainer, of its stages and of the recipe."""
    kind = KINDS[name]
    known = [_keywords(of) for of in (kind.explainer, kind.stages, Recipe)]
    for keyword in options:
        if not any(keyword in keywords for keywords in known):
            there = ", ".join(each for keywords in known for each in keywords)
            raise ValueError(f"no option of {name} is called {keyword!r}; there is {there}")
    return [{k: v for k, v in options.items() if k in keywords} for keywords in known]


def _keywords(function):
    """Keywords and their defaults."""
    of = function.__init__ if isinstance(function, type) else function
    taken = inspect.signature(of).parameters.values()
    return {p.name: p.default for p in taken if p.kind is p.KEYWORD_ONLY and p.name != "rngs"}


@functools.cache  # equal stages are the same ones, and find their steps compiled
def _stages(name, **options):
    return KINDS[name].stages(**options)
