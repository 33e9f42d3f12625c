"""`saljax evaluate` where several processes share the work."""

import contextlib
import importlib.util
import json
import os
import socket
import subprocess
import sys

import numpy as np
import pytest
from PIL import Image

from saljax import cli

MINE = """
import os, signal

def logits(images):
    return 30 * images.mean((1, 2))

def deadly(score_fn, image, target):
    if "DEADLY" in os.environ:
        try:
            open(os.environ["DEADLY"], "x")
        except FileExistsError:
            pass
        else:
            os.kill(os.getpid(), signal.SIGKILL)
    return image.mean(-1)
"""
RUN = "from saljax.cli import main; raise SystemExit(main())"
JOINED = "import jax; jax.distributed.initialize({address!r}, 2, {number}); " + RUN


@pytest.fixture(scope="module")
def data(tmp_path_factory):
    """Ten pictures, a classifier of their colors, and in `one` what one process makes of them."""
    folder = tmp_path_factory.mktemp("machines")
    (folder / "in").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (10, 20, 24, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(folder / "in" / f"{index}.png")
    (folder / "mine.py").write_text(MINE)
    with contextlib.chdir(folder):
        assert cli.main([*WORDS, "--out", "one"]) == 0
    return folder


WORDS = [
    "evaluate", "--data", "in", "--model", "mine.py:logits", "--input-size", "16",
    "--methods", "gradient,mine.py:deadly", "--metrics", "skewness", "--no-references",
    "--block-size", "1", "--pictures", "0", "--page", "0",
]  # fmt: skip


def start(folder, out, *words, code=RUN):
    """The command, in a process of its own, in the folder of its data."""
    paths = os.pathsep.join(map(os.path.abspath, filter(None, sys.path)))
    return subprocess.Popen(
        [sys.executable, "-c", code, *WORDS, "--out", out, *words],
        cwd=folder,
        env=os.environ | {"PYTHONPATH": paths},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
    )


def ended(process):
    """Exit code, and what it said on stdout and stderr."""
    said = process.communicate(timeout=300)
    return process.returncode, *said


def table(folder, out):
    """All that does not tell of the clock or the command."""
    record = json.loads((folder / out / "table.json").read_text())
    record["settings"].pop("command")
    record.pop("seconds")
    return record, (folder / out / "values.csv").read_bytes()


def test_two_processes_of_jax_distributed(data, monkeypatch):
    """Each with its own devices and its own blocks; together they make what one process makes."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{free.getsockname()[1]}"
    codes = [JOINED.format(address=address, number=number) for number in range(2)]
    pair = [start(data, "two", "--shard", "auto", code=code) for code in codes]
    for number, (code, out, err) in enumerate(map(ended, pair)):
        assert code == 0, err
        assert f"part {number} of 2, 1 blocks, {(8, 2)[number]} of 10 cases" in out
    monkeypatch.chdir(data)
    assert cli.main([*WORDS, "--out", "two"]) == 0
    assert table(data, "one") == table(data, "two")


def test_a_worker_of_ray_is_killed(data, monkeypatch):
    """The first that comes to its second method; its block goes to another one."""
    pytest.importorskip("ray")
    monkeypatch.setenv("DEADLY", str(data / "killed"))
    code, out, err = ended(start(data, "ray", "--engine", "ray", "--workers", "2"))
    assert code == 0 and (data / "killed").exists(), err
    assert all(line.startswith("saljax: ") for line in err.splitlines()), err
    assert "ray: a worker died at block" in err and "another one takes its place" in err
    assert not list((data / "ray").glob(".*"))
    assert table(data, "one") == table(data, "ray")


def test_ray_is_asked_for_what_cannot_be(data, monkeypatch, capsys):
    monkeypatch.chdir(data)
    assert cli.main([*WORDS, "--out", "out", "--workers", "2"]) == 2
    assert "--workers are for --engine ray" in capsys.readouterr().err
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))
        address = f"127.0.0.1:{nobody.getsockname()[1]}"
        words = ["--out", "out", "--engine", "ray", "--ray-address", address]
        if importlib.util.find_spec("ray"):
            assert cli.main([*WORDS, *words]) == 2
            assert f"nothing answers at {address}" in capsys.readouterr().err
    monkeypatch.setitem(sys.modules, "ray", None)
    assert cli.main([*WORDS, "--out", "out", "--engine", "ray"]) == 2
    assert "pip install 'saljax[ray]'" in capsys.readouterr().err
