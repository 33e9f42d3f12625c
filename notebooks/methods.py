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
# # Several methods, one picture
#
# Two birds; the classifier is asked about the lower one. Its species is the color of one small
# part, so we can see which methods find the part, which the bird, and which mix up the two birds.

# %%
import functools

import jax
import numpy as np

import saljax
from saljax.data import birdlets

pair = birdlets.pair(seed=77, index=0)
bird, other = pair.birds
image = bird.image
logits = saljax.models.load("birdlets")
probabilities = saljax.scores.probabilities(logits)
for one in (bird, other):
    print(birdlets.SPECIES[one.label], round(float(probabilities(image[None])[0, one.label]), 3))

# %% [markdown]
# Each paper asks about logits or about probabilities: gradients about logits, since near 1 a
# probability has none; methods that compare masked pictures about probabilities.

# %%
methods = {
    "gradient": (saljax.gradient, logits),
    "guided backprop": (saljax.guided_backprop, logits),
    "Grad-CAM": (saljax.grad_cam, logits),
    "excitation backprop": (functools.partial(saljax.excitation_backprop, layer="block1"), logits),
    "LRP": (saljax.lrp, logits),
    "occlusion": (functools.partial(saljax.occlusion, window=12, stride=6), logits),
    "RISE": (functools.partial(saljax.rise, num_masks=200), probabilities),
}
maps = {
    name: saljax.explain(method, score_fn, image[None], [bird.label], key=jax.random.key(0))[0]
    for name, (method, score_fn) in methods.items()
}

# %%
saljax.plot(image, maps, title=birdlets.SPECIES[bird.label], outline=bird.diagnostic_mask)

# %% [markdown]
# In numbers: the share of each map on the part that decides, on the bird asked about, and on the
# other. The part covers half a percent of the picture. *Gradient* is spread over the picture; the
# CAM has found the bird but its cells are coarse; RISE has a floor everywhere, so its share says
# little while its maximum is right.

# %%
masks = {"part": bird.diagnostic_mask, "bird": bird.object_mask, "other bird": other.object_mask}
print(f"{'':20}" + "".join(f"{name:>12}" for name in masks))
for name, saliency in maps.items():
    shares = [100 * float(saljax.metrics.share_on_part(saliency, m)) for m in masks.values()]
    print(f"{name:20}" + "".join(f"{share:10.1f} %" for share in shares))

# %% [markdown]
# The same picture, the other question. Methods that answer for the class asked move to the upper
# bird.

# %%
asked = {}
for name in ("guided backprop", "Grad-CAM", "excitation backprop"):
    method, score_fn = methods[name]
    asked[name] = saljax.explain(method, score_fn, image[None], [other.label])[0]
    moved = np.corrcoef(np.ravel(maps[name]), np.ravel(asked[name]))[0, 1]
    print(f"{name:20} correlation of the two maps {moved:.2f}")
saljax.plot(image, asked, title=birdlets.SPECIES[other.label], outline=other.diagnostic_mask)
