r"""GLAS with fewer passes: what the map loses, against the passes saved.

    python experiments/glas_fewer_passes.py birdlets --number 20
    python experiments/s1_table2_pointing.py answers ... --grid 12 --light 5ce --shadow 3ce \
        --darkness black --photos ../shared/real/photos --out FOLDER
    python experiments/glas_fewer_passes.py photographs --answers FOLDER --grid 12

Each image is scored once at all points of a grid; a search with `num_passes` is then run on these
answers, and beside it, for birdlets, the plain method on smaller grids. Agreement is that of the
map with the full one: correlation, and whether the maximum lies within one cell of the grid.
Pointing is that of `glas_on_birdlets.py` (within 4 pixels of the diagnostic part) and the pointing
game of the GLAS paper. Results: results/glas_fewer_passes.md.
"""

import argparse
import functools
import math
import pathlib
from collections.abc import Callable
from typing import NamedTuple

import glas_on_birdlets
import jax
import jax.numpy as jnp
import numpy as np
import s1_table2_pointing as photographs

import saljax
from saljax import metrics
from saljax.core import chunks
from saljax.data import birdlets
from saljax.methods.perturbation.glas_search import score_some
from saljax.ops import gaussians

SMALLER = (11, 10, 8)
SHARES = (0.75, 0.5, 0.33, 0.25, 0.2, 0.15)
SETTINGS = {"5 / 3 / 6": (5.0, 3.0, 6.0), "2 / 2 / 2": (2.0, 2.0, 2.0)}
PHOTOS = pathlib.Path(__file__).parents[2] / "shared" / "real" / "photos"


class Case(NamedTuple):
    """An image and what a map of it should point at."""

    shape: tuple[int, ...]
    answers: Callable[..., jax.Array]
    """Scores as `answers` gives them, of the widths and the grid."""
    hit: Callable[[np.ndarray], bool]
    """Whether a map points at what it should."""


@functools.partial(jax.jit, static_argnames="grid")
def answers(score_fn, image, target, widths, grid):
    """Scores of all lights, all shadows and the image itself."""
    spatial = image.shape[:-1]
    centers = gaussians.grid_centers(spatial, grid)
    number, pixels = len(centers), math.sqrt(math.prod(spatial)) / 15

    def score(indices):
        def shown(index):
            is_shadow = index // number == 1
            sigma = jnp.where(is_shadow, widths[1], widths[0]) * pixels
            light = gaussians.gaussian_mask(spatial, centers[index % number], sigma)
            mask = jnp.where(is_shadow, 1 - light, light)
            return image * jnp.where(index == 2 * number, 1.0, mask)[..., None]

        return score_fn(jax.vmap(shown)(indices))[:, target]

    return chunks.map_over(score, jnp.arange(2 * number + 1), 32)


@functools.partial(jax.jit, static_argnames=("grid", "num_passes", "shape"))
def saliency(found, width, grid, num_passes, shape):
    """The map of GLAS from the scores of `answers`, looked up one by one where passes are few."""

    def values_of(found):
        number = grid**2
        return found[:number] * (jnp.abs(found[-1:] - found[number:-1]) + 1e-5)

    if num_passes is not None:
        items = jnp.arange(len(found))
        found = score_some(lambda places: found[places], items, values_of, grid, 2, num_passes)
    on_grid = values_of(found).reshape(grid, grid)
    return gaussians.spread_grid(on_grid, shape, width * math.sqrt(math.prod(shape)) / 15)


def of_birdlets(score_fn, number):
    for index in range(number):
        drawn = birdlets.sample(glas_on_birdlets.SEED, index)
        ask = functools.partial(answers, score_fn, jnp.asarray(drawn.image), drawn.label)

        def hit(found, mask=drawn.diagnostic_mask):
            return glas_on_birdlets.distance(found, mask) <= glas_on_birdlets.NEAR

        yield Case(drawn.image.shape[:-1], ask, hit)


def of_photographs(number, folder, kept):
    """Those whose answers `s1_table2_pointing.py` has kept."""
    side = photographs.SIDE
    for record in photographs.photographs(folder, number):
        path = kept / f"{record['file']}.npz"
        if not path.exists():
            continue

        def ask(widths, grid, path=path):
            names = zip(("light", "shadow"), widths, strict=False)
            stored = [np.load(path)[f"{part} black {w:g} cell {grid}"] for part, w in names]
            # f_s is kept, and not the scores of shadows: those of an image whose own score is 0.
            return jnp.concatenate([*map(jnp.asarray, stored), jnp.zeros(1)])

        corners = jnp.asarray(photographs.boxes_of(record))

        def hit(found, corners=corners):
            return bool(metrics.pointing_game_glas(jnp.asarray(found), corners))

        yield Case((side, side), ask, hit)


def peak(found):
    return np.array(np.unravel_index(found.argmax(), found.shape))


def table(cases, grid, smaller, settings):
    every = 2 * grid**2 + 1
    names = [("full", every), *(("search", round(every * share)) for share in SHARES)]
    names += [("smaller grid", 2 * side**2 + 1) for side in smaller]
    print(f"{len(cases)} images, {grid} x {grid} points\n")
    print("| sigmas | how | passes | correlation, mean | worst | maximum within a cell | points |")
    print("|---|---|---|---|---|---|---|")
    for title in settings:
        widths = SETTINGS[title]
        rows = {name: [] for name in names}
        for case in cases:
            draw = functools.partial(saliency, width=widths[2], shape=case.shape)
            found_all = case.answers(widths, grid=grid)
            full = np.asarray(draw(found_all, grid=grid, num_passes=None))
            for (name, passes), row in rows.items():
                if name == "smaller grid":
                    side = math.isqrt((passes - 1) // 2)
                    asked = case.answers(widths, grid=side)
                    found = np.asarray(draw(asked, grid=side, num_passes=None))
                else:
                    few = passes if name == "search" else None
                    found = np.asarray(draw(found_all, grid=grid, num_passes=few))
                same = np.abs(peak(found) - peak(full)).max() <= max(case.shape) / grid
                correlation = np.corrcoef(found.ravel(), full.ravel())[0, 1]
                row.append((correlation, same, case.hit(found)))
        for (name, passes), row in rows.items():
            correlations, same, hits = np.asarray(row, float).T
            print(
                f"| {title} | {name} | {passes} | {correlations.mean():.4f} | "
                f"{correlations.min():.3f} | {same.mean():.2f} | {hits.mean():.2f} |",
                flush=True,
            )


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="GLAS: passes against agreement.")
    parser.add_argument("data", choices=["birdlets", "photographs"])
    parser.add_argument("--number", type=int, default=20)
    parser.add_argument("--grid", type=int, default=15)
    parser.add_argument("--smaller", type=int, nargs="*", default=SMALLER)
    parser.add_argument("--sigmas", nargs="*", default=list(SETTINGS), choices=list(SETTINGS))
    parser.add_argument("--photos", type=pathlib.Path, default=PHOTOS)
    parser.add_argument("--answers", type=pathlib.Path, help="of s1_table2_pointing.py")
    options = parser.parse_args()
    if options.data == "birdlets":
        score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
        cases = list(of_birdlets(score_fn, options.number))
        table(cases, options.grid, options.smaller, options.sigmas)
    else:
        cases = list(of_photographs(options.number, options.photos, options.answers))
        table(cases, options.grid, (), options.sigmas[:1])
