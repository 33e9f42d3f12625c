r"""Which metrics agree with the truth? Methods ranked by each, where the evidence is known.

    python experiments/metrics_against_truth.py --out out/truth --picture out/truth.png

The first birdlets that the bundled classifier gets right are written as pictures, the box around
each bird beside them, and `saljax evaluate` takes every metric of every method here on them. Where
the truth is known it is taken of the same maps: of what a map has above its median, the share on
the part that decides (`mass`); the average precision of the part's pixels, ranked by the map
(`order`); whether the maximum lies within 4 pixels of the part (`maximum`). Printed: the table of
methods and metrics with the ranks; then for each metric Spearman's correlation over the methods of
its means with those of each truth, signed so that 1 is agreement, its interval over draws of the
pictures with replacement, its least and greatest value when one method is left out, and how many
of the methods it puts above a random map. What is computed stays in --out. Results:
results/metrics_against_truth.md.
"""

import argparse
import json
from pathlib import Path
from typing import NamedTuple

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np
from birdlets_all_methods import BLUR
from glas_on_birdlets import NEAR, SEED, distance, predicted
from PIL import Image

import saljax
from saljax import cli, metrics
from saljax.data import birdlets
from saljax.evaluation import measures
from saljax.evaluation import ranks as ranking
from saljax.evaluation.columns import Column
from saljax.metrics.localization.explainability import average_precision
from saljax.page import run

METHODS = (
    "gradient,input_x_gradient,smoothgrad,integrated_gradients,guided_backprop,deconvnet,attn_lrp,"
    "deep_lift,grad_cam,grad_cam_plus_plus,early_layer_cam=layer_cam,excitation_backprop,"
    "early_excitation=excitation_backprop,occlusion,glas,rise,dre,masking_model,variational"
)
LEFT_OUT = {"localization_error", "completeness", "pointing_game_fong", "effective_complexity"}
"""Metrics that judge half of the pictures, or few methods; or are another's twin here; or count
the pixels that a threshold leaves."""
SETTINGS = {
    "smoothgrad": {"num_samples": 10},
    "integrated_gradients": {"num_steps": 10},
    "early_layer_cam": {"layer": "block1"},
    "early_excitation": {"layer": "block1"},
    "occlusion": {"window": 15, "stride": 8},
    "glas": {"grid": 9, "sigma_light": 1.5, "sigma_shadow": 1.5, "sigma_spatial": 1.5},
    "rise": {"num_masks": 200},
    "faithfulness": {"sigma": BLUR, "kernel": 23},
    "road": {"shares": "0.2,0.5,0.8"},
    "pixel_flipping": {"num_steps": 32},
    "mu_fidelity": {"num_samples": 100},
    "sensitivity_n": {"num_sizes": 6, "num_samples": 25},
    "monotonicity": {"num_steps": 48},
    "monotonicity_correlation": {"num_samples": 4},
    "infidelity": {"num_samples": 100},
    "sensitivity": {"num_samples": 4},
}
"""Of methods as cheap as they come, and of metrics: lengths in proportion to 96 x 96, samples fewer
than usual."""
BATCH, DRAWS = 5, 2000
TRUTHS = ("mass", "order", "maximum")


class Found(NamedTuple):
    """What a run of `saljax evaluate` left in its folder.

    Attributes:
        methods: names, without references.
        columns: of the table.
        maps: row -> (N, H, W).
    """

    methods: list[str]
    columns: list[Column]
    maps: dict[str, np.ndarray]


def birds(number):
    """The first that the classifier gets right."""
    drawn = [birdlets.sample(SEED, index) for index in range(2 * number)]
    scores = predicted(saljax.models.load("birdlets"), [s.image for s in drawn])
    right = [s for s, row in zip(drawn, scores, strict=True) if row.argmax() == s.label]
    return right[:number]


def write(scenes, folder):
    """Pictures, and the box around each bird."""
    folder.mkdir(parents=True, exist_ok=True)
    boxes = []
    for index, scene in enumerate(scenes):
        name = f"{index:04}.png"
        Image.fromarray(np.round(scene.image * 255).astype(np.uint8)).save(folder / name)
        y, x = np.nonzero(scene.object_mask)
        corners = [int(x.min()), int(y.min()), int(x.max()), int(y.max())]
        species = list(birdlets.SPECIES)[scene.label]
        boxes.append({"file": name, "label": species, "boxes": [corners]})
    (folder.parent / "boxes.json").write_text(json.dumps(boxes))


def words(settings):
    return [f"{name}.{key}={value}" for name, own in settings.items() for key, value in own.items()]


def evaluated(out, number, methods, names, settings, command):
    """Run `saljax evaluate`, and read what it left.

    Args:
        out: its folder.
        number: pictures.
        methods: as its `--methods`.
        names: of metrics.
        settings: of methods and metrics.
        command: the other words.
    """
    given = ["evaluate", *command, "--methods", methods, "--metrics", ",".join(names)]
    given += [word for text in words(settings) for word in ("--set", text)]
    given += ["--page", "0", "--out", str(out), "--batch-size", str(BATCH)]
    cli.main([*given, "--number", str(number)])
    found = run.read(out)
    asked = found.record["settings"]["methods"]
    better = {entry["column"]: entry["better"] for entry in found.record["table"]}
    columns = [
        Column(name, better[name], dict(zip(found.methods, values, strict=True)))
        for name, values in zip(found.metrics, found.values, strict=True)
        if name != ranking.NAME
    ]
    places = range(len(found.record["images"]))
    maps = {
        name: np.stack([np.asarray(at(place)) for place in places])
        for name, at in found.maps.items()
    }
    compared = [name for name in found.methods if not run.is_reference(asked[name])]
    return Found(compared, columns, maps)


def truths(maps, scenes):
    """Truth -> row -> (N,)."""
    parts = np.stack([s.diagnostic_mask for s in scenes])

    @jax.jit
    @jax.vmap
    def share(saliency, mask):
        return metrics.share_on_part(saliency - jnp.median(saliency), mask)

    order = jax.jit(jax.vmap(average_precision))
    near = {
        row: np.asarray([distance(s, p) <= NEAR for s, p in zip(found, parts, strict=True)], float)
        for row, found in maps.items()
    }
    return {
        "mass": {row: np.asarray(share(found, parts)) for row, found in maps.items()},
        "order": {row: np.asarray(order(found, parts)) for row, found in maps.items()},
        "maximum": near,
    }


def ranks(values):
    """Along the last axis, 1 for the least; equal ones share the mean of theirs."""
    below = (values[..., None, :] < values[..., :, None]).sum(-1)
    equal = (values[..., None, :] == values[..., :, None]).sum(-1)
    return below + (equal + 1) / 2


def correlation(first, second):
    """Spearman's, along the last axis; NaN where one of them is constant."""
    a, b = (ranks(x) - (x.shape[-1] + 1) / 2 for x in (first, second))
    with np.errstate(invalid="ignore"):
        return (a * b).sum(-1) / np.sqrt((a * a).sum(-1) * (b * b).sum(-1))


def means(values, weights):
    """(draws, methods) of (methods, N) where it is known, NaN where it is nowhere."""
    there = np.isfinite(values)
    with np.errstate(invalid="ignore"):
        return weights @ np.where(there, values, 0).T / (weights @ there.T)


class Agreement(NamedTuple):
    """A correlation, its interval over pictures, and its range with one method left out."""

    whole: float
    low: float
    high: float
    without_one: tuple[float, float]


def agreement(values, truth, sign):
    """Of a metric's (methods, N) with a truth's: the correlation, and how sure it is."""
    number = values.shape[1]
    drawn = np.random.default_rng(0).multinomial(number, np.full(number, 1 / number), DRAWS)
    weights = np.concatenate([np.ones((1, number), int), drawn])
    first, second = sign * means(values, weights), means(truth, weights)
    found = correlation(first, second)
    low, high = np.nanpercentile(found[1:], [2.5, 97.5])
    left = [
        correlation(np.delete(first[0], i), np.delete(second[0], i)) for i in range(len(values))
    ]
    return Agreement(float(found[0]), float(low), float(high), (min(left), max(left)))


def table(columns, methods, others=()):
    """Lines of metrics, columns of methods: value, standard error, and rank of the methods."""
    print(f"| | {' | '.join([*methods, *others])} |\n|{'---|' * (1 + len(methods) + len(others))}")
    arrows = {"higher": " ↑", "lower": " ↓", "": ""}
    for column in columns:
        every = [column.values[row] for row in [*methods, *others]]
        every = [value[np.isfinite(value)] for value in every]
        mean = [value.mean() if len(value) else np.nan for value in every]
        sign = 1 if column.better == "lower" else -1
        places = ranks(sign * np.asarray(mean[: len(methods)]))
        digits = 1 if np.nanmax(np.abs(mean)) >= 10 else 3
        cells = [
            f"{value.mean():.{digits}f} ± {value.std(ddof=1) / np.sqrt(len(value)):.{digits}f}"
            if len(value) > 1
            else "–"
            for value in every
        ]
        if column.better:
            ranked = zip(cells, places, strict=False)
            cells[: len(methods)] = [f"{cell} **{place:g}**" for cell, place in ranked]
        print(f"| {column.name}{arrows[column.better]} | {' | '.join(cells)} |")


def drawn(found, path):
    """A dot a metric and truth, the interval of the first, best on top."""
    names = sorted(found, key=lambda name: found[name]["mass"].whole)
    figure, axis = plt.subplots(figsize=(8, 0.23 * len(names) + 1), layout="constrained")
    for place, name in enumerate(names):
        own = found[name]
        axis.plot([own["mass"].low, own["mass"].high], [place, place], color="C0", alpha=0.4, lw=4)
    for truth, mark, color in zip(TRUTHS, ("o", "s", "^"), ("C0", "C1", "C2"), strict=True):
        places = [found[name][truth].whole for name in names]
        size = 36 if truth == "mass" else 16
        axis.scatter(
            places, range(len(names)), s=size, color=color, marker=mark, label=truth, zorder=3
        )
    axis.set_yticks(range(len(names)), names, fontsize=8)
    axis.axvline(0, color="0.6", lw=0.8)
    axis.set(xlim=(-1, 1), ylim=(-1, len(names)), xlabel="Spearman's correlation with the truth")
    axis.grid(axis="y", color="0.92")
    axis.legend(title="truth", loc="lower right")
    figure.savefig(path, dpi=110)


def main(number, out, picture, more_maps):
    scenes = birds(number)
    write(scenes, out / "birds")
    names = [
        name
        for name, known in measures.MEASURES.items()
        if name not in LEFT_OUT and (more_maps or known.needs != "method")
    ]
    used = {row.partition("=")[0] for row in METHODS.split(",")} | set(names)
    settings = {name: own for name, own in SETTINGS.items() if name in used}
    command = ["--data", str(out / "birds"), "--boxes", str(out / "boxes.json")]
    command += ["--model", "birdlets", "--target", "label", "--pictures", "3"]
    found = evaluated(out / "evaluation", number, METHODS, names, settings, command)
    true = truths(found.maps, scenes)
    columns = [Column(f"truth: {name}", "higher", true[name]) for name in TRUTHS] + found.columns
    print(f"\n{number} birds, {len(found.methods)} methods\n")
    table(columns, found.methods, ("center", "random"))
    print()
    agreed = {}
    for column in columns:
        sign = -1 if column.better == "lower" else 1
        values = np.stack([column.values[row] for row in found.methods])
        if not np.isfinite(values).any(axis=1).all() or np.ptp(np.nanmean(values, axis=1)) == 0:
            print(f"{column.name}: not of all methods, or all are equal\n")
            continue
        agreed[column.name] = {
            name: agreement(values, np.stack([true[name][row] for row in found.methods]), sign)
            for name in TRUTHS
        }
    header = [f"{name}, {what}" for name in TRUTHS for what in ("rho", "95 %", "without one")]
    print(f"\n| metric | {' | '.join(header)} | above random |\n|{'---|' * (len(header) + 2)}")
    for name in sorted(agreed, key=lambda name: -agreed[name]["mass"].whole):
        column = next(c for c in columns if c.name == name)
        sign = -1 if column.better == "lower" else 1
        chance = column.values["random"]
        above = "–"
        if np.isfinite(chance).any():
            better = [
                sign * (np.nanmean(column.values[row]) - np.nanmean(chance)) > 0
                for row in found.methods
            ]
            above = f"{sum(better)} of {len(better)}"
        cells = [
            f"{a.whole:+.2f} | {a.low:+.2f} to {a.high:+.2f} | "
            f"{a.without_one[0]:+.2f} to {a.without_one[1]:+.2f}"
            for a in agreed[name].values()
        ]
        print(f"| {name} | {' | '.join(cells)} | {above} |")
    if picture:
        picture.parent.mkdir(parents=True, exist_ok=True)
        drawn({n: a for n, a in agreed.items() if not n.startswith("truth")}, picture)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Metrics against the truth of birdlets.")
    parser.add_argument("--number", type=int, default=20)
    parser.add_argument("--out", type=Path, default=Path("out/truth"))
    parser.add_argument("--picture", type=Path)
    parser.add_argument(
        "--more-maps", action="store_true", help="metrics that ask for more maps of each method too"
    )
    options = parser.parse_args()
    main(options.number, options.out, options.picture, options.more_maps)
