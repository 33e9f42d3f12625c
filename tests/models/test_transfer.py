"""New heads on old weights, what learns, and batch norms in training."""

import jax
import jax.numpy as jnp
import numpy as np
import pytest
from flax import nnx

from saljax import models
from saljax.models import transfer
from saljax.models.architectures.layers import batch_norm
from saljax.models.constructors import BUILD, OWN, abstract
from saljax.models.tables import HEADS, TABLES
from saljax.models.weights import assign, parameters, shapes, write


class Tiny(nnx.Module):
    """A matrix product, a batch norm and a head."""

    def __init__(self, num_classes, *, rngs):
        self.inner = nnx.Linear(3, 5, rngs=rngs)
        self.bn = batch_norm(5, rngs=rngs)
        self.fc = nnx.Linear(5, num_classes, rngs=rngs)

    def __call__(self, images):
        return self.fc(self.bn(self.inner(images)).mean(axis=(1, 2)))


@pytest.fixture
def tiny(monkeypatch):
    monkeypatch.setitem(HEADS, "tiny", "fc")
    blank, rng = nnx.eval_shape(lambda: Tiny(4, rngs=nnx.Rngs(0))), np.random.default_rng(0)
    tensors = {
        name: rng.uniform(0.5, 1, shape).astype(np.float32) for name, shape in shapes(blank).items()
    }
    return assign(blank, tensors), blank


def on_device(model):
    return {name: jnp.asarray(value) for name, value in parameters(model).items()}


def test_stored_statistics_stay_and_training_sees_what_explaining_sees(tiny, key):
    model, blank = tiny
    images = jax.random.uniform(key, (2, 4, 4, 3))
    logits, moved = transfer.forward(blank, on_device(model), images, batch_statistics=False)
    np.testing.assert_array_equal(logits, model(images))
    assert moved == {}


def test_batch_statistics_are_used_and_move_the_stored_ones_by_a_tenth(tiny, key):
    model, blank = tiny
    tensors = on_device(model) | {"bn.mean": jnp.full(5, 2.0), "bn.var": jnp.full(5, 3.0)}
    images = jax.random.uniform(key, (2, 4, 4, 3))
    logits, moved = transfer.forward(blank, tensors, images, batch_statistics=True)
    tensors = {name: np.asarray(value, np.float64) for name, value in tensors.items()}
    inner = np.asarray(images, np.float64) @ tensors["inner.kernel"] + tensors["inner.bias"]
    mean, var = inner.mean(axis=(0, 1, 2)), inner.var(axis=(0, 1, 2))
    normal = (inner - mean) / np.sqrt(var + 1e-5) * tensors["bn.scale"] + tensors["bn.bias"]
    expected = normal.mean(axis=(1, 2)) @ tensors["fc.kernel"] + tensors["fc.bias"]
    np.testing.assert_allclose(logits, expected, atol=1e-5)
    assert set(moved) == {"bn.mean", "bn.var"}
    np.testing.assert_allclose(moved["bn.mean"], 0.9 * 2 + 0.1 * mean, rtol=1e-5)
    np.testing.assert_allclose(moved["bn.var"], 0.9 * 3 + 0.1 * var, rtol=1e-5)


def test_split_all_keeps_statistics_only_and_head_keeps_all_but_the_head(tiny):
    model, _ = tiny
    learning, kept = transfer.split("tiny", model, "all")
    assert set(kept) == {"bn.mean", "bn.var"}
    assert {"bn.scale", "bn.bias", "inner.kernel", "fc.kernel"} <= set(learning)
    head, rest = transfer.split("tiny", model, "head")
    assert set(head) == {"fc.kernel", "fc.bias"}
    for parts in ((learning, kept), (head, rest)):
        assert parts[0].keys() | parts[1].keys() == parameters(model).keys()
        assert not parts[0].keys() & parts[1].keys()


@pytest.mark.parametrize("name", ["resnet18", "squeezenet1_1", "birdlets", "glas3d"])
def test_the_head_of_a_classifier_is_what_depends_on_the_number_of_classes(name):
    few, many = shapes(abstract(name, num_classes=3)), shapes(abstract(name, num_classes=5))
    differ = {key for key in few if few[key] != many[key]}
    assert differ == {f"{HEADS[name]}.kernel", f"{HEADS[name]}.bias"}
    assert set(TABLES) < set(HEADS) and set(BUILD) < set(HEADS)


def test_start_drops_a_head_of_another_size_and_keeps_one_of_the_same(tmp_path):
    bundled = parameters(models.load("birdlets"))
    path = models.weights_file("birdlets", None)
    same = parameters(transfer.start("birdlets", 14, init=path))
    assert all((same[key] == bundled[key]).all() for key in bundled)
    other = transfer.start("birdlets", 5, seed=1, init=path)
    tensors = parameters(other)
    for key, value in bundled.items():
        if key.startswith("head."):
            assert tensors[key].shape == (*value.shape[:-1], 5)
        else:
            np.testing.assert_array_equal(tensors[key], value)
    assert abs(tensors["head.kernel"].std() - 0.01) < 0.001 and not tensors["head.bias"].any()
    again = parameters(transfer.start("birdlets", 5, seed=2, init=path))
    assert not np.array_equal(again["head.kernel"], tensors["head.kernel"])
    write(tmp_path / "five.safetensors", tensors)
    loaded = models.load("birdlets", tmp_path / "five.safetensors")
    image = jnp.full((1, 32, 32, 3), 0.3)
    np.testing.assert_array_equal(loaded(image), other(image))
    blank = shapes(transfer.blank("birdlets", other))
    assert blank == {key: value.shape for key, value in tensors.items()}


def test_start_from_scratch_is_drawn_from_the_seed(monkeypatch):
    monkeypatch.setitem(
        OWN, "linear", lambda num_classes, rngs: nnx.Linear(3, num_classes, rngs=rngs)
    )
    kernels = [parameters(transfer.start("linear", 4, seed=s))["kernel"] for s in (0, 0, 1)]
    assert kernels[0].shape == (3, 4)
    np.testing.assert_array_equal(kernels[0], kernels[1])
    assert not np.array_equal(kernels[0], kernels[2])


def test_start_from_another_classifiers_weights_is_refused():
    with pytest.raises(ValueError, match="the weights do not fit resnet18"):
        transfer.start("resnet18", 2, init=models.weights_file("birdlets", None))
