"""The demo writes its pictures and says where they are."""

import io
from functools import partial

import jax.numpy as jnp
import numpy as np
from jax.tree_util import Partial
from PIL import Image

import saljax
from saljax import cli, models
from saljax.cli import demo_pictures as demo
from saljax.data import birdlets


def test_demo(tmp_path, capsys, monkeypatch):
    """With coarse grids and a classifier that only sees colors: quick, and no weights needed."""
    weights = np.random.default_rng(0).normal(size=(3, len(birdlets.SPECIES))).astype(np.float32)
    score_fn = Partial(lambda w, images: images.mean((1, 2)) @ w, jnp.asarray(weights))
    # Those that learned belong to the true classifier, which is loaded by name and weights.
    load = models.load
    monkeypatch.setattr(
        models, "load", lambda *asked, **more: load(*asked, **more) if asked[1:] else score_fn
    )
    monkeypatch.setattr(demo, "LEARNED", {"variational": ("variational", saljax.variational)})
    monkeypatch.setattr(saljax, "glas", partial(saljax.glas, grid=2))
    monkeypatch.setattr(saljax, "rglas", partial(saljax.rglas, grid=2))
    monkeypatch.setattr(demo, "ROUNDS", (2,))
    monkeypatch.setattr(demo, "SHOWN", 96)
    out = tmp_path / "demo"
    assert cli.main(["demo", "--out", str(out)]) == 0
    said = capsys.readouterr()
    written = sorted(path.name for path in out.iterdir())
    assert written == [
        "bird.png",
        "coarse_to_fine.png",
        "flock.png",
        "one_pass.png",
        "two_species.png",
    ]
    assert said.err == "" and all(str(out / name) in said.out for name in written)
    for name in written[1:]:
        with Image.open(out / name) as picture:
            assert min(picture.size) > 500 and np.asarray(picture.convert("L")).std() > 20


def test_the_bird_to_try_is_a_sample():
    with Image.open(io.BytesIO(demo.bird())) as picture:
        shown = np.asarray(picture, np.float32) / 255
    expected = birdlets.sample(demo.SEED, demo.BIRDS[0]).image
    np.testing.assert_allclose(shown, expected, atol=0.5001 / 255)
