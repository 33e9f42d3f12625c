"""Modules of torch: scores and gradients are torch's own, and the module stays as it is."""

import functools

import jax
import jax.numpy as jnp
import numpy as np
import pytest

import saljax

torch = pytest.importorskip("torch")

IMAGES = np.random.default_rng(0).uniform(size=(3, 8, 6, 3)).astype("f")


@pytest.fixture(autouse=True)
def with_our_own_messages(as_users_run):
    """And not those of the shape checks of the test run."""


@pytest.fixture
def module():
    """In training, but for its dropout."""
    torch.manual_seed(0)
    net = torch.nn.Sequential(
        torch.nn.Conv2d(3, 4, 3),
        torch.nn.BatchNorm2d(4),
        torch.nn.ReLU(),
        torch.nn.Dropout(0.5),
        torch.nn.AdaptiveAvgPool2d(1),
        torch.nn.Flatten(),
        torch.nn.Linear(4, 5),
    ).train()
    net[3].eval()
    return net


def own(module, images, target=None):
    """Scores by torch, or the gradient of one."""
    modes = [part.training for part in module.modules()]
    module.eval()
    x = torch.from_numpy(np.moveaxis(images, -1, 1).copy()).requires_grad_()
    scores = module(x)
    found = scores
    if target is not None:
        (found,) = torch.autograd.grad(scores[:, target].sum(), x)
        found = found.movedim(1, -1)
    for part, mode in zip(module.modules(), modes, strict=True):
        part.training = mode
    return found.detach().numpy()


def test_scores_and_gradients_are_those_of_torch(module):
    score_fn = saljax.scores.from_torch(module, 5)
    np.testing.assert_allclose(score_fn(jnp.asarray(IMAGES)), own(module, IMAGES), rtol=1e-5)
    raw = functools.partial(saljax.gradient, reduce=None)
    found = saljax.explain(raw, score_fn, IMAGES, [2, 2, 2])
    np.testing.assert_allclose(found, own(module, IMAGES, 2), rtol=1e-4, atol=1e-7)


def test_the_module_stays_as_it_is(module):
    state = {name: value.clone() for name, value in module.state_dict().items()}
    modes = [part.training for part in module.modules()]
    score_fn = saljax.scores.from_torch(module, 5)
    saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1, 2]).block_until_ready()
    assert [part.training for part in module.modules()] == modes
    assert all(parameter.grad is None for parameter in module.parameters())
    assert all(bool((state[name] == value).all()) for name, value in module.state_dict().items())
    with torch.no_grad():
        module[6].weight *= 2
        module[6].bias *= 2
    np.testing.assert_allclose(score_fn(jnp.asarray(IMAGES)), own(module, IMAGES), rtol=1e-5)


def test_a_mask_is_optimized(module):
    score_fn = saljax.scores.probabilities(saljax.scores.from_torch(module, 5))
    method = functools.partial(saljax.meaningful_perturbation, num_steps=3)
    key = {"key": jax.random.key(0)}
    found = np.asarray(saljax.explain(method, score_fn, IMAGES[:1], [1], **key))
    assert found.shape == (1, 8, 6) and np.isfinite(found).all() and found.std() > 0


def test_a_perturbed_batch_arrives_whole(module):
    sizes = []
    module.register_forward_pre_hook(lambda part, given: sizes.append(len(given[0])))
    method = functools.partial(saljax.occlusion, window=2, stride=2, chunk_size=16)
    score_fn = saljax.scores.from_torch(module, 5)
    saljax.explain(method, score_fn, IMAGES, [0, 1, 2]).block_until_ready()
    assert max(sizes) >= 3 * 12  # its windows in all images


def test_an_output_by_name(module):
    class Model(torch.nn.Module):
        def __init__(self):
            super().__init__()
            self.net = module

        def forward(self, x):
            return {"hidden": x, "logits": self.net(x)}

    score_fn = saljax.scores.from_torch(Model(), 5, output="logits")
    np.testing.assert_allclose(score_fn(jnp.asarray(IMAGES)), own(module, IMAGES), rtol=1e-5)


def test_what_reads_programs_says_that_there_is_none(module):
    score_fn = saljax.scores.from_torch(module, 5)
    with pytest.raises(ValueError, match="on the host"):
        saljax.explain(saljax.guided_backprop, score_fn, IMAGES, [0, 1, 2])


def test_a_module_where_a_score_function_is_asked(module):
    functions = {
        "module": module,
        "forward": module.forward,
        "function": lambda x: module(x),
        "from_numpy": lambda x: module(torch.from_numpy(x)),
        "tensor": lambda x: module(torch.as_tensor(x)),
    }
    for name, score_fn in functions.items():
        with pytest.raises(ValueError, match="from_torch") as told:
            saljax.explain(saljax.gradient, score_fn, IMAGES, [0, 1, 2])
        assert len(str(told.value).splitlines()) == 1, name


def test_errors_of_the_module_come_first(module):
    score_fn = saljax.scores.from_torch(module, 4)
    method = functools.partial(saljax.occlusion, window=4, stride=4)
    with pytest.raises(jax.errors.JaxRuntimeError) as told:
        saljax.explain(method, score_fn, IMAGES, [0, 1, 2]).block_until_ready()
    assert str(told.value).splitlines()[0].startswith("ValueError: the callback must return scores")
