"""A captioner: convolutions see the picture, an LSTM reads the words, together they say the next.

The probability of a word, given the picture and the words before it, is a score like any other:

    captioner = captions.load()
    score_fn = captions.word_scores(captioner, "a red crowned")
    saljax.grad_cam(score_fn, image, VOCABULARY.index("bird"))
"""

import os
from importlib import resources
from pathlib import Path
from typing import Any

import jax
import jax.numpy as jnp
import numpy as np
from flax import nnx
from jax.tree_util import Partial
from jaxtyping import Array, Float, Int

from saljax.core.taps import tag
from saljax.data.generated.captions import END, LONGEST, VOCABULARY, decode, encode
from saljax.models.architectures.birdlets import Trunk
from saljax.models.weights import assign, read

SIDE = 96
"""Pixels a side of the pictures."""

EMBEDDING, STATE, JOINED = 32, 64, 128
_CELLS = (6, 2)
_END = VOCABULARY.index(END)

Images = Float[Array, "batch height width 3"]
Memory = tuple[Float[Array, " state"], Float[Array, " state"]]


class Captioner(Trunk):
    """The birdlets' trunk, an LSTM over the words before, and one layer that joins the two.

    image:  v = V max_cell(features) + b,  6 x 2 cells, so that it can count, and tell above
            from below
    words:  (i, f, g, o) = A [embedding of the word; h] + a,
            c <- sigmoid(f) c + sigmoid(i) tanh(g),    h <- sigmoid(o) tanh(c)
    next:   logits = W relu(v + U h) + w

    The words reach the picture's features in the last layers only ("merge"), so no gate of the
    LSTM depends on the picture: methods with rules for rectifiers and linear operations alone
    (guided backprop, excitation backprop, LRP) go through, which an LSTM that is given the picture
    as its state or as a word ("inject") denies them.

    Tagged activations: those of the trunk, the last convolution being `block4`, and `joined`.

    Source: merging as in Tanti, Gatt, Camilleri, INLG 2017; LSTM with forget gates, Gers,
    Schmidhuber, Cummins, Neural Computation 2000. The paper of GLAS explains an Inception v3 with
    an LSTM and says no more of it. Cells and sizes are our choice.
    """

    def __init__(self, *, rngs: nnx.Rngs):
        super().__init__(rngs=rngs)
        init = jax.nn.initializers.normal(0.1)
        self.embedding = nnx.Param(init(rngs.params(), (len(VOCABULARY), EMBEDDING), jnp.float32))
        self.gates = nnx.Linear(EMBEDDING + STATE, 4 * STATE, rngs=rngs)
        self.from_image = nnx.Linear(int(np.prod(_CELLS)) * 128, JOINED, rngs=rngs)
        self.from_words = nnx.Linear(STATE, JOINED, use_bias=False, rngs=rngs)
        self.head = nnx.Linear(JOINED, len(VOCABULARY), rngs=rngs)

    def see(self, images: Images) -> Float[Array, "batch joined"]:
        """Return v of pictures, RGB in [0, 1].

        Raises:
            ValueError: they are not `SIDE` x `SIDE`.
        """
        if images.shape[1:] != (SIDE, SIDE, 3):
            raise ValueError(
                f"the captioner takes RGB pictures (N, {SIDE}, {SIDE}, 3); got {images.shape}"
            )
        x = self.features(images)
        batch, height, width, channels = x.shape
        rows, columns = _CELLS
        x = x.reshape(batch, rows, height // rows, columns, width // columns, channels)
        return self.from_image(x.max(axis=(2, 4)).reshape(batch, -1))

    def start(self) -> Memory:
        """Return h and c before any word."""
        return jnp.zeros(STATE, jnp.float32), jnp.zeros(STATE, jnp.float32)

    def hear(self, memory: Memory, word: Int[Array, ""]) -> Memory:
        """Return h and c after one more word."""
        h, c = memory
        i, f, g, o = jnp.split(self.gates(jnp.concatenate([self.embedding[...][word], h])), 4)
        c = jax.nn.sigmoid(f) * c + jax.nn.sigmoid(i) * jnp.tanh(g)
        return jax.nn.sigmoid(o) * jnp.tanh(c), c

    def read(self, words: Int[Array, " words"]) -> Float[Array, "words_and_end state"]:
        """Return h before the first word, after it, and so on; the LSTM starts with `END`."""

        def step(memory, word):
            memory = self.hear(memory, word)
            return memory, memory[0]

        words = jnp.pad(words, (1, 0), constant_values=_END)
        return jax.lax.scan(step, self.start(), words)[1]

    def say(
        self, seen: Float[Array, "*pictures joined"], state: Float[Array, "*texts state"]
    ) -> Float[Array, "*both vocabulary"]:
        """Return the logits of the next word, of v and h."""
        return self.head(tag(jax.nn.relu(seen + self.from_words(state)), "joined"))

    def __call__(
        self, images: Images, words: Int[Array, "batch words"]
    ) -> Float[Array, "batch words_and_end vocabulary"]:
        """Return the logits of every word given those before it, and of what follows the last."""
        return self.say(self.see(images)[:, None], jax.vmap(self.read)(words))


def _next_word(captioner, words, number, images):
    return captioner.say(captioner.see(images), captioner.read(words)[number][None])


def word_scores(captioner: Captioner, words_before: str = "") -> Partial:
    """Score function of the next word: its classes are the words of the vocabulary.

    Args:
        captioner: such as `load` gives.
        words_before: how the caption begins.

    Returns:
        Images (N, 96, 96, 3) -> logits (N, vocabulary), in the order of
        `saljax.data.captions.VOCABULARY`. The words are leaves of it as the weights are: one
        compiled program explains every word of every caption.

    Raises:
        ValueError: a word is not of the vocabulary, or they are more than a caption has.
    """
    words = _checked(words_before)
    padded = np.pad(words, (0, LONGEST - len(words)))
    return Partial(_next_word, captioner, jnp.asarray(padded), jnp.asarray(len(words), jnp.int32))


def _each_word(captioner, words, images):
    states = captioner.read(words[:-1])
    logits = captioner.say(captioner.see(images)[:, None], states[None])
    return jnp.take_along_axis(jax.nn.softmax(logits), words[None, :, None], axis=-1)[..., 0]


def caption_probabilities(captioner: Captioner, caption: str) -> Partial:
    """Score function of a whole caption: its classes are the places of the caption's words.

    For methods that only ask for scores: `saljax.glas(score_fn, image, jnp.arange(6))` makes the
    maps of six words from the same passes. Methods that look inside want the logits of
    `word_scores`.

    Args:
        captioner: such as `load` gives.
        caption: its words; that it ends there is the last class.

    Returns:
        Images (N, 96, 96, 3) -> probabilities (N, words + 1), of each word given the picture and
        the words before it. Their product is the probability of the caption.

    Raises:
        ValueError: as `word_scores`.
    """
    words = np.append(_checked(caption), np.int32(_END))
    return Partial(_each_word, captioner, jnp.asarray(words))


def _checked(text: str) -> np.ndarray:
    words = encode(text)
    if len(words) > LONGEST:
        raise ValueError(f"a caption has {LONGEST} words at most; got {len(words)}")
    return words


def describe(
    captioner: Captioner, images: Images | Float[np.ndarray, "batch height width 3"]
) -> list[str]:
    """Caption pictures: at each step the most probable word, until the caption ends.

    Args:
        captioner: such as `load` gives.
        images: (N, 96, 96, 3), RGB in [0, 1].

    Returns:
        A caption a picture, of at most `LONGEST` words.
    """
    return [decode(words) for words in np.asarray(_greedy(captioner, images)).tolist()]


@jax.jit
def _greedy(captioner, images):
    def write(seen):
        def step(so_far, _):
            memory = captioner.hear(*so_far)
            word = captioner.say(seen, memory[0]).argmax().astype(jnp.int32)
            return (memory, word), word

        return jax.lax.scan(step, (captioner.start(), jnp.int32(_END)), length=LONGEST)[1]

    return jax.vmap(write)(captioner.see(images))


def load(weights: str | os.PathLike | None = None) -> Captioner:
    """Load a captioner.

    Args:
        weights: a `.safetensors` file; None: the bundled one, trained on generated birds by
            `experiments/train_captions.py`.

    Raises:
        OSError: the file does not exist or cannot be read.
        ValueError: its weights do not fit.
    """
    bundled = resources.files("saljax") / "assets" / "captions.safetensors"
    tensors = read(Path(str(bundled)) if weights is None else weights)
    filled: Any = assign(nnx.eval_shape(lambda: Captioner(rngs=nnx.Rngs(0))), tensors)
    return filled
