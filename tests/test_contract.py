"""What every method promises, whatever its paper."""

import dataclasses
import functools
import inspect
import re

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax
from saljax.methods.learned.explainer import Fit
from saljax.methods.learned.kinds import KINDS, blank
from saljax.models.weights import assign, parameters, shapes


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    method: functools.partial
    image: tuple[int, ...] = (9, 9, 3)
    traces: int = 1
    """How often `score_fn` may be traced."""
    looks_inside: bool = False
    """It needs a network with tags and ReLUs, and answers one class at a time."""
    attends: bool = False
    """It needs a transformer, and answers likewise."""

    @property
    def parameters(self):
        return inspect.signature(self.method.func).parameters

    def eager(self, score_fn, image, target, seed=0, place=0, **hyperparameters):
        """The map that `explain` gives an image at its place, from the method itself."""
        if "key" in self.parameters:
            hyperparameters["key"] = jax.random.fold_in(jax.random.key(seed), place)
        return self.method(score_fn, image, target, **hyperparameters)

    @functools.cached_property
    def compiled(self):
        """The same; classes, weights and seeds are arguments of one program."""
        return jax.jit(self.eager, static_argnames="chunk_size")


def inside(method, image=(9, 9, 3), traces=1, **hyperparameters):
    return Case(functools.partial(method, **hyperparameters), image, traces, looks_inside=True)


def attending(method, traces=2, image=(6, 6, 3)):
    return Case(functools.partial(method), image, traces, attends=True)


CLASSES = 4


def learned(kind, image=(9, 9, 3), method=None, traces=1, options=(), **settings):
    """An explainer with random weights, for the network that is looked inside."""
    layers = () if kind == "variational" else ("hidden",)
    of_layers = tuple((*image[:-1], 12) for _ in layers)
    empty = blank(KINDS[kind], Fit(layers, of_layers, CLASSES, image, ""), settings)
    rng = np.random.default_rng(2)
    drawn = {name: rng.uniform(0.1, 1, shape) for name, shape in shapes(empty).items()}
    tensors = {name: value.astype(np.float32) for name, value in drawn.items()}
    explainer = assign(empty, tensors)
    keywords = {"explainer": explainer, **dict(options)}
    return inside(method or getattr(saljax, kind), image, traces=traces + len(layers), **keywords)


ATLAS = jnp.asarray(np.arange(4 * 4 * 4).reshape(4, 4, 4) // 16, jnp.int32)
CASES = {
    "glas": Case(functools.partial(saljax.glas, grid=3)),
    "glas of a signal": Case(functools.partial(saljax.glas, grid=4), image=(16, 2)),
    "glas of a gray volume": Case(functools.partial(saljax.glas, grid=2), image=(4, 5, 6, 1)),
    "rglas": Case(functools.partial(saljax.rglas, grid=3, max_iterations=2), traces=2),
    "glas_regions": Case(
        functools.partial(saljax.glas_regions, labels=ATLAS, num_regions=3), image=(4, 4, 4, 1)
    ),
    "occlusion": Case(functools.partial(saljax.occlusion, window=4, stride=2)),
    "blur_occlusion": Case(
        functools.partial(saljax.blur_occlusion, diameter=5.0, stride=3, softness=1.0, blur=2.0),
        image=(16, 2),
    ),
    "variable_occlusion": Case(functools.partial(saljax.variable_occlusion, num_masks=12)),
    "rise": Case(functools.partial(saljax.rise, num_masks=9, grid=2), image=(4, 5, 6, 1)),
    "lime": Case(functools.partial(saljax.lime, num_samples=20, grid=3)),
    "kernel_shap": Case(functools.partial(saljax.kernel_shap, num_samples=20, grid=3)),
    "sobol": Case(functools.partial(saljax.sobol, num_designs=8, grid=2), image=(4, 5, 6, 1)),
    "hsic": Case(functools.partial(saljax.hsic, num_masks=12, grid=3)),
    "gradient": inside(saljax.gradient),
    "input_x_gradient": inside(saljax.input_x_gradient, (16, 2)),
    "smoothgrad": inside(saljax.smoothgrad, num_samples=5),
    "integrated_gradients": inside(saljax.integrated_gradients, num_steps=5),
    "grad_cam": inside(saljax.grad_cam, traces=2),
    "grad_cam_plus_plus": inside(saljax.grad_cam_plus_plus, (4, 5, 6, 1), layer="hidden", traces=2),
    "expected_gradients": inside(saljax.expected_gradients, num_samples=5, noise=0.3),
    "full_grad": inside(saljax.full_grad),
    "guided_ig": inside(saljax.guided_ig, num_steps=4),
    "blur_ig": inside(saljax.blur_ig, (4, 5, 6, 1), num_steps=5, max_sigma=2.0),
    "xrai": inside(saljax.xrai, grids=(3, 2), min_pixels=3, num_steps=3),
    "information_bottleneck": inside(
        saljax.information_bottleneck,
        layer="hidden",
        statistics=(0.0, 1.0),
        beta=0.01,
        num_steps=3,
        num_samples=2,
        traces=2,
    ),
    "opti_cam": inside(saljax.opti_cam, layer="hidden", num_steps=3, traces=3),
    "layer_cam": inside(saljax.layer_cam, traces=2),
    "hires_cam": inside(saljax.hires_cam, (16, 2), layer="hidden", traces=2),
    "xgrad_cam": inside(saljax.xgrad_cam, layer="hidden", traces=2),
    "eigen_cam": inside(saljax.eigen_cam, layer="hidden", traces=2),
    "ablation_cam": inside(saljax.ablation_cam, layer="hidden", traces=2, chunk_size=3),
    "score_cam": inside(saljax.score_cam, (4, 5, 6, 1), layer="hidden", chunk_size=4, traces=3),
    "guided_backprop": inside(saljax.guided_backprop, (4, 5, 6, 1)),
    "deconvnet": inside(saljax.deconvnet, layer="hidden", traces=2),
    "lrp": inside(saljax.lrp),
    "lrp of a composite": inside(saljax.lrp, composite="epsilon_alpha2_beta1_flat"),
    "attn_lrp": inside(saljax.attn_lrp),
    "excitation_backprop": inside(saljax.excitation_backprop, (16, 2), layer="hidden", traces=2),
    "deep_lift": inside(saljax.deep_lift, baselines=0.3),
    "contrastive_excitation_backprop": inside(
        saljax.contrastive_excitation_backprop, layer="hidden", traces=3
    ),
    "meaningful_perturbation": Case(
        functools.partial(
            saljax.meaningful_perturbation, num_steps=5, mask_size=4, mask_sigma=1.0, jitter=3
        ),
        traces=2,
    ),
    "meaningful_perturbation_at_layer": inside(
        saljax.meaningful_perturbation_at_layer,
        (4, 5, 6, 1),
        traces=2,
        layer="hidden",
        num_steps=8,
        learning_rate=0.03,
        l1=1e-3,
        tv=0.0,
        init="half",
    ),
    "extremal_perturbation": Case(
        functools.partial(
            saljax.extremal_perturbation,
            areas=(0.2, 0.5),
            num_levels=3,
            max_blur=2.0,
            step=2,
            sigma=2.0,
            num_steps=4,
            learning_rate=0.1,
        ),
    ),
    "dynamic_masks": Case(
        functools.partial(saljax.dynamic_masks, sizes=(2, 3), auxiliary=((4,),), num_steps=5),
        traces=4,
    ),
    "hierarchical_dynamic_masks": Case(
        functools.partial(
            saljax.hierarchical_dynamic_masks,
            sizes=(3,),
            auxiliary=(),
            num_stages=2,
            num_steps=20,
            learning_rate=0.5,
            num_weight_steps=5,
        ),
        image=(16, 2),
        traces=4,
    ),
    "feature_inversion": inside(
        saljax.feature_inversion, (16, 2), traces=7, num_inversion_steps=4, num_steps=4
    ),
    "attention_rollout": attending(saljax.attention_rollout),
    "generic_attention": attending(saljax.generic_attention, image=(4, 6, 2)),
    "le_grad": attending(saljax.le_grad, traces=3),
    "dre": learned("dre"),
    "dre_plus": learned(
        "dre", (10, 10, 4), saljax.dre_plus, traces=2, options={"num_steps": 6, "kernel": 9}
    ),
    "masking_model": learned("masking_model", (4, 5, 6, 1), confidence=0.0),
    "variational": learned("variational", (16, 2), channels=(3, 2), reduction=2),
}


@pytest.fixture(params=CASES)
def case(request):
    return CASES[request.param]


def cases_with(parameter):
    return pytest.mark.parametrize(
        "case", [pytest.param(c, id=n) for n, c in CASES.items() if parameter in c.parameters]
    )


def channels_first(first, weights, images, moved=True):
    """Logits; the hidden layer has half the image's resolution, and its channels first."""
    hidden = jax.nn.relu(images @ first)[:, ::2, ::2]
    if moved:
        hidden = jnp.moveaxis(saljax.tag(jnp.moveaxis(hidden, -1, 1), "hidden"), 1, -1)
    else:
        hidden = saljax.tag(hidden, "hidden")
    return hidden.mean((1, 2)) @ weights


def softmax_score(weights, images):
    return jax.nn.softmax(images.reshape(len(images), -1) @ weights)


def relu_score(first, weights, images):
    """Logits; what is seen of the hidden layer differs from place to place."""
    hidden = saljax.tag(jax.nn.relu(images @ first), "hidden")
    seen = jnp.linspace(0.5, 1.5, hidden[0].size, dtype=jnp.float32).reshape(1, *hidden.shape[1:])
    return (hidden * seen).mean(tuple(range(1, hidden.ndim - 1))) @ weights


def attention_score(patch, query, values, weights, images):
    """Logits of two blocks of attention among patches of 2 x 2 pixels and a token before them."""
    number, height, width, channels = images.shape
    cells = images.reshape(number, height // 2, 2, width // 2, 2, channels)
    cells = jnp.moveaxis(cells, 2, 3).reshape(number, -1, 4 * channels)
    x = jnp.pad(cells @ patch, ((0, 0), (1, 0), (0, 0)), constant_values=0.5)
    for block in ("first", "second"):
        similar = jnp.einsum("nqd,hde,nke->nhqk", x, query, x)
        attention = saljax.tag(jax.nn.softmax(similar), f"{block}.attention")
        x = x + jnp.einsum("nhqk,nkd,hde->nqe", attention, x, values)
        x = saljax.tag(x, f"{block}.tokens")
    return jnp.tanh(x[:, 0]) @ weights


def scorer(case):
    rng = np.random.default_rng(0)
    shapes, mean, score = [(int(np.prod(case.image)), CLASSES)], 0.0, softmax_score
    if case.looks_inside:
        shapes, mean, score = [(case.image[-1], 12), (12, CLASSES)], 0.1, relu_score
    if case.attends:
        shapes = [(4 * case.image[-1], 6), (2, 6, 6), (2, 6, 6), (6, CLASSES)]
        score = attention_score
    weights = [jnp.asarray(rng.normal(mean, 0.3, shape), jnp.float32) for shape in shapes]
    return jax.tree_util.Partial(score, *weights)


def pictures(case):
    return jnp.asarray(np.random.default_rng(1).uniform(size=(3, *case.image)), jnp.float32)


@pytest.fixture
def score_fn(case):
    return scorer(case)


@pytest.fixture
def images(case):
    return pictures(case)


def close(actual, expected):
    scale = float(jnp.abs(expected).max())
    np.testing.assert_allclose(actual, expected, rtol=1e-3, atol=1e-3 * scale)


def test_every_public_method_is_here():
    public = {
        value
        for value in vars(saljax).values()
        if inspect.isfunction(value)
        and list(inspect.signature(value).parameters)[:3] == ["score_fn", "image", "target"]
    }
    assert public == {case.method.func for case in CASES.values()}


def test_signature_and_docstring(case):
    parameters = list(case.parameters.values())
    assert [p.name for p in parameters[:3]] == ["score_fn", "image", "target"]
    assert all(p.kind == p.KEYWORD_ONLY for p in parameters[3:])
    documentation = inspect.cleandoc(case.method.func.__doc__)  # which Python 3.13 does itself
    for section in ("Args:", "Returns:", "Raises:", "Source:"):
        assert section in documentation
    for name in case.parameters:
        assert f"\n    {name}:" in documentation


@pytest.mark.parametrize("name", ["occlusion", "gradient", "grad_cam", "lrp", "attention_rollout"])
def test_it_runs_without_jit(name, request):
    """One of each family: operation by operation, a method costs as much to compile as thrice."""
    case = CASES[name]
    score_fn, images = scorer(case), pictures(case)
    close(case.compiled(score_fn, images[0], 1), case.eager(score_fn, images[0], 1))


def test_map_jit_vmap_and_batches(case, score_fn, images):
    one = case.compiled(score_fn, images[0], 1)
    assert one.shape == case.image[:-1] and one.dtype == jnp.float32 and jnp.isfinite(one).all()
    assert float(one.max()) > float(one.min())
    together = saljax.explain(case.method, score_fn, images, [1, 0, 2])
    close(together[0], one)
    damaged = saljax.explain(case.method, score_fn, images.at[2].set(jnp.nan), [1, 0, 2])
    close(damaged[:2], together[:2])
    for place, target in [(1, 0), (2, 2)]:
        alone = case.compiled(score_fn, images[place], target, place=place)
        close(together[place], alone)
        assert float(jnp.abs(alone - one).max()) > 1e-3 * float(jnp.abs(one).max())


@cases_with("chunk_size")
def test_chunk_size_is_memory_only(case, score_fn, images):
    close(
        case.compiled(score_fn, images[0], 1, chunk_size=2),
        case.compiled(score_fn, images[0], 1),
    )


@cases_with("key")
def test_other_keys_give_other_maps(case, score_fn, images):
    one, same, other = (case.compiled(score_fn, images[0], 1, seed=seed) for seed in (0, 0, 1))
    close(one, same)
    assert float(jnp.abs(one - other).max()) > 1e-4 * float(jnp.abs(one).max())


@cases_with("key")
def test_keys_of_rbg_draw_for_one_image_alone(case, score_fn, images):
    with jax.default_prng_impl("rbg"):  # raw, those of "unsafe_rbg" are of the same words
        keys = jnp.stack([jax.random.PRNGKey(seed) for seed in (0, 1)])
    few, many = ({"chunk_size": n} if "chunk_size" in case.parameters else {} for n in (2, 64))

    @jax.jit
    def together(score_fn, images, keys):
        return jax.vmap(lambda x, k: case.method(score_fn, x, 1, key=k, **few))(images, keys)

    @jax.jit
    def alone(score_fn, image, key):
        return case.method(score_fn, image, 1, key=key, **many)

    found = together(score_fn, images[:2], keys)
    for place in range(2):
        close(found[place], alone(score_fn, images[place], keys[place]))


@cases_with("key")
def test_the_same_key_draws_the_same_where_jax_computes_in_float64(case, score_fn, images):
    with jax.enable_x64(), jax.numpy_dtype_promotion("standard"):
        found = jax.jit(case.eager)(score_fn, images[0], 1)
    close(found, case.compiled(score_fn, images[0], 1))


@cases_with("to_spatial")
def test_channels_first_are_read_as_such(case):
    rng = np.random.default_rng(3)
    image, *weights = (
        jnp.asarray(rng.uniform(size=shape), jnp.float32)
        for shape in ((8, 12, 3), (3, 6), (6, CLASSES))
    )

    def method(score_fn, image, target, to_spatial=None):
        run = functools.partial(case.eager, layer="hidden", to_spatial=to_spatial)
        return jax.jit(run)(score_fn, image, target)

    first = jax.tree_util.Partial(channels_first, *weights)
    found = method(first, image, 1, to_spatial=lambda a: jnp.moveaxis(a, 0, -1))
    last = jax.tree_util.Partial(functools.partial(channels_first, moved=False), *weights)
    if case.method.func is not saljax.information_bottleneck:
        close(found, method(last, image, 1))  # but its noise is drawn in the layout of the layer
    close(found, method(first, image, 1))


@pytest.mark.usefixtures("as_users_run")
def test_several_classes_may_be_a_list(case, score_fn, images):
    if ".perturbation." in case.method.func.__module__:
        found = jax.eval_shape(lambda f, x: case.eager(f, x, [0, 2]), score_fn, images[0])
        assert found.shape == (2, *case.image[:-1])


def test_permuting_classes_changes_nothing(case, score_fn, images):
    order = np.asarray([2, 0, 3, 1])
    *first, last = score_fn.args
    permuted = jax.tree_util.Partial(score_fn.func, *first, last[:, order])
    permuted_case, explainer = case, case.method.keywords.get("explainer")
    if explainer:  # its classes are those of the classifier
        tensors = parameters(explainer)
        classes = {n: v[order] for n, v in tensors.items() if n == "generator.embedding"}
        one = functools.partial(case.method, explainer=assign(explainer, tensors | classes))
        permuted_case = dataclasses.replace(case, method=one)
    close(permuted_case.compiled(permuted, images[0], 0), case.compiled(score_fn, images[0], 2))


def test_a_class_that_does_not_exist_gives_nan(case, score_fn, images):
    assert jnp.isnan(case.compiled(score_fn, images[0], CLASSES)).any()


def test_score_fn_is_traced_few_times(case, score_fn, images):
    traces = []

    def counted(*weights_and_images):
        traces.append(1)
        return score_fn.func(*weights_and_images)

    jax.make_jaxpr(case.eager)(jax.tree_util.Partial(counted, *score_fn.args), images[0], 1)
    assert len(traces) == case.traces


def test_the_map_is_float32_where_jax_computes_in_float64(case, score_fn, images):
    settings = {"tolerance": 1e-3} if "tolerance" in case.parameters else {}
    run = functools.partial(case.eager, **settings)
    with jax.enable_x64(), jax.numpy_dtype_promotion("standard"):
        image = images[0].astype(jnp.float64)
        assert jax.eval_shape(run, score_fn, image, 1).dtype == jnp.float32


@pytest.mark.usefixtures("as_users_run")
def test_numpy_float64_is_taken_as_jax_takes_it(case, score_fn, images):
    image = np.asarray(images[0], np.float64)
    traced = jax.make_jaxpr(lambda: case.eager(score_fn, image, 1))()  # a warning is an error here
    assert [out.dtype for out in traced.out_avals] == [jnp.float32]


@pytest.mark.usefixtures("as_users_run")
def test_pictures_of_bytes_are_refused(case, score_fn, images):
    with pytest.raises(ValueError, match=r"floating point in \[0, 1\]; got uint8. Divide bytes"):
        case.eager(score_fn, images[0].astype(jnp.uint8), 1)


class Picture:
    """As Pillow has it: no array."""


@pytest.mark.usefixtures("as_users_run")
def test_what_is_no_image_is_told(case, score_fn, images):
    bright = 255 * jnp.ones((9, 9, 3))
    for wrong, message in [
        (Picture(), "must be an array .*; got Picture. Of a picture, np.asarray"),
        (images[0].tolist(), "must be an array .*; got list"),
        (bright, "colors up to 255. Divide them by 255"),
        (np.asarray(bright), "colors up to 255. Divide them by 255"),
        (jnp.ones((1, 9, 9, 3)), "looks like a batch of one"),
        (jnp.float32(1.0), r"\(\*spatial, channels\); got a number"),
    ]:
        with pytest.raises(ValueError, match=message):
            case.eager(score_fn, wrong, 1)
    if re.search("perturbation|optimization", case.method.func.__module__):  # they make masks
        with pytest.raises(ValueError, match=r"got shape \(9,\). A signal without channels is"):
            case.eager(score_fn, jnp.ones(9), 1)


COUNTS = {"num_steps", "num_masks", "num_samples", "num_stages", "num_levels", "grid", "chunk_size"}


@pytest.mark.usefixtures("as_users_run")
def test_counts_are_whole_numbers_above_zero(case, score_fn, images):
    for name in COUNTS & set(case.parameters):
        for wrong, message in [
            (2.5, "a whole number; got 2.5"),
            ("3", "a whole number; got '3'"),
            (np.int64(0), "greater than 0; got 0"),
        ]:
            with pytest.raises(ValueError, match=f"`{name}` must be {message}"):
                case.eager(score_fn, images[0], 1, **{name: wrong})
