"""Pictures of TensorFlow Datasets, by random access and without TensorFlow."""

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from saljax.data import folders, labelled
from saljax.data.labelled import Labelled, Pictures


def read_tfds(name: str, share: float = 0.2, seed: int = 0) -> Labelled:
    """Find the pictures of a data set that was prepared for random access.

    It lies in `$TFDS_DATA_DIR`, or `~/tensorflow_datasets`, in the format array_record; nothing is
    downloaded. Learned from is `train`; tested on is the first of `labelled.HELD_OUT` there is.

    Args:
        name: as `tensorflow_datasets.data_source` takes it, such as `oxford_flowers102`.
        share: of each class that is kept back where there is no such split, see `labelled.split`.
            0.2 is our choice.
        seed: of that choice.

    Returns:
        The pictures, and the names of the classes as the data set gives them (indices if it gives
        none). Labels are read, no picture is decoded.

    Raises:
        ValueError: tensorflow-datasets is not installed; no such data set; not prepared; not made
            of pictures and classes; fewer than two classes; pictures without a class.
    """
    splits = opened(name)
    if "train" not in splits:
        raise ValueError(f"tfds:{name} has no split train; it has {', '.join(splits)}")
    about = splits["train"].dataset_info
    keys = about.supervised_keys
    if not (
        isinstance(keys, tuple) and len(keys) == 2 and hasattr(about.features[keys[1]], "names")
    ):
        raise ValueError(f"tfds:{name} does not say which pictures and classes belong together")
    classes = tuple(about.features[keys[1]].names)
    if len(classes) < 2:
        raise ValueError(f"tfds:{name} has only one class ({', '.join(classes)})")
    encoded = opened(name, keys[0])
    train = _pictures(name, "train", encoded["train"], keys)
    apart = labelled.first_held_out(splits)
    if apart is None:
        return Labelled(*labelled.split(train, share, seed), classes)
    return Labelled(train, _pictures(name, apart, encoded[apart], keys), classes)


def opened(name: str, encoded: str | None = None) -> dict[str, Any]:
    """The splits of a data set; the feature called `encoded` is left as the bytes of a file."""
    try:
        import tensorflow_datasets as tfds
    except ImportError:
        raise ValueError(
            f"reading tfds:{name} needs its extra: pip install 'saljax[tfds]'"
        ) from None
    decoders = {encoded: tfds.decode.SkipDecoding()} if encoded else None
    try:
        splits: Any = tfds.data_source(name, download=False, decoders=decoders)
        if splits:
            return dict(splits)
        reason = "it has no splits"
    except Exception as error:  # of many kinds, one a list of all data sets there are
        reason = (str(error) or type(error).__name__).splitlines()[0]
    raise ValueError(
        f"tfds:{name} cannot be opened ({reason}); expected a data set prepared with "
        "file_format=array_record in $TFDS_DATA_DIR or ~/tensorflow_datasets"
    )


def _pictures(name: str, split: str, source: Sequence[dict], keys: tuple[str, str]) -> Pictures:
    image, label = keys
    labels = np.array([int(source[index][label]) for index in range(len(source))], np.int32)
    if labels.min(initial=0) < 0:
        raise ValueError(f"tfds:{name}: there are pictures without a class in its split {split}")
    return Pictures(
        [f"tfds:{name} {split} {index}" for index in range(len(source))],
        labels,
        lambda index: folders.read_image(io.BytesIO(source[index][image])),
    )
