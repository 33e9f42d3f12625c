"""Mean ranks."""

import numpy as np
import pytest

from saljax.evaluation.columns import Column
from saljax.evaluation.ranks import mean_ranks

EACH = np.ones(4, bool)
PICTURES = np.arange(4)


def column(better, **values):
    return Column("c", better, {name: np.asarray(v, float) for name, v in values.items()})


def test_by_hand():
    """On the first metric a, b, c are 1, 2.5, 2.5; on the second, in two columns, 3 and 1, ..."""
    first = [column("higher", a=[4, 4, 4, 4], b=[1, 1, 1, 1], c=[0, 2, 0, 2])]
    second = [
        column("lower", a=[9, 9, 9, 9], b=[5, 5, 5, 5], c=[7, 7, 7, 7]),
        column("higher", a=[9, 9, 9, 9], b=[5, 5, 5, 5], c=[7, 7, 7, 7]),
        column("", a=[0, 0, 0, 0], b=[1, 1, 1, 1], c=[2, 2, 2, 2]),
    ]
    found = mean_ranks([first, second], ["a", "b", "c"], EACH, PICTURES)
    means = {row: mean for row, (mean, _) in found.items()}
    assert means == {"a": (1 + 2) / 2, "b": (2.5 + 2) / 2, "c": (2.5 + 2) / 2}
    assert found["a"][1] == 0  # a is always above both
    # b and c are of the same mean with probability 3/8, else one of them is above the other.
    expected = np.sqrt(5 / 8) * 0.5 / 2
    assert abs(found["b"][1] - expected) < 0.03 and found["c"][1] == pytest.approx(found["b"][1])


def test_what_has_no_value_does_not_rank():
    nan = np.nan
    whole = column("higher", a=[1, 1, 1, 1], b=[2, 2, 2, 2], failed=[nan] * 4)
    partly = column("higher", a=[nan, 3, nan, 3], b=[2, 2, 2, 2], failed=[nan] * 4)
    alone = column("higher", a=[9] * 4, b=[nan] * 4, failed=[nan] * 4)
    found = mean_ranks([[whole], [partly], [alone]], ["a", "b", "failed"], EACH, PICTURES)
    assert {row: mean for row, (mean, _) in found.items()} == {"a": 1.5, "b": 1.5}
    assert mean_ranks([[whole]], ["a", "failed"], EACH, PICTURES) == {}
    assert mean_ranks([[column("", a=[1] * 4, b=[2] * 4)]], ["a", "b"], EACH, PICTURES) == {}


def test_pictures_are_drawn_and_not_the_classes_in_them():
    one = [column("higher", a=[1, 1, 1, 1], b=[2, 2, 0, 0])]
    assert mean_ranks([one], ["a", "b"], EACH, np.zeros(4, int))["a"] == (1.5, None)
    two = mean_ranks([one], ["a", "b"], EACH, np.asarray([0, 0, 1, 1]))
    # Twice the first, twice the second, or each once: ranks 2, 1, 1.5 of a.
    np.testing.assert_allclose(two["a"], (1.5, np.sqrt(0.125)), atol=0.02)
    some = mean_ranks([one], ["a", "b"], np.asarray([True, True, False, False]), PICTURES)
    assert some == {"a": (2, 0), "b": (1, 0)}
