"""What `saljax evaluate` is asked: methods, metrics, pictures, and how they are cut into blocks."""

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import NamedTuple

import numpy as np

from saljax.data.files import Range
from saljax.evaluation import blocks
from saljax.evaluation.cases import Case
from saljax.evaluation.measures import Measure
from saljax.evaluation.rows import Row
from saljax.runs import inputs
from saljax.runs.classifier import Classifier


class Study(NamedTuple):
    """What is asked.

    Attributes:
        classifier: to be explained.
        rows: methods to compare.
        measures: metrics of their maps.
        cases: pictures and classes.
        choose: scores (K,) -> (1,) class index, for cases without one.
        wanted: the words that `choose` came from.
        seed: of methods that draw at random.
        batch_size: images in one call.
        block_size: cases in one file of results, a multiple of `batch_size`.
        out: folder of the results.
        framing: how pictures are framed for the classifier.
        values: see `files.read_image`.
        shard: which blocks are worked at, see `blocks.numbered`.
        keep: what is kept of maps.
    """

    classifier: Classifier
    rows: Sequence[Row]
    measures: Sequence[Measure]
    cases: Sequence[Case]
    choose: Callable[[np.ndarray], np.ndarray]
    wanted: str
    seed: int
    batch_size: int
    block_size: int
    out: Path
    framing: inputs.Framing
    values: Range | None = None
    shard: tuple[int, int] = (0, 1)
    keep: blocks.Keep = "float32"

    @property
    def blocks(self) -> list[int]:
        """Numbers of the blocks to be worked at."""
        return blocks.numbered(len(self.cases), self.block_size, self.shard)

    def cases_of(self, number: int) -> Sequence[Case]:
        """The cases of a block."""
        return self.cases[number * self.block_size : (number + 1) * self.block_size]

    def read(self, case: Case) -> inputs.Input:
        """A picture as the classifier sees it, and as people do; see `inputs.read`."""
        resize, crop, padded = self.framing
        shape = self.classifier.about.input_shape
        return inputs.read(case.path, shape, resize, crop, self.values, padded, case.content)

    @property
    def has_masks(self) -> bool:
        """Objects of some cases have masks."""
        return any(one.masks_of for one in self.cases)

    @property
    def most_boxes(self) -> int:
        """Of a case, at least one: programs are compiled for as many."""
        return max([1, *(len(one.corners) for one in self.cases if one.corners is not None)])
