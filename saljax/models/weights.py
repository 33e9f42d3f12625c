"""Files of weights, and filling a model with them.

Weights are plain float32 tensors under dotted names: `layer1.0.conv1.kernel` is
`model.layer1[0].conv1.kernel`. They are kept as safetensors; torch's own files can be read too.
"""

import os
from collections.abc import Mapping
from pathlib import Path

import jax
import jax.numpy as jnp
import numpy as np
import safetensors
import safetensors.numpy
from flax import nnx

from saljax.models import torch_files
from saljax.models.state_dicts import Say

Tensors = Mapping[str, np.ndarray]
Arrays = Mapping[str, np.ndarray | jax.Array]
TORCH_SUFFIXES = (".pth", ".pt", ".tar", ".bin", ".ckpt")
NUMBERS = {
    "F64": np.float64, "F32": np.float32, "F16": np.float16, "BF16": jnp.bfloat16,
    "I64": np.int64, "I32": np.int32, "I16": np.int16, "I8": np.int8,
    "U64": np.uint64, "U32": np.uint32, "U16": np.uint16, "U8": np.uint8, "BOOL": np.bool_,
}  # fmt: skip
"""Types of safetensors."""


def read(path: str | os.PathLike, say: Say = lambda text: None) -> dict[str, np.ndarray]:
    """Read named tensors from a file.

    Args:
        path: safetensors, or a torch state dict, bare or inside a checkpoint; what it is is seen
            from its content, whatever its name. Torch's is read without running any code.
        say: told in one line what is passed over.

    Returns:
        The tensors; floating ones as float32, whatever precision the file has.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is empty, damaged or of an unknown kind, or more than weights.
    """
    path = Path(path)
    if not path.exists():
        raise FileNotFoundError(f"{path}: no such weights file")
    if path.is_dir():
        raise IsADirectoryError(f"{path}: a folder, expected a weights file")
    if path.stat().st_size == 0:
        raise ValueError(f"{path}: the weights file is empty; fetch or convert it again")
    tensors = torch_files.read(path, say) if _is_torch(path) else _read_safetensors(path)
    return {name: _as_float32(value) for name, value in tensors.items()}


def _is_torch(path: Path) -> bool:
    """Look into a file, and where it is of neither kind, at its name: it may be damaged."""
    with path.open("rb") as file:
        start = file.read(9)
    if start[8:] == b"{":
        return False
    suffix = path.suffix.lower()
    if torch_files.is_one(path) or suffix in TORCH_SUFFIXES:
        return True
    if suffix != ".safetensors":
        raise ValueError(
            f"{path}: unknown kind of weights file; expected safetensors, or torch's "
            f"({', '.join(TORCH_SUFFIXES)})"
        )
    return False


def _as_float32(value: np.ndarray) -> np.ndarray:
    is_floating = jnp.issubdtype(value.dtype, jnp.floating)
    return value.astype(np.float32, copy=False) if is_floating else value


def _read_safetensors(path: Path) -> dict[str, np.ndarray]:
    try:
        found = safetensors.deserialize(path.read_bytes())
    except safetensors.SafetensorError as error:
        raise ValueError(f"{path}: damaged, or not a safetensors file ({error})") from None
    unknown = sorted({one["dtype"] for _, one in found} - NUMBERS.keys())
    if unknown:
        raise ValueError(
            f"{path}: numbers of type {', '.join(unknown)} are not read; save the weights as "
            "float32, float16 or bfloat16"
        )
    return {
        name: np.frombuffer(one["data"], NUMBERS[one["dtype"]]).reshape(one["shape"])
        for name, one in found
    }


def write(
    path: str | os.PathLike, tensors: Tensors, metadata: Mapping[str, str] | None = None
) -> None:
    """Write named tensors as safetensors; an interrupted write leaves no file at `path`.

    Args:
        path: where to; ends in `.safetensors`.
        tensors: what to write.
        metadata: short texts kept in the file's header, such as where the weights come from.

    Raises:
        OSError: the folder does not exist or cannot be written.
        ValueError: `path` does not end in `.safetensors`.
    """
    path = Path(path)
    if path.suffix != ".safetensors":
        raise ValueError(f"{path}: weights are written as .safetensors; name the file so")
    content = safetensors.numpy.save(
        {name: np.ascontiguousarray(value) for name, value in tensors.items()},
        None if metadata is None else dict(metadata),
    )
    temporary = path.with_name(f".{path.name}.{os.getpid()}")
    try:
        temporary.write_bytes(content)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)


def metadata(path: str | os.PathLike) -> dict[str, str]:
    """Return the short texts in the header of a safetensors file that `read` could read."""
    with safetensors.safe_open(path, "numpy") as file:
        return file.metadata() or {}


def parameters(model: nnx.Module) -> dict[str, np.ndarray]:
    """Return every parameter and statistic of a model under its dotted name."""
    return {name: np.asarray(leaf) for name, leaf in _leaves(model).items()}


def shapes(model: nnx.Module) -> dict[str, tuple[int, ...]]:
    """Return the shape of every parameter and statistic of a model, which may be abstract."""
    return {name: tuple(leaf.shape) for name, leaf in _leaves(model).items()}


def _leaves(model: nnx.Module) -> dict:
    flat = nnx.to_flat_state(nnx.state(model))
    return {".".join(map(str, path)): leaf.get_value() for path, leaf in flat}


def assign(model: nnx.Module, tensors: Arrays) -> nnx.Module:
    """Return the model with its parameters replaced by tensors of the same dotted names.

    Args:
        model: the model, or its abstract form from `nnx.eval_shape`, which is left as it is.
        tensors: one for every name of `shapes(model)`, and no other.

    Returns:
        A new model.

    Raises:
        ValueError: names, shapes or types differ; the message names the first of them.
    """
    problem = mismatch(shapes(model), tensors)
    if problem:
        raise ValueError(f"the weights do not fit {type(model).__name__}: {problem}")
    graph, state = nnx.split(model)
    filled = [
        (path, leaf.replace(jnp.asarray(tensors[".".join(map(str, path))])))
        for path, leaf in nnx.to_flat_state(state)
    ]
    return nnx.merge(graph, nnx.from_flat_state(filled))


def mismatch(expected: Mapping[str, tuple[int, ...]], tensors: Arrays) -> str:
    """Say in one line how named tensors differ from the expected names and shapes.

    Args:
        expected: name -> shape of a float32 tensor.
        tensors: what was given.

    Returns:
        The differences, the first two of each sort by name and the others by number; "" if none.
    """
    both = [name for name in expected if name in tensors]
    sorts = {
        "missing": [name for name in expected if name not in tensors],
        "not of this model": sorted(name for name in tensors if name not in expected),
        "of another shape": [
            f"{name} {tensors[name].shape} instead of {expected[name]}"
            for name in both
            if tensors[name].shape != expected[name]
        ],
        "not float32": [
            f"{name} {tensors[name].dtype}" for name in both if tensors[name].dtype != np.float32
        ],
    }
    return "; ".join(
        f"{len(names)} {sort} ({', '.join(names[:2])}{', ...' if len(names) > 2 else ''})"
        for sort, names in sorts.items()
        if names
    )
