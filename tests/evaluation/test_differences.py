"""Methods against `center` and against the best."""

import numpy as np
import pytest

from saljax.evaluation.columns import Column
from saljax.evaluation.differences import best_of, differences, in_words

N = 40
EACH, PICTURES = np.ones(N, bool), np.arange(N)
ROWS = ["good", "fair", "center"]


def column(better="higher", **values):
    return Column("c", better, {name: np.asarray(v, float) for name, v in values.items()})


def compare(one, chosen=EACH, pictures=PICTURES, rows=ROWS):
    found = differences([one], rows, "center", pictures, chosen, "all")
    return {(d.row, d.role): d for d in found}


def test_by_hand():
    """The differences of `good` have mean 1 and standard deviation 2, those of `fair` mean 0."""
    noise = np.tile([1.0, -1.0], N // 2)
    center = np.linspace(0, 9, N)
    found = compare(column(good=center + 1 + 2 * noise, fair=center + noise, center=center))
    assert set(found) == {
        ("good", "center"),
        ("fair", "center"),
        ("fair", "best"),
        ("center", "best"),
    }
    good = found["good", "center"]
    assert (good.against, good.pictures, good.verdict) == ("center", N, "better")
    assert good.mean == pytest.approx(1)
    # Of a mean of forty: 1 +- 1.96 * 2 / sqrt(40), which the draws come near to.
    assert (good.low, good.high) == pytest.approx((0.38, 1.62), abs=0.08)
    assert found["fair", "center"].verdict == "not different"
    assert found["center", "best"].verdict == "worse" and found["center", "best"].against == "good"


def test_lower_is_better():
    found = compare(column("lower", good=np.zeros(N), fair=np.full(N, 3.0), center=np.ones(N)))
    assert found["good", "center"].verdict == "better" and found["good", "center"].mean == -1
    assert found["fair", "center"].verdict == "worse"
    assert found["fair", "best"].mean == 3


def test_only_where_both_have_a_value_and_of_what_is_chosen():
    values = np.where(np.arange(N) < 30, 2.0, np.nan)
    chosen = np.arange(N) >= 10
    found = compare(column(good=values, fair=[np.nan] * N, center=np.ones(N)), chosen)
    assert found["good", "center"].pictures == 20
    assert ("fair", "center") not in found


def test_few_pictures_do_not_tell():
    one = column(good=[2.0] * N, fair=[0.0] * N, center=[1.0] * N)
    few = compare(one, chosen=np.arange(N) < 5)["good", "center"]
    assert (few.verdict, few.low, few.high) == ("too few", 1, 1)
    assert compare(one, chosen=np.arange(N) < 6)["good", "center"].verdict == "better"
    # Forty classes of one picture are one picture.
    alone = compare(one, pictures=np.zeros(N, int))["good", "center"]
    assert (alone.pictures, alone.low, alone.verdict) == (1, None, "too few")


def test_no_better_end_no_difference():
    one = column("", good=[2.0] * N, fair=[0.0] * N, center=[1.0] * N)
    assert compare(one) == {} and best_of(one, ROWS, EACH) is None
    nothing = column(good=[np.nan] * N, fair=[np.nan] * N, center=[np.nan] * N)
    assert compare(nothing) == {}


def test_in_words():
    same, worse = (column(good=[v] * N, fair=[v] * N, center=[1.0] * N) for v in (1.0, 0.0))
    columns = [same._replace(name="hits"), worse._replace(name="drop, %")]
    found = differences(columns, ROWS, "center", PICTURES, EACH, "all")
    assert in_words(found, ["good"], "all") == [
        "good: worse than center by 1 of 2, not different from center by 1 of 2 (hits)"
    ]
    assert in_words(found, ["good"], "small") == []
