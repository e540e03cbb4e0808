"""Fits block8's thresholds: when a latent is worth its bits. The stream does not know them."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Coefficients, Core, Geometry
from farlook.models.block8 import step_index
from farlook.runtime.block8.stream import read_packet

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8_tables import Tables

_STEPS = (24.0, 40.0, 64.0, 104.0, 168.0)
_MTU = 1024
# Which threshold to move, and by how much: see `b8_decide` and `b8_prepare_means`.
_MOVES = ((1, 8), (2, 4), (4, 10), (5, 4), (3, 8), (6, 6), (7, 10))


def fit_decisions(
    tables: Tables,
    pictures: Sequence[NDArray[np.uint8]],
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[Tables, float]:
    """Search, one threshold at a time, for those that take the fewest bits at equal error.

    Args:
        tables: Trained.
        pictures: Grey, uint8 [height, width]; a few dozen.
        progress: Called with (thresholds tried, thresholds in all).

    Returns:
        The tables with the best thresholds, and the bytes that they take as a share of before.
    """
    before = _curves(tables, pictures)
    best, least = tables, 1.0
    for done, (which, by) in enumerate(_MOVES, start=1):
        for change in (-by, by):
            while (
                share := _share(before, _curves(moved := _moved(best, which, change), pictures))
            ) < least - 1e-4:
                best, least = moved, share
        progress(done, len(_MOVES))
    return best, least


def _moved(tables: Tables, which: int, change: int) -> Tables:
    decisions = tables.decisions.astype(int)
    decisions[which] = max(decisions[which] + change, 0)
    return replace(tables, decisions=decisions.astype(np.uint16))


def _curves(tables: Tables, pictures: Sequence[NDArray[np.uint8]]) -> list[NDArray[np.float64]]:
    """A picture each: [steps, 2], logarithms of squared error and of bytes."""
    core = Core(tables)
    return [np.array([_point(core, picture, step_index(step)) for step in _STEPS]) for picture in pictures]


def _point(core: Core, picture: NDArray[np.uint8], step: int) -> tuple[float, float]:
    height, width = picture.shape
    geometry = Geometry(width, height, 1, 8)
    settings = core.settings(geometry, step=step, mtu=_MTU)
    packets = core.encode_rows(picture, 0, geometry.units_y, settings)
    coefficients = Coefficients(geometry)
    core.decode(geometry, [read_packet(packet.data, settings.header) for packet in packets], coefficients)
    shown = np.empty_like(picture)
    core.synthesise(geometry, 0, geometry.units_y, coefficients, shown)
    error = np.square(shown.astype(np.float64) - picture).mean()
    return float(np.log(error + 0.01)), float(np.log(sum(len(packet.data) for packet in packets)))


def _share(before: list[NDArray[np.float64]], after: list[NDArray[np.float64]]) -> float:
    """Bytes after as a share of those before, at equal error, over all pictures."""
    differences = []
    for old, new in zip(before, after, strict=True):
        low, high = max(old[:, 0].min(), new[:, 0].min()), min(old[:, 0].max(), new[:, 0].max())
        if high > low:
            at = np.linspace(low, high, 64)
            differences.append(np.mean(np.interp(at, *new.T) - np.interp(at, *old.T)))
    return float(np.exp(np.mean(differences))) if differences else 1.0
