"""Superpixels: segments of a picture that follow its edges."""

import numpy as np
from jaxtyping import Float, Int


def quickshift(
    image: Float[np.ndarray, "height width 3"],
    *,
    kernel_size: int = 4,
    max_dist: int = 200,
    ratio: float = 0.2,
) -> Int[np.ndarray, "height width"]:
    """Quickshift superpixels with the settings of LIME's code.

    Args:
        image: (H, W, 3), RGB in [0, 1].
        kernel_size: width in pixels of the kernel that estimates the density; larger makes fewer
            segments.
        max_dist: farthest that pixels of one segment may be linked; larger makes fewer segments.
        ratio: of color to place in a distance, in [0, 1].

    Returns:
        (H, W) labels 0, 1, 2 ...; the same for the same picture.

    Raises:
        ImportError: scikit-image is not installed.

    Source: Vedaldi, Soatto, ECCV 2008, as scikit-image computes it; the settings are those of
    github.com/marcotcr/lime.
    """
    labels = _segmentation().quickshift(
        np.asarray(image), kernel_size=kernel_size, max_dist=max_dist, ratio=ratio, rng=0
    )
    return labels.astype(np.int32)


def slic(
    image: Float[np.ndarray, "height width 3"], *, num_segments: int = 100, compactness: float = 10
) -> Int[np.ndarray, "height width"]:
    """SLIC superpixels with scikit-image's settings, the segments of IROF.

    Args:
        image: (H, W, 3), RGB in [0, 1].
        num_segments: about how many.
        compactness: weight of place against color; larger makes them squarer.

    Returns:
        (H, W) labels 0, 1, 2 ...; the same for the same picture.

    Raises:
        ImportError: scikit-image is not installed.

    Source: Achanta et al., IEEE TPAMI 2012, as scikit-image computes it.
    """
    labels = _segmentation().slic(
        np.asarray(image), n_segments=num_segments, compactness=compactness, start_label=0
    )
    return labels.astype(np.int32)


def _segmentation():
    try:
        from skimage import segmentation
    except ImportError:
        raise ImportError(
            "superpixels need scikit-image: pip install 'saljax[superpixels]'"
        ) from None
    return segmentation
