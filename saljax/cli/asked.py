"""The methods that `saljax explain` was asked for, from the words of its command line."""

import itertools
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any, NamedTuple

import jax
import jax.numpy as jnp
import numpy as np

from saljax.evaluation import rows as of_table
from saljax.evaluation import tfds_cases
from saljax.evaluation.rows import Row
from saljax.runs import inputs, methods, records
from saljax.runs.classifier import Classifier
from saljax.runs.hyperparameters import configure, in_effect, named, said_of_sigma
from saljax.runs.loop import Ask, Explained


def rows(
    names: Sequence[str],
    texts: Sequence[str],
    given: Mapping[str, Any],
    layer: str | None,
    chosen: bool,
) -> list[Row]:
    """Configured methods.

    Args:
        names: of methods, as `evaluation.rows.rows` has them.
        texts: what `--set` was given.
        given: hyperparameters that were options of their own, where there is one method.
        layer: that the classifier names.
        chosen: by whoever asks; else they are those of `methods.default`, set as they are there.

    Raises:
        ValueError: a name or a setting that is not known, or a name twice.
    """
    settings = dict(of_table.settings(texts))
    called = [name.partition("=")[0] for name in names]
    for name in settings:
        named(name, called, "method asked for")
    if len(names) == 1 and "=" not in names[0]:
        (name,) = names
        known = methods.known(name)
        keywords = of_table.keywords(known.function, settings.get(name, {}), name)
        return [Row(name, name, configure(known, dict(given) | keywords, layer))]
    if not chosen:
        settings |= {n: {**methods.default_settings(n), **settings.get(n, {})} for n in names}
    return of_table.rows(",".join(names), settings, layer, references=False)


def of_tfds(data: Path, number: int | None) -> inputs.Contents:
    """The first pictures of a data set, all if None; ValueError where it cannot be opened."""
    if not str(data).startswith(tfds_cases.PREFIX):
        raise ValueError(f"--data {data}: expected tfds:NAME; folders are IMAGES, without --data")
    return dict(itertools.islice(tfds_cases.pictures(data), number))


def willing(found: Sequence[Row], known: Classifier, say: Callable[[str], None]) -> list[Row]:
    """Those of the default methods that this classifier does not refuse; the last word is theirs.

    Args:
        found: rows.
        known: the classifier.
        say: told which are left out, and why.

    Returns:
        At least one row.
    """
    image = jax.ShapeDtypeStruct(known.about.input_shape, jnp.float32)
    kept, refusals = [], []
    for row in found if len(found) > 1 else ():
        subject = ask(row, known).explained or known.probabilities
        try:
            jax.eval_shape(lambda x, row=row, f=subject: row.method(f, x, jnp.int32(0)), image)
        except ValueError as error:
            refusals.append(f"{row.name} is left out: {error}")
        else:
            kept.append(row)
    for refusal in refusals if kept else ():
        say(refusal)
    return kept or list(found)


def ask(row: Row, known: Classifier) -> Ask:
    """What the loop is to ask."""
    one_class = row.is_reference or methods.known(row.kind).one_class
    return Ask(row.method, known.logits if row.explains == "logits" else None, one_class)


class Run(NamedTuple):
    """What a run does with each image, and what it says of it.

    Attributes:
        rows: configured methods.
        known: the classifier.
        framing: of pictures.
        sigmas: what all sigmas of a single method are set to, one after the other.
        seed: of methods that draw at random.
    """

    rows: Sequence[Row]
    known: Classifier
    framing: inputs.Framing
    sigmas: tuple[float, ...]
    seed: int

    def decides(self) -> dict[str, Any]:
        """What of it decides what the maps are."""
        return {
            **decides(self.rows),
            **self.known.record(),
            **self.framing.record(),
            "sigmas": self.sigmas,
            "seed": self.seed,
            "labels": list(self.known.labels),
            "saljax": records.versions()["saljax"],
        }

    def record(self, path: Path, image: inputs.Input, result: Explained) -> dict[str, Any]:
        """What is written down about one image."""
        spatial, labels = image.image.shape[:-1], self.known.labels
        first = "sigma" if self.sigmas else "method"
        made_by = record(self.rows, spatial)
        if self.sigmas:
            method = self.rows[0].method
            made_by["hyperparameters"] = in_effect(method, self.sigmas, spatial)
        return {
            **records.of_image(path, image.size, image.values, result, labels, first),
            **records.of_frame(image.crop, self.framing.record()),
            **records.of_run(made_by, self.known.record(), self.seed),
        }

    def maps(self, squeezed: np.ndarray, record: Mapping[str, Any], rank: int) -> np.ndarray:
        """Maps (M, T, *spatial) of `rank` spatial axes from what was written."""
        shape = (len(self.sigmas) or len(self.rows), len(record["targets"]))
        return squeezed.reshape(*shape, *squeezed.shape[-rank:])

    def said(self, record: Mapping[str, Any]) -> str:
        """The classes that were explained, in a line."""
        titles = [records.title_of(t["class"], t["probability"]) for t in record["targets"]]
        other = self.other_side(record)
        return ", ".join(titles[:5]) + (f" ({other})" if other else "")

    def other_side(self, record: Mapping[str, Any]) -> str:
        """See `records.other_side`; "" where there are more than two classes."""
        return records.other_side(record) if self.known.one_logit else ""

    @property
    def captions(self) -> list[str]:
        """One for each of several maps."""
        if len(self.rows) > 1:
            return [row.name for row in self.rows]
        method, spatial = self.rows[0].method, self.known.about.input_shape[:-1]
        return [said_of_sigma(method, sigma, spatial) for sigma in self.sigmas]

    @property
    def advice(self) -> list[str]:
        """What is known of these methods on such classifiers, and not what was asked for."""
        shape = self.known.about.input_shape
        rows = [] if self.sigmas else self.rows
        return list(filter(None, (methods.advice(row.kind, row.method, shape) for row in rows)))

    @property
    def detail(self) -> str:
        """What is the same for all maps."""
        own = [self.rows[0].name] if len(self.rows) == 1 else []
        return ", ".join([*own, self.known.about.name])

    @property
    def signed(self) -> list[bool | None]:
        """See `signed`, of each map."""
        return [signed(row) for row in self.rows] * (len(self.sigmas) or 1)


def signed(row: Row) -> bool | None:
    """Whether its maps are drawn around zero; None where their values say so."""
    return False if row.is_reference else methods.known(row.kind).signed


def decides(found: Sequence[Row]) -> dict[str, Any]:
    """What of them decides what the maps are; `chunk_size` never does."""
    said = record(found)
    for one in said.get("methods", {"": said}).values():
        one["hyperparameters"].pop("chunk_size", None)
    return said


def record(found: Sequence[Row], spatial: Sequence[int] | None = None) -> dict[str, Any]:
    """What a record says of them, for images of one shape."""
    if len(found) == 1:
        return found[0].record(spatial)
    return {"methods": {row.name: row.record(spatial) for row in found}}
