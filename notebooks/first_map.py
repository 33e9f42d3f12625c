# ---
# jupyter:
#   jupytext:
#     formats: py:percent
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # A first map
#
# Which pixels made this classifier say that? Here the answer is known: a *birdlet*'s species is the
# color of one small part, and everything else about it is drawn independently.

# %%
import functools

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import saljax
from saljax.data import birdlets

# %% [markdown]
# A *score function* takes images `(N, height, width, 3)` in [0, 1] and gives scores `(N, classes)`.
# The bundled classifier gives logits; GLAS wants probabilities.

# %%
score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
birds = [birdlets.sample(seed=5, index=i) for i in range(3)]
images = jnp.asarray(np.stack([bird.image for bird in birds]))
targets = np.asarray([bird.label for bird in birds])

for bird, scores in zip(birds, score_fn(images), strict=True):
    print(f"{birdlets.SPECIES[bird.label]:16} {scores[bird.label]:.3f}")

# %% [markdown]
# A method explains one image; `explain` makes one compiled program of it for many. Keywords are the
# method's hyperparameters (the paper's grid is 15 x 15). Large sigmas find the bird, small ones the
# part that decides.

# %%
sigmas = [6.0, 3.0, 1.5]
maps = [
    saljax.explain(
        functools.partial(saljax.glas, grid=12, sigma_light=s, sigma_shadow=s, sigma_spatial=s),
        score_fn,
        images,
        targets,
    )
    for s in sigmas
]

# %%
figure, axes = plt.subplots(len(birds), 1 + len(sigmas), figsize=(8, 6), squeeze=False)
for row, bird in enumerate(birds):
    axes[row, 0].imshow(bird.image)
    axes[row, 0].set_title(birdlets.SPECIES[bird.label], fontsize=9)
    for column, (sigma, saliency) in enumerate(zip(sigmas, maps, strict=True), start=1):
        axes[row, column].imshow(bird.image)
        axes[row, column].imshow(saliency[row], cmap="inferno", alpha=0.6)
        axes[row, column].contour(bird.diagnostic_mask, levels=[0.5], colors="white", linewidths=1)
        axes[row, column].set_title(f"sigma {sigma:g}", fontsize=9)
for ax in axes.flat:
    ax.axis("off")
figure.tight_layout()

# %% [markdown]
# White outlines are the truth. Is the finest map's maximum on it?

# %%
for bird, saliency in zip(birds, np.asarray(maps[-1]), strict=True):
    point = np.unravel_index(saliency.argmax(), saliency.shape)
    distance = np.hypot(*(np.argwhere(bird.diagnostic_mask) - point).T).min()
    print(f"{birdlets.SPECIES[bird.label]:16} {distance:.1f} pixels from its part")
