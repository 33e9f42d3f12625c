"""Notebooks are scripts with cells; each runs from top to bottom, as its reader's JAX would run it.

They run in this process, without a kernel of their own. `learned` trains what the page about
training trains, and is run by `make notebooks`.
"""

import pathlib

import jax
import jupytext
import matplotlib.pyplot as plt
import pytest

NOTEBOOKS = sorted((pathlib.Path(__file__).parents[1] / "notebooks").glob("*.py"))
ELSEWHERE = {"learned"}


def cells(path: pathlib.Path) -> list[str]:
    return [cell.source for cell in jupytext.read(path).cells if cell.cell_type == "code"]


@pytest.mark.parametrize(
    "path", [p for p in NOTEBOOKS if p.stem not in ELSEWHERE], ids=lambda path: path.stem
)
def test_runs(path, monkeypatch, capsys, as_users_run):
    monkeypatch.setattr(plt, "show", lambda: None)
    plt.switch_backend("agg")
    names = {"__name__": path.stem}
    with jax.numpy_dtype_promotion("standard"), jax.numpy_rank_promotion("allow"):
        for source in cells(path):
            exec(compile(source, str(path), "exec"), names)
    plt.close("all")
    assert capsys.readouterr().out


@pytest.mark.parametrize("path", NOTEBOOKS, ids=lambda path: path.stem)
def test_is_short_and_compiles(path):
    found = cells(path)
    assert 0 < len(found) < 15
    for source in found:
        compile(source, str(path), "exec")
