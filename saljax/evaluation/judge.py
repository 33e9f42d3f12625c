"""Maps of a method, and their measurements: what is not there yet, of one batch."""

import time
from collections.abc import Callable
from typing import Any

import jax
import numpy as np

from saljax.core.explain import explain
from saljax.data import boxes
from saljax.evaluation import costs
from saljax.evaluation.batches import Batch
from saljax.evaluation.blocks import Block, Entry
from saljax.evaluation.cases import Complain, seen_mask
from saljax.evaluation.judged import Judged
from saljax.evaluation.measures import Batched, Measure, to_json
from saljax.evaluation.rows import Row
from saljax.evaluation.shared import Shared
from saljax.evaluation.study import Study
from saljax.ops import boxes as box_ops
from saljax.runs import devices, loop, store


class Judge:
    """Explains and measures; what fails is said once and left out from then on.

    Attributes:
        left: cases that are still to come, for the estimate of the costs.
        measured_by: measure -> a hash of what its values are made from, but for the maps.
    """

    def __init__(
        self, study: Study, shared: Shared, complain: Complain, note: Complain, working: Callable
    ):
        self._study, self._score_fns, self._made_by = study, shared.score_fns, shared.made_by
        self._complain, self._note, self._working = complain, note, working
        self._most_boxes, self._has_masks = study.most_boxes, study.has_masks
        shape = study.classifier.about.input_shape[:-1]
        self._inside = jax.jit(jax.vmap(lambda corners: box_ops.inside_boxes(corners, shape)))
        self._failed: set[Row | Measure] = set()
        self._compiled: set[str] = set()
        self._is_estimated, self.left = False, len(study.cases)
        self._batch: Batch | None = None
        self.measured_by = {
            measure: store.key(
                settings=_but_memory(measure.settings()),
                seed=study.seed if measure.is_random else None,
                source=measure.source,
            )
            for measure in study.measures
        }

    def made_from(self, row: Row) -> str:
        """A hash of what all maps of a method are made from, but for the image."""
        seed = self._study.seed if row.is_random else None
        rounded = {"kept": "float16"} if self._study.keep == "float16" else {}
        return store.key(seed=seed, row=_but_memory(row.record()), **rounded, **self._made_by)

    def __call__(self, row: Row, batch: Batch, judged: dict[int, Judged], block: Block) -> bool:
        """Maps and measurements of one method for one batch; whether there was anything to do."""
        if row in self._failed or not judged:
            return False
        self._begin(batch, judged)
        keys = {
            place: store.key(
                shown=one.case.image,  # two that are alike may have different boxes
                image=batch.digests[place],
                target=one.record["target"]["index"],
            )
            for place, one in judged.items()
        }
        entries = {place: block.get(key) for place, key in keys.items()}
        missing = {
            place for place, entry in entries.items() if self._lacks_map(judged[place], entry)
        }
        maps: dict[int, np.ndarray] = {}
        if missing:
            try:
                maps, seconds = self._explain(row, batch, judged, missing)
            except ValueError as error:
                self._fail(row, error)
                return True
            for place, saliency in maps.items():
                if entries[place] is None:
                    entry: Entry = {"values": {}}
                    entry |= {"seconds": seconds} if row.name in self._compiled else {}
                    block.put(keys[place], entry, saliency)
                    entries[place] = entry
                    if "map" in entry:
                        maps[place] = block.map(entry)
            self._compiled.add(row.name)
        known = {place: entry for place, entry in entries.items() if entry is not None}
        of_row = _Maps(batch, block, maps)
        worked = bool(missing)
        for measure in self._study.measures:
            if measure not in self._failed:
                try:
                    worked |= self._measure(measure, row, batch, judged, known, of_row, block)
                except ValueError as error:
                    self._fail(measure, error)
        for place, entry in known.items():
            one, where = judged[place], block.place(entry)
            one.values[row.name] = entry["values"]
            one.maps.update({} if where is None else {row.name: where})
            one.seconds.update({row.name: entry["seconds"]} if "seconds" in entry else {})
        return worked

    def _begin(self, batch: Batch, judged: dict[int, Judged]) -> None:
        """Make what is the same for all methods and metrics of a batch."""
        if self._batch is batch:
            return
        found = {
            p: boxes.padded(one.record["boxes"], self._most_boxes) for p, one in judged.items()
        }
        self._batch, self._keys = batch, dict[tuple[str, str], str]()
        self._targets, self._corners = _targets(batch, judged), batch.everywhere(found)

    def _lacks_map(self, one: Judged, entry: Entry | None) -> bool:
        """Whether a map has to be made: it was never, or it was not kept and is asked for again."""
        if entry is None:
            return True
        asked = (m for m in self._study.measures if m not in self._failed)
        return "map" not in entry and any(self._due(measure, one, entry) for measure in asked)

    def _due(self, measure: Measure, one: Judged, entry: Entry) -> str | None:
        """A hash of what a measurement is made from; None where it is there, or cannot be taken."""
        of_boxes = measure.known.needs == "boxes"
        if of_boxes and not one.record["boxes"]:
            return None
        made_from = self.measured_by[measure]
        if of_boxes:
            of_case = measure.name, one.case.name
            if of_case not in self._keys:
                mask = one.record.get("mask") if measure.known.by_mask else None
                masked = {"mask": mask} if mask else {}
                seen = {"boxes": one.record["boxes"], "by": made_from} | masked
                self._keys[of_case] = store.key(**seen)
            made_from = self._keys[of_case]
        there = entry["values"].get(measure.name, {}).get("key")
        return None if there == made_from else made_from

    def _fail(self, what: Row | Measure, error: Exception) -> None:
        self._failed.add(what)
        self._complain(what.name, str(error))

    def _explain(
        self, row: Row, batch: Batch, judged: dict[int, Judged], missing: set[int]
    ) -> tuple[dict[int, np.ndarray], float]:
        """Maps of those places where they are finite, and seconds an image."""
        images, ids = batch.images
        self._estimate(images)
        self._working(work=f"{row.name}, {batch.cases[min(missing)].image}")
        key, score_fn = jax.random.key(self._study.seed), self._score_fns[row.explains]
        start = time.perf_counter()
        found = np.asarray(
            loop.wait(explain(row.method, score_fn, images, self._targets, key=key, ids=ids))
        )
        seconds = (time.perf_counter() - start) / batch.size
        if found.shape != images.shape[:-1]:
            raise ValueError(f"its maps are {found.shape[1:]}, the images {images.shape[1:-1]}")
        maps = {}
        for place in sorted(missing):
            saliency = found[place]
            if np.isfinite(saliency).all():
                maps[place] = saliency
            else:
                problem = f"the map of {row.name} is not finite"
                self._complain(str(judged[place].case.path), problem)
        return maps, seconds

    def _estimate(self, images: jax.Array) -> None:
        """Say once what is to come, when it turns out that something is."""
        if not self._is_estimated:
            self._is_estimated = True
            asked = self._study.rows, self._study.measures, self.left
            self._note("in all", costs.estimate(*asked, self._score_fns, images[:1]))

    def _measure(
        self,
        measure: Measure,
        row: Row,
        batch: Batch,
        judged: dict[int, Judged],
        known: dict[int, Entry],
        maps: "_Maps",
        block: Block,
    ) -> bool:
        """Take one measurement where it is not there yet, as one program; whether it was so."""
        due = {place: self._due(measure, judged[place], entry) for place, entry in known.items()}
        due = {place: key for place, key in due.items() if key is not None}
        if not due:
            return False
        self._working(work=f"{row.name}, {batch.cases[min(due)].image}: {measure.name}")
        objects = self._corners
        if self._has_masks and measure.known.by_mask:
            objects = self._masks(batch, judged, objects)
        saliencies = maps.of({place: known[place] for place in due})
        arrays = devices.shard((self._targets, saliencies, objects))
        given: dict[str, Any] = {}
        if measure.known.needs in ("classifier", "method"):
            given = {
                "images": batch.images[0],
                "score_fn": self._score_fns[measure.known.scores],
                "key": jax.random.key(self._study.seed),
            }
        if measure.known.needs == "method":
            given |= {"method": row.method, "explained": self._score_fns[row.explains]}
        found = measure.program(Batched(*arrays, **given))
        values = to_json(jax.tree.map(lambda array: np.asarray(loop.wait(array)), found))
        for place, made_from in due.items():
            known[place]["values"][measure.name] = {"key": made_from, "value": values[place]}
        block.change()
        return True

    def _masks(self, batch: Batch, judged: dict[int, Judged], corners: np.ndarray) -> np.ndarray:
        """(N, H, W), the pixels of the objects, or of their boxes where there is no mask."""
        found = np.array(self._inside(corners))
        for place, one in judged.items():
            if one.record.get("mask") is None:
                continue
            if place not in batch.masks:
                own = one.case.of_class(one.record["target"]["index"])
                batch.masks[place] = seen_mask(own, self._study.framing)
            if (mask := batch.masks[place]) is not None:
                found[place] = mask
        return found


class _Maps:
    """Maps of one method for one batch, those that are there and those that have to be read."""

    def __init__(self, batch: Batch, block: Block, maps: dict[int, np.ndarray]):
        self._batch, self._block, self._maps = batch, block, maps
        self._together: np.ndarray | None = None

    def of(self, entries: dict[int, Entry]) -> np.ndarray:
        """(N, *spatial), with the maps of these entries in their places."""
        read = {p: self._block.map(entry) for p, entry in entries.items() if p not in self._maps}
        if read or self._together is None:
            self._maps |= read
            self._together = self._batch.everywhere(self._maps)
        return self._together


def _targets(batch: Batch, judged: dict[int, Judged]) -> np.ndarray:
    """(N,) class indices."""
    indices = {place: one.record["target"]["index"] for place, one in judged.items()}
    return batch.everywhere(indices).astype(np.int32)


def _but_memory(record: dict[str, Any]) -> dict[str, Any]:
    """Without `chunk_size`, which never changes a result."""
    return {
        name: _but_memory(value) if isinstance(value, dict) else value
        for name, value in record.items()
        if name != "chunk_size"
    }
