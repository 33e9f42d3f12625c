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
# # An explainer that learns
#
# DRE is a small network behind a classifier. It reads the classifier's layers and draws a map in
# one pass. It learns from the classifier's own predictions, without labels and without knowing
# where the evidence is. Here we train one for a moment, and look at the bundled one, which saw 18
# 000 birds.

# %%
import pathlib
import time

import jax
import numpy as np

import saljax
from saljax import metrics
from saljax.data import birdlets

logits = saljax.models.load("birdlets")
images, _ = birdlets.batch(seed=0, indices=range(32))

# %% [markdown]
# The first stage teaches which channels speak for a class, the second draws. `report` is called
# after each epoch.

# %%
curve = []
explainer = saljax.train_dre(
    logits, images, key=jax.random.key(0), held_out=0, filter_epochs=1, epochs=1,
    batch_size=16, report=curve.append,
)  # fmt: skip
for epoch in curve:
    print(epoch)

# %% [markdown]
# An explainer is a method. It knows which classifier it was trained for, and refuses another.

# %%
birds = [birdlets.sample(seed=77, index=i) for i in range(3)]
new = np.stack([bird.image for bird in birds])
targets = np.asarray([bird.label for bird in birds])
ours = saljax.explain(explainer, logits, new, targets)

assets = pathlib.Path(saljax.__file__).parent / "assets"
bundled = saljax.load_explainer(assets / "birdlets_dre.safetensors")
theirs = saljax.explain(bundled, logits, new, targets)
saljax.plot(
    list(new),
    [{"a moment": a, "18 000 birds": b} for a, b in zip(ours, theirs, strict=True)],
    title=[birdlets.SPECIES[target] for target in targets],
)

# %% [markdown]
# How much of it lies on the bird, and how long does a map take?

# %%
on_bird = jax.vmap(metrics.share_on_part)
masks = np.stack([bird.object_mask for bird in birds])
print(f"chance        {100 * masks.mean():.0f} % of the picture is bird")
print(f"a moment      {100 * on_bird(ours, masks).mean():.0f} % of the map is on it")
print(f"18 000 birds  {100 * on_bird(theirs, masks).mean():.0f} %")

start = time.perf_counter()
jax.block_until_ready(saljax.explain(bundled, logits, new, targets))
print(f"{1000 * (time.perf_counter() - start) / len(new):.0f} ms a map")

# %% [markdown]
# `saljax.save_explainer(explainer, "dre.safetensors")` keeps it; thousands of pictures, ten epochs
# and `saljax train dre` make a good one.
