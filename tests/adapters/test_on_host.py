"""Files of ONNX and estimators of scikit-learn, on the host."""

import functools

import jax.numpy as jnp
import numpy as np
import pytest

import saljax

IMAGES = np.random.default_rng(0).uniform(size=(3, 4, 6, 3)).astype("f")


@pytest.fixture(autouse=True)
def with_our_own_messages(as_users_run):
    """And not those of the shape checks of the test run."""


def onnx_file(path, batch, channels_first=True, kind="FLOAT"):
    """Mean colors, and twice them, of images in a batch of a fixed size or of any."""
    onnx = pytest.importorskip("onnx")
    pytest.importorskip("onnxruntime")
    helper, kind = onnx.helper, getattr(onnx.TensorProto, kind)
    shape = [batch, 3, 4, 6] if channels_first else [batch, 4, 6, 3]
    axes = [2, 3] if channels_first else [1, 2]
    graph = helper.make_graph(
        [
            helper.make_node("ReduceMean", ["x"], ["mean"], axes=axes, keepdims=0),
            helper.make_node("Add", ["mean", "mean"], ["twice"]),
        ],
        "net",
        [helper.make_tensor_value_info("x", kind, shape)],
        [helper.make_tensor_value_info(name, kind, [batch, 3]) for name in ("mean", "twice")],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 13)], ir_version=8)
    onnx.save(model, str(path))
    return path


@pytest.mark.parametrize(
    ("batch", "first", "kind"),
    [("N", True, "FLOAT"), (1, True, "FLOAT"), (2, False, "FLOAT"), ("N", False, "DOUBLE")],
)
def test_a_file_of_onnx(tmp_path, batch, first, kind):
    path = onnx_file(tmp_path / "net.onnx", batch, first, kind)
    score_fn = saljax.scores.from_onnx(path)
    np.testing.assert_allclose(score_fn(jnp.asarray(IMAGES)), IMAGES.mean((1, 2)), rtol=1e-5)
    method = functools.partial(saljax.occlusion, window=2, stride=2)
    found = saljax.explain(method, score_fn, IMAGES, [0, 1, 2])
    expected = saljax.explain(method, lambda x: x.mean((1, 2)), IMAGES, [0, 1, 2])
    np.testing.assert_allclose(found, expected, rtol=1e-4, atol=1e-6)
    twice = saljax.scores.from_onnx(path, output="twice")
    np.testing.assert_allclose(twice(jnp.asarray(IMAGES)), 2 * IMAGES.mean((1, 2)), rtol=1e-5)


def test_a_file_of_onnx_that_is_something_else(tmp_path):
    path = onnx_file(tmp_path / "net.onnx", "N")
    with pytest.raises(ValueError, match="no output is called 'three'; there is mean, twice"):
        saljax.scores.from_onnx(path, output="three")
    with pytest.raises(ValueError, match="images in floating point; the file has x tensor"):
        saljax.scores.from_onnx(onnx_file(tmp_path / "int.onnx", "N", kind="INT32"))
    with pytest.raises(FileNotFoundError, match="no such file"):
        saljax.scores.from_onnx(tmp_path / "none.onnx")
    import onnxruntime

    session = onnxruntime.InferenceSession(str(path), providers=["CPUExecutionProvider"])
    with pytest.raises(ValueError, match=r"from_onnx\(session\)"):
        saljax.explain(saljax.gradient, session, IMAGES, [0, 1, 2])


def test_an_estimator():
    ensemble = pytest.importorskip("sklearn.ensemble")
    rows = np.random.default_rng(1).uniform(size=(40, 4 * 6 * 3))
    forest = ensemble.RandomForestClassifier(3, random_state=0).fit(rows, np.arange(40) % 2)
    score_fn = saljax.scores.from_sklearn(forest)
    expected = forest.predict_proba(IMAGES.reshape(3, -1))
    np.testing.assert_allclose(score_fn(jnp.asarray(IMAGES)), expected, rtol=1e-6)
    with pytest.raises(ValueError, match="from_sklearn"):
        saljax.explain(saljax.gradient, forest, IMAGES, [0, 1, 1])


def test_an_estimator_that_cannot():
    class Estimator:
        pass

    with pytest.raises(ValueError, match="Estimator has no predict_proba"):
        saljax.scores.from_sklearn(Estimator())
    Estimator.predict_proba = None
    with pytest.raises(ValueError, match="was not fitted"):
        saljax.scores.from_sklearn(Estimator())
