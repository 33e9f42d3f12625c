"""Estimators with the interface of scikit-learn, on the host."""

import dataclasses
from typing import Any

import numpy as np

from saljax.core.host import from_callback
from saljax.core.types import ScoreFn


@dataclasses.dataclass(frozen=True)
class _Estimator:
    estimator: Any

    def __call__(self, images: np.ndarray) -> np.ndarray:
        return self.estimator.predict_proba(images.reshape(len(images), -1))


def from_sklearn(estimator: Any) -> ScoreFn:
    """Score function of a fitted classifier of scikit-learn, or of a pipeline that ends in one.

    Args:
        estimator: has `predict_proba`, of rows of features: the values of an image in the order
            (*spatial, C).

    Returns:
        Score function that gives probabilities, without a derivative.

    Raises:
        ValueError: it has no `predict_proba`, or was not fitted.
    """
    if not hasattr(estimator, "predict_proba"):
        raise ValueError(
            f"{type(estimator).__name__} has no predict_proba; "
            "sklearn.calibration.CalibratedClassifierCV(estimator) has."
        )
    if not hasattr(estimator, "classes_"):
        raise ValueError(f"{type(estimator).__name__} was not fitted yet.")
    return from_callback(_Estimator(estimator), len(estimator.classes_))
