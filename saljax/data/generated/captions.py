"""Captions of generated birds, and where in the picture the evidence for each word is.

    a red crowned bird against leaves
    a red crowned bird above an orange legged bird against sky
    four blue tailed birds against water

The upper bird comes first. The evidence for a color and a part is the bird's diagnostic part, for a
number and "above" the birds, for what is behind them all the rest.
"""

import functools
import operator
from collections.abc import Iterable, Sequence
from typing import NamedTuple

import numpy as np

from saljax.data.generated import birdlets, scenery

END = "."
"""Begins and ends every caption; not part of its text."""

PARTS = {name.split("-")[1]: part for name, (part, _) in birdlets.DIAGNOSTIC.items()}
"""Word for a part, such as "crowned" -> the part of the bird."""

COLORS = tuple(dict.fromkeys(name.split("-")[0] for name in birdlets.SPECIES))
NUMBERS = ("three", "four", "five")

VOCABULARY = (
    *(END, "a", "an", *NUMBERS, *COLORS, *PARTS),
    *("bird", "birds", "above", "against", *scenery.BACKGROUNDS),
)
"""All words in the order of their indices."""

LONGEST = 11
"""Words of the longest caption."""

_KINDS, _SHARES = (birdlets.sample, birdlets.pair, birdlets.flock), (0.35, 0.4, 0.25)


class Captioned(NamedTuple):
    """A picture, its caption, and the evidence.

    Attributes:
        image: (size, size, 3) float32 RGB in [0, 1].
        words: of the caption, without `END`.
        evidence: for each word (size, size) bool, where its evidence is; None where the words
            before it leave no choice ("bird", "orange" after "an") or no one place decides ("a").
        birds: in the picture, in the order of the caption.
    """

    image: np.ndarray
    words: tuple[str, ...]
    evidence: tuple[np.ndarray | None, ...]
    birds: tuple[birdlets.Sample, ...]

    @property
    def text(self) -> str:
        """The words as one line."""
        return " ".join(self.words)


def sample(seed: int, index: int, *, size: int = 96) -> Captioned:
    """Draw a picture of one bird, two species or a flock, with its caption.

    Args:
        seed: names a set of pictures.
        index: of the picture in its set.
        size: pixels a side.

    Returns:
        A pure function of the arguments; the picture is that of `birdlets.sample`, `pair` or
        `flock`, 35, 40 and 25 in a hundred, our choice.
    """
    kind = np.random.default_rng((seed, index, len(_KINDS))).choice(len(_KINDS), p=_SHARES)
    drawn = _KINDS[kind](seed, index, size=size)
    return caption(drawn.birds if isinstance(drawn, birdlets.Scene) else [drawn])


def caption(birds: Sequence[birdlets.Sample]) -> Captioned:
    """Caption the birds of one picture: one, two species, or three to five of one species."""
    birds = sorted(birds, key=lambda bird: bird.box[1] + bird.box[3])
    everywhere = _union(bird.object_mask for bird in birds)
    told: list[tuple[str, np.ndarray | None]] = []
    if len(birds) > 2:
        part = _union(bird.diagnostic_mask for bird in birds)
        color, word = _name(birds[0])
        told = [(NUMBERS[len(birds) - 3], everywhere), (color, part), (word, part), ("birds", None)]
    else:
        for bird in birds:
            part = bird.diagnostic_mask
            color, word = _name(bird)
            told += [("above", everywhere)] if told else []
            an = color[0] in "aeiou"
            told += [("an", part), (color, None)] if an else [("a", None), (color, part)]
            told += [(word, part), ("bird", None)]
    told += [("against", None), (birds[0].background, ~everywhere)]
    words, evidence = zip(*told, strict=True)
    return Captioned(birds[0].image, words, evidence, tuple(birds))


def encode(text: str) -> np.ndarray:
    """Return the indices of the words of a caption or of its beginning, (words,) int32.

    Raises:
        ValueError: a word is not of the vocabulary.
    """
    for word in text.split():
        if word not in VOCABULARY:
            raise ValueError(
                f"{word!r} is not a word of the captions; these are: {' '.join(VOCABULARY)}"
            )
    return np.array([VOCABULARY.index(word) for word in text.split()], np.int32)


def decode(indices: Iterable[int]) -> str:
    """Return the words up to the first `END` as one line."""
    words = [VOCABULARY[index] for index in indices]
    return " ".join(words[: words.index(END)] if END in words else words)


def _name(bird: birdlets.Sample) -> list[str]:
    return birdlets.SPECIES[bird.label].split("-")


def _union(masks: Iterable[np.ndarray]) -> np.ndarray:
    return functools.reduce(operator.or_, masks)
