"""Curves and their means."""

import csv
import io

import numpy as np

from saljax.evaluation import curves


def test_means_of_whole_curves_alone():
    values = np.asarray([[0.0, 1.0], [1.0, 3.0], [np.nan, 9.0]])
    means, errors, number = curves.mean(values)
    assert number == 2
    np.testing.assert_allclose(means, [0.5, 2.0])
    np.testing.assert_allclose(errors, [0.5, 1.0])
    assert curves.mean(values[:1])[2] == 1 and np.isnan(curves.mean(values[:1])[1]).all()
    assert curves.mean(values[2:])[2] == 0


def test_of_stored_values():
    stored = {
        "a": [{"insertion_curve": [0, 0.5, 1], "deletion_curve": [1, 0.5, 0]}, None],
        "failed": [None, None],
    }
    insertion, deletion = curves.insertion_deletion(stored, {})
    assert (insertion.name, deletion.name) == ("insertion", "deletion")
    np.testing.assert_allclose(deletion.at, [0, 0.5, 1])
    np.testing.assert_allclose(deletion.values["a"], [[1, 0.5, 0], [np.nan] * 3])
    assert deletion.values["failed"].shape == (2, 3)
    (of_shares,) = curves.faithfulness({"a": [[0.1, 0.9]]}, {"num_steps": 2})
    np.testing.assert_allclose(of_shares.at, [0.5, 1])


def test_comma_separated():
    curve = curves.Curve("IoU", "threshold", np.asarray([0.3, 0.5]), {})
    curve.values.update(a=np.asarray([[0.1, 0.2], [0.3, 0.2]]), failed=np.full((2, 2), np.nan))
    lines = list(csv.DictReader(io.StringIO(curves.comma_separated([curve]))))
    assert [(line["method"], line["at"], line["mean"]) for line in lines] == [
        ("a", "0.3", "0.2"),
        ("a", "0.5", "0.2"),
    ]
    assert lines[0]["standard_error"] == "0.1" and lines[1]["images"] == "2"
