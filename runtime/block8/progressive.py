"""The layout "progressive": the whole picture coarsely first, then layers that halve the step, in order of worth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farlook.kernels.block8_layers import Layers, layer_count, layer_settings
from farlook.runtime.block8.job import slices_of
from farlook.runtime.block8.stream import read_packet
from farlook.runtime.block8.threads import in_order
from farlook.runtime.errors import CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import numpy as np
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Coefficients, Core, Geometry, Packet, Settings
    from farlook.runtime.block8.stream import Header


def encode_layers(
    core: Core,
    store_rows: Callable[[int, int, Settings], NDArray[np.int16]],
    geometry: Geometry,
    *,
    step: int,
    mtu: int,
    digest: bytes,
    threads: int = 1,
) -> list[bytes]:
    """Code a picture so that its stream may be cut anywhere.

    Args:
        core: The coder.
        store_rows: Gives the coefficients of rows of units [begin, end), as `Core.store_rows` does.
        geometry: The picture's.
        step: Index of the last layer's step.
        mtu: Most bytes of a packet.
        digest: First two bytes of the bundle's digest.
        threads: How many to work with; the bytes do not depend on it.

    Returns:
        Packets, framed, in the stream's order: layer by layer, and in each those first that lower the error most
        for their bytes. The first layer's are in the picture's order.

    Raises:
        BundleError: The bundle was trained without refinements.
    """
    layers = Layers(core, geometry, step)
    slices = slices_of(geometry)
    stores: dict[tuple[int, int], NDArray[Any]] = {}

    def first_layer(rows: tuple[int, int]) -> tuple[NDArray[Any], list[Packet]]:
        store = store_rows(*rows, settings)
        return store, layers.encode_rows(store, *rows, settings)

    def refine(rows: tuple[int, int]) -> list[tuple[float, Packet]]:
        return layers.refine_rows(stores[rows], *rows, settings)

    settings = layer_settings(core, geometry, step=step, layer=0, mtu=mtu, digest=digest)
    coded: list[Packet] = []
    for rows, (store, packets) in zip(slices, in_order(first_layer, slices, threads), strict=True):
        stores[rows] = store
        coded += packets
    layers.decode(0, [read_packet(packet.data, settings.header) for packet in coded])
    for layer in range(1, layer_count(step)):
        settings = layer_settings(core, geometry, step=step, layer=layer, mtu=mtu, digest=digest)
        ranked = [pair for pairs in in_order(refine, slices, threads) for pair in pairs]
        layers.known[:] = layer + 1
        ranked.sort(key=lambda pair: -pair[0] / len(pair[1].data))
        coded += [packet for _, packet in ranked]
    return [packet.data for packet in coded]


def decode_layers(
    core: Core, header: Header, packets: Sequence[Packet], *, lossy: bool = False
) -> Coefficients:
    """Decode any packets of a stream of the layout "progressive".

    A unit is known if the first layer is there, and is as good as the layers that follow without a gap, its
    neighbours' included.

    Args:
        core: The coder.
        header: The stream's.
        packets: In any order, any of them missing.
        lossy: A packet that no encoder writes counts as missing.

    Raises:
        CorruptStreamError: A packet holds what no encoder writes, or the header claims it.
        BundleError: The bundle was trained without refinements.
    """
    if header.has_finer:
        raise CorruptStreamError("a stream of the layout progressive claims units with steps of their own")
    layers = Layers(core, header.geometry, header.step)
    decode = _decode_each if lossy else Layers.decode
    for layer in range(layer_count(header.step)):
        decode(layers, layer, [packet for packet in packets if packet.layer == layer])
    return layers.coefficients()


def _decode_each(layers: Layers, layer: int, packets: Sequence[Packet]) -> None:
    """Decode packets of a layer; one that no encoder writes costs no other."""
    try:
        layers.decode(layer, packets)
    except CorruptStreamError:
        for packet in packets if len(packets) > 1 else ():
            _decode_each(layers, layer, [packet])
