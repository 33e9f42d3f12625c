"""Files of torch.save, made here byte by byte: torch is not needed to read them, nor to test it."""

import argparse
import os
import pickle
import struct
import zipfile
from collections import OrderedDict

import jax.numpy as jnp
import numpy as np
import pytest

from saljax.models import torch_pickles, weights

KINDS = {kind: np.dtype(dtype) for kind, dtype in torch_pickles.STORAGES.items()}


def value(plain) -> bytes:
    """A plain value, as the inside of a pickle of protocol 2."""
    return pickle.dumps(plain, 2)[2:-1]


def named(name) -> bytes:
    module, _, attribute = name.rpartition(".")
    return f"c{module}\n{attribute}\n".encode()


def call(name, *parts) -> bytes:
    return named(name) + b"(" + b"".join(parts) + b"tR"


def tensor(key, kind, number, shape, strides, offset=0, legacy=False) -> bytes:
    view = value(None) if legacy else b""
    place = named(f"torch.{kind}") + value(key) + value("cpu") + value(number) + view
    storage = b"(" + value("storage") + place + b"tQ"
    parts = (storage, value(offset), value(shape), value(strides), value(False))
    return call("torch._utils._rebuild_tensor_v2", *parts, call("collections.OrderedDict"))


def dictionary(entries) -> bytes:
    items = b"".join(value(name) + one for name, one in entries.items())
    return call("collections.OrderedDict") + b"(" + items + b"u"


def archive(path, content, storages, order=b"little", compression=zipfile.ZIP_STORED):
    with zipfile.ZipFile(path, "w", compression) as file:
        file.writestr("w/data.pkl", b"\x80\x02" + content + b".")
        file.writestr("w/byteorder", order)
        for key, raw in storages.items():
            file.writestr(f"w/data/{key}", raw)
    return path


def legacy(path, content, storages):
    """`storages`: key -> (number, raw bytes)."""
    start = [torch_pickles._MAGIC, torch_pickles._VERSION, {"little_endian": True}]
    raw = b"".join(struct.pack("<q", number) + raw for number, raw in storages.values())
    parts = [pickle.dumps(one, 2) for one in start]
    path.write_bytes(
        b"".join(parts) + b"\x80\x02" + content + b"." + pickle.dumps(list(storages), 2) + raw
    )
    return path


@pytest.mark.parametrize("kind", list(KINDS))
@pytest.mark.parametrize("order", ["little", "big"])
def test_every_kind_of_number(tmp_path, kind, order):
    numbers = np.asarray([0, 1, 1, 0, 1, 1]).astype(KINDS[kind])
    bits = numbers.view("u2") if kind == "BFloat16Storage" else numbers
    raw = bits.astype(bits.dtype.newbyteorder("<" if order == "little" else ">")).tobytes()
    content = dictionary({"a": tensor("0", kind, 6, (3, 2), (2, 1))})
    found = torch_pickles.load(archive(tmp_path / "w.pth", content, {"0": raw}, order.encode()))
    assert found["a"].dtype == KINDS[kind]
    np.testing.assert_array_equal(found["a"].astype(np.float32), [[0, 1], [1, 0], [1, 1]])


@pytest.mark.parametrize("old", [False, True])
def test_strides_offsets_and_shared_numbers(tmp_path, old):
    raw = np.arange(12, dtype=np.float32).tobytes()
    part = {
        "transposed": tensor("7", "FloatStorage", 12, (4, 3), (1, 4), legacy=old),
        "row": tensor("7", "FloatStorage", 12, (4,), (1,), 8, legacy=old),
        "number": tensor("7", "FloatStorage", 12, (), (), 5, legacy=old),
        "none": tensor("7", "FloatStorage", 12, (0, 3), (3, 1), legacy=old),
    }
    options = named("argparse.Namespace") + b")\x81" + value({"lr": 0.1}) + b"b"
    parameter = call("torch._utils._rebuild_parameter", part["row"], value(True))
    content = dictionary(part | {"p": parameter, "args": options, "epoch": value(3)})
    path = tmp_path / "w.pt"
    if old:
        legacy(path, content, {"7": (12, raw)})
    else:
        archive(path, content, {"7": raw})
    found = torch_pickles.load(path)
    np.testing.assert_array_equal(found["transposed"], np.arange(12).reshape(3, 4).T)
    np.testing.assert_array_equal(found["row"], [8, 9, 10, 11])
    np.testing.assert_array_equal(found["p"], [8, 9, 10, 11])
    assert found["number"] == 5 and found["none"].shape == (0, 3)
    assert found["epoch"] == 3 and found["args"] == argparse.Namespace(lr=0.1)
    assert weights.read(path)["transposed"].flags["OWNDATA"]


class Bad:
    def __reduce__(self):
        return os.system, ("touch ran",)


@pytest.mark.parametrize(
    ("content", "name"),
    [
        (value(Bad()), "posix.system"),
        (named("builtins.eval"), "builtins.eval"),
        (call("numpy.core.multiarray.scalar"), "numpy.core.multiarray.scalar"),
        (call("torch.nn.modules.linear.Linear"), "torch.nn.modules.linear.Linear"),
        (named("collections.OrderedDict.fromkeys"), "collections.OrderedDict.fromkeys"),
    ],
)
def test_what_would_run_code_is_refused_by_name(tmp_path, monkeypatch, content, name):
    monkeypatch.chdir(tmp_path)
    for path in (archive(tmp_path / "a", content, {}), legacy(tmp_path / "b", content, {})):
        with pytest.raises(ValueError, match=f"opening its {name} would run code") as caught:
            weights.read(path)
        assert "\n" not in str(caught.value)
    assert not (tmp_path / "ran").exists()


@pytest.mark.parametrize(
    ("shape", "strides", "offset"),
    [
        ((7,), (1,), 0), ((3,), (3,), 0), ((6,), (1,), 1), ((10**12,), (0,), 0),
        ((2,), (1, 1), 0), ((-1,), (1,), 0), ((2,), (-1,), 5), ((2,), (1,), -4),
    ],
)  # fmt: skip
def test_a_tensor_stays_within_its_numbers(tmp_path, shape, strides, offset):
    content = dictionary({"a": tensor("0", "FloatStorage", 6, shape, strides, offset)})
    path = archive(tmp_path / "w.pth", content, {"0": bytes(24)})
    with pytest.raises(ValueError, match="damaged, or not a plain torch state dict"):
        weights.read(path)


def test_little_files_do_not_grow(tmp_path):
    many = {str(k): tensor(str(k), "FloatStorage", 100, (1,), (1,), legacy=True) for k in range(9)}
    path = legacy(tmp_path / "w", dictionary(many), {"0": (100, bytes(400))})
    with pytest.raises(ValueError, match="ends before its numbers"):
        weights.read(path)
    one = dictionary({"a": tensor("0", "FloatStorage", 6, (6,), (1,))})
    path = archive(tmp_path / "z", one, {"0": bytes(24)}, compression=zipfile.ZIP_DEFLATED)
    with pytest.raises(ValueError, match="compressed"):
        weights.read(path)
    memo = b"r" + struct.pack("<I", 2**32 - 1)  # a place that an array of places would need
    path = archive(tmp_path / "m", dictionary({"n": value(1) + memo}), {})
    with pytest.raises(ValueError, match="holds no state dict"):
        weights.read(path)


def test_a_file_cannot_change_what_opens_it(tmp_path):
    poison = named("argparse.Namespace") + value((None, {"__eq__": 1})) + b"b"
    torch_pickles.load(archive(tmp_path / "w", poison, {}))
    assert argparse.Namespace(a=1) == argparse.Namespace(a=1)


@pytest.mark.parametrize("old", [False, True])
def test_damaged_bytes_give_one_line_or_tensors(tmp_path, old):
    """Some 200 files with a few bytes changed, cut or doubled."""
    kinds = list(KINDS)[1:5]  # float64 out of the range of float32 would warn
    parts = {k: tensor(k, k, 4, (2, 2), (2, 1), legacy=old) for k in kinds}
    raw = {k: bytes(4 * KINDS[k].itemsize) for k in kinds}
    path, random = tmp_path / "w.pth", np.random.default_rng(0)
    if old:
        legacy(path, dictionary(parts), {k: (4, r) for k, r in raw.items()})
    else:
        archive(path, dictionary(parts), raw)
    good, outcomes = path.read_bytes(), {"read": 0, "refused": 0}
    for _ in range(200):
        bad = bytearray(good)
        for place in random.integers(len(bad), size=random.integers(1, 4)):
            bad[place] = random.integers(256)
        start, end = sorted(random.integers(len(bad), size=2))
        how = random.integers(4)
        bad = bad[:end] if how == 0 else bad + bad[start:end] if how == 1 else bad
        path.write_bytes(bytes(bad) or b"x")
        try:
            found = weights.read(path)
        except ValueError as error:
            assert "\n" not in str(error)
            outcomes["refused"] += 1
        else:
            assert all(isinstance(one, np.ndarray) for one in found.values())
            outcomes["read"] += 1
    assert min(outcomes.values()) > 5


def test_files_of_torch_itself(tmp_path):
    torch = pytest.importorskip("torch")
    torch.manual_seed(0)
    base = torch.randn(6, 5)
    state = OrderedDict(
        whole=base, turned=base.T, row=base[2], half=base.half(), brain=base.bfloat16(),
        counts=torch.arange(4), flags=base > 0, parameter=torch.nn.Parameter(base),
        number=torch.tensor(3.5),
    )  # fmt: skip
    content = {"state_dict": state, "epoch": 3, "shape": base.shape, "device": base.device}
    for zipped in (True, False):
        path = tmp_path / f"{zipped}.pth"
        torch.save(content, path, _use_new_zipfile_serialization=zipped)
        found = torch_pickles.load(path)["state_dict"]
        for name, one in state.items():
            expected = one.detach().float().numpy() if name == "brain" else one.detach().numpy()
            np.testing.assert_array_equal(found[name].astype(expected.dtype), expected)
        assert found["brain"].dtype == jnp.bfloat16
