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
# # Your own classifier
#
# A score function takes images `(N, height, width, channels)` in [0, 1] and gives scores `(N, K)`.
# Here a small Flax network learns to tell which half of a picture is brighter; then we ask it why.

# %%
import functools

import jax
import jax.numpy as jnp
import optax
from flax import nnx

import saljax

# %% [markdown]
# Any model will do; nothing in it is made for saljax. A tag gives a layer a name; it is optional.


# %%
class Net(nnx.Module):
    def __init__(self, rngs):
        self.conv = nnx.Conv(3, 8, (5, 5), strides=2, rngs=rngs)
        self.norm = nnx.BatchNorm(8, momentum=0.9, rngs=rngs)
        self.head = nnx.Linear(8 * 12 * 12, 2, rngs=rngs)

    def __call__(self, images):
        features = saljax.tag(nnx.relu(self.norm(self.conv(images - 0.5))), "features")
        return self.head(features.reshape(len(images), -1))


def drawn(key, number):
    """Noise, and a bright spot in the left half (class 0) or the right one (class 1)."""
    of_noise, of_label, of_row = jax.random.split(key, 3)
    labels = jax.random.bernoulli(of_label, shape=(number,)).astype(jnp.int32)
    rows = jax.random.randint(of_row, (number,), 4, 20)
    y, x = jnp.indices((24, 24))
    far = (y - rows[:, None, None]) ** 2 + (x - (6 + 12 * labels)[:, None, None]) ** 2
    spot = 0.5 * jnp.exp(-far / 8)[..., None]
    return jnp.clip(0.4 * jax.random.uniform(of_noise, (number, 24, 24, 3)) + spot, 0, 1), labels


# %%
images, labels = drawn(jax.random.key(0), 64)
model = Net(nnx.Rngs(0))
optimizer = nnx.Optimizer(model, optax.adam(3e-3), wrt=nnx.Param)


def loss(model):
    scores = model(images)
    return optax.softmax_cross_entropy_with_integer_labels(scores, labels).mean()


@nnx.jit
def step(model, optimizer):
    value, gradient = nnx.value_and_grad(loss)(model)
    optimizer.update(model, gradient)
    return value


for _ in range(20):
    value = step(model, optimizer)
print(f"loss {value:.3f}")

# %% [markdown]
# The model is still in training mode. Given as it is it is refused, in one line; `from_nnx` is a
# view of it in evaluation mode, and leaves it as it is.

# %%
new, truth = drawn(jax.random.key(1), 3)
try:
    saljax.explain(saljax.gradient, model, new, truth)
except ValueError as refusal:
    print(str(refusal)[:120], "...")
score_fn = saljax.scores.from_nnx(model)
print("right:", jnp.mean(score_fn(new).argmax(axis=1) == truth))

# %% [markdown]
# What can `layer=` name? The tag, and every operation by its number.

# %%
print(saljax.layers(score_fn, new[0]))

# %%
methods = {
    "Grad-CAM": functools.partial(saljax.grad_cam, layer="features"),
    "guided backprop": saljax.guided_backprop,
    "occlusion": functools.partial(saljax.occlusion, window=6, stride=3, baseline=0.2),
}
maps = {name: saljax.explain(method, score_fn, new, truth) for name, method in methods.items()}
saljax.plot(
    list(new),
    [{name: saliency[i] for name, saliency in maps.items()} for i in range(len(new))],
    title=[f"class {label}" for label in truth],
)

# %% [markdown]
# The weights are arguments of the compiled program: after another step of training the same call
# explains the new ones, and nothing is compiled again.

# %%
step(model, optimizer)
again = saljax.explain(saljax.guided_backprop, score_fn, new, truth)
print("the map changed by", float(jnp.abs(again - maps["guided backprop"]).max()))
