"""Transfer to fundus photographs (S0's data set): a head alone, and everything.

The 80 photographs of iChallenge-PM lie in `../shared/real`, outside the repository, under
non-commercial terms; 45 show pathological myopia. A ResNet-18 with ImageNet's weights is trained on
four fifths of them and tested on the rest, five times, so that each photograph is tested on once by
a classifier that never saw it. The linear head that comes with them was trained on 400 others; its
97.25 % were measured on all 400 validation photographs, of which these are 80.

    python experiments/train_fundus.py head
    python experiments/train_fundus.py all --epochs 4
    python experiments/train_fundus.py shipped        # the head that comes with them, on the 80
    python experiments/train_fundus.py folder /tmp/fundus        # as folders, for the command line
"""

import argparse
import csv
import math
import os
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import numpy as np

from saljax import models
from saljax.data import folders
from saljax.data.labelled import Labelled, Pictures
from saljax.models import weights
from saljax.training import classifier, framing, steps

REAL = Path(__file__).parents[2] / "shared" / "real"
SCRATCH = Path(tempfile.gettempdir()) / "saljax-real"
CLASSES = ("normal", "myopia")
FOLDS = 5


def resnet18():
    """Return the path of ResNet-18's weights, decoded once into the temporary folder."""
    target = SCRATCH / "resnet18.safetensors"
    if not target.exists():
        target.parent.mkdir(exist_ok=True)
        source = REAL / "weights" / "resnet18_imagenet.codes.npz"
        subprocess.run([sys.executable, REAL / "decode.py", source, target], check=True)
    return target


def photographs():
    """Return the 80 photographs with their classes."""
    with (REAL / "photos" / "fundus_labels.csv").open() as file:
        rows = list(csv.DictReader(file))
    paths = [REAL / "photos" / "fundus" / row["imgName"] for row in rows]
    labels = np.array([int(row["Label"]) for row in rows], np.int32)
    return Pictures(
        [str(path) for path in paths], labels, lambda index: folders.read_image(paths[index])
    )


def folds(labels):
    """Return the fold of each photograph: a fifth of each class in each."""
    fold = np.zeros(len(labels), int)
    for label in np.unique(labels):
        rows = np.random.default_rng((0, label)).permutation(np.flatnonzero(labels == label))
        fold[rows] = np.arange(len(rows)) % FOLDS
    return fold


def said(right):
    """Return a share of right answers with its standard error."""
    share = right.mean()
    error = math.sqrt(share * (1 - share) / len(right))
    return f"{right.sum()} of {len(right)} right: {share:.1%} ± {error:.1%}"


def transfer(recipe):
    """Train on four folds and test on the fifth, five times."""
    pictures, about, epochs = photographs(), models.info("resnet18"), []
    fold = folds(pictures.labels)
    for number in range(FOLDS):
        parts = (pictures.take(np.flatnonzero(fold != number)),)
        parts += (pictures.take(np.flatnonzero(fold == number)),)
        data = framing.framed(Labelled(*parts, CLASSES), about, None, print, lambda: None)
        with tempfile.TemporaryDirectory() as out:
            of_fold = []
            classifier.train(
                data, "resnet18", recipe, Path(out), init=resnet18(), report=of_fold.append
            )
        epochs.append([(epoch.correct, epoch.held_out) for epoch in of_fold])
        print(f"fold {number + 1}: right {[epoch.correct for epoch in of_fold]}", flush=True)
    correct, tested = np.array(epochs).sum(axis=0).T
    right = np.arange(tested[-1]) < correct[-1]
    print(f"{recipe}\nright after each epoch, all folds: {correct.tolist()}\n{said(right)}")


def shipped():
    """Test the head that comes with the photographs."""
    tensors = weights.parameters(models.load("resnet18", resnet18()))
    head = np.load(REAL / "weights" / "resnet18_fundus_head.npz")
    tensors["fc.kernel"], tensors["fc.bias"] = head["weight"].T, head["bias"]
    with tempfile.TemporaryDirectory() as folder:
        weights.write(Path(folder) / "w.safetensors", tensors)
        logits = models.load("resnet18", Path(folder) / "w.safetensors")
    pictures = photographs()
    for resize, crop in ((256, 224), (224, 224)):
        frames = [folders.prepare(pictures.read(i), resize, crop) for i in range(80)]
        right = steps.hits(logits, np.stack(frames), pictures.labels, 16)
        print(f"short side {resize}, center {crop}: {said(right)}")


def as_folders(folder):
    """Link the photographs into one folder a class."""
    pictures = photographs()
    for name, label in zip(pictures.names, pictures.labels, strict=True):
        place = folder / CLASSES[label]
        place.mkdir(parents=True, exist_ok=True)
        os.symlink(name, place / Path(name).name)


def main():
    parser = argparse.ArgumentParser(description="Transfer to fundus photographs.")
    parser.add_argument("what", choices=["head", "all", "shipped", "folder"])
    parser.add_argument("folder", type=Path, nargs="?", help="where to link them to")
    parser.add_argument("--epochs", type=int, default=8)
    parser.add_argument("--batch-size", type=int, default=16)
    parser.add_argument("--learning-rate", type=float)
    parser.add_argument("--least-area", type=float, default=0.35)
    args = parser.parse_args()
    if args.what == "shipped":
        return shipped()
    if args.what == "folder":
        return as_folders(args.folder)
    rate = args.learning_rate or {"head": 1e-2, "all": 1e-4}[args.what]
    began = time.process_time()
    transfer(
        classifier.Recipe(args.what, args.epochs, args.batch_size, rate, least_area=args.least_area)
    )
    return print(f"{time.process_time() - began:.0f} s of CPU time")


if __name__ == "__main__":
    main()
