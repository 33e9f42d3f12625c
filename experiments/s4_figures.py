"""S4's two figures: from a picture to a perturbed one, and what the prior believes.

    python experiments/s4_figures.py        # writes results/s4_figure1.jpg and s4_figure2.jpg

Figure 1 is one held-out birdlet on its way through an encoder trained here for a few minutes for
the bundled classifier: mean and variance of the posterior, a sample, the soft choice of the k most
salient cells, and the picture with all else blurred, with what the classifier says of both. Figure
2 shows samples of the autoregressive prior beside independent noise of the same variance, and the
covariance of a small grid with the two kernels that it is the Kronecker product of.
"""

import argparse
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
from matplotlib.figure import Figure
from matplotlib.patches import FancyArrowPatch
from matplotlib.path import Path as Curve

import saljax
from saljax.data import birdlets
from saljax.ops.kronecker import autoregressive_kernel, autoregressive_sample
from saljax.report.grids import INK, PALE
from saljax.report.overlays import COLORS
from saljax.runs.explainers import load_explainer
from saljax.training.by_name import train_variational

RESULTS = Path(__file__).parent / "results"
HELD_OUT = 2
"""Seed of the pictures that are shown; it learns from seed 0."""
SETTINGS = {"channels": (32, 32, 32, 16, 16, 2), "share": 0.02}
"""A smaller encoder than S4's, and a k nearer to the size of a part. Our choice."""


def trained(score_fn, number: int, epochs: int):
    images, _ = birdlets.batch(0, range(number))
    return train_variational(
        score_fn, images, key=jax.random.key(0), epochs=epochs, learning_rate=1e-3, report=print,
        **SETTINGS,
    )  # fmt: skip


def panel(figure, left, bottom, size, title, below=""):
    """Square axes at a place in inches, with a title above and small print below."""
    width, height = figure.get_size_inches()
    axes = figure.add_axes((left / width, bottom / height, size / width, size / height))
    axes.set_axis_off()
    axes.set_title(title, fontsize=9, color=INK, pad=4)
    axes.text(0.5, -0.05, below, fontsize=7, color=PALE, ha="center", va="top",
              transform=axes.transAxes)  # fmt: skip
    return axes


def write(figure, x, y, text):
    """Text about a place in inches."""
    width, height = figure.get_size_inches()
    figure.text(x / width, y / height, text, fontsize=9, color=INK, ha="center", va="center")


def arrow(figure, *places, text="", at=(0.0, 0.0)):
    """Through places in inches, with a word at another."""
    size = figure.get_size_inches()
    path = Curve([(x / size[0], y / size[1]) for x, y in places])
    figure.add_artist(
        FancyArrowPatch(
            path=path, transform=figure.transFigure, arrowstyle="-|>", mutation_scale=11,
            color=PALE, linewidth=1.2,
        )
    )  # fmt: skip
    write(figure, at[0], at[1], text)


def schematic(score_fn, explainer, bird, key) -> Figure:
    image = jnp.asarray(bird.image)
    mean, log_variance = (maps[0] for maps in explainer.posterior(image[None]))
    sample = mean + jnp.exp(log_variance / 2) * jax.random.normal(key, mean.shape)
    mask = explainer.mask(sample)
    perturbed = explainer.perturbed(image, mask)
    before, after = (
        np.asarray(saljax.scores.probabilities(score_fn)(x[None])[0]) for x in (image, perturbed)
    )

    figure, side = Figure(figsize=(12.0, 4.6), facecolor="white"), 1.45
    middle, up, down, half = 1.45, 2.45, 0.45, 1.45 / 2

    def show(left, bottom, title, values, below="", **style):
        panel(figure, left, bottom, side, title, below).imshow(values, **style)

    noisy = "$s = \\mu + \\sqrt{\\nu}\\,\\epsilon$"
    chosen = f"k = {explainer.share:.0%} of {mean.size} cells"
    show(0.2, middle, "image x", image)
    show(2.6, up, "mean $\\mu$: the saliency", mean, cmap=COLORS)
    show(2.6, down, "variance $\\nu$: the uncertainty", jnp.exp(log_variance), cmap=COLORS)
    show(4.6, middle, "sample s", sample, noisy, cmap=COLORS)
    show(6.6, middle, "soft top-k mask", mask, chosen, cmap="gray", vmin=0, vmax=1)
    show(8.4, middle, "perturbed image", perturbed)
    answer(figure, 10.5, up + 0.1, "$\\hat{y}_{origin}$", before, bird.label)
    answer(figure, 10.5, down + 0.1, "$\\hat{y}_{perturb}$", after, bird.label)

    center, above = middle + half, 4.45
    arrow(figure, (1.7, center), (2.5, up + half), text="encoder", at=(2.0, center + 0.95))
    arrow(figure, (1.7, center), (2.5, down + half))
    arrow(figure, (4.1, up + half), (4.55, center + 0.2))
    arrow(figure, (4.1, down + half), (4.55, center - 0.2))
    arrow(figure, (6.1, center), (6.55, center))
    arrow(figure, (8.1, center), (8.35, center))
    arrow(figure, (9.9, center), (10.4, down + half), text="M", at=(10.3, center - 0.3))
    around = (0.92, middle + side + 0.25), (0.92, above), (10.1, above), (10.4, up + half + 0.3)
    arrow(figure, *around, text="M", at=(9.1, above - 0.15))
    write(figure, 11.85, center, "D")
    write(figure, 3.3, 0.22, "$\\beta$ KL [ N($\\mu$, diag $\\nu$) || prior ]")
    return figure


def answer(figure, left, bottom, title, probabilities, label):
    """Bars of all classes, that of the label dark."""
    axes = panel(figure, left, bottom, 1.15, title)
    axes.set(xlim=(0, 1), ylim=(len(probabilities) - 0.4, -0.6))
    axes.axvline(0, color=PALE, linewidth=1)
    colors = [INK if number == label else PALE for number in range(len(probabilities))]
    axes.barh(range(len(probabilities)), probabilities, color=colors)
    text = f"{birdlets.SPECIES[label]} {probabilities[label]:.0%}"
    axes.text(0.5, -0.05, text, fontsize=7, color=INK, ha="center", va="top",
              transform=axes.transAxes)  # fmt: skip


def prior(rho: float, side: int = 56, small: int = 5) -> Figure:
    figure, size = Figure(figsize=(9.7, 4.3), facecolor="white"), 1.6
    keys = jax.random.split(jax.random.key(0), 3)
    style = {"cmap": "RdBu_r", "vmin": -3, "vmax": 3}
    for bottom, correlation, name in [(2.35, rho, "the prior"), (0.2, 0.0, "independent noise")]:
        titles = "", f"samples of {name}, $\\rho$ = {correlation:g}", ""
        for column, (key, title) in enumerate(zip(keys, titles, strict=True)):
            axes = panel(figure, 0.2 + 1.75 * column, bottom, size, title)
            axes.imshow(autoregressive_sample(key, (side, side), correlation), **style)
    kernel = np.asarray(autoregressive_kernel(small, rho))
    shade = {"cmap": "Greys", "vmin": 0, "vmax": 1}
    title = f"$\\Sigma$ of {small} x {small} pixels"
    panel(figure, 6.0, 1.0, 2.3, title).imshow(np.kron(kernel, kernel), **shade)
    write(figure, 8.45, 2.15, "=")
    panel(figure, 8.65, 2.35, 0.75, "$\\kappa_h$").imshow(kernel, **shade)
    write(figure, 9.03, 2.12, "$\\otimes$")
    panel(figure, 8.65, 1.0, 0.75, "$\\kappa_w$").imshow(kernel, **shade)
    return figure


def save(figure: Figure, name: str):
    figure.savefig(RESULTS / name, dpi=100, pil_kwargs={"quality": 85})


if __name__ == "__main__":
    parser = argparse.ArgumentParser(description="S4's figures.")
    parser.add_argument("--number", type=int, default=3000, help="birdlets to learn from")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--explainer", help="a file of one that learned already")
    parser.add_argument("--picture", type=int, default=0, help="held-out birdlet that is shown")
    options = parser.parse_args()

    score_fn = saljax.models.load("birdlets")
    explainer = (
        load_explainer(options.explainer)
        if options.explainer
        else trained(score_fn, options.number, options.epochs)
    )
    bird = birdlets.sample(HELD_OUT, options.picture)
    save(schematic(score_fn, explainer, bird, jax.random.key(1)), "s4_figure1.jpg")
    save(prior(explainer.rho), "s4_figure2.jpg")
