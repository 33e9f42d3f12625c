"""The host loop of `saljax evaluate`: each map and each of its measurements once, whatever happens.

Everything that is known lies in small files, whole or not there, whose names carry a hash of what
they were made from. A run that was killed goes on from them; what did not change is not computed
again. Batches are cut from the list of cases, not from what is left to do, so a map comes out of
the same program at the same place of its batch whenever it is computed: bit for bit the same.
"""

import functools
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from saljax import metrics
from saljax.core.explain import explain
from saljax.data import boxes
from saljax.data.files import Range
from saljax.evaluation import costs
from saljax.evaluation.batches import Batch
from saljax.evaluation.cases import Case, Complain, seen_boxes
from saljax.evaluation.measures import Batched, Measure, to_json
from saljax.evaluation.rows import Row
from saljax.runs import devices, loop, records, store
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
        out: folder of the results.
        values: see `files.read_image`.
    """

    classifier: Classifier
    rows: Sequence[Row]
    measures: Sequence[Measure]
    cases: Sequence[Case]
    choose: Callable[[np.ndarray], np.ndarray]
    wanted: str
    seed: int
    batch_size: int
    out: Path
    values: Range | None = None


class Judged(NamedTuple):
    """What is known of one case.

    Attributes:
        case: the case.
        record: size, prediction, target, boxes in pixels of what the classifier sees.
        maps: row -> file of its map.
        values: row -> metric -> its value, as `measures.to_json` gives it, under "value".
        seconds: row -> time its map took, where nothing was compiled meanwhile.
    """

    case: Case
    record: dict[str, Any]
    maps: dict[str, Path]
    values: dict[str, dict[str, Any]]
    seconds: dict[str, float]


def evaluate(
    study: Study,
    complain: Complain,
    advance: Callable[..., None],
    note: Complain = lambda what, text: None,
) -> list[Judged]:
    """Explain and measure what has not been yet.

    Args:
        study: what is asked.
        complain: told of images, rows and metrics that fail; the others go on.
        advance: told how many maps more are there, and what is in `work`.
        note: told what was assumed of an image, and what costs much.

    Returns:
        What is known of each case that can be explained, in order.
    """
    for measure in study.measures:
        if measure.known.dear:
            asked = f"{len(study.rows)} methods, {len(study.cases)} images"
            note(measure.name, f"{measure.cost}; {asked}")
    working = functools.partial(advance, 0)
    run, found, size = _Run(study, complain, note, working), [], study.batch_size
    for start in range(0, len(study.cases), size):
        cases = study.cases[start : start + size]
        run.left = len(study.cases) - start
        batch = Batch(cases, size, study.classifier.about, complain, study.values, note)
        judged = run.look(batch)
        for row in study.rows:
            run.row(row, batch, judged)
            advance(len(cases))
        found += judged.values()
    return found


class _Run:
    """What batches share: weights on the devices, compiled programs, what has failed."""

    def __init__(self, study: Study, complain: Complain, note: Complain, working: Callable):
        self.study, self.complain, self.note, self.working = study, complain, note, working
        self.left, self.is_estimated = len(study.cases), False
        known = study.classifier
        score_fns = {"logits": known.logits, "probabilities": known.probabilities}
        self.score_fns = devices.replicate(score_fns, study.batch_size)
        self.made_by = known.record() | {"saljax": records.versions()["saljax"]}
        if study.values is not None:
            self.made_by["range"] = list(study.values)
        self.is_small = jax.jit(
            functools.partial(metrics.is_small, shape=known.about.input_shape[:2])
        )
        self.most_boxes = max([1, *(len(c.corners) for c in study.cases if c.corners is not None)])
        self.failed: set[Row | Measure] = set()
        self.compiled: set[str] = set()

    def look(self, batch: Batch) -> dict[int, Judged]:
        """Find or make the record of each case; by its place in the batch."""
        paths = {}
        for place, digest in batch.digests.items():
            case = batch.cases[place]
            made_from = store.key(
                image=digest,
                corners=None if case.corners is None else case.corners.tolist(),
                classes=case.classes,
                labels=list(self.study.classifier.labels),
                size=case.size,
                target=self.study.wanted if case.target is None else case.target,
                **self.made_by,
            )
            paths[place] = self.study.out / "images" / f"{case.name}-{made_from}.json"
        known = {place: store.read_json(path) for place, path in paths.items()}
        missing = [place for place, record in known.items() if record is None]
        readable = [place for place in missing if place in batch.pictures]
        if readable:
            rows = loop.score(self.score_fns["probabilities"], batch.images[0])
            probabilities = np.asarray(loop.wait(rows))
            for place in readable:
                record = known[place] = self.record(batch, place, probabilities[place])
                if record is not None:
                    store.write_json(paths[place], record)
        judged = {}
        for place, record in known.items():
            if record is not None:
                for problem in record["problems"]:
                    self.complain(str(batch.cases[place].path), problem)
                judged[place] = Judged(batch.cases[place], record, {}, {}, {})
        return judged

    def record(self, batch: Batch, place: int, probabilities: np.ndarray) -> dict | None:
        case, known = batch.cases[place], self.study.classifier
        about, labels = known.about, known.labels
        if not np.isfinite(probabilities).all():
            self.complain(str(case.path), "the classifier's scores for it are not finite")
            return None
        target = self.study.choose(probabilities) if case.target is None else [case.target]
        own, picture = case.of_class(int(target[0])), batch.pictures[place]
        size, values = picture.size, picture.values
        seen = seen_boxes(own, size, about.resize, about.crop)
        small = self.is_small(boxes.padded(seen.corners, self.most_boxes))
        return {
            "image": case.image,
            "size": list(size),
            **({} if values is None else {"range": list(values)}),
            "prediction": records.classes(probabilities, records.ranked(probabilities)[:5], labels),
            "target": records.classes(probabilities, np.asarray(target), labels)[0],
            "boxes": seen.corners.tolist(),
            "lost": seen.lost,
            "of_others": len(case.classes) - len(own.classes),
            "small": bool(small) if len(seen.corners) else None,
            "problems": seen.problems,
        }

    def row(self, row: Row, batch: Batch, judged: dict[int, Judged]) -> None:
        """Maps and measurements of one method for one batch."""
        if row in self.failed or not judged:
            return
        try:
            maps = self.explain(row, batch, judged)
        except ValueError as error:
            self.fail(row, error)
        else:
            self.measure(row, batch, judged, maps)

    def fail(self, what: Row | Measure, error: Exception) -> None:
        self.failed.add(what)
        self.complain(what.name, str(error))

    def explain(self, row: Row, batch: Batch, judged: dict[int, Judged]) -> dict[int, np.ndarray]:
        """Make the maps that are not there yet, and return these."""
        missing, maps = {}, {}
        for place, one in judged.items():
            made_from = store.key(
                image=batch.digests[place],
                target=one.record["target"]["index"],
                seed=self.study.seed if row.is_random else None,
                row=_but_memory(row.record()),
                **self.made_by,
            )
            path = self.study.out / "maps" / row.name / f"{one.case.name}-{made_from}.npy"
            if path.exists():
                one.maps[row.name] = path
            else:
                missing[place] = path
        if not missing:
            return {}
        (images, ids), targets = batch.images, _targets(batch, judged)
        self.estimate(images)
        self.working(work=f"{row.name}, {batch.cases[min(missing)].image}")
        key, score_fn = jax.random.key(self.study.seed), self.score_fns[row.explains]
        start = time.perf_counter()
        found = loop.wait(explain(row.method, score_fn, images, targets, key=key, ids=ids))
        seconds = (time.perf_counter() - start) / batch.size
        if found.shape != images.shape[:-1]:
            raise ValueError(f"its maps are {found.shape[1:]}, the images {images.shape[1:-1]}")
        for place, path in missing.items():
            one, saliency = judged[place], np.asarray(found[place])
            if not np.isfinite(saliency).all():
                self.complain(str(one.case.path), f"the map of {row.name} is not finite")
                continue
            store.write_array(path, saliency)
            one.maps[row.name], maps[place] = path, saliency
            if row.name in self.compiled:
                one.seconds[row.name] = seconds
        self.compiled.add(row.name)
        return maps

    def estimate(self, images: jax.Array) -> None:
        """Say once what is to come, when it turns out that something is."""
        if not self.is_estimated:
            self.is_estimated = True
            asked = self.study.measures, len(self.study.rows), self.left
            self.note("metrics", costs.estimate(*asked, self.score_fns["logits"], images[:1]))

    def measure(
        self, row: Row, batch: Batch, judged: dict[int, Judged], maps: dict[int, np.ndarray]
    ) -> None:
        """Take the measurements that are not there yet."""
        judged = {place: one for place, one in judged.items() if row.name in one.maps}
        files = {
            place: self.study.out / "values" / row.name / f"{one.maps[row.name].stem}.json"
            for place, one in judged.items()
        }
        for place, one in judged.items():
            known = store.read_json(files[place]) or {"values": {}}
            one.values[row.name] = known["values"]
            if "seconds" in known:
                one.seconds[row.name] = known["seconds"]
        changed = set()
        for measure in self.study.measures:
            if measure not in self.failed:
                try:
                    changed |= self.take(measure, row, batch, judged, maps)
                except ValueError as error:
                    self.fail(measure, error)
        for place in changed:
            one = judged[place]
            timed = {"seconds": one.seconds[row.name]} if row.name in one.seconds else {}
            store.write_json(files[place], timed | {"values": one.values[row.name]}, None)

    def take(
        self,
        measure: Measure,
        row: Row,
        batch: Batch,
        judged: dict[int, Judged],
        maps: dict[int, np.ndarray],
    ) -> set[int]:
        """Take one measurement where it is not there yet, as one program; say where that was."""
        of_boxes = measure.known.needs == "boxes"
        seed = {"seed": self.study.seed} if measure.is_random else {}
        source = {"source": measure.source} if measure.source else {}
        keys = {
            place: store.key(
                boxes=one.record["boxes"] if of_boxes else None,
                settings=_but_memory(measure.settings()),
                **seed,
                **source,
            )
            for place, one in judged.items()
            if one.record["boxes"] or not of_boxes
        }
        entries = {place: judged[place].values[row.name] for place in keys}
        missing = {
            place
            for place, made_from in keys.items()
            if entries[place].get(measure.name, {}).get("key") != made_from
        }
        if not missing:
            return missing
        self.working(work=f"{row.name}, {batch.cases[min(missing)].image}: {measure.name}")
        for place, one in judged.items():
            if place not in maps:
                maps[place] = store.read_array(one.maps[row.name])
        corners = {
            p: boxes.padded(one.record["boxes"], self.most_boxes) for p, one in judged.items()
        }
        arrays = devices.shard(
            (_targets(batch, judged), batch.everywhere(maps), batch.everywhere(corners))
        )
        given: dict[str, Any] = {}
        if measure.known.needs in ("classifier", "method"):
            given = {
                "images": batch.images[0],
                "score_fn": self.score_fns[measure.known.scores],
                "key": jax.random.key(self.study.seed),
            }
        if measure.known.needs == "method":
            given |= {"method": row.method, "explained": self.score_fns[row.explains]}
        found = measure.program(Batched(*arrays, **given))
        found = jax.tree.map(lambda array: np.asarray(loop.wait(array)), found)
        for place in missing:
            value = to_json(jax.tree.map(lambda array, place=place: array[place], found))
            entries[place][measure.name] = {"key": keys[place], "value": value}
        return missing


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
