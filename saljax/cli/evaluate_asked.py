"""What `saljax evaluate` is asked, from its options."""

from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import jax

from saljax.cli.console import fetching, say
from saljax.data.annotations import tfds_boxes
from saljax.evaluation import blocks, cases, measures, rows, tfds_cases
from saljax.evaluation.cases import Complain
from saljax.evaluation.study import Study
from saljax.runs import classifier, inputs, store, targets
from saljax.runs.hyperparameters import named


def study(
    complain: Complain,
    note: Callable[[Any, str], None],
    *,
    data: Path,
    boxes: Path | None,
    boxes_format: Any,
    split: str | None,
    model: str,
    weights: Path | None,
    input_size: Sequence[int] | None,
    labels: Path | None,
    precision: str,
    methods: str,
    metrics: str | None,
    texts: Sequence[str],
    target: str | None,
    number: int | None,
    references: bool,
    keep_maps: Any,
    shard: tuple[int, int] | None,
    block_size: int | None,
    seed: int,
    batch_size: int | None,
    values: tuple[float, float] | None,
    crop: str | None,
    short_side: int | None,
    out: Path,
) -> tuple[Study, str]:
    """Look for everything that the options name, before any work.

    `complain` is told of pictures that are passed over, `note` what was assumed.

    Returns:
        What is asked, and which class is explained, `label` or as it was given.

    Raises:
        ValueError, OSError: something is not there, or is not what it should be.
    """
    settings = rows.settings(texts)
    about = classifier.info(model, input_size)
    if about.resize is None:
        raise ValueError(f"{model} takes no pictures; saljax evaluate compares on pictures")
    framing = inputs.framing(about, crop, short_side)
    annotated = _of_tfds(data, boxes)
    if split and boxes is None:
        raise ValueError("--split: only --boxes of a data set says which pictures are of one")
    has_boxes = annotated.has_boxes if annotated else boxes is not None
    own: dict[str, Any] = {"input_size": input_size, "names": labels, "precision": precision}
    known = classifier.load(model, weights, fetching, say, **own)
    compared = rows.rows(methods, settings, about.layer, references)
    compared = [row.equipped(known) for row in compared]
    measured = measures.measures(metrics, settings, about, has_boxes)
    names = [row.name for row in compared] + [measure.name for measure in measured]
    for name in settings:
        named(name, names, "method or metric of this table")
    wanted = "top-1" if target in (None, "label") else target
    choose = targets.one(wanted, known.labels)
    by_label = None if target is None else target == "label"
    store.check_writable(out)
    if annotated:
        found, by_label = tfds_cases.gather(annotated, known.labels, by_label, number, complain)
    else:
        found, by_label = cases.gather(
            data, boxes, known.labels, by_label, number, complain, boxes_format, note, split
        )
    batch_size = batch_size or (1 if len(found) == 1 else jax.local_device_count())
    block_size = block_size or blocks.size(len(found))
    asked = Study(
        classifier=known,
        rows=compared,
        measures=measured,
        cases=found,
        choose=choose,
        wanted=wanted,
        seed=seed,
        batch_size=batch_size,
        block_size=batch_size * -(-block_size // batch_size),
        out=out,
        framing=framing,
        values=values,
        shard=shard or (0, 1),
        keep=keep_maps,
    )
    return asked, "label" if by_label else wanted


def _of_tfds(data: Path, boxes: Path | None) -> tfds_boxes.Annotated | None:
    """The data set where one is named; None where that is a folder."""
    if not str(data).startswith(tfds_cases.PREFIX):
        return None
    if boxes is not None:
        raise ValueError(f"--boxes is for folders; {data} has its own, or none")
    return tfds_cases.opened(str(data))


def for_worker(options: Mapping[str, Any], complain: Complain, note: Complain) -> Study:
    """The same study in another process, which keeps compiled programs too."""
    from saljax.cli.group import keep_programs

    keep_programs()
    return study(complain, note, **options)[0]
