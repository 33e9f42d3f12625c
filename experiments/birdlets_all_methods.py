r"""All methods where the truth is known: how much of each map lies on the part that decides?

    python experiments/birdlets_all_methods.py singles pairs --number 100
    python experiments/birdlets_all_methods.py singles --methods glas grad_cam --number 20
    python experiments/birdlets_all_methods.py floors
    python experiments/birdlets_all_methods.py picture

On held-out birdlets that the bundled classifier gets right: the share of the map's mass (negative
values count as none) on the diagnostic part and on the bird, the share on the part of what exceeds
the map's median (maps that add many soft masks have a floor everywhere), and whether its maximum
lies on the part or near it. In pictures of two species each class has its own map, which should
prefer its own bird. Chance is the share of the picture that the part, or the bird, covers. Every
method of `saljax.methods.table` is there; `SETTINGS` has what its paper's defaults, made for 224 x
224, become at 96 x 96. `picture` draws the maps of one bird, and those of one of two birds. Results
are in results/birdlets_all_methods.md.
"""

import argparse
import functools
import io
import time
from pathlib import Path

import numpy as np
from glas_on_birdlets import NEAR, SEED, distance, explained, predicted, rate
from PIL import Image

import saljax
from saljax import metrics
from saljax.data import birdlets
from saljax.methods.table import METHODS
from saljax.ops import perturb
from saljax.report import grids
from saljax.runs import classifier
from saljax.runs.explainers import equipped

SCALE = 96 / 224
BLUR = 10 * SCALE


def sigmas(value):
    return {"sigma_light": value, "sigma_shadow": value, "sigma_spatial": value}


MASK_12 = {
    "mask_size": 12, "mask_sigma": 5 * SCALE, "jitter": 2, "baseline": perturb.blurred(BLUR),
}  # fmt: skip
SETTINGS = {
    "glas": {f"sigma {value:g}": sigmas(value) for value in (6.0, 3.0, 1.5)},
    "rglas": {"sigma 1.5, 3 rounds": sigmas(1.5) | {"max_iterations": 3, "t2": 1e9}},
    "occlusion": {"window 15": {"window": 15, "stride": 4}, "window 8": {"window": 8, "stride": 4}},
    "blur_occlusion": {
        "diameter 15": {"diameter": 15.0, "stride": 4, "softness": BLUR, "blur": BLUR}
    },
    "rise": {
        "grid 7": {"num_masks": 2000},
        "grid 14": {"num_masks": 2000, "grid": 14},
    },
    "lime": {"grid 8": {}, "grid 16": {"grid": 16}},
    "integrated_gradients": {"50 steps": {"num_steps": 50}},
    "excitation_backprop": {f"at {layer}": {"layer": layer} for layer in ("block4", "block1")},
    "contrastive_excitation_backprop": {
        f"at {layer}": {"layer": layer} for layer in ("block4", "block1")
    },
    "meaningful_perturbation": {
        "mask 12": MASK_12,
        "mask 12, l1 0.005": MASK_12 | {"l1": 5e-3},
    },
    "extremal_perturbation": {
        "area 0.02, 100 steps": {
            "areas": (0.02,), "num_steps": 100, "step": 3, "sigma": 9.0, "max_blur": 20 * SCALE,
            "smoothing": 0.03,
        }
    },
    "feature_inversion": {"": {"baseline": perturb.blurred(11 * SCALE)}},
    "dre_plus": {"by itself": {"sigma": BLUR, "kernel": 23}},
}  # fmt: skip
"""Method -> name of a setting -> keywords; what is not here is explained with its defaults."""
OF_ATTENTION = ("attention_rollout", "generic_attention", "le_grad")
"""The classifier here has none; birdlets_vit.py asks another."""
FLOORS = {
    "sobol": (6, {"num_designs": 4}),  # 10.7
    "hsic": (5.5, {"num_masks": 150}),  # 10.3
    "guided_ig": (4, {"num_steps": 15}),  # 6.6
    "xrai": (1.5, {"num_steps": 5}),  # 2.8
    "opti_cam": (8, {"num_steps": 15}),  # 14.1
}
"""Of methods that are too dear for the tests: a floor for the share on the part of what the maps of
the first four pictures have above their medians, in percent, and quick settings. What was measured
stands beside them; those of the other methods are in the tests."""


def configured(names):
    """Name, setting, method and the classifier it explains, for each setting of each method."""
    known = classifier.load("birdlets", None)
    for name in names:
        for setting, keywords in SETTINGS.get(name, {"": {}}).items():
            # Of those that learned, the bundled ones.
            method = equipped(functools.partial(METHODS[name].function, **keywords), name, known)
            explained = known.logits if METHODS[name].explains == "logits" else known.probabilities
            yield name, setting, method, explained


def timed(method, score_fn, images, labels):
    """Maps, and seconds of processor time for each; a call before these compiles."""
    explained(method, score_fn, images[:1], labels[:1])
    start = time.process_time()
    saliency = explained(method, score_fn, images, labels)
    return saliency, (time.process_time() - start) / len(images)


def shares(saliency, masks):
    found = [metrics.share_on_part(s, m) for s, m in zip(saliency, masks, strict=True)]
    return 100 * np.asarray(found)


def mean(values) -> str:
    return f"{values.mean():.1f} ± {values.std() / np.sqrt(len(values)):.1f}"


def singles(names, number):
    drawn = [birdlets.sample(SEED, index) for index in range(number)]
    scores = predicted(saljax.models.load("birdlets"), [s.image for s in drawn])
    kept = [s for s, row in zip(drawn, scores, strict=True) if row.argmax() == s.label]
    images, labels = [s.image for s in kept], [s.label for s in kept]
    parts, birds = [s.diagnostic_mask for s in kept], [s.object_mask for s in kept]
    print(f"\n## One species ({len(kept)} of {number} classified correctly)\n")
    header("method", "setting", "on the part, %", "above the median", "on the bird, %",
           "maximum on the part", f"within {NEAR} pixels", "CPU ms a map")  # fmt: skip
    areas = [100 * np.mean(masks) for masks in (parts, birds)]
    near = np.mean([share_near(mask) for mask in parts])
    cells = f"{areas[0]:.1f} | {areas[0]:.1f} | {areas[1]:.1f} | {areas[0] / 100:.3f} | {near:.3f}"
    print(f"| chance | | {cells} | |")
    for name, setting, method, score_fn in configured(names):
        saliency, seconds = timed(method, score_fn, images, labels)
        away = np.asarray([distance(s, m) for s, m in zip(saliency, parts, strict=True)])
        found = (
            shares(saliency, parts),
            shares(above_median(saliency), parts),
            shares(saliency, birds),
        )
        cells = [*map(mean, found), rate(away == 0), rate(away <= NEAR), f"{1000 * seconds:.0f}"]
        print(f"| {name} | {setting} | {' | '.join(cells)} |", flush=True)


def floors(names, number):
    """Stop with an error where a method has less on the part than its floor."""
    known, scenes = classifier.load("birdlets", None), [birdlets.sample(SEED, i) for i in range(4)]
    images, labels = [s.image for s in scenes], [s.label for s in scenes]
    below = []
    for name in [name for name in names if name in FLOORS]:
        floor, keywords = FLOORS[name]
        method = functools.partial(METHODS[name].function, **keywords)
        saliency = explained(method, getattr(known, METHODS[name].explains), images, labels)
        found = shares(above_median(saliency), [s.diagnostic_mask for s in scenes]).mean()
        print(f"{name}: {found:.1f} %, floor {floor:g} %", flush=True)
        below += [name] * (found < floor)
    if below:
        raise SystemExit(f"below their floors: {', '.join(below)}")


RESULTS = Path(__file__).parent / "results"
SHOWN, ACROSS, WIDTH = 288, 5, 1300
"""Pixels a side of the birds drawn, panels side by side, pixels of the whole."""


def picture(names, number):
    """Maps of the first bird, and of the first of two birds; of each method its last setting."""
    scenes = [(birdlets.sample(SEED, 0, size=size), birdlets.pair(SEED, 0, size=size).birds[0])
              for size in (96, SHOWN)]  # fmt: skip
    images, labels = [s.image for s in scenes[0]], [s.label for s in scenes[0]]
    last = {name: (method, score_fn) for name, _, method, score_fn in configured(names)}
    maps = {name: explained(*chosen, images, labels, batch=2) for name, chosen in last.items()}
    for i, (bird, kind) in enumerate(zip(scenes[1], ("one", "two"), strict=True)):
        part = birdlets.SPECIES[bird.label]
        panels = [grids.Panel(bird.image, None, part, outline=bird.diagnostic_mask)]
        panels += [grids.Panel(bird.image, maps[n][i], n.replace("_", " ")) for n in maps]
        chunks = [panels[j : j + ACROSS] for j in range(0, len(panels), ACROSS)]
        drawn = grids.png(grids.grid([grids.Row("", "", tuple(chunk)) for chunk in chunks]))
        page = Image.open(io.BytesIO(drawn)).convert("RGB")
        height = WIDTH * page.height // page.width
        page = page.resize((WIDTH, height), Image.Resampling.LANCZOS)
        page.save(RESULTS / f"birdlets_all_methods_{kind}.jpg", quality=85)


def header(*names):
    print(f"| {' | '.join(names)} |\n|{'---|' * len(names)}")


def above_median(saliency):
    return saliency - np.median(saliency, axis=(1, 2), keepdims=True)


def share_near(mask) -> float:
    """Share of the picture within `NEAR` pixels of a mask: chance of a maximum to be there."""
    rows, columns = np.indices(mask.shape)
    there = np.argwhere(mask)
    squared = np.square(rows[..., None] - there[:, 0]) + np.square(columns[..., None] - there[:, 1])
    return float((squared.min(axis=-1) <= NEAR**2).mean())


def pairs(names, number):
    scenes = [birdlets.pair(SEED, index) for index in range(number)]
    scores = predicted(saljax.models.load("birdlets"), [s.image for s in scenes])
    kept = [
        scene
        for scene, row in zip(scenes, scores, strict=True)
        if {bird.label for bird in scene.birds} == set(np.argsort(row)[-2:])
    ]
    two = [(own, other) for s in kept for own, other in (s.birds, s.birds[::-1])]
    images, labels = [own.image for own, _ in two], [own.label for own, _ in two]
    print(f"\n## Two species ({len(kept)} of {number} with both on top, a map for each)\n")
    header("method", "setting", "on its own part, %", "on the other's", "on its own bird, %",
           "on the other", "prefers its own bird", "maximum near its own part",
           "near the other's")  # fmt: skip
    own, other = zip(*two, strict=True)
    masks = [[bird.diagnostic_mask for bird in birds] for birds in (own, other)]
    masks += [[bird.object_mask for bird in birds] for birds in (own, other)]
    areas = [f"{100 * np.mean(m):.1f}" for m in masks]
    near = np.mean([share_near(mask) for mask in masks[0]])
    print(f"| chance | | {' | '.join(areas)} | 0.5 | {near:.3f} | {near:.3f} |")
    for name, setting, method, score_fn in configured(names):
        saliency = explained(method, score_fn, images, labels)
        found = [shares(saliency, m) for m in masks]
        cells = " | ".join(mean(values) for values in found)
        near = [
            np.asarray([distance(s, m) for s, m in zip(saliency, parts, strict=True)]) <= NEAR
            for parts in masks[:2]
        ]
        hits = " | ".join(rate(values) for values in (found[2] > found[3], *near))
        print(f"| {name} | {setting} | {cells} | {hits} |", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="All methods on birdlets.")
    questions = {"singles": singles, "pairs": pairs, "floors": floors, "picture": picture}
    parser.add_argument("questions", nargs="+", choices=list(questions))
    alone = [name for name in METHODS if name not in OF_ATTENTION]
    parser.add_argument("--methods", nargs="+", default=alone, choices=alone)
    parser.add_argument("--number", type=int, default=100, help="of pictures for each question")
    options = parser.parse_args()
    for question in options.questions:
        questions[question](options.methods, options.number)
