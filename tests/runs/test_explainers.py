"""What is saved is loaded, and what is not an explainer for this classifier is told apart."""

import json

import jax
import jax.numpy as jnp
import numpy as np
import pytest
import safetensors.numpy
from jax.tree_util import Partial

import saljax
from saljax.methods.learned.explainer import fit_to
from saljax.methods.learned.kinds import KINDS, build
from saljax.models.weights import parameters
from saljax.runs import explainers


def logits(weights, images):
    hidden = saljax.tag(jax.nn.relu(images @ weights["first"]), "hidden")
    return hidden.mean((1, 2)) @ weights["last"]


@pytest.fixture(scope="module")
def score_fn():
    rng = np.random.default_rng(0)
    weights = {"first": rng.normal(size=(3, 8)), "last": rng.normal(size=(8, 4))}
    return Partial(logits, {name: jnp.asarray(w, jnp.float32) for name, w in weights.items()})


SETTINGS = {
    "dre": {"eta": 2.0, "predicts_weights": True},
    "masking_model": {"up": "transposed"},
    "variational": {"channels": (3, 2), "reduction": 2, "baseline": "black"},
}


@pytest.fixture(scope="module")
def saved(score_fn, tmp_path_factory):
    """One of each kind and its file."""
    folder, found = tmp_path_factory.mktemp("explainers"), {}
    image = jnp.zeros((8, 8, 3))
    for name, kind in KINDS.items():
        fit = fit_to(score_fn, image, kind.layers(score_fn, image))
        explainer = build(kind, fit, SETTINGS[name], jax.random.key(1))
        path = folder / f"{name}.safetensors"
        saljax.save_explainer(explainer, path, training={"seed": 7})
        found[name] = explainer, path
    return found


@pytest.mark.parametrize("name", KINDS)
def test_what_is_loaded_is_what_was_saved(saved, name, score_fn):
    explainer, path = saved[name]
    loaded = saljax.load_explainer(path)
    assert jax.tree.structure(loaded) == jax.tree.structure(explainer)
    tensors = parameters(explainer)
    assert parameters(loaded).keys() == tensors.keys()
    for tensor, values in parameters(loaded).items():
        np.testing.assert_array_equal(values, tensors[tensor])
    assert loaded.settings == explainer.settings and loaded.fit == explainer.fit
    assert loaded.settings.items() >= SETTINGS[name].items()
    record = explainers.read_record(path)
    assert record["kind"] == name and record["training"] == {"seed": 7}
    assert record["versions"].keys() == {"saljax", "jax", "python"}
    explainers.check(loaded, score_fn)


def changed(path, to, edit):
    """The file with another record."""
    tensors = safetensors.numpy.load_file(path)
    with safetensors.safe_open(path, "numpy") as file:
        record = json.loads(file.metadata()["explainer"])
    edit(record)
    safetensors.numpy.save_file(tensors, to, {"explainer": json.dumps(record)})


@pytest.mark.parametrize(
    ("edit", "words"),
    [
        (lambda r: r.update(format=2), "an explainer in format 2, this saljax reads format 1"),
        (lambda r: r.pop("format"), "holds no explainer; expected a file of saljax.save_"),
        (
            lambda r: r.update(kind="oracle"),
            r"damaged; its record and weights do not fit \(.oracle",
        ),
        (lambda r: r["fit"].update(num_classes=5), "damaged; .* of another shape"),
        (lambda r: r["settings"].update(theta=1), "damaged; .* 'theta'"),
        (lambda r: r.pop("fit"), "damaged; "),
    ],
)
def test_a_record_that_does_not_fit_is_one_line(saved, tmp_path, edit, words):
    changed(saved["dre"][1], tmp_path / "other.safetensors", edit)
    with pytest.raises(ValueError, match=words) as error:
        saljax.load_explainer(tmp_path / "other.safetensors")
    assert "other.safetensors: " in str(error.value) and "\n" not in str(error.value)


def test_other_files_are_one_line(saved, tmp_path):
    content = saved["dre"][1].read_bytes()
    (tmp_path / "cut.safetensors").write_bytes(content[: len(content) // 2])
    (tmp_path / "empty.safetensors").write_bytes(b"")
    safetensors.numpy.save_file({"a": np.ones(2)}, tmp_path / "weights.safetensors")
    for name, error, words in [
        ("cut", ValueError, "damaged, or not a safetensors file"),
        ("empty", ValueError, "is empty"),
        ("missing", OSError, "no such weights file"),
        ("weights", ValueError, "holds no explainer; expected a file of saljax.save_explainer"),
    ]:
        with pytest.raises(error, match=words):
            saljax.load_explainer(tmp_path / f"{name}.safetensors")
    with pytest.raises(ValueError, match="expected an explainer of saljax.train_dre.* got Partial"):
        saljax.save_explainer(Partial(logits), tmp_path / "x.safetensors")


def test_another_classifier_is_told_by_its_weights(saved, score_fn):
    explainer, _ = saved["dre"]
    other = jax.tree.map(lambda w: w + 1, score_fn)
    with pytest.raises(ValueError, match="trained for another classifier, or other weights"):
        explainers.check(explainer, other)
    explainers.check(explainer, saljax.scores.probabilities(score_fn))


@pytest.mark.usefixtures("as_users_run")
def test_a_method_without_its_explainer_says_where_one_comes_from(saved, score_fn):
    for asked in (None, "dre.safetensors"):
        with pytest.raises(ValueError, match=r"saljax.train_dre or saljax.load_explainer returns"):
            saljax.dre(score_fn, jnp.zeros((8, 8, 3)), 0, explainer=asked)


def test_explainers_of_one_architecture_share_a_compiled_program_whatever_their_files(saved):
    explainer, _ = saved["dre"]
    one, other = (
        explainers.Filed(explainer, explainers.File(name, name)) for name in ("one", "other")
    )
    assert jax.tree.structure(one) == jax.tree.structure(other)
    assert one.as_json() != other.as_json()
