"""LeGrad."""

import math
from collections.abc import Sequence

import jax
import jax.numpy as jnp

from saljax.core import scores, taps
from saljax.core.layers import alone, traced
from saljax.core.override import evaluate
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.attention import tokens


def le_grad(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layers: Sequence[str] | None = None,
    patches: Sequence[int] | None = None,
    resize: bool = True,
) -> Saliency:
    """What raises, by each block's attention alone, the score of that block's mean token.

    S = mean_l mean_h,q relu(d s_l / d A_lhq),    s_l = head(mean_t tokens_l,t)[target]

    The head is what the classifier does behind its last block; it gets the mean token in every
    place, so it does not matter whether it reads the class token or the mean of all. The gradient
    of s_l runs through block l and no other.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits in the paper; it must tag the
            attention of each block as `NAME.attention` and its output as `NAME.tokens`, see
            `saljax.methods.attention.tokens`.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layers: names of tagged attention (heads, T, T); None: all whose names end in `attention`,
            as in the paper. The authors' code takes the last two unless told otherwise.
        patches: their number along each spatial axis; None: read from the number of tokens and the
            proportions of the image.
        resize: bring the map to the size of the image, linearly; False: a number a patch.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: no attention is tagged, or not the tokens of its block; the tokens do not fit
            `patches`, or no number of them; several targets.

    Source: Bousselham et al., "LeGrad: An Explainability Method for Vision Transformers via Feature
    Formation Sensitivity", ICCV 2025, without the final scaling to [0, 1]. Its class score is the
    head at the mean of all tokens, the class token included.
    """
    there = taps.tagged(score_fn, image)
    names = tokens.layers_of(there, layers)
    outputs = {name: f"{name.removesuffix('attention')}tokens" for name in names}
    images = alone(image)
    program = traced(score_fn, images)
    shapes = {name: (1, *there[name]) for name in names}
    for output in outputs.values():
        taps.shape_of(there, output)
    last = [name for name in there if name.endswith("tokens")][-1]
    _, scores_of = taps.split(score_fn, image, last)

    def blocks(nothing):
        """The output of each block, which knows of no attention but its own."""
        found = {}

        def add(operation, x):
            return x + nothing[operation.kind.removeprefix("tap:")].astype(x.dtype)

        def stop(operation, x):
            found[operation.kind.removeprefix("tap:")] = x
            return jax.lax.stop_gradient(x)

        rules = {f"tap:{name}": add for name in names}
        rules |= {f"tap:{output}": stop for output in outputs.values()}
        evaluate(program, (images,), rules, strict=False)
        return {name: found[output] for name, output in outputs.items()}

    def score(out):
        logits = scores_of(jnp.broadcast_to(out[0].mean(axis=0), there[last]))[None]
        return (scores.pick(logits, target) * logits).sum()

    out, back = jax.vjp(blocks, {n: jnp.zeros(s, images.dtype) for n, s in shapes.items()})
    signals = jax.vmap(jax.grad(score))(jnp.stack([out[name] for name in names]))
    (gradients,) = back(dict(zip(names, signals, strict=True)))
    evidence = [jax.nn.relu(gradient[0]).mean(axis=(0, 1)) for gradient in gradients.values()]
    found = jnp.stack(evidence).mean(axis=0)
    cells = tokens.grid_of(len(found), image, patches)
    return tokens.finish(found[-math.prod(cells) :], cells, image, resize)
