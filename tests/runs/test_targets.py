"""Which classes the words of the command line mean."""

import numpy as np
import pytest

from saljax.runs.records import title
from saljax.runs.targets import chooser

LABELS = ("cat", "dog", "gray heron")
SCORES = np.array([0.2, 0.7, 0.1])


@pytest.mark.parametrize(
    ("wanted", "expected"),
    [
        ([], [1]),
        (["top-1"], [1]),
        (["top-3"], [1, 0, 2]),
        (["Top2"], [1, 0]),
        (["gray heron"], [2]),
        (["0"], [0]),
        (["cat", "top-1", "2"], [0, 1, 2]),
        (["dog,0,gray heron"], [1, 0, 2]),
    ],
)
def test_chosen(wanted, expected):
    assert chooser(wanted, LABELS)(SCORES).tolist() == expected


@pytest.mark.parametrize("wanted", ["top-0", "top-4", "top", "3", "-1", "horse", "", "cat,horse"])
def test_refused(wanted):
    with pytest.raises(ValueError) as caught:
        chooser([wanted], LABELS)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("probability", "shown"),
    [
        (0.5412, "54.1 %"),
        (1.0, "100.0 %"),
        (0.99999, "> 99.9 %"),
        (1e-6, "< 0.1 %"),
        (0.0, "0.0 %"),
    ],
)
def test_probabilities_are_never_rounded_to_certainty(probability, shown):
    assert title(np.array([probability]), 0, ("cat",)) == f"cat  {shown}"
