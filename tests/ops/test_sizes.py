import pytest

from saljax.ops import sizes


def test_lengths_of_224_keep_their_share_of_each_axis():
    assert sizes.lengths(35, (224, 112)) == (35.0, 17.5)
    assert sizes.whole(35, (224, 448, 28)) == (35, 70, 4)
    assert sizes.whole(8, (28, 10, 6)) == (1, 1, 1)
    assert sizes.whole(4, (28, 27, 6), least=0) == (1, 0, 0)  # 0.5 is rounded up


def test_what_was_given_goes_before_the_default_on_each_axis():
    defaults = {"window": (4, 5), "stride": (1, 2)}
    assert sizes.or_default(defaults, window=None, stride=3) == [(4, 5), (3, 3)]
    assert sizes.or_default(defaults, stride=[7, 8]) == [(7, 8)]
    with pytest.raises(ValueError, match=r"`stride` must be one number, or one for each of the 2"):
        sizes.or_default(defaults, stride=(1, 2, 3))
