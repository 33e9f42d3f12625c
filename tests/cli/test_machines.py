"""`saljax evaluate` where several processes share the work."""

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
def logits(images):
    return 30 * images.mean((1, 2))
"""
RUN = "from saljax.cli import main; raise SystemExit(main())"
JOINED = "import jax; jax.distributed.initialize({address!r}, 2, {number}); " + RUN


@pytest.fixture
def data(tmp_path):
    """Ten pictures, and a classifier of their colors."""
    (tmp_path / "in").mkdir()
    for index, pixels in enumerate(np.random.default_rng(0).integers(0, 255, (10, 20, 24, 3))):
        Image.fromarray(pixels.astype(np.uint8)).save(tmp_path / "in" / f"{index}.png")
    (tmp_path / "mine.py").write_text(MINE)
    return tmp_path


WORDS = [
    "evaluate", "--data", "in", "--model", "mine.py:logits", "--input-size", "16",
    "--methods", "smoothgrad", "--metrics", "skewness", "--no-references", "--block-size", "1",
    "--pictures", "0", "--page", "0",
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
    for out in ("one", "two"):
        assert cli.main([*WORDS, "--out", out]) == 0
    assert table(data, "one") == table(data, "two")
