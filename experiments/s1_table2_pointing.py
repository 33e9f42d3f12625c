r"""S1, tables 1 and 2: the pointing game of GLAS light, shadow and fusion, and the unit of sigma.

S1 reports, for ResNet-50 on the 50000 validation photographs of ILSVRC: light 0.889, shadow 0.877,
fusion 0.912; on small objects 0.782, 0.751, 0.792. It does not say in which unit its sigmas 5, 3
and 6 are. Here the answers f_l and f_s are computed once for a list of sigmas, in pixels and in
fifteenths of the side, for darkness black and mean color; every fusion of them is then two small
matrix products. Photographs are warped to 224 x 224, the target is the annotated class.

    python experiments/s1_table2_pointing.py answers --model resnet18 --weights FILE \
        --photos ../shared/real/photos --grid 10 --number 100 --out FOLDER
    python experiments/s1_table2_pointing.py table --photos ../shared/real/photos --out FOLDER
    python experiments/s1_table2_pointing.py grids --photos ../shared/real/photos --out FOLDER

`grids` compares the fused maps of each grid with those of the finest there is: table 1 asks how
many points it takes.

`answers` keeps one small file a photograph and goes on where it was stopped, with other sigmas too.
Its cost is (number of lights and shadows) x (number of darknesses) x grid^2 passes a photograph.
"""

import argparse
import functools
import itertools
import json
import pathlib

import jax
import jax.numpy as jnp
import numpy as np
from PIL import Image
from rich.progress import track

import saljax
from saljax import metrics
from saljax.data import boxes
from saljax.methods.perturbation.glas import responses
from saljax.ops import gaussians

SIDE = 224
CELL = SIDE / 15
MEAN_COLOR = (0.485, 0.456, 0.406)
DARKNESS = {"black": (0.0, 0.0, 0.0), "mean": MEAN_COLOR}
UNITS = {"ce": ("cell", CELL), "px": ("pixel", 1.0)}
"""Suffix of a sigma on the command line -> name of its unit and its length in pixels."""


def photographs(folder: pathlib.Path, number: int):
    records = json.loads((folder / "ilsvrc_boxes.json").read_text())
    return records[:number]


def read(folder: pathlib.Path, record: dict) -> np.ndarray:
    with Image.open(folder / "ilsvrc" / record["file"]) as picture:
        warped = picture.convert("RGB").resize((SIDE, SIDE), Image.Resampling.BILINEAR)
    return np.asarray(warped, np.float32) / 255


def boxes_of(record: dict) -> np.ndarray:
    size = record["height"], record["width"]
    return boxes.follow(np.asarray(record["boxes"], np.float32), size, SIDE, None)


@functools.partial(jax.jit, static_argnames=("part", "chunk_size"))
def _answers(score_fn, image, target, centers, sigma, part, darkness, chunk_size):
    both = responses(
        score_fn, image, target, centers, sigma, sigma, part, darkness, 0.0, chunk_size
    )
    return both[0 if part == "light" else 1]


def answers(options) -> None:
    score_fn = saljax.scores.probabilities(saljax.models.load(options.model, options.weights))
    centers = gaussians.grid_centers((SIDE, SIDE), options.grid)
    predict = jax.jit(lambda score_fn, image: score_fn(image[None])[0])
    wanted = [("light", sigma) for sigma in options.light]
    wanted += [("shadow", sigma) for sigma in options.shadow]
    options.out.mkdir(parents=True, exist_ok=True)
    for record in track(photographs(options.photos, options.number), "photographs"):
        path = options.out / f"{record['file']}.npz"
        done = dict(np.load(path)) if path.exists() else {}
        image, target = jnp.asarray(read(options.photos, record)), record["label"]
        for darkness in options.darkness:
            color = jnp.asarray(DARKNESS[darkness])
            for part, text in wanted:
                sigma, (unit, pixels) = float(text[:-2]), UNITS[text[-2:]]
                name = f"{part} {darkness} {sigma:g} {unit} {options.grid}"
                if name not in done:
                    done[name] = _answers(
                        score_fn, image, target, centers, sigma * pixels, part, color,
                        options.chunk_size,
                    )  # fmt: skip
        done["prediction"] = np.asarray(predict(score_fn, image).argmax())
        np.savez(path.with_suffix(".tmp.npz"), **done)
        path.with_suffix(".tmp.npz").rename(path)


@jax.jit
def _hit(values, corners, sigma_spatial):
    grid = int(len(values) ** 0.5)
    saliency = gaussians.spread_grid(values.reshape(grid, grid), (SIDE, SIDE), sigma_spatial)
    return metrics.pointing_game_glas(saliency, corners)


_hits = jax.jit(jax.vmap(_hit, (0, 0, None)))


def rate(hits: np.ndarray) -> str:
    p = hits.mean()
    return f"{p:.3f} ± {np.sqrt(p * (1 - p) / len(hits)):.3f}"


def table(options) -> None:
    records = photographs(options.photos, options.number)
    stored = [dict(np.load(options.out / f"{r['file']}.npz")) for r in records]
    found = [boxes_of(record) for record in records]
    corners = jnp.asarray([boxes.padded(f, max(map(len, found))) for f in found])
    small = np.asarray([metrics.is_small(c, (SIDE, SIDE)) for c in corners])
    correct = np.asarray(
        [s["prediction"] == r["label"] for s, r in zip(stored, records, strict=True)]
    )
    center = jnp.full((len(records), 9), 0.0).at[:, 4].set(1.0)
    subsets = {"all": np.ones_like(small), "small": small, "correct": correct}
    columns = " | ".join(f"{name} ({mask.sum()})" for name, mask in subsets.items())
    print(f"| part | darkness | unit | k | light / shadow / spatial | {columns} |")
    print("|---|---|---|---|---|" + "---|" * len(subsets))

    def row(part, darkness, unit, grid, widths, values, sigma_spatial):
        hits = np.asarray(_hits(values, corners, sigma_spatial))
        cells = " | ".join(rate(hits[mask]) for mask in subsets.values())
        print(f"| {part} | {darkness} | {unit} | {grid} | {widths} | {cells} |", flush=True)

    row("center", "", "", "", "", center, 30.0)
    complete = set.intersection(*(set(s) for s in stored)) - {"prediction"}
    names = [name.split() for name in complete]
    for darkness, unit, grid in sorted({(d, u, k) for _, d, _, u, k in names}):
        pixels = CELL if unit == "cell" else 1.0
        found = {
            part: {
                float(s): jnp.asarray([r[f"{part} {darkness} {s} {unit} {grid}"] for r in stored])
                for p, d, s, u, k in names
                if (p, d, u, k) == (part, darkness, unit, grid)
            }
            for part in ("light", "shadow")
        }
        for spatial in options.spatial:
            for part, by_sigma in found.items():
                for sigma, values in sorted(by_sigma.items()):
                    widths = [f"{sigma:g}" if part == p else "-" for p in found] + [f"{spatial:g}"]
                    row(part, darkness, unit, grid, " / ".join(widths), values, spatial * pixels)
            for light, shadow in itertools.product(sorted(found["light"]), sorted(found["shadow"])):
                values = found["light"][light] * (found["shadow"][shadow] + 1e-5)
                widths = f"{light:g} / {shadow:g} / {spatial:g}"
                row("fusion", darkness, unit, grid, widths, values, spatial * pixels)


def grids(options) -> None:
    stored = [
        dict(np.load(options.out / f"{record['file']}.npz"))
        for record in photographs(options.photos, options.number)
    ]
    (light,), (shadow,), (darkness,) = options.light, options.shadow, options.darkness
    sigma_spatial = options.spatial[0] * UNITS[light[-2:]][1]
    names = {
        part: f"{part} {darkness} {float(text[:-2]):g} {UNITS[text[-2:]][0]}"
        for part, text in (("light", light), ("shadow", shadow))
    }
    found = sorted(int(n.split()[-1]) for n in stored[0] if n.startswith(names["light"] + " "))

    def fused(answers, grid):
        values = answers[f"{names['light']} {grid}"] * (answers[f"{names['shadow']} {grid}"] + 1e-5)
        return np.asarray(_spread(values.reshape(grid, grid), sigma_spatial))

    finest = [fused(one, found[-1]) for one in stored]
    print("| k | correlation, mean | least | maximum moves, pixels, mean | most |")
    print("|---|---|---|---|---|")
    for grid in found[:-1]:
        maps = [fused(one, grid) for one in stored]
        r = [np.corrcoef(a.ravel(), b.ravel())[0, 1] for a, b in zip(maps, finest, strict=True)]
        tops = [
            np.stack([np.unravel_index(m.argmax(), m.shape) for m in some]).astype(float)
            for some in (maps, finest)
        ]
        moved = np.linalg.norm(tops[0] - tops[1], axis=1)
        cells = np.mean(r), np.min(r), moved.mean(), moved.max()
        print("| {} | {:.5f} | {:.4f} | {:.1f} | {:.1f} |".format(grid, *cells))


_spread = jax.jit(lambda values, sigma: gaussians.spread_grid(values, (SIDE, SIDE), sigma))


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="S1, tables 1 and 2.")
    parser.add_argument("command", choices=["answers", "table", "grids"])
    parser.add_argument("--photos", type=pathlib.Path, required=True)
    parser.add_argument("--out", type=pathlib.Path, required=True)
    parser.add_argument("--number", type=int, default=100)
    parser.add_argument("--model", default="resnet18")
    parser.add_argument("--weights")
    parser.add_argument("--grid", type=int, default=10)
    parser.add_argument("--light", nargs="*", default=["2ce", "3ce", "5ce"], help="5ce or 5px")
    parser.add_argument("--shadow", nargs="*", default=["2ce", "3ce"], help="3ce or 3px")
    parser.add_argument("--darkness", nargs="+", default=["black", "mean"], choices=list(DARKNESS))
    parser.add_argument("--spatial", nargs="+", type=float, default=[6.0])
    parser.add_argument("--chunk-size", type=int, default=32)
    options = parser.parse_args()
    {"answers": answers, "table": table, "grids": grids}[options.command](options)
