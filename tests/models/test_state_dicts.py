"""The weights of a classifier among what trainers save with them."""

import numpy as np
import pytest

from saljax.models.state_dicts import Layout, fitted

BODY, HEAD = {"conv.weight", "block.0.bn.weight", "block.0.bn.bias"}, {"fc.weight", "fc.bias"}
LAYOUT = Layout(BODY | HEAD, "fc")
PLAIN = {name: np.full((3, 2), number, np.float32) for number, name in enumerate(sorted(BODY))}
PLAIN |= {"fc.weight": np.float32([[8, 8]]), "fc.bias": np.float32([9])}  # of one class
FEATURES = {name: value for name, value in PLAIN.items() if name in BODY}
COUNTERS = {"epoch": np.int64(3), "block.0.bn.num_batches_tracked": np.int64(3)}


def under(prefix, tensors=PLAIN):
    return {prefix + name: value for name, value in tensors.items()}


def with_head_at(place, tensors=PLAIN):
    return {name.replace("fc.", f"{place}."): value for name, value in tensors.items()}


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (PLAIN, None),
        (under("module."), "taken off the names: module."),
        (under("_orig_mod."), "taken off the names: _orig_mod."),
        (under("model.module._orig_mod."), "taken off the names: module., _orig_mod., model."),
        (under("state_dict.backbone."), "taken off the names: state_dict.backbone."),
        (under("net.") | COUNTERS, "taken off the names: net.; passed over: epoch"),
        (PLAIN | COUNTERS, "passed over: epoch"),
        (PLAIN | under("model_ema."), "passed over: model_ema.*"),
        (PLAIN | {"ema.decay": np.float32([0.9, 1.0])}, "passed over: ema.*"),
        (under("net.") | under("net_ema."), "taken off the names: net.; passed over: net_ema.*"),
        (under("ema."), "taken off the names: ema."),
        (with_head_at("fc.1"), "fc.1 is read as fc"),
        (under("net.", with_head_at("fc.drop.0")),
         "taken off the names: net.; fc.drop.0 is read as fc"),
    ],
)  # fmt: skip
def test_what_trainers_put_around_the_weights_is_taken_off_and_said(given, says):
    said = []
    found = fitted(given, (Layout({"other"}, "head"), LAYOUT), said.append)
    assert {name: value.sum() for name, value in found.items()} == {
        name: value.sum() for name, value in PLAIN.items()
    }
    assert said == ([says] if says else [])


@pytest.mark.parametrize(
    ("given", "says"),
    [
        (under("one.") | under("two."), "there several times, under 'one.', 'two.'; keep one"),
        (under("model.") | {"criterion.weight": np.zeros(9, np.float32)},
         "under 'model.', and beside them is criterion.weight"),
        (under("backbone.") | {"fc.weight": PLAIN["fc.weight"]},
         "under 'backbone.', and beside them is fc.weight"),
        (FEATURES | {f"fc.{n}.weight": PLAIN["fc.weight"] for n in (0, 3)},
         r"the head has several layers \(fc.0, fc.3\); it must be one"),
        (FEATURES, "features without a head: there is no fc, the layer that gives the logits"),
        (under("model.", FEATURES), "features without a head"),
    ],
)  # fmt: skip
def test_what_may_be_meant_in_several_ways_is_not_guessed(given, says):
    with pytest.raises(ValueError, match=says):
        fitted(given, (LAYOUT,), lambda text: None)


@pytest.mark.parametrize(
    ("head", "others", "place"),
    [
        ("classifier.1", [], "classifier"),  # MobileNetV2's list, replaced as a whole
        ("classifier.1", [], "classifier.4"),
        ("classifier.6", ["classifier.0.weight"], "classifier.6.1"),  # VGG's last layer
    ],
)
def test_a_head_is_found_where_others_replace_it(head, others, place):
    layout = Layout({*BODY, *others, f"{head}.weight", f"{head}.bias"}, head)
    given = with_head_at(place) | {name: PLAIN["conv.weight"] for name in others}
    said = []
    assert fitted(given, (layout,), said.append).keys() == layout.names
    assert said == [f"{place} is read as {head}"]


def test_where_something_is_missing_what_is_common_is_taken_off():
    """So that the message about what is missing speaks of the classifier's own names."""
    del (given := dict(PLAIN))["conv.weight"]
    assert fitted(under("net.", given), (LAYOUT,), lambda text: None).keys() == given.keys()
    other = {"features.a.weight": PLAIN["conv.weight"], "features.b.weight": PLAIN["conv.weight"]}
    assert fitted(other, (LAYOUT,), lambda text: None).keys() == other.keys()
