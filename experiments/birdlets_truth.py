"""Is the truth of the birdlets true: does the classifier look at the diagnostic part alone?

    python experiments/birdlets_truth.py     # writes experiments/results/birdlets_truth.md

On held-out pictures (seed 2) that the bundled classifier gets right, the diagnostic part is
repainted in the neutral color that this bird's plumage had for it, and, apart from that, an equal
area elsewhere on the bird in the same color. The first must take the probability of the label
below 0.2, the second must leave it above 0.5, each on at least 95 % of the pictures.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np

from saljax import models
from saljax.data import birdlets

RESULT = Path(__file__).parent / "results" / "birdlets_truth.md"
SEED = 2


@jax.jit
def probabilities(score_fn, images):
    return jax.nn.softmax(score_fn(images))


def of_label(score_fn, images: list[np.ndarray], labels: np.ndarray) -> np.ndarray:
    """Probability of each picture's own label, and whether it is the greatest."""
    found = [
        np.asarray(probabilities(score_fn, jnp.stack(images[i : i + 100])))
        for i in range(0, len(images), 100)
    ]
    found = np.concatenate(found)
    return np.stack([found[range(len(found)), labels], found.argmax(axis=1) == labels])


def standard_error(share: float, count: int) -> float:
    return (share * (1 - share) / count) ** 0.5


def main():
    parser = argparse.ArgumentParser(description="Repaint parts of held-out birdlets.")
    parser.add_argument("--number", type=int, default=1000, help="held-out pictures")
    parser.add_argument("--weights", type=Path, help="other weights than the bundled ones")
    parser.add_argument("--out", type=Path, default=RESULT)
    args = parser.parse_args()

    score_fn = models.load("birdlets", args.weights)
    birds = [birdlets.sample(SEED, index) for index in range(args.number)]
    labels = np.array([bird.label for bird in birds])
    parts = [bird.part_masks[bird.diagnostic_part] for bird in birds]
    patches = [birdlets.elsewhere(bird, index) for index, bird in enumerate(birds)]
    before, right = of_label(score_fn, [bird.image for bird in birds], labels)
    without, apart = (
        of_label(
            score_fn,
            [birdlets.repaint(b.image, m, b.neutral) for b, m in zip(birds, masks, strict=True)],
            labels,
        )[0]
        for masks in (parts, patches)
    )
    right = right.astype(bool)
    count = int(right.sum())
    gone, kept = without < 0.2, apart > 0.5

    def share(hits):
        return f"{100 * hits.mean():.1f} % (± {100 * standard_error(hits.mean(), len(hits)):.1f})"

    lines = [
        "# birdlets: is the truth true?",
        "",
        f"`python experiments/birdlets_truth.py --number {args.number}`: pictures 0 to "
        f"{args.number - 1} of seed {SEED}, 96 x 96, the bundled classifier. ± is one standard "
        "error. Both repaintings use the color that the bird's neutral plumage had for its "
        "diagnostic part.",
        "",
        "| measured | required | found |",
        "|---|---|---|",
        f"| top-1 on held-out single birds | 97 % | {share(right)} |",
        f"| of the {count} right: probability below 0.2 after repainting the diagnostic part "
        f"| 95 % | {share(gone[right])} |",
        f"| of the {count} right: above 0.5 after repainting an equal area elsewhere on the bird "
        f"| 95 % | {share(kept[right])} |",
        f"| mean probability before, after, after elsewhere | | {before[right].mean():.3f}, "
        f"{without[right].mean():.3f}, {apart[right].mean():.3f} |",
        "",
        "| species | pictures | top-1 | gone | kept | part, % of picture: least, median, most |",
        "|---|---|---|---|---|---|",
    ]
    areas = np.array([100 * part.mean() for part in parts])
    for label, name in enumerate(birdlets.SPECIES):
        own = labels == label
        low, middle, high = np.percentile(areas[own], [0, 50, 100])
        lines.append(
            f"| {name} | {own.sum()} | {100 * right[own].mean():.1f} | "
            f"{100 * gone[own & right].mean():.1f} | {100 * kept[own & right].mean():.1f} | "
            f"{low:.2f}, {middle:.2f}, {high:.2f} |"
        )
    args.out.parent.mkdir(exist_ok=True)
    args.out.write_text("\n".join(lines) + "\n")
    print("\n".join(lines))


if __name__ == "__main__":
    main()
