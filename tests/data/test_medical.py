"""Radiographs and volumes, written by the libraries that people write them with."""

import io
import struct
import sys

import nibabel
import numpy as np
import pytest
from pydicom.dataset import Dataset, FileMetaDataset
from pydicom.uid import ExplicitVRLittleEndian, SecondaryCaptureImageStorage, generate_uid

from saljax.data import files, folders
from saljax.runs import inputs

STORED = np.array([[0, 100, 200], [400, 1000, 4000]], np.uint16)


def radiograph(path, pixels=STORED, **settings):
    """A DICOM file of 12 bits, or of bytes."""
    file, bits = Dataset(), 8 * pixels.itemsize
    file.file_meta = FileMetaDataset()
    file.file_meta.TransferSyntaxUID = ExplicitVRLittleEndian
    file.file_meta.MediaStorageSOPClassUID = SecondaryCaptureImageStorage
    file.file_meta.MediaStorageSOPInstanceUID = generate_uid()
    file.SOPClassUID, file.SOPInstanceUID = SecondaryCaptureImageStorage, generate_uid()
    file.Rows, file.Columns, file.SamplesPerPixel = *pixels.shape[:2], pixels[0, 0].size
    file.BitsAllocated, file.BitsStored = bits, min(bits, 12)
    file.HighBit, file.PixelRepresentation = file.BitsStored - 1, 0
    file.PhotometricInterpretation = "MONOCHROME2"
    for name, value in settings.items():
        setattr(file, name, value)
    file.PixelData = pixels.tobytes()
    file.save_as(path, enforce_file_format=True)
    return path


def expected(low, high, slope=1.0, intercept=0.0):
    gray = np.clip((STORED.astype(float) * slope + intercept - low) / (high - low), 0, 1)
    return np.repeat(gray[..., None], 3, axis=-1)


@pytest.mark.parametrize(
    ("settings", "low", "high"),
    [
        ({"WindowCenter": 500.5, "WindowWidth": 1001}, 0, 1000),
        ({"WindowCenter": [500.5, 9], "WindowWidth": [1001, 9]}, 0, 1000),
        ({"WindowCenter": 500, "WindowWidth": 800, "VOILUTFunction": "LINEAR_EXACT"}, 100, 900),
    ],
)
def test_a_radiograph_is_seen_through_its_window(tmp_path, settings, low, high):
    opened = files.open_image(radiograph(tmp_path / "a.dcm", **settings))
    np.testing.assert_allclose(opened.image, expected(low, high), atol=1e-6)
    assert opened.values == (low, high) and not opened.guessed and opened.size == (2, 3)


def test_physical_values_and_white_at_the_low_end(tmp_path):
    settings = {"RescaleSlope": 2, "RescaleIntercept": -1024, "RescaleType": "HU"}
    settings |= {"WindowCenter": 40, "WindowWidth": 401}
    path = radiograph(tmp_path / "a.dcm", **settings)
    ct = expected(-160.5, 239.5, 2, -1024)
    np.testing.assert_allclose(files.read_image(path), ct, atol=1e-5)
    hounsfield = expected(-1000, 1000, 2, -1024)
    np.testing.assert_allclose(files.read_image(path, (-1000, 1000)), hounsfield, atol=1e-5)
    turned = radiograph(tmp_path / "b.dcm", PhotometricInterpretation="MONOCHROME1", **settings)
    np.testing.assert_allclose(files.read_image(turned), 1 - ct, atol=1e-5)


def test_without_a_window_it_is_a_guess(tmp_path):
    opened = files.open_image(radiograph(tmp_path / "a.dcm"))
    assert opened.values == (0, 4000) and opened.guessed
    np.testing.assert_allclose(opened.image, expected(0, 4000), atol=1e-6)


def test_colors_and_files_without_an_ending(tmp_path):
    pixels = np.random.default_rng(0).integers(0, 256, (4, 5, 3), np.uint8)
    settings = {"PhotometricInterpretation": "RGB", "PlanarConfiguration": 0}
    path = radiograph(tmp_path / "IM0001", pixels, **settings)
    for source in (path, io.BytesIO(path.read_bytes())):
        np.testing.assert_allclose(files.read_image(source), pixels / 255, atol=1e-6)
    radiograph(tmp_path / "a.DCM")
    assert [p.name for p in folders.list_images(tmp_path)] == ["a.DCM"]


def test_what_is_no_picture_of_dicom(tmp_path, monkeypatch):
    many = radiograph(tmp_path / "a.dcm", np.stack([STORED] * 2, -1), NumberOfFrames=2)
    with pytest.raises(files.UnreadableImage, match="has 2 frames"):
        files.read_image(many)
    (tmp_path / "b.dcm").write_bytes(b"no")
    with pytest.raises(files.UnreadableImage, match="no picture|damaged"):
        files.read_image(tmp_path / "b.dcm")
    with pytest.raises(files.UnreadableImage, match="no such file"):
        files.read_image(tmp_path / "absent.dcm")
    monkeypatch.setitem(sys.modules, "pydicom", None)
    with pytest.raises(files.UnreadableImage, match=r"pip install 'saljax\[dicom\]'"):
        files.read_image(many)


VOLUME = np.random.default_rng(0).random((6, 5, 4)).astype(np.float32)
"""Right, anterior, superior."""


@pytest.mark.parametrize("axes", ["RAS", "LPS", "SLA", "IPR"])
def test_volumes_have_the_same_axes_however_they_are_stored(tmp_path, axes):
    ras = nibabel.Nifti1Image(VOLUME, np.diag([2.0, 2, 3, 1]))
    orientation = nibabel.orientations
    stored = ras.as_reoriented(
        orientation.ornt_transform(
            orientation.axcodes2ornt("RAS"), orientation.axcodes2ornt(tuple(axes))
        )
    )
    nibabel.save(stored, tmp_path / "v.nii.gz")
    read = inputs.read(tmp_path / "v.nii.gz", (4, 5, 6, 1), None, None)
    np.testing.assert_allclose(read.image[..., 0], VOLUME.transpose(2, 1, 0), atol=1e-6)
    assert read.values is None and read.size == (4, 5, 6) and read.crop is None


def test_values_of_volumes(tmp_path):
    """The slope of the file is applied; what is not in [0, 1] is stretched, and that is said."""
    stored = (100 * VOLUME).astype(np.int16)
    nibabel.save(nibabel.Nifti1Image(stored, np.eye(4)), tmp_path / "v.nii")
    content = bytearray((tmp_path / "v.nii").read_bytes())
    struct.pack_into("<ff", content, 112, 2.0, 10.0)  # scl_slope and scl_inter
    (tmp_path / "v.nii").write_bytes(content)
    physical = (2.0 * stored + 10).transpose(2, 1, 0)[..., None]
    guessed = inputs.read(tmp_path / "v.nii", (4, 5, 6, 1), None, None)
    assert guessed.values == (physical.min(), physical.max()) and "--range" in guessed.guessed
    assert guessed.image.min() == 0 and guessed.image.max() == 1
    told = inputs.read(tmp_path / "v.nii", (4, 5, 6, 1), None, None, (0.0, 400.0))
    np.testing.assert_allclose(told.image, physical / 400, atol=1e-5)
    assert told.guessed == ""
    with pytest.raises(files.UnreadableImage, match=r"has shape \(4, 5, 6, 1\); the model takes"):
        inputs.read(tmp_path / "v.nii", (5, 5, 6, 1), None, None)
    for name, content in [("b.nii", b"no"), ("absent.nii", None)]:
        if content:
            (tmp_path / name).write_bytes(content)
        with pytest.raises(files.UnreadableImage, match="damaged|no such file"):
            inputs.read(tmp_path / name, (4, 5, 6, 1), None, None)
