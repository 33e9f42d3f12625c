"""What the command line learns from a method's signature and docstring."""

from collections.abc import Sequence
from functools import partial
from typing import Literal

import jax
import pytest

import saljax
from saljax.methods.table import METHODS
from saljax.runs import methods
from saljax.runs.hyperparameters import (
    REQUIRED,
    coarse_to_fine,
    configure,
    hyperparameters,
    in_effect,
    recorded,
    said_of_sigma,
)


def method(
    score_fn,
    image,
    target,
    *,
    key=None,
    layer: str,
    count: int = 3,
    width: int | None = None,
    baseline: float | object = 0.0,
    kind: Literal["a", "b"] = "a",
    flag: bool = False,
    points: list | None = None,
    areas: tuple[float, ...] = (0.1, 0.2),
    sizes: int | Sequence[int] = 7,
    pair: tuple[jax.Array, ...] | None = None,
):
    """Explain.

    Args:
        score_fn: scores.
        image: an image.
        target: a class.
        key: for chance.
        layer: where
            to look.
        count: see `other`, twice.
        width: in pixels.
        baseline: what is shown.
        kind: which.
        flag: whether.
        points: where.
        areas: how much.
        sizes: how large.
        pair: of arrays.
    """


def other(score_fn, image, target, *, count: int = 4):
    """Explain otherwise.

    Args:
        score_fn: scores.
        image: an image.
        target: a class.
        count: how often.
    """


def test_read_from_the_signature():
    found = {h.name: h for h in hyperparameters(method)}
    names = ["layer", "count", "width", "baseline", "kind", "flag", "areas", "sizes"]
    assert list(found) == names
    assert [h.kind for h in found.values()] == [str, int, int, float, str, bool, float, int]
    assert found["layer"].default is REQUIRED and found["width"].default is None
    assert found["kind"].choices == ("a", "b") and found["flag"].choices == ()
    assert found["layer"].description == "where to look."
    assert found["count"].description == "how often. twice."


def test_values_from_text():
    found = {h.name: h for h in hyperparameters(method)}
    texts = {
        "layer": "conv", "count": "4", "baseline": "1e-2", "kind": "b", "flag": "True",
        "areas": "0.05", "sizes": "9",
    }  # fmt: skip
    values = {name: found[name].parse(text) for name, text in texts.items()}
    assert values == {
        "layer": "conv", "count": 4, "baseline": 0.01, "kind": "b", "flag": True,
        "areas": (0.05,), "sizes": 9,
    }  # fmt: skip
    assert found["areas"].parse("0.05, 0.1") == (0.05, 0.1) and found["sizes"].parse("1,2") == (
        1,
        2,
    )
    wrong = {"count": "4.5", "baseline": "x", "kind": "c", "flag": "1", "areas": "0.1;0.2"}
    for name, text in wrong.items():
        with pytest.raises(ValueError, match=f"'{text}' is not"):
            found[name].parse(text)


def test_words_are_taken_where_something_else_would_be_too():
    found = {h.name: h for h in hyperparameters(saljax.lrp)}["composite"]
    assert found.kind is str and "epsilon_plus" in found.choices and found.default is None


def test_the_layer_is_the_classifiers_where_none_is_given():
    assert configure(METHODS["grad_cam"], {"layer": None}, "conv").keywords == {"layer": "conv"}
    assert configure(METHODS["grad_cam"], {"layer": "early"}, "conv").keywords == {"layer": "early"}
    assert configure(METHODS["glas"], {"grid": 3, "baseline": None}, "conv").keywords == {"grid": 3}


def test_glas_can_be_set_from_the_command_line():
    found = {h.name: h for h in hyperparameters(saljax.glas)}
    assert found["grid"].kind is int and found["sigma_light"].kind is float
    assert found["baseline"].kind is float and found["parts"].default == "fusion"
    assert "points" not in found


def test_in_effect_is_the_defaults_and_what_was_given():
    effect = in_effect(partial(method, count=7, baseline=other))
    assert effect["count"] == 7 and effect["kind"] == "a" and effect["baseline"] == "other"
    assert "key" not in effect
    effect = in_effect(partial(saljax.glas, sigma_light=1.0), (6.0, 3.0))
    assert effect["sigma_light"] == effect["sigma_spatial"] == [6.0, 3.0]


def test_what_is_recorded_is_the_same_in_every_process():
    """Names of functions, never where they lie in memory."""
    baseline = partial(other, count=2)
    assert recorded(baseline) == "other(count=2)"
    assert recorded(jax.tree_util.Partial(other)) == "other()"
    assert recorded((1, other)) == [1, "other"]
    assert recorded(float("inf")) == "inf"  # JSON has none
    assert "0x" not in recorded(object())


def test_coarse_to_fine_sets_every_sigma():
    coarse, fine = coarse_to_fine(partial(saljax.glas, grid=3), (6.0, 1.5))
    assert coarse.keywords == {
        "grid": 3, "sigma_light": 6.0, "sigma_shadow": 6.0, "sigma_spatial": 6.0,
    }  # fmt: skip
    assert fine.keywords["sigma_spatial"] == 1.5
    with pytest.raises(ValueError, match="method has no sigmas"):
        coarse_to_fine(partial(method), (1.0,))


def test_lengths_that_nobody_gave_are_recorded_as_what_they_become():
    occlusion = partial(saljax.occlusion, stride=3)
    assert in_effect(occlusion)["window"] is None
    effect = in_effect(occlusion, spatial=(96, 224))
    assert effect["window"] == [15, 35] and effect["stride"] == 3 and effect["baseline"] is None
    effect = in_effect(partial(saljax.meaningful_perturbation), spatial=(28, 28))
    assert effect["baseline"] == "blur(sigma=[1.25, 1.25])" and effect["mask_size"] == [28, 28]
    assert in_effect(partial(saljax.glas), spatial=(28, 28)) == in_effect(partial(saljax.glas))


def test_a_width_in_pixels_of_what_the_classifier_sees():
    """A cell is 1/15 of the side."""
    glas = partial(saljax.glas)
    assert said_of_sigma(glas, 6.0, (96, 96)) == "sigma 6 (38 px)"
    assert said_of_sigma(partial(glas, unit="pixel"), 1.5, (96, 96)) == "sigma 1.5 (2 px)"
    assert said_of_sigma(partial(saljax.extremal_perturbation), 6.0, (96, 96)) == "sigma 6"


def test_advice_is_for_defaults_on_photographs():
    glas = partial(saljax.glas)
    assert "sigma_light=3" in methods.advice("glas", glas, (224, 224, 3))
    assert not methods.advice("glas", glas, (96, 96, 3))
    assert not methods.advice("glas", glas, (224, 224, 224, 1))
    assert not methods.advice("glas", partial(glas, sigma_light=2.0), (224, 224, 3))
    assert not methods.advice("rise", partial(saljax.rise), (224, 224, 3))
