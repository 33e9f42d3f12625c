"""Excitation backprop, alone and contrastive."""

import jax

from saljax.core import program, taps
from saljax.core.layers import place
from saljax.core.names import Name
from saljax.core.override import Others
from saljax.core.spatial import ToSpatial
from saljax.core.types import Image, Reduction, Saliency, ScoreFn, Target
from saljax.methods.modified_backprop import rules
from saljax.ops import maps


def excitation_backprop(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    reduce: Reduction | None = maps.total,
    resize: bool = True,
    others: Others = "refuse",
) -> Saliency:
    """Probability that a winner-take-all walk from the target down arrives at each place.

    P(x_j) = sum_i x_j W+_ij / (sum_k x_k W+_ik) P(y_i),    W+ = max(W, 0)

    from P = 1 at the target. Where nothing excites, nothing is sent. Biases are left out, batch
    normalization and ReLUs hand on what they get, max pooling hands it to its winner, averages and
    the sum of a skip connection share by value. P sums to 1 at any layer that lies on every way to
    the scores, if something excites everywhere. What an operation with weights reads must be >= 0,
    as it is behind a ReLU: not below the linear bottlenecks of a MobileNetV2, nor in a transformer,
    where what comes out is no probability. Gates, norms and attention have AttnLRP's rules: see the
    table in `saljax.methods.modified_backprop`.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: where the map is read, one that is >= 0: any name of it, see `saljax.layers`, which
            also says what None is. The authors read earlier ones: pool2 of GoogLeNet, pool4 of
            VGG-16; TorchRay reads layer3 of ResNet-50.
        to_spatial: a linear function that makes the layer (*spatial, channels), such as
            `lambda a: jnp.moveaxis(a, 0, -1)` of channels first; None: as the trace says.
        reduce: what is made of the channels, (*spatial, C) -> (*spatial); the sum in the paper;
            None: all channels, never resized.
        resize: bring the map to the size of the image, linearly; False: the layer's own size.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map. Before a skip connection whose branch is negative it may be negative.

    Raises:
        ValueError: something in `score_fn` has no rule, see `saljax.override`; there is no such
            layer, or none with spatial axes; several targets.

    Source: Zhang, Lin, Brandt, Shen, Sclaroff, ECCV 2016. The paper has no skip
    connections; they share as in the authors' later code and in TorchRay. Their README would ignore
    the shortcut; there is no option for that.
    """
    name, to_spatial = place(score_fn, image, layer, to_spatial)
    _, signal, _ = rules.send_back(score_fn, image, target, name, rules.excitation(), others)
    return rules.to_map(signal, image, name, to_spatial, reduce, resize)


def contrastive_excitation_backprop(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    layer: Name | None = None,
    contrast_layer: Name | None = None,
    to_spatial: ToSpatial | None = None,
    reduce: Reduction | None = maps.total,
    resize: bool = True,
    others: Others = "refuse",
) -> Saliency:
    """Excitation backprop of the target minus that of its dual, the classifier with weights -W.

    S = max(sum_c P(W) - P(-W), 0)

    What excites all classes alike cancels: the map tells the target from the others.

    Args:
        score_fn: images (N, *spatial, C) -> scores (N, K), logits.
        image: (*spatial, C), RGB in [0, 1].
        target: class index ().
        layer: see `excitation_backprop`; it must lie before the classifier, and None is the last
            such one.
        contrast_layer: what the classifier reads, any name of it; None: whatever the last linear
            operation of `score_fn` reads, which is that layer in the networks of the paper.
        to_spatial: see `excitation_backprop`.
        reduce: see `excitation_backprop`; with None the difference keeps its sign.
        resize: see `excitation_backprop`.
        others: see `guided_backprop`.

    Returns:
        (*spatial) map >= 0.

    Raises:
        ValueError: `score_fn` has no linear operation with weights, or none after
            `contrast_layer`, or `layer` lies behind the one that is negated; else as
            `excitation_backprop`.

    Source: Zhang, Lin, Brandt, Shen, Sclaroff, ECCV 2016. Both signals go down as one:
    what lies between the classifier and the map is linear in them.
    """
    number, before, tagged = _classifier(score_fn, image, contrast_layer)
    spatial = [name for name in before if len(tagged[name]) == image.ndim]
    given = spatial[-1] if layer is None and spatial else layer
    name, to_spatial = place(score_fn, image, given, to_spatial)
    if name not in tagged:
        _, before, _ = _classifier(score_fn, image, contrast_layer, name)
    if name not in before:
        raise ValueError(
            f"`layer` {name!r} lies behind the classifier, whose weights are negated; there the "
            f"contrast is nothing. Before it lie {', '.join(before) or 'no tagged activations'}."
        )
    composite = rules.excitation(number)
    _, signal, _ = rules.send_back(score_fn, image, target, name, composite, others)
    contrast = None if reduce is None else lambda x: jax.nn.relu(reduce(x))
    return rules.to_map(signal, image, name, to_spatial, contrast, resize)


def _classifier(
    score_fn: ScoreFn, image: Image, contrast_layer: Name | None, *layers: Name
) -> tuple[int, list[str], dict[str, tuple[int, ...]]]:
    """Which operation with weights, counted from the image, is the classifier; the tags, and those
    of these layers, before it; the shapes of all of them.
    """
    images = taps.alone(image)
    asked = [*layers, *([] if contrast_layer is None else [contrast_layer])]
    seen, names, _ = taps.opened(score_fn, images, asked, for_rules=True)
    found = program.operations(seen, images)
    tagged, kinds = taps.shapes_of(found), [operation.kind for operation in found]
    start = 0 if contrast_layer is None else kinds.index(f"tap:{names[-1]}")
    weighted = [i for i, kind in enumerate(kinds) if kind in rules.WEIGHTED]
    after = [number for number, i in enumerate(weighted) if i >= start]
    if not after:
        where = f" after {contrast_layer!r}" if contrast_layer else ""
        raise ValueError(f"`score_fn` has no operation with weights to negate{where}")
    number = after[-1 if contrast_layer is None else 0]
    before = kinds[: weighted[number]]
    return number, [name for name in tagged if f"tap:{name}" in before], tagged
