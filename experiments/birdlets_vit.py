"""Do methods survive a change of architecture? Two classifiers, the same pictures of birds.

    python experiments/birdlets_vit.py measure rows.json --number 40
    python experiments/birdlets_vit.py measure rows.json --number 8 --methods rise lime
    python experiments/birdlets_vit.py table rows.json
    python experiments/birdlets_vit.py picture --number 4

On held-out birdlets that both bundled classifiers get right, the small convolutional network and
the small vision transformer: the share of each map's mass on the part that decides and on the bird,
and how often its maximum lies near the part, as in `birdlets_all_methods.py`, with the last of its
settings of each method. `measure` adds to a file, so methods can be measured one by one, the dear
ones on fewer pictures; `table` also says how alike the two orders of the methods are. Results are
in results/birdlets_vit.md.
"""

import argparse
import functools
import io
import json
from pathlib import Path

import numpy as np
from birdlets_all_methods import SETTINGS, header, mean, share_near, shares, timed
from glas_on_birdlets import NEAR, SEED, distance, explained, predicted, rate
from PIL import Image

import saljax
from saljax.data import birdlets
from saljax.methods.table import METHODS
from saljax.metrics.similarity import spearman
from saljax.report import grids

CLASSIFIERS = {"birdlets": "CNN", "birdlets_vit": "ViT"}
LAYERS = {"block1": "stem0"}
"""Layer of a setting -> the one of the transformer with as many places."""
FAST = (
    "gradient", "input_x_gradient", "grad_cam", "grad_cam_plus_plus", "guided_backprop",
    "deconvnet", "excitation_backprop", "contrastive_excitation_backprop", "lrp", "attn_lrp",
    "attention_rollout", "generic_attention", "le_grad", "smoothgrad", "integrated_gradients",
    "meaningful_perturbation_at_layer",
)  # fmt: skip
SHOWN, ACROSS, WIDTH = 192, 4, 1100
"""Pixels a side of the birds drawn, panels side by side, pixels of the whole."""
TARGET = Path(__file__).parent / "results" / "birdlets_vit.jpg"


def configured(classifier, name):
    """The last setting's name, the method with it, and what of the classifier it explains."""
    setting, keywords = list(SETTINGS.get(name, {"": {}}).items())[-1]
    if "layer" in keywords and classifier == "birdlets_vit":
        layer = LAYERS[keywords["layer"]]
        setting, keywords = f"{setting}, {layer}", keywords | {"layer": layer}
    logits = saljax.models.load(classifier)
    known = METHODS[name]
    score_fn = logits if known.explains == "logits" else saljax.scores.probabilities(logits)
    return setting, functools.partial(known.function, **keywords), score_fn


def kept(number):
    """The birds that both classifiers get right, each behind its index."""
    birds = [birdlets.sample(SEED, index) for index in range(number)]
    right = np.ones(number, bool)
    for classifier in CLASSIFIERS:
        found = predicted(saljax.models.load(classifier), [b.image for b in birds])
        right &= found.argmax(axis=1) == [b.label for b in birds]
    return [one for one, good in zip(enumerate(birds), right, strict=True) if good]


def measured(classifier, name, birds):
    images, labels = [b.image for b in birds], [b.label for b in birds]
    setting, method, score_fn = configured(classifier, name)
    try:
        saliency, seconds = timed(method, score_fn, images, labels)
    except (ValueError, NotImplementedError) as error:
        return {"cannot": str(error).splitlines()[0]}
    parts = [b.diagnostic_mask for b in birds]
    away = [distance(s, m) for s, m in zip(saliency, parts, strict=True)]
    return {
        "setting": setting,
        "part": shares(saliency, parts).tolist(),
        "bird": shares(saliency, [b.object_mask for b in birds]).tolist(),
        "near": [a <= NEAR for a in away],
        "ms": 1000 * seconds,
    }


def measure(file, names, number):
    rows = json.loads(file.read_text()) if file.exists() else {}
    birds = [bird for _, bird in kept(number)]
    parts, whole = ([getattr(b, m) for b in birds] for m in ("diagnostic_mask", "object_mask"))
    near = float(np.mean([share_near(part) for part in parts]))
    rows["chance"] = [100 * float(np.mean(parts)), 100 * float(np.mean(whole)), near]
    for name in names:
        for classifier in CLASSIFIERS:
            found = measured(classifier, name, birds)
            rows.setdefault(name, {})[classifier] = found
            shares = (np.mean(np.asarray(found.get(key, 0.0))) for key in ("part", "near"))
            text = found.get("cannot") or " ".join(f"{share:.2f}" for share in shares)
            print(name, classifier, text, flush=True)
            file.write_text(json.dumps(rows))


def cells(found):
    if "cannot" in found:
        return ["-"] * 4
    shares = (mean(np.asarray(found[key])) for key in ("part", "bird"))
    return [*shares, rate(found["near"]), f"{found['ms']:.0f}"]


def table(file, *_):
    rows = json.loads(file.read_text())
    part, bird, near = rows.pop("chance")
    columns = ("on the part, %", "on the bird, %", f"within {NEAR} pixels", "CPU ms")
    header("method", "setting", "pictures",
           *(f"{c}: {m}" for c in CLASSIFIERS.values() for m in columns))  # fmt: skip
    by_chance = f"{part:.1f} | {bird:.1f} | {near:.3f} | "
    print(f"| chance | | | {by_chance} | {by_chance} |")
    for name, row in rows.items():
        cnn, vit = (row[c] for c in CLASSIFIERS)
        some = vit if "cannot" in cnn else cnn
        if "cannot" in some:
            continue
        setting = vit.get("setting", some["setting"])
        texts = [name, setting, f"{len(some['part'])}", *cells(cnn), *cells(vit)]
        print(f"| {' | '.join(texts)} |")
    both = [row for row in rows.values() if not any("cannot" in r for r in row.values())]
    for key, what in (("part", "share on the part"), ("near", "rate of maxima near the part")):
        pairs = [[np.mean(row[c][key]) for c in CLASSIFIERS] for row in both]
        found = float(spearman(*np.transpose(pairs)))
        print(f"\nSpearman's correlation of the {what}, {len(both)} methods: {found:.2f}")
    for name, row in rows.items():
        for classifier, found in row.items():
            if "cannot" in found:
                print(f"- {name}, {CLASSIFIERS[classifier]}: {found['cannot']}")


def picture(file, names, number):
    """Maps of the first bird that both get right: above of the CNN, below of the ViT."""
    (index, bird), *_ = kept(number)
    large = birdlets.sample(SEED, index, size=SHOWN)
    rows = []
    for classifier, title in CLASSIFIERS.items():
        panels = [grids.Panel(large.image, None, title, outline=large.diagnostic_mask)]
        for name in names:
            _, method, score_fn = configured(classifier, name)
            try:
                (found,) = explained(method, score_fn, [bird.image], [bird.label], batch=1)
            except (ValueError, NotImplementedError):
                continue
            panels.append(grids.Panel(large.image, found, name.replace("_", " ")))
        rows += [panels[j : j + ACROSS] for j in range(0, len(panels), ACROSS)]
    drawn = grids.png(grids.grid([grids.Row("", "", tuple(row)) for row in rows]))
    page = Image.open(io.BytesIO(drawn)).convert("RGB")
    page = page.resize((WIDTH, WIDTH * page.height // page.width), Image.Resampling.LANCZOS)
    page.save(TARGET, quality=85)


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="Two architectures, the same birds.")
    questions = {"measure": measure, "table": table, "picture": picture}
    parser.add_argument("question", choices=list(questions))
    parser.add_argument("file", nargs="?", type=Path, default=Path("birdlets_vit.json"))
    parser.add_argument("--methods", nargs="+", default=FAST, choices=list(METHODS))
    parser.add_argument("--number", type=int, default=40, help="of pictures")
    options = parser.parse_args()
    questions[options.question](options.file, options.methods, options.number)
