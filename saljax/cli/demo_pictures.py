"""The pictures of `saljax demo`: maps of generated birds whose evidence is known."""

import io
from collections.abc import Iterator
from functools import partial

import jax.numpy as jnp
import numpy as np
from PIL import Image

import saljax
from saljax.core.types import ScoreFn
from saljax.data.generated import birdlets
from saljax.report import grids
from saljax.runs import classifier
from saljax.runs.explainers import equipped
from saljax.runs.hyperparameters import coarse_to_fine, said_of_sigma
from saljax.runs.loop import score
from saljax.runs.records import title

ABOUT = """\
The classifier knows 14 species of generated birds. Each differs from the others in the color of
one small part, and in nothing else: so the evidence is known, and outlined in white."""

SEED = 2020
"""Of the birds; training used others."""
BIRDS, PAIR, FLOCKS = (0, 16, 20), 0, (0, 2)
"""Which of them: the first pictures, but for species and flocks that differ more."""
ROUNDS = (1, 2, 3, 4)
SHOWN = 384
"""Pixels a side of the pictures shown; the classifier sees the same scenes at 96."""
FINE = 1.5
LEARNED = {
    "DRE": ("dre", saljax.dre),
    "masking model": ("masking_model", saljax.masking_model),
    "variational": ("variational", saljax.variational),
}


def pages() -> Iterator[tuple[str, str, bytes]]:
    """Explain, and draw.

    Yields:
        A name, a sentence that says what is to be seen, and a PNG.
    """
    score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
    yield (
        "coarse_to_fine",
        "GLAS from coarse to fine: smaller sigmas close in on the part that decides.",
        _png(_coarse_to_fine(score_fn)),
    )
    yield (
        "two_species",
        "GLAS asked about two species in one picture: each map goes to its own bird.",
        _png(_two_species(score_fn)),
    )
    yield (
        "flock",
        "RGLAS explains, darkens what it found and explains again: a bird a round.",
        _png(_flocks(score_fn)),
    )
    yield (
        "one_pass",
        "Explainers that learned, a map from one pass: DRE, a masking model, variational maps.",
        _png(_one_pass()),
    )


def bird() -> bytes:
    """One bird as the PNG that the classifier would be given."""
    buffer = io.BytesIO()
    pixels = np.round(255 * birdlets.sample(SEED, BIRDS[0]).image).astype(np.uint8)
    Image.fromarray(pixels).save(buffer, "png")
    return buffer.getvalue()


def _coarse_to_fine(score_fn: ScoreFn) -> list[grids.Row]:
    sigmas = (6.0, 3.0, FINE)
    small = [birdlets.sample(SEED, index) for index in BIRDS]
    large = [birdlets.sample(SEED, index, size=SHOWN) for index in BIRDS]
    images = jnp.stack([jnp.asarray(one.image) for one in small])
    scores = np.asarray(score(score_fn, images))
    found = scores.argmax(1)
    glas = partial(saljax.glas)
    maps = [
        np.asarray(saljax.explain(method, score_fn, images, found))
        for method in coarse_to_fine(glas, sigmas)
    ]
    captions = [said_of_sigma(glas, sigma, images.shape[1:3]) for sigma in sigmas]
    return [
        grids.outlined(
            grids.comparison(
                one.image,
                [m[i] for m in maps],
                captions,
                title(scores[i], int(found[i]), birdlets.SPECIES),
                "GLAS",
            ),
            one.diagnostic_mask,
        )
        for i, one in enumerate(large)
    ]


def _two_species(score_fn: ScoreFn) -> list[grids.Row]:
    scene = birdlets.pair(SEED, PAIR, size=SHOWN)
    image = jnp.asarray(birdlets.pair(SEED, PAIR).image)[None]
    targets = np.array([[one.label for one in scene.birds]])
    (scores,) = np.asarray(score(score_fn, image))
    (maps,) = np.asarray(saljax.explain(_fine(saljax.glas), score_fn, image, targets))
    return [
        grids.outlined(
            grids.explanation(
                scene.image, maps[i], title(scores, one.label, birdlets.SPECIES), "GLAS"
            ),
            one.diagnostic_mask,
        )
        for i, one in enumerate(scene.birds)
    ]


def _flocks(score_fn: ScoreFn) -> list[grids.Row]:
    large = [birdlets.flock(SEED, index, size=SHOWN) for index in FLOCKS]
    images = jnp.stack([jnp.asarray(birdlets.flock(SEED, index).image) for index in FLOCKS])
    labels = np.array([scene.birds[0].label for scene in large])
    scores = np.asarray(score(score_fn, images))
    rglas = _fine(saljax.rglas)
    maps = [
        np.asarray(saljax.explain(partial(rglas, max_iterations=n), score_fn, images, labels))
        for n in ROUNDS
    ]
    captions = [f"round {n}" for n in ROUNDS]
    return [
        grids.outlined(
            grids.comparison(
                scene.image,
                [m[i] for m in maps],
                captions,
                title(scores[i], int(labels[i]), birdlets.SPECIES),
                "RGLAS",
            ),
            np.any([one.diagnostic_mask for one in scene.birds], axis=0),
        )
        for i, scene in enumerate(large)
    ]


def _one_pass() -> list[grids.Row]:
    known = classifier.load("birdlets", None)
    images = jnp.stack([jnp.asarray(birdlets.sample(SEED, index).image) for index in BIRDS])
    scores = np.asarray(score(known.probabilities, images))
    found = scores.argmax(1)
    maps = [
        np.asarray(
            saljax.explain(equipped(partial(method), name, known), known.logits, images, found)
        )
        for name, method in LEARNED.values()
    ]
    large = [birdlets.sample(SEED, index, size=SHOWN) for index in BIRDS]
    return [
        grids.outlined(
            grids.comparison(
                one.image,
                [m[i] for m in maps],
                list(LEARNED),
                title(scores[i], int(found[i]), birdlets.SPECIES),
                "one pass",
            ),
            one.diagnostic_mask,
        )
        for i, one in enumerate(large)
    ]


def _fine(method):
    return coarse_to_fine(partial(method), (FINE,))[0]


def _png(rows: list[grids.Row]) -> bytes:
    return grids.png(grids.grid(rows))
