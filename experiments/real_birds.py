r"""S1, figures 4 and 13 to 25: GLAS from coarse to fine, and Grad-CAM, on real birds.

    python experiments/real_birds.py --grid 10 --out out/real_birds
    python experiments/real_birds.py --species Red_winged_Blackbird --crops 5 --out out/blackbirds

The bird network on crops of ten species from `../shared/real`, which stay outside the repository,
as does the picture: of each species the first crops that it gets right, GLAS with all sigmas
6, 3 and 1.5, and Grad-CAM at the last convolution. Printed for each map: how wide its upper part is
and where its maximum lies; for the red-winged blackbird also whether that is on the red shoulder,
pixels redder than green and blue by `RED`. Results: results/real_birds.md.
"""

import argparse
import functools
import json
import time
from pathlib import Path

import jax
import numpy as np

import saljax
from saljax.data.folders import list_images, prepare, read_image
from saljax.report import grids

REAL = Path(__file__).parents[2] / "shared" / "real"
SIGMAS = (6.0, 3.0, 1.5)
RED = 0.2


def right_ones(score_fn, folder, index, number):
    """The first crops that the network takes for their species, and their probabilities."""
    about, found = saljax.models.info("mobilenet_v2_birds"), []
    for path in list_images(folder):
        image = prepare(read_image(path), about.resize, about.crop)
        probability = np.asarray(score_fn(image[None])[0])
        if probability.argmax() == index:
            found.append((path.name, image, probability[index]))
        if len(found) == number:
            break
    return found


def maps_of(logits, probabilities, image, target, grid):
    """Caption -> map."""
    found = {}
    for sigma in SIGMAS:
        method = functools.partial(
            saljax.glas, grid=grid, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma
        )
        saliency = saljax.explain(method, probabilities, image[None], [target])
        found[f"GLAS {sigma:g}"] = np.asarray(saliency[0])
    cam = functools.partial(saljax.grad_cam, layer="head")
    found["Grad-CAM"] = np.asarray(saljax.explain(cam, logits, image[None], [target])[0])
    return found


def upper(saliency):
    """Share of the picture where the map is above the middle between its least and largest."""
    return (saliency > (saliency.min() + saliency.max()) / 2).mean()


def red_shoulder(image):
    return image[..., 0] - image[..., 1:].max(axis=-1) > RED


def to_shoulder(image, saliency):
    """Pixels from the map's maximum to the nearest red pixel."""
    peak = np.unravel_index(saliency.argmax(), saliency.shape)
    return np.hypot(*(np.argwhere(red_shoulder(image)) - peak).T).min()


def main():
    species = json.loads((REAL / "bird_species_index.json").read_text())
    parser = argparse.ArgumentParser(description="GLAS and Grad-CAM on real birds.")
    parser.add_argument("--out", type=Path, default=Path("out/real_birds"))
    parser.add_argument("--grid", type=int, default=10)
    parser.add_argument("--crops", type=int, default=1, help="of each species")
    parser.add_argument("--species", nargs="+", default=list(species), choices=list(species))
    options = parser.parse_args()

    weights = REAL / "weights" / "mobilenet_v2_birds.safetensors"
    logits = saljax.models.load("mobilenet_v2_birds", weights)
    probabilities = saljax.scores.probabilities(logits)
    predict = functools.partial(jax.jit(lambda f, images: f(images)), probabilities)
    rows, start = [], time.process_time()
    print("GLAS with sigmas 6, 3 and 1.5, and Grad-CAM.\n")
    print("| species | crop | probability | above the middle, % | maximum at row, column | red |")
    print("|---|---|---|---|---|---|")
    for name in options.species:
        folder = REAL / "photos" / "birds" / name
        for file, image, probability in right_ones(predict, folder, species[name], options.crops):
            found = maps_of(logits, probabilities, image, species[name], options.grid)
            areas = ", ".join(f"{100 * upper(s):.0f}" for s in found.values())
            peaks = [np.unravel_index(s.argmax(), s.shape) for s in found.values()]
            places = " ".join(f"{row},{column}" for row, column in peaks)
            red = ""
            if name == "Red_winged_Blackbird":
                distances = ", ".join(f"{to_shoulder(image, s):.0f}" for s in found.values())
                red = f"{100 * red_shoulder(image).mean():.1f} %; {distances} pixels"
            cells = [name, file, f"{probability:.2f}", areas, places, red]
            print(f"| {' | '.join(cells)} |", flush=True)
            title = f"{name.replace('_', ' ')}, {probability:.2f}"
            rows.append(grids.comparison(image, list(found.values()), list(found), title, file))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "birds.png").write_bytes(grids.png(grids.grid(rows)))
    print(f"\n{time.process_time() - start:.0f} s of processor time")


if __name__ == "__main__":
    main()
