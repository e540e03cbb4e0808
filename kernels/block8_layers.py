"""The C core's layout "progressive": layers of a picture, whose steps halve from one to the next.

Packets of a layer share nothing with each other, but need all of the layer before around their units.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels._native import ffi, lib
from farlook.kernels.block8 import (
    MIN_MTU,
    UNIT_SAMPLES,
    Coefficients,
    Core,
    Geometry,
    Packet,
    Settings,
    _check,
    _Memory,
    _Sink,
    native_packets,
)
from farlook.runtime.errors import BundleError, CorruptStreamError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_OCTAVE = 64
_PROGRESSIVE = 1


def layer_count(step: int) -> int:
    """How many layers a stream has whose last has the step of this index."""
    return int(lib.b8_layer_count(step))


def layer_step(step: int, layer: int) -> int:
    """The index of a layer's step, in a stream whose last layer has the step of index `step`."""
    return step + _OCTAVE * (layer_count(step) - 1 - layer)


def layer_settings(
    core: Core, geometry: Geometry, *, step: int, layer: int, mtu: int = MIN_MTU, digest: bytes = bytes(2)
) -> Settings:
    """How to code a layer.

    Args:
        core: The coder.
        geometry: The picture's.
        step: Index of the last layer's step.
        layer: From 0.
        mtu: Most bytes of a packet.
        digest: Two bytes that tell the core's tables from others.
    """
    header = ffi.new("uint8_t[]", int(lib.B8_HEADER_BYTES))
    size = lib.b8_write_header(geometry.native(), step, 0, _PROGRESSIVE, digest, header)
    finer = min(core.tables.chroma_finer, step)
    values = (layer_step(step, layer), finer, mtu, size, list(header), ffi.NULL, layer)
    return Settings(geometry, mtu, bytes(ffi.buffer(header, size)), ffi.new("b8_options *", values), None)


class Layers:
    """A picture while its layers are coded: levels and block means of the last two layers.

    Args:
        core: The coder.
        geometry: The picture's.
        step: Index of the last layer's step.

    Raises:
        BundleError: The core's tables have no sets for refinements.
    """

    def __init__(self, core: Core, geometry: Geometry, step: int) -> None:
        if not core.tables.refinements:
            raise BundleError(
                "the block8 bundle was trained without refinements, and has no layout progressive: use another one"
            )
        self.core = core
        self.geometry = geometry
        self.step = step
        self.known = np.zeros(geometry.units, np.uint8)
        # Zeroed when they are first touched: a picture that is mostly missing takes little memory.
        self._levels = [np.zeros((geometry.units, UNIT_SAMPLES), np.int16) for _ in range(2)]
        self._picture = Coefficients(geometry)
        self._means = [np.zeros_like(self._picture.means) for _ in range(2)]
        arrays = [("int16_t[]", array) for array in (*self._levels, *self._means)]
        pointers = [ffi.from_buffer(kind, array) for kind, array in arrays]
        known = ffi.from_buffer("uint8_t[]", self.known)
        self._native = ffi.new("b8_layers *", (pointers[:2], pointers[2:], known))

    def encode_rows(self, store: NDArray[np.int16], begin: int, end: int, settings: Settings) -> list[Packet]:
        """Code the first layer of a slice's rows of units, from what `Core.store_rows` made of them."""
        native = self.geometry.native()
        memory = _Memory(int(lib.b8_encoder_bytes(native, settings.mtu)))
        sink = _Sink(self.geometry, end - begin, settings.mtu)
        _check(
            lib.b8_encode_first_layer(
                memory.pointer, memory.size, native, self.core.native_tables()[0], settings.options, begin, end,
                self.core._variant, ffi.from_buffer("int16_t[]", store), sink.native,
            )
        )  # fmt: skip
        return sink.packets()

    def refine_rows(
        self, store: NDArray[np.int16], begin: int, end: int, settings: Settings
    ) -> list[tuple[float, Packet]]:
        """Code a layer, not the first, of a slice's rows of units.

        Returns:
            Packets, each with how much of the squared error it takes away.
        """
        native = self.geometry.native()
        memory = _Memory(int(lib.b8_encoder_bytes(native, settings.mtu)))
        sink = _Sink(self.geometry, end - begin, settings.mtu)
        worth = ffi.new("int64_t[]", int(sink.native.packet_capacity))
        _check(
            lib.b8_refine_rows(
                memory.pointer, memory.size, native, self.core.native_tables()[0], settings.options, begin, end,
                self.core._variant, ffi.from_buffer("int16_t[]", store), self._native, sink.native, worth,
            )
        )  # fmt: skip
        return [(float(worth[i]), packet) for i, packet in enumerate(sink.packets())]

    def decode(
        self, layer: int, packets: Sequence[Packet], *, trace: NDArray[np.uint16] | None = None
    ) -> int:
        """Take packets of a layer in; those that lack something of the layer before are passed over.

        Returns:
            How many words of `trace` were written.

        Raises:
            CorruptStreamError: A payload holds what no encoder writes.
        """
        native, data = native_packets(packets)
        settings = layer_settings(self.core, self.geometry, step=self.step, layer=layer)
        memory = _Memory(int(lib.b8_decoder_bytes(self.geometry.native())))
        log = ffi.NULL
        if trace is not None:
            log = ffi.new("b8_trace *", (ffi.from_buffer("uint16_t[]", trace), len(trace), 0))
        failed = ffi.new("uint32_t *")
        status = lib.b8_decode_layer(
            memory.pointer, memory.size, self.geometry.native(), self.core.native_tables()[0], settings.options,
            native, len(packets), ffi.from_buffer(data), len(data), self.core._variant, self._native,
            self._picture.native(), log, failed,
        )  # fmt: skip
        if status != lib.B8_OK:
            raise CorruptStreamError(
                f"layer {layer}'s packet of units from {packets[failed[0]].first} on holds what no encoder writes"
            )
        return 0 if trace is None else int(log.used)

    def coefficients(self) -> Coefficients:
        """What is known by now, each unit at its own last layer's step."""
        settings: Any = layer_settings(
            self.core, self.geometry, step=self.step, layer=layer_count(self.step) - 1
        )
        _check(
            lib.b8_finish_layers(
                self.geometry.native(), self.core.native_tables()[0], settings.options, self._native,
                self._picture.native(),
            )
        )  # fmt: skip
        return self._picture
