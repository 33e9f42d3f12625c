r"""S3, figure 11: maps of misclassified pictures, for the class predicted and for the true one.

    python experiments/s3_misclassified.py birdlets --picture out/misclassified.jpg
    python experiments/s3_misclassified.py photographs --weights resnet18.safetensors --dre dre/explainer.safetensors --masking-model mm/explainer.safetensors

S3 shows that most methods still point at the object and concludes that different classes share
features. With birdlets it can be asked what is shared: of both maps the share on the part that
tells the true species and on the bird, and how alike they are (Spearman's correlation of the
pixels). With photographs of `../shared/real` there are boxes of the true class only, and no
pictures may be kept. Results: results/s3_misclassified.md.
"""  # noqa: E501

import argparse
import functools
import io
import json
from pathlib import Path

import jax
import numpy as np
from agreement_with_peers import PHOTOS
from birdlets_all_methods import configured, header, mean, shares
from glas_on_birdlets import SEED, explained
from PIL import Image

import saljax
from saljax.data import birdlets, boxes
from saljax.data.folders import prepare, read_image
from saljax.metrics.similarity import spearman
from saljax.report import grids
from saljax.runs import classifier
from saljax.runs.explainers import equipped

METHODS = ("grad_cam", "grad_cam_plus_plus", "dre", "masking_model", "gradient")
BATCH, WIDTH, SHOWN = 100, 1100, 3


@jax.jit
def predicted(score_fn, images):
    return score_fn(images).argmax(axis=1)


alike = jax.jit(jax.vmap(spearman))


def row(name, setting, of_predicted, of_true, masks):
    cells = [mean(shares(maps, one)) for one in masks for maps in (of_predicted, of_true)]
    similar = np.asarray(alike(of_predicted, of_true))
    error = similar.std(ddof=1) / np.sqrt(len(similar))
    similarity = f"{similar.mean():.2f} ± {error:.2f}"
    print(f"| {name} | {setting} | {' | '.join(cells)} | {similarity} |", flush=True)


def wrong_birds(number):
    """Those among the first held-out ones that the classifier takes for another species."""
    score_fn, found = saljax.models.load("birdlets"), []
    for start in range(0, number, BATCH):
        drawn = [birdlets.sample(SEED, i) for i in range(start, start + BATCH)]
        guesses = np.asarray(predicted(score_fn, np.stack([s.image for s in drawn])))
        found += [
            (start + i, scene, int(guess))
            for i, (scene, guess) in enumerate(zip(drawn, guesses, strict=True))
            if guess != scene.label
        ]
    return found


def of_birdlets(number, picture):
    wrong = wrong_birds(number)
    scenes, seen = [s for _, s, _ in wrong], [c for *_, c in wrong]
    images, labels = [s.image for s in scenes], [s.label for s in scenes]
    masks = [[s.diagnostic_mask for s in scenes], [s.object_mask for s in scenes]]
    print(f"{len(scenes)} of {number} birds are taken for another species\n")
    header("method", "setting", "on the true part, %: map of the predicted", "of the true class",
           "on the bird, %: predicted", "true", "Spearman of the two")  # fmt: skip
    both, names = {}, list(birdlets.SPECIES)
    for name, setting, method, score_fn in configured([*METHODS, "attn_lrp"]):
        of_seen, of_label = (explained(method, score_fn, images, t) for t in (seen, labels))
        both[name] = of_seen, of_label
        row(name, setting, of_seen, of_label, masks)
    if picture:
        drawn = []
        for i, (index, scene, guess) in enumerate(wrong[:SHOWN]):
            large = birdlets.sample(SEED, index, size=288)
            first = grids.Panel(large.image, None, "", outline=large.diagnostic_mask)
            drawn += as_both(first, both, i, names[guess], names[scene.label])
        draw(picture, drawn)


def as_both(first, both, i, seen, label):
    """The i-th picture explained as what it is seen as, and below as what it is."""
    for kind, what in enumerate((seen, label)):
        shown = [grids.Panel(first.image, two[kind][i], name) for name, two in both.items()]
        title = f"{label}, seen as {seen}: explained as {what}"
        yield grids.Row(title, "", (first, *shown))


def draw(picture, drawn):
    page = Image.open(io.BytesIO(grids.png(grids.grid(drawn)))).convert("RGB")
    page = page.resize((WIDTH, WIDTH * page.height // page.width), Image.Resampling.LANCZOS)
    picture.parent.mkdir(parents=True, exist_ok=True)
    page.save(picture, quality=85)


def of_photographs(weights, explainers, number, picture):
    records = json.loads((PHOTOS / "ilsvrc_boxes.json").read_text())
    known = classifier.load("resnet18", weights)
    images, labels, seen, masks = [], [], [], []
    for record in records:
        if len(images) == number:
            break
        raw = read_image(PHOTOS / "ilsvrc" / record["file"])
        image = prepare(raw, 256, 224)
        corners = boxes.follow(np.asarray(record["boxes"]), raw.shape[:2], 256, 224)
        guess = int(predicted(known.logits, image[None])[0])
        if guess != record["label"] and len(corners):
            rows, columns = np.indices(image.shape[:2])
            inside = [
                (columns >= x1) & (columns <= x2) & (rows >= y1) & (rows <= y2)
                for x1, y1, x2, y2 in corners
            ]
            images.append(image)
            labels.append(record["label"])
            seen.append(guess)
            masks.append(np.any(inside, axis=0))
    covered = 100 * np.mean(masks)
    print(f"{len(images)} misclassified photographs; the boxes cover {covered:.1f} %\n")
    header("method", "setting", "in the true object's boxes, %: map of the predicted",
           "of the true class", "Spearman of the two")  # fmt: skip
    both = {}
    for name in METHODS:
        given = {"explainer": str(explainers[name])} if name in explainers else {}
        layer = {"layer": "layer4"} if "cam" in name else {}
        method = functools.partial(getattr(saljax, name), **given, **layer)
        method = equipped(method, name, known)
        of_seen, of_label = (explained(method, known.logits, images, t) for t in (seen, labels))
        both[name] = of_seen, of_label
        row(name, "", of_seen, of_label, [masks])
    if picture:
        drawn = []
        for i in range(min(SHOWN, len(images))):
            first = grids.Panel(images[i], None, "", outline=masks[i])
            drawn += as_both(first, both, i, known.labels[seen[i]], known.labels[labels[i]])
        draw(picture, drawn)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Maps of misclassified pictures.")
    parser.add_argument("what", choices=["birdlets", "photographs"])
    parser.add_argument("--number", type=int, help="birds to look through, or photographs to take")
    parser.add_argument("--picture", type=Path)
    parser.add_argument("--weights", type=Path)
    parser.add_argument("--dre", type=Path)
    parser.add_argument("--masking-model", type=Path)
    options = parser.parse_args()
    if options.what == "birdlets":
        of_birdlets(options.number or 4000, options.picture)
    else:
        learned = {"dre": options.dre, "masking_model": options.masking_model}
        of_photographs(options.weights, learned, options.number or 40, options.picture)
