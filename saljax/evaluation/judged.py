"""What is known of a case when its block is done."""

from typing import Any, NamedTuple

import numpy as np

from saljax.evaluation.blocks import Place
from saljax.evaluation.cases import Case


class Judged(NamedTuple):
    """What is known of one case.

    Attributes:
        case: the case.
        record: size, prediction, target, boxes in pixels of what the classifier sees.
        maps: row -> where its map lies, if it was kept.
        values: row -> metric -> its value, as `measures.to_json` gives it, under "value".
        seconds: row -> time its map took, where nothing was compiled meanwhile.
    """

    case: Case
    record: dict[str, Any]
    maps: dict[str, Place]
    values: dict[str, dict[str, Any]]
    seconds: dict[str, float]

    def pack(self) -> None:
        """Lists of numbers become arrays, of a quarter of their size."""
        for values in self.values.values():
            for one in values.values():
                one["value"] = _packed(one["value"])


def _packed(value: Any) -> Any:
    if isinstance(value, dict):
        return {name: _packed(part) for name, part in value.items()}
    return np.asarray(value, np.float64) if isinstance(value, list) else value
