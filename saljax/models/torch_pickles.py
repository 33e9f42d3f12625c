"""What `torch.save` writes, read without torch and without running any code of the file's.

A pickle is a program. The one here may make tensors, dictionaries and plain values; whatever else
it names is refused before it is looked up.
"""

import argparse
import io
import math
import pickle
import zipfile
from collections import OrderedDict
from collections.abc import Callable
from pathlib import Path
from typing import Any

import jax.numpy as jnp
import numpy as np

STORAGES = {
    "DoubleStorage": np.float64, "FloatStorage": np.float32, "HalfStorage": np.float16,
    "BFloat16Storage": jnp.bfloat16, "LongStorage": np.int64, "IntStorage": np.int32,
    "ShortStorage": np.int16, "CharStorage": np.int8, "ByteStorage": np.uint8,
    "BoolStorage": np.bool_,
}  # fmt: skip
_MAGIC, _VERSION = 0x1950A86A20F9469CFC6C, 1001
"""Of torch before 1.6, which wrote pickles and raw numbers one after another."""


class RefusedError(ValueError):
    """The file names something that is not read; `name` says what."""

    def __init__(self, name: str):
        super().__init__(name)
        self.name = name


def load(path: Path) -> Any:
    """Read what was saved; a tensor becomes a numpy array.

    Args:
        path: of today's format, a zip archive, or of that of torch before 1.6.

    Raises:
        RefusedError: it holds more than tensors, dictionaries, lists, numbers, texts, and a record
            of options, as argparse makes.
        Exception: of many kinds, where it is damaged.
    """
    if zipfile.is_zipfile(path):
        with zipfile.ZipFile(path) as archive:
            return _load_archive(archive)
    with path.open("rb") as file:
        return _load_legacy(file)


def _load_archive(archive):
    (pickled,) = [name for name in archive.namelist() if name.endswith("/data.pkl")]
    top = pickled.removesuffix("data.pkl")
    order = "<"
    if f"{top}byteorder" in archive.namelist():
        order = {b"little": "<", b"big": ">"}[archive.read(f"{top}byteorder")]
    read: dict[str, np.ndarray] = {}

    def storage(kind, key, number):
        if key not in read:
            # Torch stores numbers as they are; what is compressed could grow without end.
            entry = archive.getinfo(f"{top}data/{key}")
            if entry.compress_type != zipfile.ZIP_STORED:
                raise ValueError("its numbers are compressed, as torch never does")
            read[key] = _numbers(archive.read(entry), kind, order)
        return read[key][:number]

    with archive.open(pickled) as file:
        return _Unpickler(file, storage).load()


def _load_legacy(file):
    def forbidden(*_):
        raise ValueError("numbers where none belong")

    if [_Unpickler(file, forbidden).load() for _ in range(2)] != [_MAGIC, _VERSION]:
        raise ValueError("not written by torch.save")
    _Unpickler(file, forbidden).load()  # of the machine that wrote it
    room: dict[str, np.ndarray] = {}
    left = Path(file.name).stat().st_size

    def storage(kind, key, number, view=None):
        nonlocal left
        if key not in room:
            left -= number * np.dtype(kind).itemsize
            if left < 0:
                raise EOFError("it ends before its numbers do")
            room[key] = np.zeros(number, kind)  # filled below, when the numbers come
        whole = room[key]
        return whole if view is None else whole[view[1] : view[1] + view[2]]

    content = _Unpickler(file, storage).load()
    for key in _Unpickler(file, forbidden).load():
        number = int.from_bytes(file.read(8), "little")
        if number != len(room[key]):
            raise ValueError("a storage of another length than it was said to have")
        raw = file.read(room[key].nbytes)
        room[key][:] = _numbers(raw, room[key].dtype, "<")[:number]
    return content


def _numbers(raw: bytes, kind: Any, order: str) -> np.ndarray:
    kind = np.dtype(kind)
    if kind == jnp.bfloat16:
        return np.frombuffer(raw, f"{order}u2").astype("<u2").view(kind)
    return np.frombuffer(raw, kind.newbyteorder(order)).astype(kind)


class _Unpickler(pickle._Unpickler):  # pyright: ignore[reportAttributeAccessIssue]
    """The one written in Python: that in C takes 32 GB for a memo that a short file may ask for."""

    def __init__(self, file: io.BufferedIOBase, storage: Callable[..., np.ndarray]):
        super().__init__(file)
        self._storage = storage

    def persistent_load(self, pid: Any) -> np.ndarray:
        word, kind, key, _, number, *view = pid
        if word != "storage" or kind not in STORAGES.values():
            raise ValueError("something other than numbers outside of the pickle")
        return self._storage(kind, str(key), _whole(number), *filter(None, view))

    def find_class(self, module_name: str, global_name: str) -> Any:
        name = f"{module_name}.{global_name}"
        if module_name in ("torch", "torch.storage") and global_name in STORAGES:
            return STORAGES[global_name]
        # New ones each time, so that a file that sets attributes of them spoils nothing.
        known = {
            "collections.OrderedDict": OrderedDict,
            "argparse.Namespace": type("Namespace", (argparse.Namespace,), {}),
            "torch._utils._rebuild_tensor_v2": lambda *parts: self._tensor(*parts),
            "torch._utils._rebuild_parameter": lambda data, *_: data,
            "torch.Size": lambda sizes: tuple(sizes),
            "torch.device": lambda *names: ":".join(map(str, names)),
        }
        if name not in known:
            raise RefusedError(name)
        return known[name]

    def _tensor(self, storage, offset, shape, strides, *_):
        shape, strides = [_whole(n) for n in shape], [_whole(n) for n in strides]
        if len(shape) != len(strides) or not isinstance(storage, np.ndarray):
            raise ValueError("a tensor without its strides or its numbers")
        size = math.prod(shape)
        last = _whole(offset) + sum((n - 1) * by for n, by in zip(shape, strides, strict=True))
        if size and (last >= storage.size or size > storage.size):
            raise ValueError("a tensor that is larger than its numbers")
        steps = [by * storage.itemsize for by in strides]
        return np.lib.stride_tricks.as_strided(storage[offset:], shape, steps, writeable=False)


def _whole(number: Any) -> int:
    if type(number) is not int or number < 0:
        raise ValueError(f"{number!r} where a length was expected")
    return number
