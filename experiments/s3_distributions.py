r"""What DRE's controller does to distributions of scores: S3's figures 5, 6, 13, 14 and 15.

Densities are S3's equations 8, 26, 29 and 32 with the two errors of its appendix B mended (the mean
of a skew normal has 1 + a^2 under the root; a component's density is divided by its sigma).
Coefficients of skewness are Pearson's second, 3 (mean - median) / std, of a million samples.

    python experiments/s3_distributions.py

Writes results/s3_distributions.jpg and prints the table of results/s3_distributions.md. Seconds on
one core.
"""

import math
from pathlib import Path

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

from saljax.metrics import skewness
from saljax.ops.skew import skew_controller, skew_density

RESULTS = Path(__file__).parent / "results"
ETA, H, SAMPLES = 1.5, 2.5, 1_000_000
Z = jnp.linspace(1e-3, 1 - 1e-3, 600)


def normal(x):
    return jnp.exp(-jnp.square(x) / 2) / math.sqrt(2 * math.pi)


def uniform_density(y):
    return jnp.where(jnp.abs(y) < math.sqrt(3), 1 / (2 * math.sqrt(3)), 0.0)


def skew_normal_density(a):
    """Of the normalized variable."""
    mean = math.sqrt(2 / math.pi) * a / math.sqrt(1 + a**2)
    spread = math.sqrt(1 - mean**2)

    def density(y):
        x = y * spread + mean
        return 2 * normal(x) * jax.scipy.stats.norm.cdf(a * x) * spread

    return density


def skew_normal_samples(rng, a):
    first, second = rng.normal(size=(2, SAMPLES))
    share = a / math.sqrt(1 + a**2)
    return share * np.abs(first) + math.sqrt(1 - share**2) * second


def mixture_density(r, mu):
    """Of the normalized variable: weight r at 0, 1 - r at mu, both of standard deviation 1."""
    mean = (1 - r) * mu
    spread = math.sqrt(1 + r * (1 - r) * mu**2)

    def density(y):
        x = y * spread + mean
        return (r * normal(x) + (1 - r) * normal(x - mu)) * spread

    return density


def mixture_samples(rng, r, mu):
    return rng.normal(size=SAMPLES) + mu * (rng.uniform(size=SAMPLES) >= r)


def before_and_after(samples):
    x = jnp.asarray(samples, jnp.float32)
    return float(skewness(x)), float(skewness(skew_controller(x, ETA, H)))


def figure_6_families(rng):
    yield "normal", rng.normal(size=SAMPLES)
    yield "uniform", rng.uniform(size=SAMPLES)
    yield "skew normal, a = -20", skew_normal_samples(rng, -20.0)
    yield "skew normal, a = 20", skew_normal_samples(rng, 20.0)
    yield "mixture, r = 0.5, mu = 4", mixture_samples(rng, 0.5, 4.0)
    yield "mixture, r = 0.3, mu = 8", mixture_samples(rng, 0.3, 8.0)


def lines(axis, densities, title, at=Z):
    for label, values in densities:
        axis.plot(np.asarray(at), np.asarray(values), linewidth=1, label=label)
    axis.set_title(title, fontsize=8)
    axis.legend(fontsize=5, frameon=False)


def main():
    rng = np.random.default_rng(0)
    figure, axes = plt.subplots(6, 6, figsize=(13, 12), constrained_layout=True)
    for axis in axes.flat:
        axis.tick_params(labelsize=5)

    etas, powers = (0.5, 1.0, 1.5, 2.0, 2.5), (0.5, 1.0, 1.5, 2.5, 3.5)
    lines(axes[0, 0], [(f"eta {e}", skew_density(Z, e, 1.0)) for e in etas], "5a: h = 1")
    for place, eta in enumerate((0.5, 2.5, 1.5)):
        curves = [(f"h {h}", skew_density(Z, eta, h)) for h in powers]
        lines(axes[0, place + 1], curves, f"5{'bcd'[place]}: eta = {eta}")
    lines(axes[0, 4], [("uniform", skew_density(Z, ETA, H, uniform_density))], "13: uniform")
    for axis in axes[0, :5]:
        axis.set_ylim(0, 6)
    axes[0, 5].axis("off")

    print("| scores | skewness before | after |\n|---|---|---|")
    for column, (name, samples) in enumerate(figure_6_families(rng)):
        x = jnp.asarray(samples, jnp.float32)
        z, found = skew_controller(x, ETA, H), before_and_after(samples)
        print(f"| {name} | {found[0]:.3f} | {found[1]:.3f} |")
        for row, (values, number) in enumerate(zip((x, z), found, strict=True), start=1):
            axes[row, column].hist(np.asarray(values), bins=80, density=True, color="C0")
            axes[row, column].set_title(f"6: {name}, CoS {number:.2f}", fontsize=6)

    skews, y = (-20.0, -5.0, -2.0, 0.0, 2.0, 5.0, 20.0), jnp.linspace(-4, 4, 600)
    density = [(f"a {a:g}", skew_normal_density(a)) for a in skews]
    lines(axes[3, 0], [(n, d(y)) for n, d in density], "14: skew normals, normalized", y)
    curves = [(n, skew_density(Z, ETA, H, d)) for n, d in density]
    lines(axes[3, 1], curves, "14: what comes out")
    for axis in axes[3, 2:]:
        axis.axis("off")
    shares, places = (0.1, 0.3, 0.5, 0.7, 0.9), (2.0, 4.0, 8.0, 16.0)
    for column, mu in enumerate(places):
        density = [(f"r {r}", mixture_density(r, mu)) for r in shares]
        lines(axes[4, column], [(n, d(y)) for n, d in density], f"15: mu = {mu:g}, normalized", y)
        curves = [(n, skew_density(Z, ETA, H, d)) for n, d in density]
        lines(axes[5, column], curves, "15: what comes out")
        axes[5, column].set_ylim(0, 8)
    for axis in axes[4:, 4:].flat:
        axis.axis("off")

    grid = [("skew normal", a, before_and_after(skew_normal_samples(rng, a))) for a in skews]
    grid += [
        ("mixture", (r / 10, mu), before_and_after(mixture_samples(rng, r / 10, mu)))
        for mu in places
        for r in range(1, 10)
    ]
    raised = sum(after > before for _, _, (before, after) in grid)
    left = [(kind, what) for kind, what, (_, after) in grid if after < 0]
    print(f"\nSkewness raised in {raised} of {len(grid)}; still negative after: {left}")
    path = RESULTS / "s3_distributions.jpg"
    figure.savefig(path, dpi=70, pil_kwargs={"quality": 80})
    print(path)


if __name__ == "__main__":
    main()
