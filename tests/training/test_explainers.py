"""The loop over stages: what learns, what stays, where it goes on, and what is the best."""

import json
import types

import jax
import jax.numpy as jnp
import numpy as np
import optax
import pytest
from jax.tree_util import Partial

import saljax
from saljax.methods.learned.explainer import Stage
from saljax.models.weights import parameters
from saljax.runs import devices
from saljax.training import explainers
from saljax.training.explainers import Recipe
from saljax.training.shown import Shown, of_arrays

QUICK = Recipe(batch_size=8)
"""Of 24 images: 3 steps an epoch, and 15 in all."""


def train(glimpse, key, **changed):
    given = {
        "explainer": glimpse.explainer,
        "stages": glimpse.stages,
        "score_fn": glimpse.score_fn,
        "shown": glimpse.shown,
        "recipe": QUICK,
        "key": key,
    }
    return explainers.train(**given | changed)


@pytest.fixture(scope="module")
def undisturbed(glimpse):
    """The weights, and what was reported."""
    told = []
    trained = train(glimpse, jax.random.key(20), report=told.append)
    return parameters(trained), told


def differing(one, other):
    assert one.keys() == other.keys()
    return {name for name in one if not np.array_equal(one[name], other[name])}


def close(one, other, tolerance=1e-4):
    for name, values in one.items():
        np.testing.assert_allclose(values, other[name], atol=tolerance, err_msg=name)


def test_each_stage_changes_its_parts_and_the_loss_of_both_falls(glimpse, undisturbed, key):
    weights, told = undisturbed
    assert [(e.stage, e.epoch) for e in told] == [
        *(("match", n) for n in (1, 2)),
        *(("keep", n) for n in (1, 2, 3)),
    ]
    assert told[1].loss < told[0].loss and told[4].loss < told[2].loss
    start = parameters(glimpse.explainer)
    assert differing(weights, start) == set(start)
    first = parameters(train(glimpse, key, stages=glimpse.stages[:1]))
    assert differing(first, start) == {"embedding.embedding"}
    np.testing.assert_array_equal(first["embedding.embedding"], weights["embedding.embedding"])


def test_steps_are_those_of_a_plain_loop(glimpse, key):
    """All images in one batch and nothing random: gradient descent written out, statistics too."""
    images, start = glimpse.shown.train, parameters(glimpse.explainer)
    embedding = jnp.asarray(start["embedding.embedding"])

    def mask_and_statistics(parts, images, target):
        hidden = jax.nn.relu(images @ glimpse.weights["first"])
        match = (hidden * embedding[target][:, None, None]).sum(-1)
        x = jnp.concatenate([hidden, images], -1) @ parts["mix.kernel"]
        mean, var = x.mean((0, 1, 2)), x.var((0, 1, 2))
        x = (x - mean) / jnp.sqrt(var + 1e-5) * parts["norm.scale"] + parts["norm.bias"]
        x = jax.nn.relu(x) * jax.nn.sigmoid(match)[..., None]
        return jax.nn.sigmoid(x @ parts["head.kernel"] + parts["head.bias"])[..., 0], (mean, var)

    def literal(parts):
        target = glimpse.score_fn(images).argmax(-1)
        mask, statistics = mask_and_statistics(parts, images, target)
        log = jax.nn.log_softmax(glimpse.score_fn(images * mask[..., None]))
        return -log[jnp.arange(24), target].mean() + mask.mean(), statistics

    def loss(explainer, score_fn, images, seen, key):
        target = seen.scores.argmax(-1)
        mask = explainer.masks(images, seen, target)
        logits = score_fn(images * mask[..., None])
        of_class = optax.softmax_cross_entropy_with_integer_labels(logits, target)
        return of_class.mean() + mask.mean()

    learns = [name for name in start if not name.startswith(("embedding", "norm.mean", "norm.var"))]
    parts, statistics = {name: jnp.asarray(start[name]) for name in learns}, None
    mean, var, total = start["norm.mean"], start["norm.var"], []
    slopes = jax.jit(jax.value_and_grad(literal, has_aux=True))
    with jax.numpy_rank_promotion("allow"):
        for _ in range(4):
            (value, statistics), slope = slopes(parts)
            parts = {name: parts[name] - 0.3 * slope[name] for name in learns}
            mean, var = 0.9 * mean + 0.1 * statistics[0], 0.9 * var + 0.1 * statistics[1]
            total.append(float(value))
    told = []
    stage = Stage("all", loss, ("mix", "norm", "head"), 4, lambda per_epoch: optax.sgd(0.3))
    recipe, shown = Recipe(batch_size=100), glimpse.shown._replace(held_out=None)
    trained = train(glimpse, key, stages=[stage], recipe=recipe, shown=shown, report=told.append)
    found = parameters(trained)
    np.testing.assert_allclose([epoch.loss for epoch in told], total, rtol=1e-5)
    expected = {**start, **parts, "norm.mean": mean, "norm.var": var}
    close(found, expected, 1e-5)


def test_the_best_epoch_of_the_last_stage_is_kept(glimpse, key):
    """Up the gradient instead of down; its loss on images held out is computed anew."""

    def loss(explainer, score_fn, images, seen, key):
        mask = explainer.masks(images, seen, seen.scores.argmax(-1))
        return jnp.square(mask - images[..., 0]).mean()

    told, stage = [], Stage("s", loss, ("head",), 3, lambda per_epoch: optax.sgd(-0.5))
    best = train(glimpse, key, stages=[stage], report=told.append)
    tested = [epoch.held_out for epoch in told]
    assert min(tested) < tested[-1]
    images = glimpse.shown.held_out
    assert len(images) == 6
    classes = glimpse.score_fn(images).argmax(-1)
    masks = saljax.explain(best, glimpse.score_fn, images, classes)
    np.testing.assert_allclose(jnp.square(masks - images[..., 0]).mean(), min(tested), rtol=1e-5)


class Interrupted(KeyboardInterrupt):
    pass


@pytest.mark.parametrize("at", [4, 6, 8, 15])
def test_it_goes_on_where_it_was_broken_off(glimpse, undisturbed, key, tmp_path, at):
    """In an epoch, between the stages, in the last one, and before its end was recorded."""
    count = []

    def advance(pace):
        count.append(pace)
        if pace is not None and len(count) == at:
            raise Interrupted

    options = {"out": tmp_path / "run", "settings": {"seed": 20, "channels": (1, 2)}}
    with pytest.raises(Interrupted):
        train(glimpse, key, advance=advance, **options)
    again = []
    trained = train(glimpse, key, advance=again.append, **options)
    assert again[:at] == [None] * at and None not in again[at:] and len(again) == 15
    assert differing(parameters(trained), undisturbed[0]) == set()
    record = json.loads((tmp_path / "run" / "training.json").read_text())
    assert record["epochs"] == [epoch._asdict() for epoch in undisturbed[1]]
    with pytest.raises(ValueError, match=r"another run \(seed 20 there, 21 here\)"):
        train(glimpse, key, out=options["out"], settings={"seed": 21})
    finished = train(glimpse, key, report=again.append, **options)
    assert again[15:] == [] and differing(parameters(finished), undisturbed[0]) == set()


def test_the_best_is_not_forgotten_where_it_was_broken_off(glimpse, undisturbed, key, tmp_path):
    """Every epoch after the first of the last stage is worse, and each step is a run of its own."""

    def loss(explainer, score_fn, images, seen, key):
        bias = explainer.head.bias[...].sum()
        return 2 * jax.lax.stop_gradient(bias) - bias

    stages = [Stage("s", loss, ("head",), 3, lambda per_epoch: optax.sgd(0.1))]
    whole = train(glimpse, key, stages=stages)

    def advance(pace):
        if pace is not None:
            raise Interrupted

    for _ in range(9):
        with pytest.raises(Interrupted):
            train(glimpse, key, stages=stages, out=tmp_path, advance=advance)
    trained = train(glimpse, key, stages=stages, out=tmp_path)
    assert differing(parameters(trained), parameters(whole)) == set()
    epochs = json.loads((tmp_path / "training.json").read_text())["epochs"]
    losses = [epoch["held_out"] for epoch in epochs]
    assert len(losses) == 3 and losses[0] == min(losses) < losses[-1]


def test_no_derivative_is_formed_for_the_weights_of_the_classifier(glimpse, undisturbed, key):
    @jax.custom_jvp
    def weight(x):
        return x

    @weight.defjvp
    def _(primals, tangents):
        raise AssertionError("the classifier is differentiated")

    def guarded(weights, images):
        return glimpse.logits(jax.tree.map(weight, weights), images)

    trained = train(glimpse, key, score_fn=Partial(guarded, glimpse.weights))
    close(parameters(trained), undisturbed[0], 1e-6)


def test_the_classifier_is_an_argument_of_the_step_and_may_hold_more_than_arrays(glimpse, key):
    """No weight is a constant, or other weights of the same architecture would be compiled anew."""
    traces = []

    def counted(weights, scale, images):
        traces.append(scale == "one")
        return glimpse.logits(weights, images)

    score_fns = [
        Partial(counted, jax.tree.map(lambda w, f=f: f * w, glimpse.weights), "one") for f in (1, 2)
    ]
    one, other = (
        parameters(train(glimpse, key, score_fn=score_fn)) for score_fn in score_fns[:1] * 2
    )
    assert all(traces) and differing(one, other) == set()
    before = len(traces)
    other = parameters(train(glimpse, key, score_fn=score_fns[1]))
    assert len(traces) == before and "mix.kernel" in differing(one, other)


def test_what_is_kept_of_the_passes_changes_nothing(glimpse, undisturbed, key):
    of_scores = 24 * 3 * 4
    trained = train(glimpse, key, recipe=Recipe(batch_size=8, kept_bytes=of_scores))
    close(parameters(trained), undisturbed[0], 1e-5)


def test_a_pass_that_was_kept_or_that_nothing_reads_is_not_run(glimpse, key):
    passes = []

    def seen(x):
        passes.append(len(x))
        return x

    def counting(weights, images):
        shape = jax.ShapeDtypeStruct(images.shape, images.dtype)
        return glimpse.logits(weights, jax.pure_callback(seen, shape, images))

    def prediction(explainer, score_fn, images, seen, key):
        return (explainer.embedding.embedding[...] * seen.scores.mean()).mean()

    def run(loss, kept_bytes, **recipe):
        passes.clear()
        stage = Stage("s", loss, ("embedding",), 3, lambda per_epoch: optax.sgd(0.1))
        recipe = Recipe(batch_size=8, kept_bytes=kept_bytes, **recipe)
        shown, score_fn = glimpse.shown._replace(held_out=None), Partial(counting, glimpse.weights)
        train(glimpse, key, stages=[stage], recipe=recipe, score_fn=score_fn, shown=shown)
        jax.effects_barrier()
        return sum(passes)

    match = glimpse.stages[0].loss
    assert run(match, 1 << 20) == 24  # once
    assert run(match, 0) == 3 * 24
    assert run(prediction, 24 * 3 * 4) == 24  # the scores are kept, the layer is not read
    assert run(match, 1 << 20, mirror=True) == 3 * 24


def test_eight_devices_and_one_give_the_same_within_rounding(
    glimpse, undisturbed, key, monkeypatch
):
    assert jax.device_count() == 8
    monkeypatch.setattr(devices, "_mesh", lambda number: None)
    close(parameters(train(glimpse, key)), undisturbed[0], 2e-4)


def test_mirrored_and_cut_images_come_in_place_of_the_others(glimpse, key):
    ramp = np.linspace(0, 1, 6, dtype=np.float32)
    shown = of_arrays(np.broadcast_to(ramp[:, None], (24, 6, 6, 3)), 0, 0)

    def loss(explainer, score_fn, images, seen, key):
        jax.debug.callback(lambda x: saw.append(np.asarray(x)), images)
        return explainer.head.bias[...].sum()

    def seen(**recipe):
        saw.clear()
        stage = Stage("s", loss, ("head",), 1, lambda per_epoch: optax.sgd(0.1))
        recipe = Recipe(batch_size=24, **recipe)
        train(glimpse, key, stages=[stage], shown=shown, recipe=recipe)
        jax.effects_barrier()
        (batch,) = saw
        return batch[:, 0, :, 0]

    saw: list[np.ndarray] = []
    mirrored = seen(mirror=True)
    backward = mirrored[:, 0] == 1
    np.testing.assert_array_equal(mirrored[~backward], np.tile(ramp, (sum(~backward), 1)))
    np.testing.assert_array_equal(mirrored[backward], np.tile(ramp[::-1], (sum(backward), 1)))
    assert 3 < sum(backward) < 21
    cut = seen(least_area=0.2)
    assert (np.diff(cut) >= 0).all() and len(np.unique(cut[:, 0])) > 10


def test_images_that_never_repeat(glimpse, key):
    asked = []

    class Endless:
        def __len__(self):
            return 24

        def __getitem__(self, rows):
            asked.append(np.asarray(rows))
            return glimpse.images[rows % 30]

    shown = Shown(Endless(), None, {}, endless=True)
    train(glimpse, key, shown=shown)
    np.testing.assert_array_equal(np.concatenate(asked[1:]), np.arange(5 * 24))


@pytest.mark.usefixtures("as_users_run")
def test_bad_input_is_one_line(glimpse, key):
    def images(*shape):
        return {"shown": of_arrays(np.zeros((4, *shape), np.float32), 0, 0)}

    diverging = glimpse.stages[0]._replace(optimizer=lambda per_epoch: optax.sgd(float("inf")))
    mirrored = types.SimpleNamespace(fit=types.SimpleNamespace(image_shape=(6, 5, 3)))
    for changed, words in [
        (images(7, 7, 3), r"the images have shape \(7, 7, 3\); the explainer is for \(6, 6, 3\)"),
        ({"explainer": mirrored, "recipe": Recipe(mirror=True)}, r"for square pictures; .*\(6, 5"),
        (
            {"stages": [diverging]},
            "loss of epoch . of the stage 'match' is not finite",
        ),
        ({"stages": []}, "no stage has an epoch"),
        ({"stages": [diverging._replace(epochs=-1)]}, "`epochs` must be at least 0; got -1"),
    ]:
        with pytest.raises(ValueError, match=words):
            train(glimpse, key, **changed)
    with pytest.raises(ValueError, match=r"`least_area` must lie in \(0, 1\]; got 0.0"):
        Recipe(least_area=0.0)
    with pytest.raises(ValueError, match="`batch_size` must be greater than 0; got 0"):
        Recipe(batch_size=0)
