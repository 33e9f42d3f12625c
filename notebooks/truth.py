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
# # Judging a method where the truth is known
#
# Metrics of faithfulness are proxies: they remove pixels and look at the score. On generated birds
# there is no need for one. The species is the color of one small part, so a map can be compared
# with the part itself; and we can ask how well the proxies agree with it.

# %%
import functools

import jax
import jax.numpy as jnp
import numpy as np

import saljax
from saljax import metrics
from saljax.data import birdlets

birds = [birdlets.sample(seed=77, index=i) for i in range(6)]
images = jnp.asarray(np.stack([bird.image for bird in birds]))
targets = np.asarray([bird.label for bird in birds])
parts = np.stack([bird.diagnostic_mask for bird in birds])
logits = saljax.models.load("birdlets")
probabilities = saljax.scores.probabilities(logits)

# %% [markdown]
# First the truth about the truth: without the part the classifier must lose the species.

# %%
without = np.stack(
    [birdlets.repaint(b.image, b.part_masks[b.diagnostic_part], b.neutral) for b in birds]
)
rows = np.arange(len(birds))
for name, shown in {"as drawn": images, "part repainted": without}.items():
    print(f"probability of the species, {name:15} {probabilities(shown)[rows, targets].mean():.3f}")

# %% [markdown]
# Two maps that never look at the classifier belong into every comparison: a spot in the middle, and
# noise. What is not better than they are has found nothing.

# %%
y, x = np.indices((96, 96)) - 47.5
center = np.exp(-(y**2 + x**2) / (2 * 20**2))
methods = {
    "gradient": saljax.gradient,
    "guided backprop": saljax.guided_backprop,
    "Grad-CAM": saljax.grad_cam,
    "occlusion": functools.partial(saljax.occlusion, window=12, stride=6),
}
maps = {name: saljax.explain(m, logits, images, targets) for name, m in methods.items()}
maps["center"] = jnp.asarray(np.stack([center] * len(birds)), jnp.float32)
maps["random"] = jax.random.uniform(jax.random.key(0), maps["center"].shape)

# %%
insertion = functools.partial(metrics.insertion_deletion, probabilities, step=16 * 96)
insertion = jax.jit(jax.vmap(insertion))
print(f"{'':16} on the part   maximum on it   insertion   deletion")
table = {}
for name, saliency in maps.items():
    share = 100 * jax.vmap(metrics.share_on_part)(saliency, parts)
    hit = jax.vmap(metrics.pointing_on_part)(saliency, parts)
    curves = insertion(images, targets, saliency)
    table[name] = [float(v.mean()) for v in (share, hit, curves.insertion, curves.deletion)]
    share, hit, inserted, deleted = table[name]
    print(f"{name:16} {share:9.1f} % {hit:15.2f} {inserted:11.3f} {deleted:10.3f}")

# %% [markdown]
# Does the proxy put the methods in the order of the truth? Here it sets the two blind maps apart
# from the rest, and hardly tells the methods from one another. A rank correlation over six rows
# says little, but it is the right question.

# %%
columns = jnp.asarray(list(table.values()))
print("insertion and truth:", round(float(metrics.spearman(columns[:, 2], columns[:, 0])), 2))
print("deletion and truth: ", round(float(metrics.spearman(-columns[:, 3], columns[:, 0])), 2))

# %% [markdown]
# Six birds are few. The standard error says what they can tell apart.

# %%
for name in ("guided backprop", "occlusion"):
    shares = 100 * jax.vmap(metrics.share_on_part)(maps[name], parts)
    print(f"{name:16} {shares.mean():.1f} ± {shares.std(ddof=1) / np.sqrt(len(shares)):.1f} %")
