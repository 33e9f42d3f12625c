"""Explainers that learned, as files: weights as safetensors, and a record of what they are."""

import functools
import json
import os
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from importlib import resources
from pathlib import Path
from typing import Any

import jax

from saljax.core.types import ScoreFn
from saljax.methods.learned.explainer import Fit, fingerprint
from saljax.methods.learned.kinds import KINDS, blank
from saljax.models import weights
from saljax.runs import methods, records
from saljax.runs.classifier import Classifier

FORMAT = 1
"""Of the record; goes up when an older saljax could no longer read it."""

_WRITTEN_BY = "expected a file of saljax.save_explainer, or of `saljax train dre`"


def save_explainer(
    explainer: Any, path: str | os.PathLike, *, training: Mapping[str, Any] | None = None
) -> None:
    """Write an explainer as safetensors, its record in the file's header; nothing is pickled.

    Args:
        explainer: of `saljax.train_dre`, `train_masking_model` or `train_variational`.
        path: where to; ends in `.safetensors`.
        training: how it was trained, as JSON, to be read by people.

    Raises:
        ValueError: it is no explainer, or `path` does not end in `.safetensors`.
        OSError: the folder does not exist or cannot be written.
    """
    record = {
        "format": FORMAT,
        "kind": kind_of(explainer),
        "settings": dict(explainer.settings),
        "fit": asdict(explainer.fit),
        "training": training,
        "versions": records.versions(),
    }
    # One entry: several come in any order, and the same explainer would be another file.
    weights.write(path, weights.parameters(explainer), {"explainer": json.dumps(record)})


def load_explainer(path: str | os.PathLike) -> Any:
    """Read an explainer.

    Args:
        path: file that `save_explainer` wrote.

    Returns:
        The explainer, a function of (score_fn, image, target).

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is damaged, is something else, or was written by a later saljax.
    """
    path = Path(path)
    tensors = weights.read(path)
    record = read_record(path)
    try:
        fit = {n: _tuples(value) for n, value in record["fit"].items()}
        settings = {n: _tuples(value) for n, value in record["settings"].items()}
        empty = blank(KINDS[record["kind"]], Fit(**fit), settings)
        return weights.assign(empty, tensors)
    except (AttributeError, KeyError, TypeError, ValueError) as error:
        reason = str(error).splitlines()[0]
        raise ValueError(f"{path}: damaged; its record and weights do not fit ({reason})") from None


def read_record(path: str | os.PathLike) -> dict[str, Any]:
    """What is known of the explainer in a file: kind, settings, fit, how it was trained, versions.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it holds no explainer, or one of a later saljax.
    """
    try:
        record = json.loads(weights.metadata(path)["explainer"])
        version = record["format"]
    except (KeyError, TypeError, ValueError):
        raise ValueError(f"{path}: holds no explainer; {_WRITTEN_BY}") from None
    if version != FORMAT:
        raise ValueError(
            f"{path}: an explainer in format {version}, this saljax reads format {FORMAT}; install "
            "the newest, or train it again"
        )
    return record


def kind_of(explainer: Any) -> str:
    """The name of its kind; ValueError for what is no explainer."""
    for name, kind in KINDS.items():
        if kind.explainer is type(explainer):
            return name
    raise ValueError(
        f"expected an explainer of saljax.train_dre or one of its kind; got "
        f"{type(explainer).__name__}"
    )


def check(explainer: Any, score_fn: ScoreFn) -> None:
    """Refuse a classifier that an explainer was not trained for.

    Raises:
        ValueError: the classifier has other weights.
    """
    if fingerprint(score_fn) != explainer.fit.fingerprint:
        raise ValueError(
            "the explainer was trained for another classifier, or other weights of it; train one "
            "for this"
        )


@dataclass(frozen=True, eq=False)
class File:
    """Where an explainer came from. To the compiler all are alike: they share its programs."""

    name: str
    sha256: str

    def __eq__(self, other: object) -> bool:
        return isinstance(other, File)

    def __hash__(self) -> int:
        return 0


@jax.tree_util.register_dataclass
@dataclass(frozen=True)
class Filed:
    """An explainer, and the file it came from."""

    explainer: Any
    file: File = field(metadata={"static": True})

    def __call__(self, *asked: Any, **keywords: Any) -> Any:
        """As the explainer."""
        return self.explainer(*asked, **keywords)

    def as_json(self) -> dict[str, str]:
        """How a record names it."""
        return {"file": self.file.name, "sha256": self.file.sha256}


def equipped(method: functools.partial, name: str, classifier: Classifier) -> functools.partial:
    """The method with the explainer whose file it was given, or with the one that is bundled.

    Args:
        method: configured.
        name: in the table of methods; of one that asks no explainer nothing changes.
        classifier: that is explained.

    Raises:
        ValueError: the file holds no explainer of this kind for this classifier; or none was given
            and none is bundled.
        OSError: it cannot be read.
    """
    asked = methods.known(name).learned
    given = {keyword: method.keywords.get(keyword) for keyword in asked}
    read = {
        keyword: _read(given[keyword], kind, classifier)
        for keyword, kind in asked.items()
        if given[keyword] is not None or keyword == "explainer"
    }
    return functools.partial(method.func, **method.keywords | read)


def _read(given: str | None, kind: str, classifier: Classifier) -> Filed:
    about = classifier.about
    bundled = resources.files("saljax") / "assets" / f"{about.name}_{kind}.safetensors"
    path = Path(given or str(bundled))
    of_weights = "" if classifier.weights is None else f" --weights {classifier.weights}"
    how = f"saljax train {kind.replace('_', '-')} --model {about.name}{of_weights} --data PICTURES"
    if given is None and (classifier.weights is not None or not path.exists()):
        raise ValueError(f"no explainer comes with {about.name}; train one: {how}")
    explainer = load_explainer(path)
    if kind_of(explainer) != kind:
        raise ValueError(f"{path}: holds an explainer for {kind_of(explainer)}, not for {kind}")
    try:
        check(explainer, classifier.logits)
    except ValueError as error:
        raise ValueError(f"{path}: {error}: {how}") from None
    return Filed(explainer, File(path.name, records.sha256(path)))


def _tuples(value: Any) -> Any:
    return tuple(_tuples(part) for part in value) if isinstance(value, list) else value
