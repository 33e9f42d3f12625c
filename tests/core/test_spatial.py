import jax.numpy as jnp
import pytest

from saljax.core.axes import Tokens
from saljax.core.spatial import is_like, spatial, tiles


def strided(n, *layers):
    """Length of an axis behind convolutions of (kernel, stride, padding)."""
    for kernel, stride, padding in layers:
        n = (n + 2 * padding - kernel) // stride + 1
    return n


NETWORKS = {
    "resnet": [(7, 2, 3), (3, 2, 1), (3, 2, 1), (3, 2, 1), (3, 2, 1)],
    "vgg": [(3, 1, 1), (2, 2, 0)] * 5,
    "alexnet": [(11, 4, 2), (3, 2, 0), (5, 1, 2), (3, 2, 0), (3, 1, 1)],
    "lenet": [(5, 1, 0), (2, 2, 0), (5, 1, 0), (2, 2, 0)],
    "inception": [(3, 2, 0), (3, 1, 0), (3, 1, 1), (3, 2, 0), (3, 1, 0), (3, 2, 0), (3, 2, 0)],
    "valid": [(3, 1, 0)] * 6,
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("space", [(224, 224), (96, 130), (131, 77), (250,), (50, 70, 60)])
def test_every_layer_of_a_network_goes_with_its_image(network, space):
    for depth in range(1, len(NETWORKS[network]) + 1):
        cells = [strided(n, *NETWORKS[network][:depth]) for n in space]
        if min(cells) > 0:
            assert is_like((*cells, 7), space), cells


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("space", [(224, 224), (96, 130), (131, 77), (50, 70, 60)])
def test_channels_first_and_axes_exchanged_do_not(network, space):
    for depth in range(1, len(NETWORKS[network]) + 1):
        cells = [strided(n, *NETWORKS[network][:depth]) for n in space]
        if min(cells) > 2:  # of fewer, an axis more or less says nothing
            assert not is_like((96, *cells), space), cells
            if cells[0] != cells[1] and len(space) == 2:
                assert not is_like((*cells[::-1], 96), space), cells


def test_time_has_strides_of_its_own_and_everything_may_be_pooled():
    assert is_like((2, 7, 7, 512), (16, 112, 112))
    assert is_like((1, 1, 32), (40, 80))


def test_channels_first_are_told():
    image = jnp.zeros((32, 48, 3))
    with pytest.raises(ValueError, match=r"'conv2' is \(16, 16, 24\).*to_spatial=lambda a: jnp"):
        spatial(jnp.zeros((16, 16, 24)), image, "conv2")
    moved = spatial(jnp.zeros((8, 16, 24)), image, "conv2", lambda a: jnp.moveaxis(a, 0, -1))
    assert moved.shape == (16, 24, 8)
    assert spatial(jnp.zeros((4, 24, 8)), image, "conv2", lambda a: a).shape == (4, 24, 8)


@pytest.mark.parametrize(
    ("number", "space", "patch", "expected"),
    [
        (197, (224, 224), None, Tokens((14, 14), 1)),
        (201, (224, 224), (16, 16), Tokens((14, 14), 5)),
        (256, (224, 224), None, Tokens((16, 16), 0)),
        (205, (224, 224), None, None),  # nine tokens more than 14 x 14
        (25, (32, 48), None, Tokens((4, 6), 1)),
        (10, (12, 12), None, None),  # 3 x 3 and one, or 2 x 2 and six
        (10, (12, 12), (4, 4), Tokens((3, 3), 1)),
        (10, (14, 14), (4, 4), Tokens((3, 3), 1)),  # a border that no patch covers
        (9, (2, 4, 4), None, Tokens((1, 2, 2), 5)),
    ],
)
def test_a_grid_of_tokens_is_the_only_one_that_there_is(number, space, patch, expected):
    assert tiles(number, space, patch) == expected
