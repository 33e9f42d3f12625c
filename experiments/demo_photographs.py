r"""White-box methods and GLAS on photographs, in one picture: which of them tell dog from cat?

    python experiments/demo_photographs.py --weights FILE --out out/demo_photographs

ResNet-50 on the photographs of `../shared/real/photos/demo`, which stay outside the repository, as
does the picture. `dog_cat.png` is explained for its likeliest dog and its likeliest cat. How far a
method separates them is measured: the correlation of its two maps, and how much of what
the map has above its median on one of the two animals is on the one asked for, in boxes drawn by
eye, their overlap left out. Results: results/demo_photographs.md.
"""

import argparse
import functools
import time
from pathlib import Path

import jax
import numpy as np

import saljax
from saljax.data.folders import list_images, prepare, read_image
from saljax.report import grids

PHOTOS = Path(__file__).parents[2] / "shared" / "real" / "photos" / "demo"
SIDE = 224
DOGS, CATS = range(151, 269), range(281, 286)
BOXES = {"dog": (46, 0, 172, 152), "cat": (22, 116, 206, 224)}
"""x1, y1, x2, y2 in dog_cat.png, 224 x 224."""
LAYER3 = {"layer": "layer3"}
METHODS = {
    "gradient": saljax.gradient,
    "SmoothGrad": functools.partial(saljax.smoothgrad, num_samples=25),
    "integrated gradients": functools.partial(saljax.integrated_gradients, num_steps=25),
    "deconvnet": saljax.deconvnet,
    "guided backprop": saljax.guided_backprop,
    "excitation backprop": functools.partial(saljax.excitation_backprop, **LAYER3),
    "contrastive EBP": functools.partial(saljax.contrastive_excitation_backprop, **LAYER3),
    "Grad-CAM": functools.partial(saljax.grad_cam, layer="layer4"),
    "Grad-CAM++": functools.partial(saljax.grad_cam_plus_plus, layer="layer4"),
    "GLAS 5, 3, 6": functools.partial(saljax.glas, grid=10),
}
COARSE = list(METHODS)[5:]
"""Laid over the photograph; the others are as fine as it is and shown by themselves."""


def explained(name, score_fn, image, target):
    if name.startswith("GLAS"):
        score_fn = saljax.scores.probabilities(score_fn)
    return np.asarray(saljax.explain(METHODS[name], score_fn, image[None], [target])[0])


def panel(name, image, saliency):
    brightest = np.percentile(saliency, 100 if name in COARSE else 99.5)
    return grids.Panel(image, np.minimum(saliency, brightest), name, over=name in COARSE)


def on_the_right_one(saliency, asked):
    """Mass above the median in the box asked for, over that in both, without their overlap."""
    inside = {}
    for name, (x1, y1, x2, y2) in BOXES.items():
        inside[name] = np.zeros((SIDE, SIDE), bool)
        inside[name][y1:y2, x1:x2] = True
    dog, cat = inside["dog"] & ~inside["cat"], inside["cat"] & ~inside["dog"]
    right, wrong = (dog, cat) if asked == "dog" else (cat, dog)
    mass = np.maximum(saliency - np.median(saliency), 0)
    return mass[right].sum() / mass[right | wrong].sum()


def main():
    parser = argparse.ArgumentParser(description="Methods side by side on demo photographs.")
    parser.add_argument("--weights", type=Path, required=True)
    parser.add_argument("--out", type=Path, default=Path("out/demo_photographs"))
    parser.add_argument("--photographs", nargs="+", default=None, help="names without suffix")
    options = parser.parse_args()

    score_fn = saljax.models.load("resnet50", options.weights)
    names, rows, start = saljax.models.info("resnet50").labels, [], time.process_time()
    predict = jax.jit(lambda f, image: jax.nn.softmax(f(image[None])[0]))
    two = {}
    for path in sorted(list_images(PHOTOS), key=lambda path: path.stem != "dog_cat"):
        if options.photographs and path.stem not in options.photographs:
            continue
        image = prepare(read_image(path), SIDE, SIDE)
        probabilities = np.asarray(predict(score_fn, image))
        among = {"": range(1000)} if path.stem != "dog_cat" else {"dog": DOGS, "cat": CATS}
        for asked, classes in among.items():
            target = max(classes, key=lambda index: probabilities[index])
            maps = {name: explained(name, score_fn, image, target) for name in METHODS}
            if asked:
                two[asked] = maps
            panels = [panel(name, image, saliency) for name, saliency in maps.items()]
            title = f"{names[target]}, {probabilities[target]:.2f}"
            print(f"{path.name}: {title}", flush=True)
            rows.append(grids.Row(title, path.name, (grids.Panel(image, None, "picture"), *panels)))
    options.out.mkdir(parents=True, exist_ok=True)
    (options.out / "methods.png").write_bytes(grids.png(grids.grid(rows)))
    print(f"\n{time.process_time() - start:.0f} s of processor time\n")
    print("| method | correlation of the two | dog's map on the dog | cat's on the cat |")
    print("|---|---|---|---|")
    for name in METHODS if two else ():
        dog, cat = two["dog"][name], two["cat"][name]
        correlation = np.corrcoef(dog.ravel(), cat.ravel())[0, 1]
        right = f"{on_the_right_one(dog, 'dog'):.2f} | {on_the_right_one(cat, 'cat'):.2f}"
        print(f"| {name} | {correlation:.3f} | {right} |")


if __name__ == "__main__":
    main()
