r"""GLAS where the truth is known: birdlets and labelled volumes.

Four questions, each on held-out pictures that the bundled classifier gets right:

- singles: how often does the map's maximum fall on the diagnostic part, from coarse to fine (all
  three sigmas equal, as in S1's fine-grained experiments and figure 6)?
- pairs: in a picture of two species, how often does each species' map point at its own part?
- flocks: how many of the birds of one species has RGLAS found after each iteration?
- volumes: how often does 3D-GLAS rank the region that carries the class first?

    python experiments/glas_on_birdlets.py singles pairs volumes --number 100
    python experiments/glas_on_birdlets.py flocks --number 30

The classifier never saw these pictures. Results are in results/glas_on_birdlets.md.
"""

import argparse
import functools

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax.data import birdlets, volumes
from saljax.ops import maps

SEED = 77
"""Of the pictures; training and its tests use other seeds."""
SIGMAS = (6.0, 3.0, 2.0, 1.5, 1.0, 0.7)
NEAR = 4
"""Pixels within which a maximum counts as near the part; our choice."""


def explained(method, score_fn, images, targets, batch=4):
    """Maps of many images, `batch` at a time in one program."""
    out = []
    for start in range(0, len(images), batch):
        chunk = np.asarray(images[start : start + batch], np.float32)
        wanted = np.asarray(targets[start : start + batch], np.int32)
        filler, ids = batch - len(chunk), np.arange(start, start + batch)
        chunk, wanted = (np.concatenate([a, np.repeat(a[-1:], filler, 0)]) for a in (chunk, wanted))
        saliency = saljax.explain(method, score_fn, chunk, wanted, ids=ids)
        out.append(np.asarray(saliency)[: batch - filler])
    return np.concatenate(out)


def rate(hits) -> str:
    p, n = float(np.mean(hits)), len(hits)
    return f"{p:.3f} ± {np.sqrt(p * (1 - p) / n):.3f}"


def distance(saliency, mask) -> float:
    """Pixels from the map's maximum to the nearest pixel of a mask."""
    row, column = np.unravel_index(saliency.argmax(), saliency.shape)
    return float(np.hypot(*(np.argwhere(mask) - (row, column)).T).min())


def predicted(score_fn, images):
    return np.asarray(jax.jit(lambda f, x: f(x))(score_fn, np.stack(images)))


def singles(score_fn, number):
    drawn = [birdlets.sample(SEED, index) for index in range(number)]
    scores = predicted(score_fn, [s.image for s in drawn])
    kept = [s for s, row in zip(drawn, scores, strict=True) if row.argmax() == s.label]
    images, labels = [s.image for s in kept], [s.label for s in kept]
    area = np.mean([s.diagnostic_mask.mean() for s in kept])
    print(f"## Single birds ({len(kept)} of {number} classified correctly)\n")
    print(f"The diagnostic part covers {100 * area:.2f} % of the picture on average.\n")
    print(f"| sigma | part | on the part | within {NEAR} pixels | on the bird |")
    print("|---|---|---|---|---|")
    for sigma in SIGMAS:
        for part in ("fusion", "light", "shadow"):
            method = functools.partial(
                saljax.glas, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma, parts=part
            )
            saliency = explained(method, score_fn, images, labels)
            away = [distance(m, s.diagnostic_mask) for m, s in zip(saliency, kept, strict=True)]
            bird = [distance(m, s.object_mask) == 0 for m, s in zip(saliency, kept, strict=True)]
            on, near = np.asarray(away) == 0, np.asarray(away) <= NEAR
            print(f"| {sigma:g} | {part} | {rate(on)} | {rate(near)} | {rate(bird)} |", flush=True)


def pairs(score_fn, number):
    scenes = [birdlets.pair(SEED, index) for index in range(number)]
    scores = predicted(score_fn, [s.image for s in scenes])
    both = [set(np.argsort(row)[-2:]) for row in scores]
    kept = [
        s for s, top in zip(scenes, both, strict=True) if top == {bird.label for bird in s.birds}
    ]
    images = [s.image for s in kept]
    labels = [[bird.label for bird in s.birds] for s in kept]
    print(f"\n## Two species in one picture ({len(kept)} of {number} with both on top)\n")
    print("Both maps come from the same passes.\n")
    print(f"| sigma | on its own part | within {NEAR} pixels | nearer to its own part |")
    print("|---|---|---|---|")
    for sigma in SIGMAS:
        method = functools.partial(
            saljax.glas, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma
        )
        saliency = explained(method, score_fn, images, labels)
        own, other = [], []
        for two, scene in zip(saliency, kept, strict=True):
            parts = [bird.diagnostic_mask for bird in scene.birds]
            own += [distance(two[i], parts[i]) for i in (0, 1)]
            other += [distance(two[i], parts[1 - i]) for i in (0, 1)]
        own, other = np.asarray(own), np.asarray(other)
        print(f"| {sigma:g} | {rate(own == 0)} | {rate(own <= NEAR)} | {rate(own < other)} |")


def flocks(score_fn, number, sigma=1.5):
    scenes = [birdlets.flock(SEED, index) for index in range(number)]
    scores = predicted(score_fn, [s.image for s in scenes])
    kept = [s for s, row in zip(scenes, scores, strict=True) if row.argmax() == s.birds[0].label]
    images, labels = [s.image for s in kept], [s.birds[0].label for s in kept]
    birds = np.mean([len(s.birds) for s in kept])
    print(f"\n## Flocks, sigma {sigma:g} ({len(kept)} of {number} classified correctly)\n")
    print(f"{birds:.2f} birds a picture. A bird is found where O > 0.5 on its diagnostic part.\n")
    print("| iterations | birds found | share of them | share of the picture where O > 0.5 |")
    print("|---|---|---|---|")
    rounds = {str(n): {"max_iterations": n, "t2": 1e9} for n in range(1, 6)}
    for name, settings in (rounds | {"adaptive, at most 10": {}}).items():
        method = functools.partial(
            saljax.rglas, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma, **settings
        )
        saliency = explained(method, score_fn, images, labels)
        found = [
            sum(bool((m > 0.5)[bird.diagnostic_mask].any()) for bird in scene.birds)
            for m, scene in zip(saliency, kept, strict=True)
        ]
        area = (saliency > 0.5).mean()
        print(f"| {name} | {np.mean(found):.2f} | {np.mean(found) / birds:.3f} | {area:.3f} |")


def regions(score_fn, number):
    drawn = [volumes.volume(SEED, index) for index in range(number)]
    scores = predicted(score_fn, [s.image for s in drawn])
    kept = [s for s, row in zip(drawn, scores, strict=True) if s.label == 1 and row.argmax() == 1]
    side, count = kept[0].image.shape[0], int(kept[0].labels.max())
    print(f"\n## Volumes ({len(kept)} patients classified correctly, {count} regions)\n")
    print("| sigma light, shadow (voxels) | class region ranked first | of the mean map |")
    print("|---|---|---|")
    atlas = jnp.asarray(kept[0].labels)
    for light, shadow in [(0.15, 0.10), (0.10, 0.10), (0.10, 0.05), (0.05, 0.05)]:
        method = functools.partial(
            saljax.glas_regions, labels=atlas, num_regions=count,
            sigma_light=light * side, sigma_shadow=shadow * side,
        )  # fmt: skip
        saliency = explained(method, score_fn, [s.image for s in kept], [1] * len(kept))
        values = np.asarray(jax.vmap(lambda m: maps.region_means(m, atlas, count))(saliency))
        first = [v.argmax() + 1 == s.region for v, s in zip(values, kept, strict=True)]
        of_mean = "yes" if values.mean(0).argmax() + 1 == kept[0].region else "no"
        print(f"| {light * side:.1f}, {shadow * side:.1f} | {rate(first)} | {of_mean} |")


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="GLAS on birdlets and volumes.")
    questions = {"singles": singles, "pairs": pairs, "flocks": flocks, "volumes": regions}
    parser.add_argument("questions", nargs="+", choices=list(questions))
    parser.add_argument("--number", type=int, default=100, help="of pictures for each question")
    options = parser.parse_args()
    for question in options.questions:
        name = "glas3d" if question == "volumes" else "birdlets"
        score_fn = saljax.scores.probabilities(saljax.models.load(name))
        questions[question](score_fn, options.number)
