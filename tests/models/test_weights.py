"""Files of weights: what comes back, and one clear line for what does not fit."""

import argparse
import json
import os
import subprocess
import sys
import zipfile

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors
import safetensors.numpy
from flax import nnx

from saljax import models
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


def stored(dtype, data):
    """A file of safetensors with three numbers of some type, written by hand."""
    header = json.dumps({"a": {"dtype": dtype, "shape": [3], "data_offsets": [0, len(data)]}})
    return len(header).to_bytes(8, "little") + header.encode() + data


@pytest.mark.parametrize("name", ["w.safetensors", "w.bin", "w"])
def test_bfloat16_is_read_and_safetensors_are_known_by_what_is_inside(tmp_path, name):
    held = np.asarray([0.5, 1e-4, -3e38], jnp.bfloat16)
    (tmp_path / name).write_bytes(stored("BF16", held.tobytes()))
    back = weights.read(tmp_path / name)["a"]
    assert back.dtype == np.float32
    np.testing.assert_array_equal(back, held.astype(np.float32))


def test_numbers_that_are_not_read(tmp_path):
    (tmp_path / "w.safetensors").write_bytes(stored("F8_E4M3", b"abc"))
    with pytest.raises(ValueError, match=r"numbers of type F8_E4M3 are not read; .* bfloat16"):
        weights.read(tmp_path / "w.safetensors")


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
        ("w", None, FileNotFoundError, "no such weights file"),
        ("w", b"x", ValueError, "unknown kind"),
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


@pytest.mark.parametrize(
    ("name", "wrappers"),
    [
        ("w.pth", ""), ("w.PT", "state_dict"), ("w.ckpt", "model"), ("w.bin", "model_state_dict"),
        ("w.weights", "net"), ("w", "params"), ("w.pth.tar", "generator"),
        ("w.pth", "model.state_dict"),
    ],
)  # fmt: skip
def test_torch_file(tmp_path, name, wrappers):
    """In today's format; a .bin in that of torch before 1.6."""
    torch = pytest.importorskip("torch")
    content = {"a": torch.arange(3).half(), "b": torch.ones(2, dtype=torch.bfloat16)}
    wrappers = wrappers.split(".") if wrappers else []
    for wrapper in reversed(wrappers):
        optimizer = {"state": {0: {"exp_avg": torch.ones(2)}}, "param_groups": [{"lr": 1}]}
        content = {wrapper: content, "epoch": 3, "optimizer": optimizer}
    torch.save(content, tmp_path / name, _use_new_zipfile_serialization=name != "w.bin")
    said = []
    back = weights.read(tmp_path / name, said.append)
    np.testing.assert_array_equal(back["a"], np.float32([0, 1, 2]))
    assert {value.dtype.name for value in back.values()} == {"float32"}
    assert said == (
        ["passed over: " + ", ".join(["epoch, optimizer"] * len(wrappers))] * bool(wrappers)
    )


def test_torch_file_with_options_copies_and_counters(tmp_path):
    torch = pytest.importorskip("torch")
    state, said = {"a": torch.ones(2)}, []
    options = argparse.Namespace(lr=0.1, device=torch.device("cpu"))
    content = {"model": state, "model_ema": {"a": 3 * state["a"]}, "args": options}
    torch.save(content, tmp_path / "w.pth")
    np.testing.assert_array_equal(weights.read(tmp_path / "w.pth", said.append)["a"], [1, 1])
    assert said == ["passed over: model_ema, args"]
    torch.save(state | {"epoch": 3, "step": torch.tensor(4)}, tmp_path / "w.pth")
    assert weights.read(tmp_path / "w.pth", said.append).keys() == {"a", "step"}
    assert said[1:] == ["passed over: epoch"]


class Opaque:
    """What a pickle cannot be opened without."""


@pytest.mark.parametrize(
    ("content", "says"),
    [
        ("module", "opening its torch.nn.modules.linear.Linear would run code.*save the tensors"),
        (
            "object",
            "opening its .*Opaque would run code that came with it; .*, save the tensors",
        ),
        ("script", "is a program of TorchScript; save the tensors alone"),
        ("list", "holds no state dict; save the tensors alone"),
        ("several", r"several state dicts \(encoder, decoder\); save that of the classifier alone"),
        ("rubbish", "damaged, or not a plain torch state dict"),
        ("cut", "damaged, or not a plain torch state dict"),
    ],
)
def test_torch_file_that_is_no_state_dict(tmp_path, content, says):
    torch = pytest.importorskip("torch")
    path, state = tmp_path / "w.pt", {"a": torch.ones(2)}
    if content == "rubbish":
        path.write_bytes(b"rubbish")
    elif content == "script":
        with zipfile.ZipFile(path, "w") as archive:
            archive.writestr("w/data.pkl", b"")
            archive.writestr("w/constants.pkl", b"")
    else:
        held = {
            "module": torch.nn.Linear(2, 2), "list": [torch.ones(2)], "cut": state,
            "object": {"model": state, "best": Opaque()},
            "several": {"encoder": state, "decoder": state},
        }  # fmt: skip
        torch.save(held[content], path)
    if content == "cut":
        path.write_bytes(path.read_bytes()[:-30])
    with pytest.raises(ValueError, match=says) as caught:
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


def test_convert_takes_what_trainers_put_around_the_weights_and_says_so(resnet18):
    """Of one class, whose bias is a single number too; and likewise under our own names."""
    head = {"fc.1.weight": np.zeros((1, 512), np.float32), "fc.1.bias": np.float32([7])}
    given = {k: v for k, v in (resnet18 | head).items() if k not in ("fc.weight", "fc.bias")}
    given = {f"model.module.{name}": value for name, value in given.items()}
    given |= {"model.module.bn1.num_batches_tracked": np.int64(3), "epoch": np.int64(3)}
    said = []
    converted = convert(given, "resnet18", said.append)
    expected = weights.shapes(abstract("resnet18", num_classes=1))
    assert {name: value.shape for name, value in converted.items()} == expected
    assert converted["fc.bias"] == 7
    taken = "taken off the names: module., model."
    assert said == [f"{taken}; passed over: epoch; fc.1 is read as fc"]
    again = {f"model.module.{name}": value for name, value in converted.items()}
    assert convert(again, "resnet18", said.append).keys() == converted.keys()
    assert said[1:] == [taken]


def test_convert_moves_axes(resnet18):
    kernel = np.random.default_rng(0).random((64, 3, 7, 7), np.float32)
    converted = convert(resnet18 | {"conv1.weight": kernel}, "resnet18")
    assert converted["conv1.kernel"][2, 5, 1, 40] == kernel[40, 1, 2, 5]


@pytest.mark.parametrize(
    ("name", "change", "says"),
    [
        ("resnet50", {}, r"do not fit resnet50 \(they look like weights of resnet18\): .*missing"),
        ("resnet18", {"fc.weight": None}, r"part of one\): 1 missing \(fc\.weight\)"),
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


def test_weights_of_another_are_guessed_for_networks_of_our_own(resnet18, tmp_path):
    weights.write(tmp_path / "r.safetensors", resnet18, {})
    with pytest.raises(ValueError, match="do not fit birdlets .they look like weights of resnet18"):
        models.load("birdlets", tmp_path / "r.safetensors")


def test_importing_weights_does_not_import_torch():
    code = "import saljax.models.weights, sys; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
