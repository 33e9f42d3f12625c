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
# # Which part of the picture made it say this word?
#
# A captioner writes one word after the other. The probability of the next word, given the picture
# and the words before it, is a score like any other: every method explains it.

# %%
import functools

import jax
import jax.numpy as jnp
import matplotlib.pyplot as plt
import numpy as np

import saljax
from saljax.data import captions as texts
from saljax.models import captions

# %% [markdown]
# The bundled captioner was trained on generated birds, so where the evidence for a word is can be
# checked.

# %%
captioner = captions.load()
drawn = [texts.sample(seed=77, index=index) for index in (2, 3)]
images = jnp.asarray(np.stack([one.image for one in drawn]))
for one, said in zip(drawn, captions.describe(captioner, images), strict=True):
    print(f"says: {said}\nis:   {one.text}\n")

# %% [markdown]
# The score function of the next word has the words of the vocabulary as its classes.

# %%
before = "an orange cheeked bird above a"
score_fn = captions.word_scores(captioner, before)
scores = jax.nn.softmax(score_fn(images[:1])[0])
for index in np.argsort(-scores)[:3]:
    print(f"{before} {texts.VOCABULARY[index]:8} {scores[index]:.4f}")

# %% [markdown]
# The same picture, two words: each has its own bird.

# %%
asked = [("an", "orange"), (before, "yellow")]
figure, axes = plt.subplots(1, 2, figsize=(6, 3))
for ax, (words, word) in zip(axes, asked, strict=True):
    score_fn = captions.word_scores(captioner, words)
    target = texts.VOCABULARY.index(word)
    saliency = saljax.explain(saljax.grad_cam, score_fn, images[:1], [target])[0]
    ax.imshow(images[0])
    ax.imshow(saliency, cmap="inferno", alpha=0.6)
    ax.set_title(f"{words} [{word}]", fontsize=8)
    ax.axis("off")

# %% [markdown]
# GLAS only asks for scores, so it makes the maps of all words of a caption from the same passes.

# %%
fine = functools.partial(saljax.glas, sigma_light=1.0, sigma_shadow=1.0, sigma_spatial=1.0)
words, evidence = drawn[0].words, drawn[0].evidence
score_fn = captions.caption_probabilities(captioner, drawn[0].text)
maps = saljax.explain(fine, score_fn, images[:1], [list(range(len(words)))])[0]

figure, axes = plt.subplots(2, 6, figsize=(12, 4.4))
axes[0, 0].imshow(images[0])
for ax, word, saliency, mask in zip(axes.flat[1:], words, maps, evidence, strict=True):
    ax.imshow(images[0])
    ax.imshow(saliency, cmap="inferno", alpha=0.6)
    if mask is not None:
        ax.contour(mask, levels=[0.5], colors="white", linewidths=1)
    ax.set_title(word, fontsize=9)
for ax in axes.flat:
    ax.axis("off")

# %% [markdown]
# White outlines are the evidence that is known. Words without one, such as *a* and *bird*, are said
# whatever the picture shows: their maps are noise stretched to full brightness.
