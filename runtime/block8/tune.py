"""Coding for MS-SSIM instead of PSNR, in streams that every decoder reads.

MS-SSIM (Wang, Simoncelli and Bovik 2003) gives the finest of its five scales a weight of 0.04, and measures errors by
the contrast around them. So luma's latents above half the highest frequency are left out, as halving the picture would
do, and units of little contrast get finer steps.

Contrast is measured in integers: the same picture gives the same stream on every machine.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import UNIT
from farlook.runtime.block8.job import slices_of
from farlook.runtime.block8.threads import in_order
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Geometry
    from farlook.runtime.block8.job import Job

PSNR, MS_SSIM = TUNES = ("psnr", "ms-ssim")

_BLOCK = 8
_BLOCKS = UNIT // _BLOCK
_LUMA = UNIT * UNIT
_KEPT = 4
"""Frequencies of luma each way that are coded."""

_POWER = 0.1
"""Steps go as the variance of a unit's blocks (their geometric mean) to this power: as a fifth root of contrast."""
_FLOOR = 20
"""What is added to variances, in squared levels: noise that no eye sees."""
_GRAIN = 32
"""Indices come in multiples of this: a unit that differs from the one before costs nine bits."""
_INDICES_AN_OCTAVE = 64

_VARIANCE = 4**2 * _BLOCK**2
"""Energy of a block's latents by its variance: latents are four times the coefficients of an orthonormal DCT."""
_PARTS = 16
"""Logarithms of variances count in parts of an octave, from that of the floor on."""
_EDGES = np.rint(_FLOOR * _VARIANCE * 2.0 ** (np.arange(1, 24 * _PARTS) / _PARTS)).astype(np.int64)
"""Energies, the floor's included, at which a logarithm is one part more."""


def check_tune(tune: str) -> None:
    """Refuse a measure that there is not.

    Raises:
        UsageError: It is none of `TUNES`.
    """
    if str(tune) not in TUNES:
        raise UsageError(f"there is no tune {tune!r}; choose one of: {', '.join(TUNES)}")


def tuned(job: Job, tune: str) -> Job:
    """A job as it is coded for a measure.

    Args:
        job: A picture's.
        tune: One of `TUNES`.
    """
    if tune == PSNR:
        return job
    finer = finer_by_contrast(job)
    if job.finer is not None:  # regions of interest come on top
        finer = np.minimum(finer.astype(np.int16) + job.finer, np.iinfo(np.uint8).max).astype(np.uint8)
    return replace(job, kept=_kept(), finer=finer if finer.any() else None)


def finer_by_contrast(job: Job) -> NDArray[np.uint8]:
    """How much finer each unit's steps are than those of the unit with most contrast: uint8 [units], step indices."""
    settings = job.settings(0)

    def work(rows: tuple[int, int]) -> NDArray[np.float64]:
        return np.concatenate(
            [
                _contrast(job.geometry, job.store_rows(row, row + 1, settings), row)
                for row in range(*rows)  # one by one: slices may be large
            ]
        )

    contrast = np.concatenate(list(in_order(work, slices_of(job.geometry), job.threads)))
    indices = _POWER * _INDICES_AN_OCTAVE / _PARTS * (contrast.max() - contrast)
    finer: NDArray[np.uint8] = (np.rint(indices / _GRAIN) * _GRAIN).astype(np.uint8)
    return finer


def _contrast(geometry: Geometry, store: NDArray[np.int16], row: int) -> NDArray[np.float64]:
    """The mean logarithm of the variances of a row of units' blocks, those inside the picture: float64 [units]."""
    luma = store[:, :_LUMA].reshape(-1, _BLOCKS, _BLOCK, _BLOCKS, _BLOCK).astype(np.int64)
    energy = np.square(luma).sum(axis=(2, 4)) - np.square(luma[:, :, 0, :, 0])
    logs = np.searchsorted(_EDGES, energy + _FLOOR * _VARIANCE, side="right")  # units, columns, rows
    rows, columns = geometry.blocks(0)
    there = (np.arange(len(store) * _BLOCKS) < columns).reshape(-1, _BLOCKS, 1)
    inside = there & (np.arange(_BLOCKS) + row * _BLOCKS < rows)
    mean: NDArray[np.float64] = (logs * inside).sum(axis=(1, 2)) / inside.sum(axis=(1, 2))
    return mean


def _kept() -> NDArray[np.int16]:
    """1 for every coefficient of a unit's store that is coded, 0 for others."""
    u, v = np.mgrid[0:_BLOCK, 0:_BLOCK]
    block = ((u < _KEPT) & (v < _KEPT)).astype(np.int16)
    luma = np.broadcast_to(block[None, :, None, :], (_BLOCKS, _BLOCK, _BLOCKS, _BLOCK)).reshape(-1)
    return np.concatenate([luma, np.ones(_LUMA // 2, np.int16)])
