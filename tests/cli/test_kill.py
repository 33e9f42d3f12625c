"""`saljax evaluate` killed (SIGKILL) and started again: the same table, nothing lost."""

import importlib.util
import pathlib

import pytest

PATH = pathlib.Path(__file__).parents[2] / "experiments" / "kill_test.py"


@pytest.fixture
def kill_test():
    spec = importlib.util.spec_from_file_location("kill_test", PATH)
    assert spec is not None and spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_a_killed_run_goes_on(kill_test, tmp_path, monkeypatch):
    monkeypatch.delenv("XLA_FLAGS")  # one device, as the command has it
    words = [
        "--set", "glas.grid=2", "--metrics", "skewness", "--pictures", "1", "--page", "1",
        "--batch-size", "1", "--block-size", "1",
    ]  # fmt: skip
    kills = {"main": 1}  # by this seed when five of twelve files are there
    report = kill_test.survive(tmp_path / "run", kills, 3, words, seed=5, linger=0.0)["main"]
    assert report["maps"] == 9
    assert report["kills that met it at work"] == 1
    assert 0 < report["maps kept over the kills"] < 9
