"""Draw the pictures of the gallery: every method on the same two pictures.

    make gallery        # or: python docs/making/gallery.py [METHOD ...]

A bird, and two birds asked about the lower one, with the bundled classifiers; `CALLS` has the one
call that the page shows for each method. Writes docs/gallery/METHOD.jpg, and costs.json with the
processor time of a second call of both maps.
"""

import functools
import io
import json
import sys
import time
from pathlib import Path

import jax
import numpy as np

import saljax
from saljax.methods.table import METHODS, Known

FOLDER = Path(__file__).parents[1] / "gallery"
FINE = "sigma_light=1.5, sigma_shadow=1.5, sigma_spatial=1.5"
MASK = "mask_size=12, mask_sigma=2.1, jitter=2, baseline=blurred(4.3)"
CALLS = {
    "glas": FINE,
    "rglas": f"{FINE}, max_iterations=2",
    "occlusion": "window=8, stride=4",
    "blur_occlusion": "diameter=15.0, stride=4, softness=4.3, blur=4.3",
    "rise": "num_masks=1000",
    "lime": "grid=16",
    "smoothgrad": "num_samples=25",
    "integrated_gradients": "num_steps=50",
    "meaningful_perturbation": f"{MASK}, l1=5e-3, num_steps=100",
    "extremal_perturbation": "areas=(0.02,), num_steps=100, step=3, sigma=9.0, max_blur=8.6",
    "feature_inversion": "baseline=blurred(4.7)",
    "excitation_backprop": 'layer="block1"',
    "contrastive_excitation_backprop": 'layer="block1"',
    "information_bottleneck": 'layer="block2", statistics=statistics',
    "glas_regions": "labels=atlas, num_regions=64, sigma_light=9.6, sigma_shadow=9.6",
}
"""Keywords where the paper's, made for 224 x 224, do not suit 96 x 96, or cost much."""

SHOWN = METHODS | {
    "glas_regions": Known(
        saljax.glas_regions,
        "GLAS's appendix on 3D-GLAS; the atlas is one of squares of 12 x 12 pixels here",
        "probabilities",
    ),
    "information_bottleneck": Known(
        saljax.information_bottleneck,
        "Restricting the Flow: Information Bottlenecks for Attribution, ICLR 2020",
        "logits",
    ),
}
"""Those of the table, and two that need more than a picture and a classifier."""
LEARNING, NUMBER = 5, 256
"""Seed and number of the birds for the statistics of a layer."""

ON_TRANSFORMERS = ("attention_rollout", "generic_attention", "le_grad", "attn_lrp")
SIDE, WIDTH, SEED = 288, 560, 77
"""Pixels a side of the birds drawn, and of a strip's width; the birds are held out."""


def call(name: str) -> str:
    """The method with its keywords, as the page shows it."""
    keywords = CALLS.get(name)
    return f"functools.partial(saljax.{name}, {keywords})" if keywords else f"saljax.{name}"


def model(name: str) -> str:
    """Which bundled classifier is explained."""
    return "birdlets_vit" if name in ON_TRANSFORMERS else "birdlets"


def explained(name: str, images: np.ndarray, labels: np.ndarray) -> tuple[np.ndarray, float]:
    """Maps of a method and the seconds of processor time of a second call."""
    from saljax.ops.perturb import blurred
    from saljax.runs import classifier
    from saljax.runs.explainers import equipped

    known = classifier.load(model(name), None)
    names = {"saljax": saljax, "functools": functools, "blurred": blurred}
    shown = functools.partial(eval(call(name), names | more(name, known.logits)))
    method = equipped(shown, name, known) if name in METHODS else shown  # with bundled explainers
    score_fn = known.logits if SHOWN[name].explains == "logits" else known.probabilities
    ask = functools.partial(saljax.explain, method, score_fn, images, labels, key=jax.random.key(0))
    jax.block_until_ready(ask())
    start = time.process_time()
    maps = np.asarray(ask())
    return maps, time.process_time() - start


def more(name: str, logits) -> dict:
    """What else its call names."""
    if name == "glas_regions":
        rows, columns = np.indices((96, 96)) // 12
        return {"atlas": 1 + 8 * rows + columns}
    if name == "information_bottleneck":
        from saljax.data import birdlets

        birds = np.stack([birdlets.sample(LEARNING, index).image for index in range(NUMBER)])
        return {"statistics": saljax.activation_statistics(logits, [birds], "block2")}
    return {}


def strip(name: str, maps: np.ndarray, shown: list) -> bytes:
    """The maps over their birds, side by side, as JPEG."""
    from PIL import Image, ImageOps

    from saljax.report import grids

    panels = [
        grids.Panel(bird.image, m, "", outline=bird.diagnostic_mask, signed=SHOWN[name].signed)
        for bird, m in zip(shown, maps, strict=True)
    ]
    drawn = grids.png(grids.grid([grids.Row("", "", tuple(panels))]))
    page = Image.open(io.BytesIO(drawn)).convert("RGB")
    page = page.crop(ImageOps.invert(page).getbbox())
    page = page.resize((WIDTH, WIDTH * page.height // page.width), Image.Resampling.LANCZOS)
    buffer = io.BytesIO()
    page.save(buffer, "jpeg", quality=80, optimize=True)
    return buffer.getvalue()


def main(names: list[str]) -> None:
    """Draw the strips of these methods, or of all."""
    from saljax.data import birdlets

    small, large = [
        [birdlets.sample(SEED, 0, size=size), birdlets.pair(SEED, 0, size=size).birds[0]]
        for size in (96, SIDE)
    ]
    images = np.stack([bird.image for bird in small])
    labels = np.asarray([bird.label for bird in small])
    file = FOLDER / "costs.json"
    costs = json.loads(file.read_text()) if file.exists() else {}
    for name in names or SHOWN:
        maps, seconds = explained(name, images, labels)
        (FOLDER / f"{name}.jpg").write_bytes(strip(name, maps, large))
        costs[name] = round(seconds / len(images), 4)
        sys.stdout.write(f"{name}: {1000 * costs[name]:.0f} ms a map\n")
        file.write_text(json.dumps(costs, indent=1, sort_keys=True) + "\n")


if __name__ == "__main__":
    main(sys.argv[1:])
