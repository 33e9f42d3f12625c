"""Files of weights: what comes back, and one clear line for what does not fit."""

import os
import subprocess
import sys

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from flax import nnx

from saljax.models import weights
from saljax.models.constructors import abstract
from saljax.models.from_torchvision import convert, source_shapes


class Tiny(nnx.Module):
    def __init__(self, rngs):
        self.layers = nnx.List([nnx.Linear(3, 4, rngs=rngs), nnx.Linear(4, 2, rngs=rngs)])
        self.norm = nnx.BatchNorm(4, use_running_average=True, rngs=rngs)

    def __call__(self, x):
        return self.layers[1](self.norm(self.layers[0](x)))


@pytest.fixture(scope="module")
def resnet18():
    """Tensors under torchvision's names; what they hold does not matter here."""
    return {name: np.zeros(shape, np.float32) for name, shape in source_shapes("resnet18").items()}


def one_line(caught):
    message = str(caught.value)
    assert "\n" not in message and len(message) < 500, message
    return message


def test_write_then_read(tmp_path):
    tensors = {"a.b": np.arange(6, dtype=np.float32).reshape(2, 3).T, "c": np.float32([1])}
    weights.write(tmp_path / "w.safetensors", tensors, {"made": "here"})
    back = weights.read(tmp_path / "w.safetensors")
    assert sorted(back) == ["a.b", "c"]
    np.testing.assert_array_equal(back["a.b"], [[0, 3], [1, 4], [2, 5]])
    with safetensors.safe_open(tmp_path / "w.safetensors", "np") as file:
        assert file.metadata() == {"made": "here"}


def test_half_precision_is_read_as_float32(tmp_path):
    content = {"half": np.float16([0.5, 1e-4]), "double": np.float64([0.1]), "n": np.int64([7])}
    safetensors.numpy.save_file(content, tmp_path / "w.safetensors")
    back = weights.read(tmp_path / "w.safetensors")
    assert {name: value.dtype.name for name, value in back.items()} == {
        "half": "float32",
        "double": "float32",
        "n": "int64",
    }
    np.testing.assert_array_equal(back["half"], np.float16([0.5, 1e-4]).astype(np.float32))


def test_interrupted_write_leaves_the_old_file(tmp_path, monkeypatch):
    path = tmp_path / "w.safetensors"
    weights.write(path, {"a": np.ones(2, np.float32)})
    monkeypatch.setattr(type(path), "replace", lambda *_: (_ for _ in ()).throw(OSError("full")))
    with pytest.raises(OSError, match="full"):
        weights.write(path, {"a": np.zeros(2, np.float32)})
    assert os.listdir(tmp_path) == ["w.safetensors"]
    np.testing.assert_array_equal(weights.read(path)["a"], 1)


def test_write_wants_safetensors(tmp_path):
    with pytest.raises(ValueError, match=r"w\.npz: weights are written as \.safetensors"):
        weights.write(tmp_path / "w.npz", {})


@pytest.mark.parametrize(
    ("file", "content", "error", "says"),
    [
        ("w.safetensors", None, FileNotFoundError, "no such weights file"),
        ("w.safetensors", b"", ValueError, "empty"),
        ("w.safetensors", b"not weights at all", ValueError, "damaged"),
        ("w.onnx", b"x", ValueError, "unknown kind"),
        ("w", None, ValueError, "unknown kind"),
    ],
)
def test_bad_file(tmp_path, file, content, error, says):
    if content is not None:
        (tmp_path / file).write_bytes(content)
    with pytest.raises(error, match=says) as caught:
        weights.read(tmp_path / file)
    assert file in one_line(caught)


def test_truncated_file(tmp_path):
    path = tmp_path / "w.safetensors"
    weights.write(path, {"a": np.ones(100, np.float32)})
    path.write_bytes(path.read_bytes()[:-1])
    with pytest.raises(ValueError, match="damaged") as caught:
        weights.read(path)
    one_line(caught)


def test_folder_instead_of_file(tmp_path):
    (tmp_path / "w.safetensors").mkdir()
    with pytest.raises(IsADirectoryError, match="a folder"):
        weights.read(tmp_path / "w.safetensors")


def test_torch_file_without_torch(tmp_path, monkeypatch):
    (tmp_path / "w.pth").write_bytes(b"x")
    monkeypatch.setitem(sys.modules, "torch", None)
    with pytest.raises(ValueError, match=r"needs torch: pip install 'saljax\[torch\]'") as caught:
        weights.read(tmp_path / "w.pth")
    one_line(caught)


@pytest.mark.parametrize("wrapper", [None, "state_dict", "model"])
def test_torch_file(tmp_path, wrapper):
    torch = pytest.importorskip("torch")
    state = {"a": torch.arange(3).half(), "b": torch.ones(2, dtype=torch.bfloat16)}
    content = state if wrapper is None else {wrapper: state, "epoch": 3}
    torch.save(content, tmp_path / "w.pth")
    back = weights.read(tmp_path / "w.pth")
    np.testing.assert_array_equal(back["a"], np.float32([0, 1, 2]))
    assert {value.dtype.name for value in back.values()} == {"float32"}


@pytest.mark.parametrize("content", ["module", "list", "rubbish"])
def test_torch_file_that_is_no_state_dict(tmp_path, content):
    torch = pytest.importorskip("torch")
    path = tmp_path / "w.pt"
    if content == "rubbish":
        path.write_bytes(b"rubbish")
    else:
        torch.save({"module": torch.nn.Linear(2, 2), "list": [torch.ones(2)]}[content], path)
    with pytest.raises(ValueError, match="state dict") as caught:
        weights.read(path)
    one_line(caught)


def test_parameters_and_assign_are_inverse():
    model, other = Tiny(nnx.Rngs(0)), Tiny(nnx.Rngs(1))
    tensors = weights.parameters(model)
    assert set(tensors) == {
        *("layers.0.kernel", "layers.0.bias", "layers.1.kernel", "layers.1.bias"),
        *("norm.scale", "norm.bias", "norm.mean", "norm.var"),
    }
    x = jnp.ones((1, 3))
    before = other(x)
    filled = weights.assign(other, tensors)
    np.testing.assert_array_equal(filled(x), model(x))
    np.testing.assert_array_equal(other(x), before)
    empty = nnx.eval_shape(lambda: Tiny(nnx.Rngs(0)))
    np.testing.assert_array_equal(weights.assign(empty, tensors)(x), model(x))
    assert jax.tree.structure(weights.assign(empty, tensors)) == jax.tree.structure(model)


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"norm.mean": None}, r"1 missing \(norm\.mean\)"),
        ({"extra": np.ones(1)}, r"1 not of this model \(extra\)"),
        ({"layers.0.bias": np.ones(5, np.float32)}, r"layers\.0\.bias \(5,\) instead of \(4,\)"),
        ({"norm.var": np.ones(4, np.int8)}, r"1 not float32 \(norm\.var int8\)"),
    ],
)
def test_assign_names_what_does_not_fit(change, says):
    model = Tiny(nnx.Rngs(0))
    tensors = {k: v for k, v in (weights.parameters(model) | change).items() if v is not None}
    with pytest.raises(ValueError, match=says) as caught:
        weights.assign(model, tensors)
    assert "do not fit Tiny" in one_line(caught)


def test_convert_takes_data_parallel_names_and_drops_counters(resnet18):
    given = {f"module.{name}": value for name, value in resnet18.items()}
    given["module.bn1.num_batches_tracked"] = np.int64(3)
    converted = convert(given, "resnet18")
    assert {n: v.shape for n, v in converted.items()} == weights.shapes(abstract("resnet18"))
    assert {n: v.shape for n, v in convert(converted, "resnet18").items()} == weights.shapes(
        abstract("resnet18")
    )


def test_convert_moves_axes(resnet18):
    kernel = np.random.default_rng(0).random((64, 3, 7, 7), np.float32)
    converted = convert(resnet18 | {"conv1.weight": kernel}, "resnet18")
    assert converted["conv1.kernel"][2, 5, 1, 40] == kernel[40, 1, 2, 5]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("resnet50", {}, r"do not fit resnet50 \(they look like weights of resnet18\): .*missing"),
        ("resnet18", {"fc.weight": None, "fc.bias": None}, r"part of one\): 2 missing \(fc\."),
        ("resnet18", {"fc.weight": np.zeros((9, 512), np.float32)}, r"fc\.weight \(9, 512\)"),
        ("resnet18", {"conv1.weight": np.zeros((128, 3, 7, 7), np.float32)}, "a wider"),
        ("resnet18", {"layer5.weight": np.zeros(1, np.float32)}, "1 not of this model"),
    ],
)
def test_convert_names_what_does_not_fit_and_guesses_why(resnet18, name, change, says):
    tensors = {k: v for k, v in (resnet18 | change).items() if v is not None}
    with pytest.raises(ValueError, match=says) as caught:
        convert(tensors, name)
    one_line(caught)


def test_importing_weights_does_not_import_torch():
    code = "import saljax.models.weights, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
