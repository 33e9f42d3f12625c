"""Top-1 of the bird network on a hundred photographs of ten species.

The weights (a MobileNetV2 of 965 outputs) and photographs (CUB-200-2011, cropped) lie in
`../shared/real`, outside the repository, under non-commercial terms; its README states 89.0 % on
780 crops of 78 species, of which these are some. The figure here should be within two standard
errors of that.

Cost: 20 seconds on 2 busy cores. Command:

    python experiments/birds_top1.py
"""

import json
import math
from pathlib import Path

import jax
import numpy as np

from saljax import models
from saljax.data.folders import list_images, prepare, read_image
from saljax.models import labels

ROOT = Path(__file__).parents[1]
REAL = ROOT.parent / "shared" / "real"
RESULTS = ROOT / "experiments" / "results" / "birds_top1.md"
STATED = 0.890


def rows(score_fn, about, names):
    forward, total, right = jax.jit(lambda f, x: f(x)), 0, 0
    for species, index in json.loads((REAL / "bird_species_index.json").read_text()).items():
        pictures = [read_image(path) for path in list_images(REAL / "photos" / "birds" / species)]
        images = np.stack([prepare(picture, about.resize, about.crop) for picture in pictures])
        answers = np.asarray(forward(score_fn, images)).argmax(axis=1)
        wrong = [names[answer] for answer in answers if answer != index]
        total, right = total + len(answers), right + len(answers) - len(wrong)
        hits = f"{len(answers) - len(wrong)} of {len(answers)}"
        yield f"| {names[index]} | {hits} | {', '.join(wrong)} |"
    rate = right / total
    error = math.sqrt(rate * (1 - rate) / total)
    yield f"| all: {rate:.1%} ± {error:.1%}, stated {STATED:.1%} | {right} of {total} | |"


def main():
    about = models.info("mobilenet_v2_birds")
    score_fn = models.load(about.name, REAL / "weights" / "mobilenet_v2_birds.safetensors")
    lines = [
        "# Top-1 of the bird network",
        "",
        "    python experiments/birds_top1.py",
        "",
        f"CUB-200-2011 crops of 227 x 227, squeezed to 224 x 224. JAX {jax.__version__}.",
        "",
        "| species | right | taken for |",
        "|---|---|---|",
        *rows(score_fn, about, labels.read(REAL / "bird_labels.txt")),
    ]
    RESULTS.write_text("\n".join(lines) + "\n")
    print(RESULTS.read_text())


if __name__ == "__main__":
    main()
