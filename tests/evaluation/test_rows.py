"""What a table compares, from the words of a command line."""

import pytest

import saljax
from saljax.evaluation.references import center
from saljax.evaluation.rows import rows, settings


def test_names_and_settings():
    set_in = settings(["fine.sigma-light=1.5", "fine.grid=6", "occlusion.window=3,5", "other.a=b"])
    found = rows("glas, fine=glas,occlusion,grad_cam", set_in, "layer4", references=False)
    assert [(row.name, row.kind) for row in found] == [
        ("glas", "glas"), ("fine", "glas"), ("occlusion", "occlusion"), ("grad_cam", "grad_cam"),
    ]  # fmt: skip
    plain, fine, occlusion, grad_cam = (row.method for row in found)
    assert plain.func is saljax.glas and plain.keywords == {}
    assert fine.func is saljax.glas and fine.keywords == {"sigma_light": 1.5, "grid": 6}
    assert occlusion.keywords == {"window": (3, 5)}
    assert grad_cam.keywords == {"layer": "layer4"}
    record = found[1].record()
    assert record["method"] == "glas" and record["explains"] == "probabilities"
    assert record["hyperparameters"]["grid"] == 6
    assert record["hyperparameters"]["sigma_shadow"] == 3.0
    assert found[3].explains == "logits"


def test_references_are_added_once():
    assert [row.name for row in rows("glas", {}, "", references=True)] == [
        "glas", "center", "random",
    ]  # fmt: skip
    found = rows("center,glas,chance=random", {}, "", references=True)
    assert [row.name for row in found] == ["center", "glas", "chance"]
    assert [row.is_reference for row in found] == [True, False, True]
    assert found[0].method.func is center
    assert [row.is_random for row in found] == [False, False, True]


@pytest.mark.parametrize(
    ("methods", "texts", "says"),
    [
        ("gals", [], "no method is called 'gals'; there is glas"),
        ("glas,", [], "no method is called ''"),
        ("fine=gals", [], "no method is called 'gals'"),
        ("../up=glas", [], "'../up' is no name"),
        ("glas,glas", [], "'glas' is there twice.*glas-2=glas"),
        ("glas", ["glas.gird=3"], "--set glas.gird=3: no option is called 'gird'; there is grid"),
        ("glas", ["glas.grid=x"], "--set glas.grid=x: 'x' is not a whole number"),
        ("glas", ["glas.details=true"], "no option is called 'details'"),
        ("glas", ["grid=3"], "expected NAME.KEYWORD=VALUE"),
        ("glas", ["glas.grid"], "expected NAME.KEYWORD=VALUE"),
        ("center", ["center.grid=3"], "no option is called 'grid'; there is none"),
    ],
)
def test_wrong_words(methods, texts, says):
    with pytest.raises(ValueError, match=says) as caught:
        rows(methods, settings(texts), "", references=True)
    assert "\n" not in str(caught.value)
