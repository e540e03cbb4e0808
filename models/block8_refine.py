"""Tables for the layers of block8's layout "progressive" that refine a picture known at twice the step.

Sets are fitted from coarse to fine: the layers above a set's own are coded with the tables that are there.
"""

from __future__ import annotations

from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_layers import Layers, layer_count, layer_settings
from farlook.kernels.block8_tables import CHANGE_PROBS, TableSet
from farlook.models.block8_fit import code_length, fit_set, probabilities
from farlook.models.block8_trace import PictureData, gather
from farlook.runtime.block8.progressive import encode_layers
from farlook.runtime.block8.stream import read_packet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from numpy.typing import NDArray


def trace_refinements(
    core: Core, pictures: Iterable[NDArray[np.uint8]], step: int, mtu: int = 1024
) -> PictureData:
    """Code pictures in layers, the last with a step, and gather what the coder met in it."""
    logs = []
    count = layer_count(step)
    for picture in pictures:
        height, width = picture.shape[:2]
        geometry = Geometry(width, height, 1 if picture.ndim == 2 else 3, 8)
        header = layer_settings(core, geometry, step=step, layer=0).header
        store_rows = partial(core.store_rows, picture)
        framed = encode_layers(core, store_rows, geometry, step=step, mtu=mtu, digest=bytes(2))
        packets = [read_packet(packet, header) for packet in framed]
        layers = Layers(core, geometry, step)
        log = np.empty(128 * picture.size + 4096, np.uint16)
        for layer in range(count):
            used = layers.decode(layer, [packet for packet in packets if packet.layer == layer], trace=log)
            if layer == count - 1:
                logs.append(log[:used].copy())
    return gather(np.concatenate(logs), refined=True)


def fit_refinement_set(
    met: PictureData,
    start: TableSet,
    *,
    epochs: int,
    rate: float,
    batch: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[TableSet, dict[str, float]]:
    """`fit_set`, to what `trace_refinements` met.

    Args:
        met: What was met.
        start: A set to begin from: for the same step, for refinements or not.
        epochs: Over the blocks.
        rate: Adam's highest rate.
        batch: Blocks a step.
        seed: Of the order of the blocks.
        progress: Called with (steps done, steps in all).

    Returns:
        The set, and the bits that each part of the layer takes.
    """
    tables, bits = fit_set(met, start, epochs=epochs, rate=rate, batch=batch, seed=seed, progress=progress)
    changes, bits["changes"] = _fit_changes(met.changes)
    return replace(tables, roots=start.roots, changes=changes), bits


def _fit_changes(pairs: NDArray[np.int32]) -> tuple[NDArray[np.uint16], float]:
    ones = np.bincount(pairs[:, 0], pairs[:, 1], CHANGE_PROBS)
    zeros = np.bincount(pairs[:, 0], minlength=CHANGE_PROBS) - ones
    return probabilities(ones, zeros), code_length(ones, zeros)
