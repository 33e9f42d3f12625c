"""The import rule, and what `import saljax` costs."""

import ast
import pathlib
import subprocess
import sys

import pytest

import saljax

ROOT = pathlib.Path(saljax.__file__).parent
BELOW = {"metrics", "methods", "models", "data", "core", "ops"}
MAY_IMPORT = {
    "ops": {"ops"},
    "core": {"core", "ops"},
    "adapters": {"adapters", "core", "ops"},
    "methods": {"methods", "core", "ops"},
    "metrics": {"metrics", "core", "ops"},
    "models": {"models", "core.taps", "data"},
    "data": {"data", "ops"},
    "runs": {"runs", *BELOW},
    "evaluation": {"evaluation", "runs", *BELOW},
    "training": {"training", "runs", *BELOW},
    "report": {"report", "metrics", "methods", "data", "core", "ops"},
    "page": {"page", "report", "evaluation", "runs", *BELOW},
}
JAXPRS = {f"core/{name}.py" for name in ("program", "inlined", "kinds", "pointwise", "opened")}
MODULES = sorted(ROOT.rglob("*.py"))


def imported(path: pathlib.Path) -> set[str]:
    """Everything a file imports, at the top or inside a function; `from a import b` is a.b."""
    names = set()
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            names |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            names |= {f"{node.module}.{alias.name}" for alias in node.names}
    return names


def is_under(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_imports_point_downward(path):
    folder = path.relative_to(ROOT).parts[0]
    ours = {name.removeprefix("saljax.") for name in imported(path) if is_under(name, "saljax")}
    allowed = MAY_IMPORT.get(folder)
    if allowed is not None:
        assert [n for n in ours if not any(is_under(n, a) for a in allowed)] == []
    if folder == "methods" and len(path.relative_to(ROOT).parts) > 2:
        family = path.relative_to(ROOT).parts[1]
        others = [
            n for n in ours if is_under(n, "methods") and not is_under(n, f"methods.{family}")
        ]
        assert others == []


@pytest.mark.parametrize("path", MODULES, ids=lambda path: str(path.relative_to(ROOT)))
def test_only_the_right_rooms_know_flax_and_jaxprs(path):
    place = str(path.relative_to(ROOT))
    names = imported(path)
    if any(is_under(name, "flax") for name in names):
        assert place.startswith(("models/", "methods/learned/", "adapters/"))
    readers = ("jax.core.eval_jaxpr", "jax.extend", "jax._src")
    if any(is_under(name, reader) for name in names for reader in readers):
        assert place in JAXPRS
    if any(name.startswith("saljax.core.inlined.") for name in names):
        assert place in {*JAXPRS, "core/override.py"}
    assert path.name not in ("utils.py", "base.py")


@pytest.mark.parametrize("folder", ["ops", "core", "methods", "metrics"])
def test_products_of_our_own_say_their_precision(folder):
    """Without it a GPU or TPU rounds masks and blurs to 8 or 11 bits; the classifier chooses."""
    products = {"tensordot", "einsum", "matmul", "dot", "vdot", "inner"}
    silent = []
    for path in (ROOT / folder).rglob("*.py"):
        for node in ast.walk(ast.parse(path.read_text())):
            is_product = isinstance(node, ast.BinOp) and isinstance(node.op, ast.MatMult)
            if isinstance(node, ast.Call) and isinstance(node.func, ast.Attribute):
                of_jax = isinstance(node.func.value, ast.Name) and node.func.value.id == "jnp"
                given = {keyword.arg for keyword in node.keywords}
                is_product = of_jax and node.func.attr in products and "precision" not in given
            if is_product:
                silent.append(f"{path.relative_to(ROOT)}:{node.lineno}")
    assert silent == []


def run(code: str) -> str:
    return subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True
    ).stdout


def test_import_brings_neither_flax_nor_matplotlib():
    loaded = run("import sys, saljax; print(*sorted(sys.modules))").split()
    heavy = {"flax", "matplotlib", "optax", "orbax", "PIL", "torch", "click", "rich", "safetensors"}
    assert "jax" in loaded and heavy & set(loaded) == set()


def test_import_costs_little_more_than_jax():
    """Sixty methods add at most 0.3 times the CPU time of `import jax`, whatever else goes on."""
    clock = """
from time import process_time as now
start = now()
import jax
of_jax = now()
import saljax
print(of_jax - start, now() - of_jax)
"""
    times = [[float(seconds) for seconds in run(clock).split()] for _ in range(5)]
    # What other work adds to a measurement is never negative, so the least is the nearest. The two
    # are of one process: the difference of two imports of JAX varies by more than what is asked.
    of_jax, on_top = map(min, zip(*times, strict=True))
    assert on_top < 0.3 * of_jax, times
