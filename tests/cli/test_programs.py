"""Compiled programs are kept between commands, and no command fails for it."""

import os
import subprocess
import sys

import jax
import pytest

from saljax.cli import group

OPTIONS = (
    "jax_compilation_cache_dir",
    "jax_enable_compilation_cache",
    "jax_persistent_cache_min_compile_time_secs",
)


@pytest.fixture
def folder(tmp_path, monkeypatch):
    """Where programs are to be kept; JAX was told nothing about it."""
    before = {name: getattr(jax.config, name) for name in OPTIONS}
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    jax.config.update("jax_compilation_cache_dir", None)
    jax.config.update("jax_enable_compilation_cache", True)
    yield tmp_path / "saljax" / "programs"
    for name, value in before.items():
        jax.config.update(name, value)


def test_programs_are_kept_in_the_users_cache(folder):
    group.keep_programs()
    assert jax.config.jax_compilation_cache_dir == str(folder)
    assert folder.stat().st_mode & 0o777 == 0o700


def test_not_where_jax_was_told_otherwise(folder):
    jax.config.update("jax_enable_compilation_cache", False)
    group.keep_programs()
    assert jax.config.jax_compilation_cache_dir is None
    jax.config.update("jax_enable_compilation_cache", True)
    jax.config.update("jax_compilation_cache_dir", "elsewhere")
    group.keep_programs()
    assert jax.config.jax_compilation_cache_dir == "elsewhere"
    assert not folder.exists()


def test_not_where_there_can_be_no_folder(folder):
    folder.parent.write_text("a file is in the way")
    group.keep_programs()
    assert jax.config.jax_compilation_cache_dir is None


def test_the_oldest_go(folder, monkeypatch):
    monkeypatch.setattr(group, "MOST_PROGRAMS", 2)
    folder.mkdir(parents=True)
    for age, name in enumerate(["new", "older", "oldest"]):
        (folder / name).touch()
        os.utime(folder / name, (1e9 - age, 1e9 - age))
    group.keep_programs()
    assert sorted(p.name for p in folder.iterdir()) == ["new", "older"]


KEPT_AND_DAMAGED = """
import pathlib, jax
from saljax.cli import group

hits = []
jax.monitoring.register_event_listener(lambda name, **_: hits.append(name.endswith("cache_hits")))
group.keep_programs()
number = jax.jit(lambda x: x * 3)
for _ in range(2):
    assert number(2.0) == 6
    jax.clear_caches()
found = sum(hits)
assert found
for path in pathlib.Path(jax.config.jax_compilation_cache_dir).iterdir():
    path.write_bytes(path.read_bytes()[:-9])
assert number(2.0) == 6 and sum(hits) == found
"""


def test_a_program_is_compiled_once_and_again_where_it_is_damaged(folder):
    environment = os.environ | {"JAX_PERSISTENT_CACHE_MIN_COMPILE_TIME_SECS": "0"}
    environment |= {"JAX_ENABLE_COMPILATION_CACHE": "1", "JAX_COMPILATION_CACHE_DIR": ""}
    words = [sys.executable, "-c", KEPT_AND_DAMAGED]
    done = subprocess.run(words, capture_output=True, text=True, env=environment)
    assert done.returncode == 0 and done.stderr == "", done.stderr
    assert list(folder.iterdir())
