"""What a table compares, from the words of a command line."""

import functools
import inspect
import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, NamedTuple

from saljax.evaluation.references import REFERENCES
from saljax.methods.table import METHODS
from saljax.runs import explainers, methods, own
from saljax.runs.classifier import Classifier
from saljax.runs.hyperparameters import REQUIRED, configure, hyperparameters, in_effect, named

KNOWN = (*METHODS, *REFERENCES)


class Row(NamedTuple):
    """A configured method under a name of its own.

    Attributes:
        name: in the table, and of its folder.
        kind: the name of the method.
        method: with its hyperparameters.
    """

    name: str
    kind: str
    method: functools.partial

    @property
    def is_reference(self) -> bool:
        """It does not look at the classifier."""
        return self.kind in REFERENCES

    @property
    def explains(self) -> str:
        """What of the classifier the method is given."""
        return "probabilities" if self.is_reference else methods.known(self.kind).explains

    def equipped(self, classifier: Classifier) -> "Row":
        """The row, with its explainer if it needs one; errors as of `explainers.equipped`."""
        if self.is_reference:
            return self
        return self._replace(method=explainers.equipped(self.method, self.kind, classifier))

    def record(self, spatial: Sequence[int] | None = None) -> dict[str, Any]:
        """What the table says of it, of images of one shape where that is known."""
        own = {"method": self.kind, "hyperparameters": in_effect(self.method, spatial=spatial)}
        if self.is_reference:
            return own
        return own | {"explains": self.explains} | methods.source(self.kind)

    @property
    def is_random(self) -> bool:
        """Its map depends on the seed."""
        return "key" in inspect.signature(self.method.func).parameters


Settings = Mapping[str, Mapping[str, str]]
"""Of each row or metric: keyword -> what it is set to, as text."""


def rows(asked: str, settings: Settings, layer: str | None, references: bool) -> list[Row]:
    """Methods to compare.

    Args:
        asked: names separated by commas; `fine=glas` is `glas` under the name `fine`, and
            `FILE.py:mine` a function of one's own under the name `mine`.
        settings: what was set in each of them.
        layer: that the classifier names.
        references: add `center` and `random`.

    Returns:
        Rows in order.

    Raises:
        ValueError: a name or a setting that is not known, or a name twice; near ones are named.
    """
    found: dict[str, Row] = {}
    for part in asked.split(","):
        name, _, kind = (text.strip() for text in part.partition("="))
        kind = kind or name
        if own.is_own(kind):
            name = name.rpartition(":")[2]
        else:
            kind = named(kind, KNOWN, "method")
        if not re.fullmatch(r"\w[\w.+-]*", name):
            raise ValueError(f"--methods: {name!r} is no name; letters, digits and _ . + - are")
        if name in found:
            raise ValueError(
                f"--methods: {name!r} is there twice; give one another name: {name}-2={kind}"
            )
        found[name] = _row(name, kind, settings.get(name, {}), layer)
    for name in REFERENCES if references else ():
        if name not in found and all(row.kind != name for row in found.values()):
            found[name] = _row(name, name, {}, layer)
    return list(found.values())


def settings(texts: Sequence[str]) -> Settings:
    """`["rise.num_masks=500"]` -> `{"rise": {"num_masks": "500"}}`; ValueError for other forms."""
    found: dict[str, dict[str, str]] = {}
    for text in texts:
        left, equals, value = text.partition("=")
        name, dot, keyword = left.strip().rpartition(".")
        if not (equals and dot and name and keyword):
            raise ValueError(f"--set {text}: expected NAME.KEYWORD=VALUE, as in glas.grid=10")
        found.setdefault(name, {})[keyword.replace("-", "_")] = value
    return found


def keywords(function: Callable, texts: Mapping[str, str], name: str) -> dict[str, Any]:
    """Values of keywords from text.

    Args:
        function: whose keywords they are.
        texts: keyword -> text.
        name: what people call the function here.

    Returns:
        Keyword -> value.

    Raises:
        ValueError: no such keyword, or it does not take this value.
    """
    known = {h.name: h for h in hyperparameters(function)}
    values = {}
    for keyword, text in texts.items():
        try:
            values[keyword] = known[named(keyword, known, "option")].parse(text)
        except ValueError as error:
            raise ValueError(f"--set {name}.{keyword}={text}: {error}") from None
    return values


def _row(name: str, kind: str, texts: Mapping[str, str], layer: str | None) -> Row:
    if kind in REFERENCES:
        given = keywords(REFERENCES[kind], texts, name)
        return Row(name, kind, functools.partial(REFERENCES[kind], **given))
    known = methods.known(kind)
    function = known.function
    method = configure(known, keywords(function, texts, name), layer)
    for h in hyperparameters(function):
        if h.default is REQUIRED and h.name not in method.keywords:
            raise ValueError(f"{name}: `{h.name}` must be given: --set {name}.{h.name}=VALUE")
    return Row(name, kind, method)
