"""Explainers that learned, as methods by name: what one pass of the classifier and theirs says."""

from collections.abc import Callable
from typing import Any

from saljax.core.scores import one_class
from saljax.core.types import Image, Saliency, ScoreFn, Target
from saljax.methods.learned.self_tuning import self_tuned

Explainer = Callable[..., Saliency]


def dre(
    score_fn: ScoreFn, image: Image, target: Target, *, explainer: Explainer | str | None = None
) -> Saliency:
    """Map of a differentiated relevance estimator, in one pass.

    M = upsample(sigmoid(eta (X - mean X) / std X)^h),    X = conv(generator(activations, target))

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), the classifier it was trained for.
        image: (*spatial, C) in [0, 1], of the shape it was trained on.
        target: class index (), or (T,) for several classes from the same pass of the classifier.
        explainer: that learned, of `saljax.train_dre` or `saljax.load_explainer`; in the command
            line its file, or the one bundled with the model if none is named.

    Returns:
        (*spatial) in (0, 1), or (T, *spatial). NaN for a class that does not exist.

    Raises:
        ValueError: no explainer, or one of other layers, classes or images.

    Source: the DRE paper, equations 3, 5 to 7 and 9; see `saljax.train_dre`.
    """
    return _asked(explainer, "dre")(score_fn, image, target)


def dre_plus(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    explainer: Explainer | str | None = None,
    masking_model: Explainer | str | None = None,
    num_steps: int = 32,
    sigma: float = 10.0,
    kernel: int = 55,
    normalize: bool = False,
    chunk_size: int = 32,
) -> Saliency:
    """Map of a differentiated relevance estimator, and what its own ranking says of it (DRE+).

    M' = M W,    W_k = Q_max - Q_k, see `self_tuning.self_tuned`; or M' = M M_masking_model

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), the classifier it was trained for.
        image: (*spatial, C) in [0, 1], of the shape it was trained on.
        target: class index ().
        explainer: as of `dre`.
        masking_model: multiply by the mask of this masking model instead, which costs no further
            pass; none: self-based tuning.
        num_steps: places of the ranking at which the classifier is asked.
        sigma: of the blur, in pixels.
        kernel: pixels of the blur's kernel, odd.
        normalize: as the released code, see `self_tuning.self_tuned`.
        chunk_size: images scored at a time; memory only.

    Returns:
        (*spatial) in [0, 1). NaN for a class that does not exist.

    Raises:
        ValueError: no explainer, one of other layers, classes or images, or several targets.

    Source: the DRE paper, section 4.4.1.
    """
    one_class(target)
    saliency = _asked(explainer, "dre")(score_fn, image, target)
    if masking_model is not None:
        return saliency * _asked(masking_model, "masking_model")(score_fn, image, target)
    return self_tuned(
        score_fn, image, target, saliency, num_steps=num_steps, sigma=sigma, kernel=kernel,
        normalize=normalize, chunk_size=chunk_size,
    )  # fmt: skip


def masking_model(
    score_fn: ScoreFn, image: Image, target: Target, *, explainer: Explainer | str | None = None
) -> Saliency:
    """Map of a masking model, in one pass.

    M = upsample(|c0| / (|c0| + |c1|)),    (c0, c1) = conv(generator(activations, target))

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), the classifier it was trained for.
        image: (*spatial, C) in [0, 1], of the shape it was trained on.
        target: class index (), or (T,) for several classes from the same pass of the classifier.
        explainer: that learned, of `saljax.train_masking_model` or `saljax.load_explainer`; in the
            command line its file, or the one bundled with the model if none is named.

    Returns:
        (*spatial) in [0, 1], or (T, *spatial). NaN for a class that does not exist.

    Raises:
        ValueError: no explainer, or one of other layers, classes or images.

    Source: Dabkowski & Gal, "Real Time Image Saliency for Black Box Classifiers", NeurIPS 2017;
    see `saljax.train_masking_model`.
    """
    return _asked(explainer, "masking_model")(score_fn, image, target)


def variational(
    score_fn: ScoreFn,
    image: Image,
    target: Target,
    *,
    explainer: Explainer | str | None = None,
    details: bool = False,
) -> Any:
    """Mean of a variational saliency map, in one pass: the same whatever class is asked for.

    mu, nu = encoder(image),    q(s | image) = N(mu, diag(nu))

    Args:
        score_fn: images (N, *spatial, C) -> logits (N, K), the classifier it was trained for.
        image: (*spatial, C) in [0, 1], of the shape it was trained on.
        target: class index (), or (T,) for as many equal maps.
        explainer: that learned, of `saljax.train_variational` or `saljax.load_explainer`; in the
            command line its file, or the one bundled with the model if none is named.
        details: return `VariationalSaliency`, with the variance nu.

    Returns:
        mu (*spatial), or (T, *spatial), around 0. NaN for a class that does not exist.

    Raises:
        ValueError: no explainer, or one of other classes or images.

    Source: the VSM paper, appendix; see `saljax.train_variational`.
    """
    return _asked(explainer, "variational")(score_fn, image, target, details=details)


def _asked(explainer, kind):
    if explainer is None or isinstance(explainer, str):
        raise ValueError(
            f"`explainer` must be what saljax.train_{kind} or saljax.load_explainer returns; got "
            f"{explainer!r}."
        )
    return explainer
