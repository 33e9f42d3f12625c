"""Radiographs from DICOM files, and volumes from NIfTI files."""

import io
from pathlib import Path
from typing import Any

import numpy as np
from jaxtyping import Float

DICOM, NIFTI = {".dcm", ".dicom"}, {".nii", ".nii.gz"}
"""Endings; a DICOM file is known by its content too."""
MAGIC = b"DICM"
"""What stands in a DICOM file after 128 bytes of anything."""
Range = tuple[float, float]


class UnreadableError(ValueError):
    """What cannot be read, and why, in one line."""


def is_dicom(path: Path | str | io.BytesIO) -> bool:
    """Whether a file is of DICOM, by its ending or its content; False where there is none."""
    if not isinstance(path, io.BytesIO):
        if Path(path).suffix.lower() in DICOM:
            return True
        try:
            with open(path, "rb") as file:
                return file.read(132)[128:] == MAGIC
        except OSError:
            return False
    return bytes(path.getbuffer()[128:132]) == MAGIC


def is_nifti(path: Path) -> bool:
    """Whether a file is of NIfTI, by its ending."""
    return any(path.name.lower().endswith(ending) for ending in NIFTI)


def read_dicom(
    path: Path | str | io.BytesIO, values: Range | None = None
) -> tuple[Float[np.ndarray, "height width 3"], Range | None, bool]:
    """Read a radiograph, or another picture of one frame, as people look at it.

    Stored values become physical ones by the slope and intercept of the file, and gray by its
    window: of center c and width w the black and white are c - 1/2 -+ (w - 1) / 2, or c -+ w / 2
    where the file says LINEAR_EXACT. Of several windows the first is taken. MONOCHROME1, in which
    the lowest value is white, is turned around. Nothing of the patient is read.

    Args:
        path: file, or its content.
        values: physical values that are black and white, in the place of the file's window.

    Returns:
        (H, W, 3) float32 in [0, 1]; the values that became black and white, None of colors; and
        whether these are only the lowest and highest there are, since the file has no window.

    Raises:
        UnreadableError: pydicom is not installed, cannot decode it, or there are several frames.
        Exception: of pydicom, where the file is damaged.

    Source: DICOM PS3.3, C.7.6.3.1.2, C.11.1 and C.11.2.1.2. A window of the kind SIGMOID and
    tables in the place of a window are not applied.
    """
    try:
        import pydicom
        from pydicom.uid import ImplicitVRLittleEndian
    except ImportError:
        raise UnreadableError("is of DICOM, which needs pip install 'saljax[dicom]'") from None
    file = pydicom.dcmread(path, force=True)
    if "Rows" not in file:
        raise UnreadableError("is of DICOM and has no picture")
    if int(file.get("NumberOfFrames") or 1) > 1:
        raise UnreadableError(f"has {file.NumberOfFrames} frames; a picture has one")
    if file.get("PhotometricInterpretation") == "PALETTE COLOR":
        raise UnreadableError("has a palette of colors, which is not read")
    if not hasattr(file.file_meta, "TransferSyntaxUID"):
        file.file_meta.TransferSyntaxUID = ImplicitVRLittleEndian
    try:
        stored = file.pixel_array.astype(np.float32)
    except (RuntimeError, NotImplementedError) as error:
        first = str(error).partition("\n")[0]
        raise UnreadableError(f"cannot be decoded: {first}") from None
    if stored.ndim == 3:
        return stored / np.float32(2**file.BitsStored - 1), None, False
    gray = stored * np.float32(file.get("RescaleSlope", 1)) + np.float32(
        file.get("RescaleIntercept", 0)
    )
    window = values or _window(file)
    low, high = window or (float(gray.min()), float(gray.max()))
    gray = np.clip((gray - low) / max(high - low, 1e-6), 0, 1).astype(np.float32)
    if file.PhotometricInterpretation == "MONOCHROME1":
        gray = 1 - gray
    return np.repeat(gray[..., None], 3, axis=-1), (low, high), window is None


def read_nifti(path: Path) -> Float[np.ndarray, "depth height width channels"]:
    """Read a volume, its axes from bottom to top, back to front and left to right.

    Args:
        path: .nii or .nii.gz file.

    Returns:
        (D, H, W, C) float32, in the units of the file (its slope and intercept are applied): the
        axes z, y and x of NIfTI's coordinates (superior, anterior, right), each upwards, whatever
        the order in the file. What is oblique is not resampled: the nearest axes are taken. A
        fourth axis is that of channels; else there is one.

    Raises:
        UnreadableError: nibabel is not installed; or there are other than 3 or 4 axes.
        Exception: of nibabel, where the file is damaged.
    """
    try:
        import nibabel
    except ImportError:
        raise UnreadableError("is of NIfTI, which needs pip install 'saljax[nifti]'") from None
    image: Any = nibabel.load(path)
    if len(image.shape) not in (3, 4):
        raise UnreadableError(f"has axes {image.shape}; a volume has 3, and perhaps channels")
    array = nibabel.as_closest_canonical(image).get_fdata(dtype=np.float32)
    array = array if array.ndim == 4 else array[..., None]
    return np.ascontiguousarray(array.transpose(2, 1, 0, 3))


def _window(file: Any) -> Range | None:
    """Values of a file that are black and white, as its first window has it."""
    kind = file.get("VOILUTFunction") or "LINEAR"
    if "WindowCenter" not in file or "WindowWidth" not in file or kind == "SIGMOID":
        return None
    center, width = (
        float(value[0] if isinstance(value, list | tuple) or hasattr(value, "append") else value)
        for value in (file.WindowCenter, file.WindowWidth)
    )
    if kind == "LINEAR":
        center, width = center - 0.5, width - 1
    return center - width / 2, center + width / 2
