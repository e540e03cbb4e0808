"""How far a reconstruction is from its original."""

from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

MS_SSIM_SIDE = 176
"""The smallest side that `ms_ssim` takes: 11 pixels are left at the fifth scale."""

_WEIGHTS = np.array([0.0448, 0.2856, 0.3001, 0.2363, 0.1333])
_TAPS, _SIGMA = 11, 1.5
_C1, _C2 = (0.01 * 255) ** 2, (0.03 * 255) ** 2


def psnr(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> float:
    """Peak signal-to-noise ratio in dB, all samples of all bands together; infinite for equal pictures."""
    error = np.mean((original.astype(np.float64) - reconstruction.astype(np.float64)) ** 2)
    return float(10 * np.log10(255.0**2 / error)) if error else float("inf")


def ms_ssim(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> float:
    """Multi-scale structural similarity of two grey pictures: 1 for equal ones, near 0 for unlike ones.

    Wang, Simoncelli, Bovik, "Multi-scale structural similarity for image quality assessment", Asilomar 2003
    (https://doi.org/10.1109/ACSSC.2003.1292216): five scales, a Gaussian window of 11x11 pixels and sigma 1.5,
    borders left out, 2x2 means between the scales. A scale that correlates negatively counts as 0.

    Args:
        original: uint8 [height, width].
        reconstruction: The same shape.

    Raises:
        UsageError: The pictures are not grey, differ in shape, or have a side below 176 pixels.
    """
    return similarities(original, reconstruction)[1]


def similarities(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> tuple[float, float]:
    """`ssim` and `ms_ssim` at once: the first is what the second begins with.

    Raises:
        UsageError: See `ms_ssim`.
    """
    if original.ndim != 2 or original.shape != reconstruction.shape or min(original.shape) < MS_SSIM_SIDE:
        raise UsageError(
            f"MS-SSIM compares two grey pictures of one shape and sides from {MS_SSIM_SIDE} pixels, "
            f"not {original.shape} and {reconstruction.shape}"
        )
    x, y = original.astype(np.float64), reconstruction.astype(np.float64)
    scales = []
    for _ in _WEIGHTS:
        scales.append(_similarity(x, y))
        x, y = _halved(x), _halved(y)
    terms = [contrast for _, contrast in scales[:-1]] + [scales[-1][0]]
    return scales[0][0], float(np.prod(np.maximum(terms, 0) ** _WEIGHTS))


def ssim(original: NDArray[np.uint8], reconstruction: NDArray[np.uint8]) -> float:
    """Structural similarity of two grey pictures: 1 for equal ones.

    Wang, Bovik, Sheikh, Simoncelli, "Image quality assessment: from error visibility to structural similarity", IEEE
    Transactions on Image Processing 13(4), 2004 (https://doi.org/10.1109/TIP.2003.819861): a Gaussian window of
    11x11 pixels and sigma 1.5, borders left out, no reduction.

    Args:
        original: uint8 [height, width].
        reconstruction: The same shape.

    Raises:
        UsageError: The pictures are not grey, differ in shape, or have a side below 11 pixels.
    """
    if original.ndim != 2 or original.shape != reconstruction.shape or min(original.shape) < _TAPS:
        raise UsageError(
            f"SSIM compares two grey pictures of one shape and sides from {_TAPS} pixels, "
            f"not {original.shape} and {reconstruction.shape}"
        )
    return _similarity(original.astype(np.float64), reconstruction.astype(np.float64))[0]


def _similarity(x: NDArray[np.float64], y: NDArray[np.float64]) -> tuple[float, float]:
    """The means of SSIM and of its contrast-structure part."""
    mean_x, mean_y, square, product = (_window(plane) for plane in (x, y, x * x + y * y, x * y))
    means = mean_x * mean_y
    squares = mean_x * mean_x + mean_y * mean_y
    contrast = (2 * (product - means) + _C2) / (square - squares + _C2)
    return float(np.mean(contrast * (2 * means + _C1) / (squares + _C1))), float(np.mean(contrast))


def _window(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Gaussian means over whole windows: 10 rows and 10 columns fewer."""
    offsets = np.arange(_TAPS) - _TAPS // 2
    taps = np.exp(-(offsets**2) / (2 * _SIGMA**2))
    taps /= taps.sum()
    height, width = (side - _TAPS + 1 for side in plane.shape)
    rows = sum(tap * plane[index : index + height] for index, tap in enumerate(taps))
    return np.asarray(sum(tap * rows[:, index : index + width] for index, tap in enumerate(taps)))


def _halved(plane: NDArray[np.float64]) -> NDArray[np.float64]:
    """Means of 2x2 pixels; an odd last row or column is left out."""
    height, width = (side // 2 * 2 for side in plane.shape)
    whole = plane[:height, :width]
    return (whole[::2, ::2] + whole[1::2, ::2] + whole[::2, 1::2] + whole[1::2, 1::2]) / 4
