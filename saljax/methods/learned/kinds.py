"""The explainers that learn, by name, and what is done with all of them alike."""

from collections.abc import Callable, Mapping
from typing import Any, NamedTuple

from flax import nnx
from jaxtyping import Array, Key

from saljax.core.types import Image, ScoreFn
from saljax.methods.learned import dre, generator, masking_model, variational
from saljax.methods.learned.explainer import Fit, Stage
from saljax.methods.learned.generator import layers_for


class Kind(NamedTuple):
    """A kind of explainer.

    Attributes:
        explainer: its class; `explainer(fit, **settings, rngs=...)` is one that has learned
            nothing, whose batch norms use what is stored. It has `fit` and `settings`.
        stages: how it is trained.
        layers: what it reads of a classifier, see `Fit`.
        begin: what the classifier says of where it starts, from an image of the right shape.
    """

    explainer: Callable[..., Any]
    stages: Callable[..., tuple[Stage, ...]]
    layers: Callable[[ScoreFn, Image], tuple[str, ...]]
    begin: Callable[[Any, ScoreFn, Image], Any] = lambda explainer, score_fn, image: explainer


def _none(score_fn: ScoreFn, image: Image) -> tuple[str, ...]:
    return ()


KINDS = {
    "dre": Kind(dre.DRE, dre.stages, layers_for, generator.begin),
    "masking_model": Kind(
        masking_model.MaskingModel, masking_model.stages, layers_for, generator.begin
    ),
    "variational": Kind(variational.Variational, variational.stages, _none),
}


def build(kind: Kind, fit: Fit, settings: Mapping[str, Any], key: Key[Array, ""]) -> Any:
    """An explainer that has learned nothing; what is random in it comes from `key`."""
    return kind.explainer(fit, **settings, rngs=nnx.Rngs(key))


def blank(kind: Kind, fit: Fit, settings: Mapping[str, Any]) -> Any:
    """An explainer of shapes alone, to be filled from a file."""
    return nnx.eval_shape(lambda: kind.explainer(fit, **settings, rngs=nnx.Rngs(0)))


def in_training(explainer: Any) -> Any:
    """The explainer, its batch norms using and moving to the statistics of what they are shown."""
    return nnx.view(explainer, raise_if_not_found=False, use_running_average=False)
