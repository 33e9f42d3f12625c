"""Volumes from files."""

from pathlib import Path

import numpy as np

from saljax.data import medical
from saljax.data.files import Range, UnreadableImage, first_line, scaled


def read(path: Path, values: Range | None = None) -> tuple[np.ndarray, Range | None, bool]:
    """Read a NIfTI file, see `medical.read_nifti`.

    Args:
        path: .nii or .nii.gz file.
        values: those that become 0 and 1.

    Returns:
        (D, H, W, C) float32 in [0, 1]; the values that became 0 and 1, None where all were between
        them; and whether they are only the lowest and highest there are.

    Raises:
        UnreadableImage: no such file, damaged, or values that are not finite.
    """
    try:
        array = medical.read_nifti(path)
    except FileNotFoundError:
        raise UnreadableImage("no such file") from None
    except medical.UnreadableError as error:
        raise UnreadableImage(str(error)) from None
    except Exception as error:  # decoders answer damaged files with any exception at all
        raise UnreadableImage(f"is damaged ({first_line(error)})") from None
    if not np.isfinite(array).all():
        raise UnreadableImage("holds values that are not finite")
    low, high = float(array.min()), float(array.max())
    if values is None and 0 <= low <= high <= 1:
        return array, None, False
    return scaled(array, values or (low, high)), values or (low, high), values is None
