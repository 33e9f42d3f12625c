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
# # GLAS, from coarse to fine
#
# GLAS puts a light on the picture (all else is dark) and then a shadow (all else is there), at each
# point of a grid. Where the light alone is enough and the shadow hurts, the evidence is. How wide
# they are decides what is found: the bird, or the part that decides.

# %%
import functools

import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import saljax
from saljax.data import birdlets

bird = birdlets.sample(seed=77, index=0)
image, target = jnp.asarray(bird.image), bird.label
score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))

# %% [markdown]
# What the classifier is shown at one point, for three widths. A sigma is in cells of 1/15 of the
# side, 6.4 pixels here.

# %%
cell = 96 / 15
sigmas = (6.0, 3.0, 1.5)
point = jnp.argwhere(bird.diagnostic_mask).mean(axis=0)
figure, axes = plt.subplots(2, 3, figsize=(6, 4.3))
for column, sigma in enumerate(sigmas):
    light = saljax.gaussian_mask((96, 96), point, sigma * cell)
    for row, mask in enumerate((light, 1 - light)):
        seen = saljax.perturb(image, mask, 0.0)
        axes[row, column].imshow(seen)
        said = float(score_fn(seen[None])[0, target])
        axes[row, column].set_title(f"sigma {sigma:g}: {said:.2f}", fontsize=9)
for ax in axes.flat:
    ax.axis("off")

# %% [markdown]
# Light, shadow, and their product, at the middle width. They are made from the same passes; a grid
# of 8 x 8 points costs 129 of them, the paper's 15 x 15 cost 451.

# %%
coarse = functools.partial(saljax.glas, grid=8)
middle = functools.partial(coarse, sigma_light=3.0, sigma_shadow=3.0, sigma_spatial=3.0)
parts = {
    part: saljax.explain(functools.partial(middle, parts=part), score_fn, image[None], [target])[0]
    for part in ("light", "shadow", "fusion")
}
saljax.plot(image, parts, outline=bird.diagnostic_mask, title=birdlets.SPECIES[target])

# %% [markdown]
# Coarse to fine. The widths are numbers and not part of the program: one compilation serves all.

# %%
maps = {}
for sigma in sigmas:
    method = functools.partial(
        saljax.glas, grid=12, sigma_light=sigma, sigma_shadow=sigma, sigma_spatial=sigma
    )
    maps[f"sigma {sigma:g}"] = saljax.explain(method, score_fn, image[None], [target])[0]
saljax.plot(image, maps, outline=bird.diagnostic_mask, title=birdlets.SPECIES[target])

# %%
for name, saliency in maps.items():
    share = 100 * float(saljax.metrics.share_on_part(saliency, bird.diagnostic_mask))
    y, x = np.unravel_index(np.argmax(saliency), saliency.shape)
    distance = np.hypot(*(np.argwhere(bird.diagnostic_mask) - (y, x)).T).min()
    print(f"{name:10} {share:4.1f} % on the part, maximum {distance:.0f} pixels from it")

# %% [markdown]
# Narrow lights are not always better: the classifier never learned from pictures that are nearly
# all black. On photographs start wide, go down, and stop where the maximum leaves the object.
