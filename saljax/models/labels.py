"""Class names, and finding a class by its index or its name."""

import codecs
import contextlib
import difflib
import functools
import os
import re
from collections.abc import Sequence
from importlib import resources
from pathlib import Path


@functools.cache
def imagenet() -> tuple[str, ...]:
    """Return the 1000 class names of ILSVRC 2012, in the order of torchvision's logits.

    A name is the first word or words of its WordNet synset. Three words name two classes each
    (crane, cardigan, maillot); those carry a word of the synset's definition in parentheses.

    Source: the public class index, `assets/imagenet_classes.txt`: index, WordNet id, name.
    """
    return tuple(line.split(" ", 2)[2] for line in _imagenet_lines())


@functools.cache
def wordnet_ids() -> tuple[str, ...]:
    """Return the WordNet ids of the classes of `imagenet`, such as n01440764."""
    return tuple(line.split(" ", 2)[1] for line in _imagenet_lines())


def _imagenet_lines() -> list[str]:
    asset = resources.files("saljax") / "assets" / "imagenet_classes.txt"
    return asset.read_text("utf-8").splitlines()


@functools.cache
def places365() -> tuple[str, ...]:
    """Return the 365 class names of Places365, in the order of its published classifiers.

    What follows a stroke in the index stands in parentheses: `atrium/public` is `atrium (public)`.

    Source: the public class index as tensorflow-datasets 4.9.10 ships it (Apache 2.0),
    `categories_places365.txt`.
    """
    return read(Path(str(resources.files("saljax") / "assets" / "places365_classes.txt")))


@functools.cache
def cars() -> tuple[str, ...]:
    """Return the 196 class names of Stanford Cars: make, model, body and year.

    In the order of the data set's own index, which is not quite that of the alphabet: a classifier
    trained on folders of these names has another.

    Source: the public class index as tensorflow-datasets 4.9.10 has it (Apache 2.0), `cars196.py`.
    """
    return read(Path(str(resources.files("saljax") / "assets" / "cars_classes.txt")))


def of_weights(
    number: int, usual: Sequence[str], weights: str | os.PathLike | None = None
) -> tuple[str, ...]:
    """Return names for the logits of a classifier with given weights.

    Args:
        number: of logits.
        usual: the names that the classifier has with its usual weights.
        weights: the file of weights; names may lie beside it.

    Returns:
        Those beside the weights, or the usual ones, or those of Places365, or of Stanford Cars,
        whichever are as many as the logits; else their indices.

    Raises:
        ValueError: the names beside the weights are not as many as the logits.
    """
    given = None if weights is None else beside(weights)
    if given is not None and len(given) != number:
        raise ValueError(f"{weights}: {number} logits, but {len(given)} class names beside it")
    indices = tuple(str(index) for index in range(number))
    return given or next(
        names for names in (tuple(usual), places365(), cars(), indices) if len(names) == number
    )


def of_sides(weights: str | os.PathLike | None = None) -> tuple[str, str]:
    """Return names for the two sides of a classifier with one logit.

    Args:
        weights: the file of weights; names may lie beside it.

    Returns:
        What a logit below 0 says and what one above says: the two names beside the weights; or
        where one lies there `not NAME` and it; else negative and positive.

    Raises:
        ValueError: more names lie beside the weights.
    """
    names = None if weights is None else beside(weights)
    return ("negative", "positive") if names is None else sides(names, f"{weights}, beside it")


def sides(names: Sequence[str], where: object) -> tuple[str, str]:
    """As `of_sides`, of the names in a file.

    Raises:
        ValueError: there are more.
    """
    match names:
        case (name,):
            return f"not {name}", name
        case (below, above):
            return below, above
    expected = "its own, or that of the other side and its own"
    raise ValueError(f"{where}: one logit, but {len(names)} class names; expected {expected}")


def read(path: str | os.PathLike) -> tuple[str, ...]:
    """Read class names from a text file.

    Args:
        path: one name a line, in the order of the logits; empty lines at the end are left out.
            UTF-8 with or without a byte-order mark, UTF-16, or where it is neither, what Windows
            writes in Western Europe, which has all letters of Latin-1.

    Raises:
        OSError: there is no such file, or it cannot be read.
        ValueError: it is no text, or has no line or an empty one between others.
    """
    text = _decoded(Path(path).read_bytes())
    if text is None:
        raise ValueError(f"{os.fspath(path)}: expected text, UTF-8, one class name a line")
    names = tuple(line.strip() for line in text.rstrip().replace("\r\n", "\n").split("\n"))
    if "" in names:
        line = names.index("") + 1
        raise ValueError(f"{os.fspath(path)}: no class name in line {line}; expected one a line")
    return names


def _decoded(content: bytes) -> str | None:
    """Text in the first encoding that it can be in; None where there is none."""
    is_utf16 = content.startswith((codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE))
    for encoding in ("utf-16",) if is_utf16 else ("utf-8-sig", "cp1252"):
        with contextlib.suppress(UnicodeDecodeError):
            text = content.decode(encoding)
            return None if "\0" in text else text
    return None


def beside(weights: str | os.PathLike) -> tuple[str, ...] | None:
    """Read the class names that lie beside a file of weights, in NAME.labels.txt for NAME.suffix.

    Args:
        weights: the file of weights.

    Returns:
        The names, as `read` gives them; None if there is no such file.
    """
    path = Path(weights).with_suffix(".labels.txt")
    return read(path) if path.exists() else None


def find_class(text: str, labels: Sequence[str]) -> int:
    """Return the index of a class.

    Args:
        text: its index in decimal, or its name, which goes first where names are numbers. Upper
            and lower case are the same, and so are underscores and spaces. What stands in
            parentheses in a name may be left out. For ImageNet also its WordNet id, and what begins
            with it, as in `n02085620-Chihuahua`.
        labels: the names of all classes, in order.

    Returns:
        The index, 0 <= index < len(labels).

    Raises:
        ValueError: no class has this index or name (near names are suggested), or several have.
    """
    wanted, plain = _plain(text), [_plain(label) for label in labels]
    if re.fullmatch(r"-?\d+", wanted) and wanted not in plain:
        if 0 <= int(wanted) < len(labels):
            return int(wanted)
        raise ValueError(f"no class {wanted}: the classes are 0 to {len(labels) - 1}")
    wordnet_id = wanted.partition("-")[0]
    if wordnet_id in wordnet_ids() and tuple(labels) == imagenet():
        return wordnet_ids().index(wordnet_id)
    found = [index for index, label in enumerate(plain) if label == wanted] or [
        index for index, label in enumerate(plain) if label.split(" (")[0] == wanted
    ]
    if len(found) == 1:
        return found[0]
    if found:
        names = ", ".join(f"{index} {labels[index]}" for index in found)
        raise ValueError(f"{text!r} names {len(found)} classes ({names}); give the index")
    near = [label for label in plain if wanted and wanted in label]
    near += difflib.get_close_matches(wanted, plain, n=5)
    names = ", ".join(labels[plain.index(label)] for label in dict.fromkeys(near[:5]))
    hint = f"near: {names}" if names else f"the classes are {', '.join(labels)}"
    if not names and len(labels) > 20:
        hint = f"give its index, 0 to {len(labels) - 1}"
    raise ValueError(f"no class is called {text!r}; {hint}")


def _plain(text: str) -> str:
    return " ".join(text.replace("_", " ").lower().split())
