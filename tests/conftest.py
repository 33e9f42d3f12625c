"""Eight virtual CPU devices, strict dtypes, and programs that are lowered at less cost."""

import functools
import gc
import os
import threading
import types
from importlib.metadata import version

# The tests spend their time compiling tiny programs: less than half without LLVM's optimizations
# and, where XLA still has the older generator of code for the CPU, without the newer one.
os.environ["XLA_FLAGS"] = " ".join(
    [
        "--xla_backend_optimization_level=0",
        "--xla_cpu_parallel_codegen_split_count=1",
        "--xla_force_host_platform_device_count=8",
        "--xla_cpu_use_fusion_emitters=false" * version("jaxlib").startswith("0.10."),
        os.environ.get("XLA_FLAGS", ""),
    ]
)
os.environ.setdefault("JAX_PLATFORMS", "cpu")
if not os.environ.get("JAX_COMPILATION_CACHE_DIR"):  # nothing is left in the cache of whoever tests
    os.environ["JAX_ENABLE_COMPILATION_CACHE"] = "0"

import jax
import jaxtyping
import pytest
from jax._src.interpreters import mlir

gc.set_threshold(100_000, 20, 20)  # traces make many small objects and few cycles
jax.config.update("jax_numpy_dtype_promotion", "strict")
jax.config.update("jax_numpy_rank_promotion", "raise")


def _shared(make_context, uses=200):
    """One context of MLIR for many programs of a thread, and not one for each.

    To make one costs 10 ms, a third of all that a tiny program costs before XLA has it. What a
    context has seen stays in memory, hence a new one now and then.
    """
    local = threading.local()

    @functools.wraps(make_context)
    def context():
        local.count = getattr(local, "count", -1) + 1
        if local.count % uses == 0:
            local.context = make_context()
        return local.context

    return context


if hasattr(mlir, "make_ir_context"):  # private to JAX: where it is gone tests are only slower
    mlir.make_ir_context = _shared(mlir.make_ir_context)


def _of_annotated(jaxtyped):
    """Functions without annotations are left alone.

    There is nothing to check in them, and to wrap each that is made inside another, each time,
    costs more than the checks do.
    """

    def wrap(*, typechecker):
        check = jaxtyped(typechecker=typechecker)
        return lambda fn: fn if _is_bare(fn) else check(fn)

    return wrap


def _is_bare(fn):
    return isinstance(fn, types.FunctionType) and not fn.__annotations__


jaxtyping.jaxtyped = _of_annotated(jaxtyping.jaxtyped)


@pytest.fixture
def key():
    return jax.random.key(20)


@pytest.fixture
def as_users_run():
    """Without the shape checks of the test run, so that the library's own messages are seen."""
    jaxtyping.config.update("jaxtyping_disable", True)
    yield
    jaxtyping.config.update("jaxtyping_disable", False)
