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
# # Masks for many images
#
# A mask keeps a pixel where it is 1 and shows a baseline, such as a blur, where it is 0. Which
# smallest mask takes the species of these birds away, and which smallest one lets it stand? The
# answer is known: the species is the color of one small part.

# %%
import functools

import jax
import matplotlib.pyplot as plt
import numpy as np

import saljax
from saljax.data import birdlets
from saljax.ops import perturb

score_fn = saljax.scores.probabilities(saljax.models.load("birdlets"))
birds = [birdlets.sample(seed=5, index=i) for i in range(2)]
images = np.stack([bird.image for bird in birds])
targets = np.asarray([bird.label for bird in birds])

# %% [markdown]
# ## Both games of Meaningful Perturbation
#
# The paper's sizes are meant for 224 x 224 pixels, these pictures have 96 x 96. With `details` a
# method says how its optimization went; every field of the record has the axis of images first. The
# masks of all birds are optimized side by side in one compiled program.

# %%
smaller = functools.partial(
    saljax.meaningful_perturbation,
    baseline=perturb.blurred(4.0),
    mask_size=12,
    mask_sigma=2.0,
    jitter=2,
    l1=5e-3,
    num_steps=40,
    details=True,
)
found = {
    game: saljax.explain(
        functools.partial(smaller, game=game), score_fn, images, targets, key=jax.random.key(0)
    )
    for game in ("deletion", "preservation")
}

# %%
figure, axes = plt.subplots(1, 2, figsize=(8, 2.5))
for ax, (game, record) in zip(axes, found.items(), strict=True):
    ax.plot(np.asarray(record.losses).T)
    ax.set(title=game, xlabel="step", ylabel="loss")
figure.tight_layout()

# %% [markdown]
# A loss of deletion that stays near 1 is a mask that found nothing: the score is still there. It is
# worth looking at the curves before the map is believed.
#
# ## Extremal perturbation
#
# The area is given and the mask is looked for: how much of the picture must be seen? Areas are
# optimized together, too.

# %%
areas = (0.02, 0.1)
extremal = functools.partial(
    saljax.extremal_perturbation,
    areas=areas,
    step=6,
    sigma=9.0,
    max_blur=8.0,
    num_steps=40,
    learning_rate=0.1,
    details=True,
)
logits = saljax.models.load("birdlets")
extremal = saljax.explain(extremal, logits, images, targets)

# %%
shown = {
    "what deletion leaves": 1 - found["deletion"].saliency,
    "what preservation keeps": found["preservation"].saliency,
    **{f"{100 * a:g} % of the area": extremal.masks[:, i] for i, a in enumerate(areas)},
}
figure, axes = plt.subplots(len(birds), 1 + len(shown), figsize=(11, 5.5))
for row, bird in enumerate(birds):
    axes[row, 0].imshow(bird.image)
    axes[row, 0].set_title(birdlets.SPECIES[bird.label], fontsize=9)
    blur = perturb.blurred(4.0)(images[row])
    for ax, (name, masks) in zip(axes[row, 1:], shown.items(), strict=True):
        ax.imshow(saljax.perturb(images[row], masks[row], blur))
        ax.contour(bird.diagnostic_mask, levels=[0.5], colors="white", linewidths=1)
        ax.set_title(name, fontsize=9)
for ax in axes.flat:
    ax.axis("off")
figure.tight_layout()

# %% [markdown]
# ## Which map says most?
#
# How much of a map lies on the part, and does a gray picture become the bird's species again as
# soon as the map's first pixels are put into it (insertion)?

# %%
saliencies = {game: record.saliency for game, record in found.items()}
saliencies["extremal"] = extremal.saliency
saliencies["RISE"] = saljax.explain(
    functools.partial(saljax.rise, num_masks=150), score_fn, images, targets, key=jax.random.key(1)
)
insertion = functools.partial(
    saljax.metrics.insertion_deletion, score_fn, step=16 * 96, insertion_baseline=0.5
)
insertion = jax.jit(jax.vmap(insertion))
on_part = jax.vmap(saljax.metrics.share_on_part)
parts = np.stack([bird.diagnostic_mask for bird in birds])
for name, maps in saliencies.items():
    area = insertion(images, targets, maps).insertion.mean()
    share = 100 * on_part(maps, parts).mean()
    print(f"{name:14} on the part {share:4.1f} %   insertion {area:.3f}")
