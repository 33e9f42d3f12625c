"""The work of `saljax explain`: each picture explained, drawn and written, and perhaps checked."""

import functools
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import numpy as np

from saljax.cli.asked import Run
from saljax.cli.console import described
from saljax.cli.pictures import Pictures
from saljax.runs import cost, records, store
from saljax.runs.inputs import Input
from saljax.runs.kept import Work
from saljax.runs.loop import Ask, ChooseTargets, Explained, explain_all
from saljax.runs.reading import Reading
from saljax.runs.sanity import Sanity


class Job(NamedTuple):
    """Pictures to explain.

    Attributes:
        out: folder of what is written.
        run: what is done with each.
        asks: the methods.
        work: which pictures, and which of them are explained already.
        reading: reads them.
        drawings: draws them.
        complain: told of a picture with which something is wrong, and what.
        tell: told what was done.
    """

    out: Path
    run: Run
    asks: Sequence[Ask]
    work: Work
    reading: Reading
    drawings: Pictures
    complain: Callable[[Path, str], None]
    tell: Callable[[str], None]

    def explain(
        self,
        choose: ChooseTargets,
        batch_size: int,
        key: jax.Array,
        advance: Callable[..., None],
        warn: Callable[[str], None] | None,
    ) -> None:
        """Explain what is not there yet.

        Args:
            choose: the targets of an image.
            batch_size: images in one call.
            key: of methods that draw at random.
            advance: of `progress.progress`.
            warn: told beforehand how long it may take, where that is long; None: nobody counts,
                which takes seconds where methods read a large classifier.
        """
        todo, known = self.work.todo, self.run.known

        def foretell(warn: Callable[[str], None], seconds: float, number: int) -> None:
            passes = cost.passes(self.asks, known.probabilities, known.about.input_shape, number)
            expected = passes * seconds
            first = next(iter(self.reading.taken))
            advance(0, work=self.work.paths[first].name, expected=expected)
            if expected * len(todo) > cost.LONG:
                warn(cost.said(passes, expected, len(todo)))

        images = self.reading.all(todo, advance)
        asked = self.asks, known.probabilities, images, choose
        timed = None if warn is None else functools.partial(foretell, warn)
        for result in explain_all(*asked, batch_size=batch_size, key=key, timed=timed):
            advance()
            self._write(result, self.reading.taken.pop(result.name))

    def _write(self, result: Explained, image: Input) -> None:
        """Draw and write one explanation."""
        name, path = result.name, self.work.paths[result.name]
        if result.problem:
            self.complain(path, result.problem)
            return
        record = self.run.record(path, image, result) | {"made_from": self.work.made_from[name]}
        try:
            self.drawings.add(name, image, result.saliency, record)
            store.write_array(self.out / f"{name}.npy", records.squeezed(result.saliency))
            store.write_json(self.out / f"{name}.json", record)
        except OSError as error:
            if error.errno not in store.OF_NAMES:
                raise
            self.drawings.forget(name)
            self.complain(path, described(error))
        else:
            self.tell(f"{path}: {self.run.said(record)} -> {self.drawings.path(name)}")

    def read_again(self, name: str) -> tuple[Input, np.ndarray, dict[str, Any]] | None:
        """The picture, maps and record of what was explained; None after a complaint."""
        if (image := self.reading.one(name)) is None:
            return None
        record = store.read_json(self.out / f"{name}.json") or {}
        maps = store.read_array(self.out / f"{name}.npy")
        return image, self.run.maps(maps, record, image.image.ndim - 1), record

    def unchecked(self) -> list[str]:
        """Names of explanations of which `check` has not been asked yet, or not of this one."""
        explained = [n for n in self.work.paths if (self.out / f"{n}.json").exists()]
        there = {n: store.read_json(self.out / f"{n}.sanity.json") or {} for n in explained}
        return [n for n in explained if there[n].get("made_from") != self.work.made_from[n]]

    def check(self, name: str, sanity: Sanity) -> None:
        """See what the methods make of the classifier with random layers."""
        if (there := self.read_again(name)) is None:
            return
        image, maps, record = there
        target = record["targets"][0]["index"]
        steps = sanity.steps(image.image, target, maps[:, 0])
        path = self.drawings.add_sanity(name, image, maps[:, 0], record, steps)
        methods = self.run.captions or [self.run.rows[0].name]
        ranks = [
            f"{method} {own[0].rank}, {own[-1].rank}"
            for method, own in zip(methods, steps, strict=True)
        ]
        which = "rank correlation with the map of a random last layer, and of random weights"
        said = f"{which}: {'; '.join(ranks)}"
        if any(np.isnan(step.spearman) for own in steps for step in own):
            said += " (\u2013: a map is the same everywhere, and says nothing)"
        self.tell(f"{self.work.paths[name]}: {said} -> {path}")
