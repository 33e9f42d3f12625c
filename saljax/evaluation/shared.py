"""What all batches of a run share: the classifier on the devices, and what names it."""

from typing import Any

from saljax.data.files import Range
from saljax.runs import devices, inputs, records
from saljax.runs.classifier import Classifier


class Shared:
    """The classifier of a run.

    Attributes:
        score_fns: its "logits" and "probabilities", on the devices.
        made_by: what its maps are made by, for hashes.
    """

    def __init__(
        self,
        classifier: Classifier,
        batch_size: int,
        values: Range | None,
        framing: inputs.Framing,
    ):
        known = {"logits": classifier.logits, "probabilities": classifier.probabilities}
        self.score_fns: dict[str, Any] = devices.replicate(known, batch_size)
        self.made_by = classifier.record() | {"saljax": records.versions()["saljax"]}
        if values is not None:
            self.made_by["range"] = list(values)
        if framing != inputs.framing(classifier.about):
            self.made_by |= framing.record()
