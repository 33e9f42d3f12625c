"""Layers of a function that one has not written, found in its trace."""

import functools
import warnings
from typing import NamedTuple

import jax.numpy as jnp
import numpy as np
from jaxtyping import Float

from saljax.core.ask import ask
from saljax.core.names import Layers, Name, Names
from saljax.core.override import trace_for_rules
from saljax.core.program import Program, trace
from saljax.core.reach import reaches
from saljax.core.spatial import ToSpatial, arrangement
from saljax.core.survey import Survey, survey
from saljax.core.types import Image, Images, ScoreFn
from saljax.ops import images as image_ops


def layers(score_fn: ScoreFn, image: Image | Float[np.ndarray, "*spatial channels"]) -> Layers:
    """List what `layer=` can name: the activations with places, in the order they are computed.

    An activation has places if its axes are those of the image, at any resolution, and channels,
    or tokens and channels. They are followed from the image through every operation of the traced
    function, so nothing need be tagged, nor written in a certain framework. A name is, the first
    that there is being listed as `name`, and all of them answering to `layer=`:

    - the name of a tag (`saljax.tag`);
    - the path of the module, or other `jax.named_scope`, whose output it is, as Linen, Equinox and
      Keras open them ("ResNet/layer4"; NNX opens none); where it is called several times, with the
      number of the call, "eqx.nn.Conv:0";
    - the operation and its number among its like, "conv:12", "relu:7". A convolution is meant with
      its bias, arithmetic with all of its operations ("affine" with constants, "norm" with a
      root), a function such as `jax.nn.silu` has its own name; what only moves is left out.

    Numbers may be negative, from the end: "relu:-1" is the last rectifier. An int alone is one of
    this list, -1 its last. Loops of known length (`scan`) are looked into, turn by turn: a tag in
    them is followed by the number of the turn, "block:0", a module by that of the call.

    With `layer=None` a method chooses: of tags the last with places, but for poolings. Without
    tags, in a function with convolutions, the last of this list, but for poolings: that is the
    output of the last block, behind its activation function and before the global pooling. (Where
    the scores themselves are a convolution, as in SqueezeNet, it is that; name the layer before.)
    If these are tokens, it is what the last attention reads, the norm before it, since in many
    transformers no place but the class token's reaches the scores from behind it. Both choices are
    ours.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).

    Returns:
        `Layers`, a tuple of `Layer`s that prints as a table.
    """
    image_ops.check(image, one=True)
    return _looked_at(score_fn, jnp.asarray(image))[1].listed()


class Place(NamedTuple):
    """A layer that was asked for.

    Attributes:
        name: by which it is found again.
        to_spatial: what makes of its activation (*spatial, channels); None: it is that already.
    """

    name: str
    to_spatial: ToSpatial | None


def place(
    score_fn: ScoreFn,
    image: Image,
    layer: Name | None,
    to_spatial: ToSpatial | None = None,
    called: str = "layer",
    *,
    sent_back: bool = True,
) -> Place:
    """The layer that is meant, and how it is read.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K).
        image: (*spatial, C).
        layer: any name of it, see `layers`; None: see there.
        to_spatial: what the user said; None: see `saljax.core.spatial.arrangement`.
        called: the argument that named it, for the message.
        sent_back: whether the method asks how its places decide the scores; it is warned of where
            they do not.

    Raises:
        ValueError: there is no such layer, or none with places.
    """
    seen, names = _looked_at(score_fn, image)
    made = names.default() if layer is None else names.find(layer, called)
    if sent_back and not reaches(seen, made):
        norm = names.before_attention()
        helps = norm is not None and reaches(seen, norm)
        instead = f"; try layer={names.unique(norm)!r}" if norm is not None and helps else ""
        what = "its places do not" if made.places else "it does not"
        warnings.warn(
            f"the map at {names.unique(made)!r} is the same everywhere, since {what} reach the "
            f"scores (of a transformer often only the class token does, from behind the last "
            f"attention){instead}",
            stacklevel=2,
        )
    return Place(names.unique(made), to_spatial or arrangement(made, seen, image))


def place_or_image(
    score_fn: ScoreFn, image: Image, layer: Name | None, to_spatial: ToSpatial | None
) -> tuple[str | None, ToSpatial | None]:
    """`place`, where None stands for the image itself."""
    return (None, None) if layer is None else place(score_fn, image, layer, to_spatial)


def after(score_fn: ScoreFn, image: Image, layer: Name) -> str:
    """The layer that is computed next, of tags or else of `layers`; this one where it is the last.

    Raises:
        ValueError: there is no such layer.
    """
    _, names = _looked_at(score_fn, image)
    made = names.find(layer)
    among = names.spatial if made.tag is None else list(names.tags.values())
    return names.unique([*among, made][among.index(made) + 1])


def _looked_at(score_fn: ScoreFn, image: Image) -> tuple[Survey, Names]:
    images = alone(image)
    seen = survey(traced(score_fn, images, for_rules=True), images)
    return seen, Names(seen, image.shape[:-1])


def traced(score_fn: ScoreFn, images: Images, *, for_rules: bool = False) -> Program:
    """The traced score function; `for_rules` if it is read with more, see `override`."""
    return (trace_for_rules if for_rules else trace)(functools.partial(ask, score_fn), images)


def alone(image: Image) -> Images:
    """The image as a batch of one.

    Raises:
        ValueError: see `saljax.ops.images.check`.
    """
    image_ops.check(image, one=True)
    return jnp.asarray(image)[None]
