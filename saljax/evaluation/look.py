"""The first look at an image: what the classifier sees in it, the class explained, its boxes."""

import functools
import hashlib
from typing import Any

import jax
import numpy as np

from saljax import metrics
from saljax.data import boxes
from saljax.evaluation.batches import Batch
from saljax.evaluation.blocks import Block
from saljax.evaluation.cases import Complain, seen_boxes, seen_mask
from saljax.evaluation.judged import Judged
from saljax.evaluation.shared import Shared
from saljax.evaluation.study import Study
from saljax.runs import loop, records, store


class Look:
    """Finds or makes the record of each case.

    Attributes:
        made_from: a hash of what all records are made from.
    """

    def __init__(self, study: Study, shared: Shared, complain: Complain):
        self._study, self._shared, self._complain = study, shared, complain
        labels = list(study.classifier.labels)
        self.made_from = store.key(labels=labels, **shared.made_by)
        self._most_boxes = study.most_boxes
        self._is_small = jax.jit(
            jax.vmap(
                functools.partial(metrics.is_small, shape=study.classifier.about.input_shape[:2])
            )
        )

    def __call__(self, batch: Batch, block: Block) -> dict[int, Judged]:
        """What is known of each case that can be explained, by its place in the batch."""
        keys = {}
        for place, digest in batch.digests.items():
            case = batch.cases[place]
            keys[place] = store.key(
                shown=case.image,
                image=digest,
                corners=None if case.corners is None else case.corners.tolist(),
                classes=case.classes,
                size=case.size,
                target=self._study.wanted if case.target is None else case.target,
                **({"masks": case.masks_of} if case.masks_of else {}),
            )
        known = {place: block.get(key) for place, key in keys.items()}
        missing = [place for place, record in known.items() if record is None]
        readable = [place for place in missing if place in batch.pictures]
        if readable:
            rows = loop.score(self._shared.score_fns["probabilities"], batch.images[0])
            probabilities = np.asarray(loop.wait(rows))
            made = {place: self._record(batch, place, probabilities[place]) for place in readable}
            known |= made
            whole = {place: record for place, record in made.items() if record is not None}
            self._see_whether_small(batch, whole)
            for place, record in whole.items():
                block.put(keys[place], record)
        judged = {}
        for place, record in known.items():
            if record is not None:
                for problem in record["problems"]:
                    self._complain(str(batch.cases[place].path), problem)
                judged[place] = Judged(batch.cases[place], record, {}, {}, {})
        return judged

    def _record(self, batch: Batch, place: int, probabilities: np.ndarray) -> dict[str, Any] | None:
        case, known = batch.cases[place], self._study.classifier
        labels = known.labels
        if not np.isfinite(probabilities).all():
            self._complain(str(case.path), "the classifier's scores for it are not finite")
            return None
        target = self._study.choose(probabilities) if case.target is None else [case.target]
        own, picture = case.of_class(int(target[0])), batch.pictures[place]
        size, values = picture.size, picture.values
        seen = seen_boxes(own, size, self._study.framing)
        mask = seen_mask(own, self._study.framing) if len(seen.corners) else None
        masked = {} if mask is None else {"mask": hashlib.sha256(mask.tobytes()).hexdigest()[:16]}
        return {
            "image": case.image,
            "size": list(size),
            **({} if values is None else {"range": list(values)}),
            "prediction": records.classes(probabilities, records.ranked(probabilities)[:5], labels),
            "target": records.classes(probabilities, np.asarray(target), labels)[0],
            "boxes": seen.corners.tolist(),
            **masked,
            "lost": seen.lost,
            "of_others": len(case.classes) - len(own.classes),
            "problems": list(seen.problems),
        }

    def _see_whether_small(self, batch: Batch, made: dict[int, dict[str, Any]]) -> None:
        """Set "small"; None where there are no boxes."""
        if made:
            corners = {p: boxes.padded(one["boxes"], self._most_boxes) for p, one in made.items()}
            small = np.asarray(self._is_small(batch.everywhere(corners)))
            for place, record in made.items():
                record["small"] = bool(small[place]) if record["boxes"] else None
