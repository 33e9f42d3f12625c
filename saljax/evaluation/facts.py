"""What a reader of a table must know, and what a program needs to make it again."""

from collections.abc import Sequence
from typing import Any

from saljax.evaluation import differences, ranks
from saljax.evaluation.judged import Done
from saljax.evaluation.measures import Measure
from saljax.evaluation.study import Study
from saljax.runs import inputs, records


def settings(study: Study) -> dict[str, Any]:
    """All that the numbers depend on, but for the images: a JSON object."""
    about = study.classifier.about
    return {
        **study.classifier.record(),
        "sees": {
            "input_shape": list(about.input_shape),
            **study.framing._asdict(),
        },
        "methods": {row.name: row.record(about.input_shape[:-1]) for row in study.rows},
        "metrics": {
            measure.name: measure.settings()
            | ({"source": {"sha256": measure.source}} if measure.source else {})
            for measure in study.measures
        },
        "seed": study.seed,
        "batch_size": study.batch_size,
        "range": study.values and list(study.values),
        "versions": records.versions(),
    }


def facts(study: Study, judged: Sequence[Done], target: str) -> list[str]:
    """Sentences that a reader of the table must know; `target` as the command line has it."""
    known = [one.record for one in judged]
    right = sum(one["prediction"][0]["index"] == one["target"]["index"] for one in known)
    lost = sum(one["lost"] > 0 and not one["boxes"] for one in known)
    explained = "the class that is labelled" if target == "label" else target
    found = [f"explained is {explained}, the classifier's first choice in {right} of {len(judged)}"]
    if study.framing != inputs.framing(study.classifier.about):
        found.append(f"what it sees is not what it was trained on: {_framed(study.framing)}")
    if any(case.corners is not None for case in study.cases):
        found.append("small objects: boxes that cover less than a quarter of what it sees")
    by_mask = [measure.name for measure in study.measures if measure.known.by_mask]
    if study.has_masks and by_mask:
        masked = sum("mask" in one for one in known)
        found.append(
            f"by the masks of the objects in {masked} of {len(judged)} images, else by their "
            f"boxes: {', '.join(by_mask)}"
        )
    if study.classifier.one_logit:
        below, above = study.classifier.labels
        found.append(
            f"the classifier has one logit: above 0 {above}, below {below}, by the sigmoid"
        )
    of_others = [one for one in known if one["of_others"] > 0]
    if of_others:
        none = sum(not one["boxes"] for one in of_others)
        found.append(
            f"boxes of other classes than the one explained do not count: in {len(of_others)} "
            f"images, of which {none} have no other boxes"
        )
    if lost:
        found.append(f"without a box in what the classifier sees: {lost}")
    found += [measure.known.says for measure in study.measures if measure.known.says]
    found += [f"metrics: {'; '.join(map(_setting, study.measures))}"]
    if sum(not row.is_reference for row in study.rows) > 1:
        found.append(ranks.SAYS)
    return [*found, "± is the standard error of the mean", differences.SAYS]


def of_images(judged: Sequence[Done]) -> list[dict[str, Any]]:
    """What was explained, for programs."""
    keys = ("image", "range", "target", "prediction", "boxes", "mask", "small")
    return [
        {"name": one.case.name} | {key: record[key] for key in keys if key in record}
        for one, record in ((one, one.record) for one in judged)
    ]


def _framed(framing: inputs.Framing) -> str:
    """How pictures are framed, in words."""
    if framing.way == "center":
        return f"the short side of a picture is {framing.resize} pixels, of which the middle is cut"
    return {
        "none": "the whole picture is squeezed into a square",
        "letterbox": "the whole picture, with black beside it",
    }[framing.way]


def _setting(measure: Measure) -> str:
    """`pointing_game (tolerance 15)`."""
    given = measure.settings()
    shown = ", ".join(f"{name} {value}" for name, value in given.items() if name != "chunk_size")
    return measure.name + (f" ({shown})" if shown else "")
