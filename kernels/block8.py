"""block8's C99 core, from Python: functions on whole rows of units.

Every call releases the GIL, and works in memory of its own: calls may run in parallel threads.
"""

from __future__ import annotations

import mmap
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels._native import ffi, lib
from farlook.kernels.block8_tables import MODELS, halves
from farlook.runtime.errors import CorruptStreamError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

    from farlook.kernels.block8_tables import Tables, TableSet

UNIT = int(lib.B8_UNIT)
STEPS = int(lib.B8_STEPS)
MAX_SIDE = int(lib.B8_MAX_SIDE)
MIN_MTU = int(lib.B8_MIN_MTU)
MAX_MTU = int(lib.B8_MAX_MTU)
PREAMBLE_BYTES = int(lib.B8_PREAMBLE_BYTES)
UNIT_SAMPLES = int(lib.B8_UNIT_SAMPLES)

_SIGMOID = np.round(32768 / (1 + np.exp(-(np.arange(256) - 128) / 16))).clip(1, 32767).astype(np.uint16)


@dataclass(frozen=True)
class Geometry:
    """A picture's size and kind: sides of 1 to 16384, 1 or 3 bands, 8 to 16 bits a sample."""

    width: int
    height: int
    bands: int
    depth: int

    @property
    def units_x(self) -> int:
        """Units of 32 pixels along a row."""
        return -(-self.width // UNIT)

    @property
    def units_y(self) -> int:
        """Rows of units."""
        return -(-self.height // UNIT)

    @property
    def units(self) -> int:
        """Units of the whole picture."""
        return self.units_x * self.units_y

    def blocks(self, plane: int) -> tuple[int, int]:
        """Rows and columns of 8x8 blocks of a plane."""
        native = self.native()
        return int(lib.b8_blocks_y(native, plane)), int(lib.b8_blocks_x(native, plane))

    def native(self) -> Any:  # cffi
        """The C structure."""
        return ffi.new("b8_geometry *", (self.width, self.height, self.bands, self.depth))


@dataclass(frozen=True)
class Packet:
    """A run of units, coded alone.

    Attributes:
        first: The first unit's number; docs/block8-format.md says how units are numbered.
        count: Units.
        step: Index of the quantiser step.
        data: From an encoder the whole packet, framed; for a decoder the payload.
        layer: Of the layout "progressive", else 0.
    """

    first: int
    count: int
    step: int
    data: bytes
    layer: int = 0


class Core:
    """The C core with one codec's tables.

    Args:
        tables: Trained.
        variant: "scalar", "avx2", "avx512", "neon", or "auto" for the widest that this processor has; all
            give the same bytes.

    Raises:
        UsageError: This processor, or this build, has no such variant.
    """

    def __init__(self, tables: Tables, variant: str = "auto") -> None:
        self.tables = tables
        self._keep: list[Any] = []
        self._variant = _variant_number(variant)
        self._tables = self._native_tables(tables)

    @property
    def variant(self) -> str:
        """The vector width in use."""
        return str(ffi.string(lib.b8_variant_name(self._variant)).decode())

    def native_tables(self) -> tuple[Any, list[Any]]:  # cffi
        """The C structure of the tables, and the arrays that it points to."""
        return self._tables, self._keep

    def settings(
        self,
        geometry: Geometry,
        *,
        step: int,
        mtu: int,
        digest: bytes = bytes(2),
        finer: NDArray[np.uint8] | None = None,
        interleave: bool = False,
    ) -> Settings:
        """How to encode.

        Args:
            geometry: The picture's.
            step: Index of the quantiser step.
            mtu: Most bytes of a packet.
            digest: Two bytes that tell these tables from others.
            finer: uint8 [units], step indices by which units are finer; None: all alike.
            interleave: Put units that touch into different packets.
        """
        layout = lib.B8_INTERLEAVED if interleave else lib.B8_TILES
        header = ffi.new("uint8_t[]", int(lib.B8_HEADER_BYTES))
        size = lib.b8_write_header(geometry.native(), step, finer is not None, layout, digest, header)
        map_pointer = ffi.NULL if finer is None else ffi.from_buffer("uint8_t[]", finer)
        raw = bytes(ffi.buffer(header, size))
        values = (step, self.tables.chroma_finer, mtu, size, list(header), map_pointer)
        return Settings(geometry, mtu, raw, ffi.new("b8_options *", values), (finer, map_pointer))

    def encode_rows(self, image: NDArray[Any], begin: int, end: int, settings: Settings) -> list[Packet]:
        """Code the rows of units [begin, end) of a picture.

        Args:
            image: uint8, or uint16 if the depth is above 8: [height, width] or [height, width, 3], contiguous.
            begin: First row of units.
            end: One past the last.
            settings: How.
        """
        encoder = Encoder(self, begin, end, settings)
        first = int(lib.b8_first_row(begin))
        return encoder.push(image[first : int(lib.b8_last_row(settings.geometry.native(), end))])

    def store_rows(self, image: NDArray[Any], begin: int, end: int, settings: Settings) -> NDArray[np.int16]:
        """Transform rows of units without coding them: int16 [units, 1536], for `encode_stored`.

        Block columns beyond the picture's right edge are 0.
        """
        geometry = settings.geometry
        memory = _Memory(int(lib.b8_encoder_bytes(geometry.native(), settings.mtu)))
        store = np.zeros(((end - begin) * geometry.units_x, UNIT_SAMPLES), np.int16)
        _check(
            lib.b8_store_rows(
                memory.pointer, memory.size, geometry.native(), self._tables, settings.options, begin, end,
                self._variant, ffi.cast("void *", image.ctypes.data), image.strides[0],
                ffi.from_buffer("int16_t[]", store),
            )
        )  # fmt: skip
        return store

    def encode_stored(
        self, store: NDArray[np.int16], begin: int, end: int, settings: Settings
    ) -> list[Packet]:
        """Code rows of units that `store_rows` transformed."""
        geometry = settings.geometry
        memory = _Memory(int(lib.b8_encoder_bytes(geometry.native(), settings.mtu)))
        sink = _Sink(geometry, end - begin, settings.mtu)
        _check(
            lib.b8_encode_stored(
                memory.pointer, memory.size, geometry.native(), self._tables, settings.options, begin, end,
                self._variant, ffi.from_buffer("int16_t[]", store), sink.native,
            )
        )  # fmt: skip
        return sink.packets()

    def decode(
        self,
        geometry: Geometry,
        packets: Sequence[Packet],
        coefficients: Coefficients,
        *,
        has_finer: bool = False,
        interleaved: bool = False,
        trace: NDArray[np.uint16] | None = None,
    ) -> int:
        """Decode packets into `coefficients`; returns how many words of `trace` were written.

        Args:
            geometry: The picture's.
            packets: Packets with their payloads.
            coefficients: Takes what they hold; units of a packet that cannot be decoded stay unknown.
            has_finer: Units say how much finer their steps are.
            interleaved: Units that touch are in different packets.
            trace: uint16, receives what training learns from.

        Raises:
            CorruptStreamError: A payload holds what no encoder writes.
        """
        native, data = native_packets(packets)
        memory = _Memory(int(lib.b8_decoder_bytes(geometry.native())))
        mark = ffi.new("uint8_t[1]")
        kind = (lib.B8_INTERLEAVED if interleaved else lib.B8_TILES) << 2
        finer = mark if has_finer else ffi.NULL
        options = ffi.new("b8_options *", (0, self.tables.chroma_finer, MIN_MTU, 1, [kind], finer))
        log = ffi.NULL
        if trace is not None:
            log = ffi.new("b8_trace *", (ffi.from_buffer("uint16_t[]", trace), len(trace), 0))
        failed = ffi.new("uint32_t *")
        status = lib.b8_decode_packets(
            memory.pointer, memory.size, geometry.native(), self._tables, options, native, len(packets),
            ffi.from_buffer(data), len(data), self._variant, coefficients.native(), log, failed,
        )  # fmt: skip
        if status != lib.B8_OK:
            raise CorruptStreamError(
                f"the packet of units from {packets[failed[0]].first} on holds what no encoder writes"
            )
        return 0 if trace is None else int(log.used)

    def synthesise(
        self, geometry: Geometry, begin: int, end: int, coefficients: Coefficients, image: NDArray[Any]
    ) -> None:
        """Rebuild pixel rows 32 begin to 32 end into `image`, the whole picture's array."""
        memory = _Memory(int(lib.b8_synthesis_bytes(geometry.native())))
        status = lib.b8_synthesise(
            memory.pointer, memory.size, geometry.native(), begin, end, self._variant, coefficients.native(),
            ffi.cast("void *", image.ctypes.data), image.strides[0],
        )  # fmt: skip
        _check(status)

    def _native_tables(self, tables: Tables) -> Any:  # cffi
        native = ffi.new("b8_tables *")
        native.set_count = len(tables.sets)
        native.sets = self._native_sets(tables.sets)
        native.set_limits = self._pointer("uint16_t[]", np.array(tables.limits, np.uint16))
        native.refinement_count = len(tables.refinements)
        native.refinements = self._native_sets(tables.refinements)
        native.refinement_limits = self._pointer("uint16_t[]", np.array(tables.refinement_limits, np.uint16))
        native.sigmoid = self._pointer("uint16_t[]", _SIGMOID)
        for model, scan in enumerate(tables.scans):
            native.scans[model] = self._pointer("uint8_t[]", scan)
        native.decisions = self._pointer("uint16_t[]", tables.decisions)
        return native

    def _native_sets(self, tables: Sequence[TableSet]) -> Any:  # cffi
        sets = ffi.new("b8_set[]", len(tables))
        for slot, values in zip(sets, tables, strict=True):
            for model in range(len(MODELS)):
                rows, rest = halves(values.rows[model])
                slot.rows[model] = self._pointer("int8_t[]", _aligned(rows))
                slot.rest[model] = self._pointer("int8_t[]", _aligned(rest))
                slot.ends[model] = self._pointer("int8_t[]", values.rows[model][:, 0])
                slot.signs[model] = self._pointer("int8_t[]", values.signs[model])
                slot.levels[model] = self._pointer("uint16_t[]", values.levels[model])
            for chroma in range(2):
                slot.roots[chroma] = self._pointer("uint16_t[]", values.roots[chroma])
            slot.skip = self._pointer("uint16_t[]", values.skip)
            if values.changes is not None:
                slot.changes = self._pointer("uint16_t[]", values.changes)
        self._keep.append(sets)
        return sets

    def _pointer(self, kind: str, array: NDArray[Any]) -> Any:  # cffi
        pointer = ffi.from_buffer(kind, np.ascontiguousarray(array))
        self._keep.append(pointer)
        return pointer


class Encoder:
    """Codes rows of units [begin, end) while their pixels come in, row by row.

    Attributes:
        memory_bytes: Working memory, all that is held of the picture.
    """

    def __init__(self, core: Core, begin: int, end: int, settings: Settings) -> None:
        native = settings.geometry.native()
        self._core = core
        self._settings = settings
        self._memory = _Memory(int(lib.b8_encoder_bytes(native, settings.mtu)))
        self.memory_bytes = self._memory.size
        _check(
            lib.b8_encoder_start(
                self._memory.pointer, self._memory.size, native, core._tables, settings.options, begin, end,
                core._variant,
            )
        )  # fmt: skip

    def push(self, rows: NDArray[Any]) -> list[Packet]:
        """Take the next rows of pixels; returns the packets that became whole."""
        sink = _Sink(self._settings.geometry, len(rows) // UNIT + 2, self._settings.mtu)
        data = ffi.cast("void *", rows.ctypes.data)
        _check(lib.b8_encoder_push(self._memory.pointer, data, rows.strides[0], len(rows), sink.native))
        return sink.packets()

    def set_step(self, step: int) -> None:
        """Take another step for packets that are begun from now on."""
        lib.b8_encoder_set_step(self._memory.pointer, step)


@dataclass(frozen=True)
class Settings:
    """How to encode: made by `Core.settings`.

    Attributes:
        geometry: The picture's.
        mtu: Most bytes of a packet.
        header: The stream's header.
        options: The C structure.
    """

    geometry: Geometry
    mtu: int
    header: bytes
    options: Any
    _keep: Any


class _Sink:
    """Room for what rows of units take at the most."""

    def __init__(self, geometry: Geometry, unit_rows: int, mtu: int) -> None:
        units = (unit_rows + 1) * geometry.units_x + 1
        capacity = units * UNIT_SAMPLES * 3 + mtu
        self._data = np.empty(capacity, np.uint8)
        self._packets = ffi.new("b8_packet[]", units)
        self._room = ffi.from_buffer("uint8_t[]", self._data)
        self.native = ffi.new("b8_sink *", (self._room, capacity, 0, self._packets, units, 0))

    def packets(self) -> list[Packet]:
        """What was written."""
        return [
            Packet(p.first, p.count, p.step, self._data[p.offset : p.offset + p.size].tobytes(), p.layer)
            for p in self._packets[0 : self.native.count]
        ]


class Coefficients:
    """A decoded picture's coefficients: block means, and what else is not zero."""

    def __init__(self, geometry: Geometry) -> None:
        self.geometry = geometry
        shapes = [geometry.blocks(plane) for plane in range(geometry.bands)]
        blocks = sum(rows * columns for rows, columns in shapes)
        self.means = np.zeros(blocks, np.int16)
        self.starts = np.zeros(blocks, np.uint32)
        self.counts = np.zeros(blocks, np.uint8)
        self.entries = _sparse(geometry.units * lib.B8_UNIT_ENTRIES)
        self.known = np.zeros(geometry.units, np.uint8)

    def native(self) -> Any:  # cffi
        """The C structure; valid while this object is."""
        arrays: list[tuple[str, NDArray[Any]]] = [
            ("int16_t", self.means),
            ("uint32_t", self.starts),
            ("uint8_t", self.counts),
            ("uint32_t", self.entries),
            ("uint8_t", self.known),
        ]
        self._native = ffi.new(
            "b8_picture *", tuple(ffi.from_buffer(f"{kind}[]", array) for kind, array in arrays)
        )
        return self._native

    def lists(self) -> tuple[NDArray[np.uint32], NDArray[np.uint32]]:
        """`starts` and `entries` without gaps: uint32 [blocks], and uint32 [entries], one block after the other."""
        geometry, picture = self.geometry.native(), self.native()
        starts = np.empty_like(self.starts)
        entries = np.empty(lib.b8_pack_entries(geometry, picture, ffi.NULL, ffi.NULL), np.uint32)
        lib.b8_pack_entries(
            geometry, picture, ffi.from_buffer("uint32_t[]", starts), ffi.from_buffer("uint32_t[]", entries)
        )
        return starts, entries


def _sparse(count: int) -> NDArray[np.uint32]:
    """uint32 [count], of which only pages of 4 KB that are written take memory: few, here and there, are."""
    flags = getattr(mmap, "MAP_PRIVATE", 0) | getattr(mmap, "MAP_ANONYMOUS", 0)
    if not flags or not hasattr(mmap, "MADV_NOHUGEPAGE"):
        return np.empty(count, np.uint32)
    room = mmap.mmap(-1, 4 * count, flags=flags)
    with suppress(OSError):  # a kernel without huge pages
        room.madvise(mmap.MADV_NOHUGEPAGE)
    return np.frombuffer(room, np.uint32)


class _Memory:
    """Bytes on a boundary of 64.

    Args:
        size: Bytes; 0, the core's answer to a picture that it cannot code, is refused.
    """

    def __init__(self, size: int) -> None:
        if size == 0:
            raise UsageError("the core cannot code a picture of this size and kind")
        self.size = size
        self._bytes = np.empty(size + 64, np.uint8)
        address = self._bytes.ctypes.data
        self.pointer = ffi.cast("void *", address + -address % 64)


def native_packets(packets: Sequence[Packet]) -> tuple[Any, bytes]:  # cffi
    """Packets as C structures, and their payloads, joined."""
    native = ffi.new("b8_packet[]", len(packets))
    offset = 0
    for slot, packet in zip(native, packets, strict=True):
        slot.first, slot.count, slot.step, slot.layer = packet.first, packet.count, packet.step, packet.layer
        slot.offset, slot.size = offset, len(packet.data)
        offset += len(packet.data)
    return native, b"".join(packet.data for packet in packets)


def variants() -> list[str]:
    """The vector widths that this build and this processor have."""
    return [
        str(ffi.string(lib.b8_variant_name(number)).decode())
        for number in range(4)
        if lib.b8_variant_works(number)
    ]


def slice_rows(geometry: Geometry) -> int:
    """Rows of units of a slice, over whose end no packet goes."""
    return int(lib.b8_slice_rows(geometry.native()))


def encoder_bytes(geometry: Geometry, mtu: int) -> int:
    """Working memory of an encoder; 0 if the geometry cannot be coded."""
    return int(lib.b8_encoder_bytes(geometry.native(), mtu))


def step_size(index: int) -> float:
    """A step in levels of an 8-bit sample."""
    return int(lib.b8_step_q8(index)) / 1024


def _aligned(array: NDArray[np.int8]) -> NDArray[np.int8]:
    """A copy on a boundary of 64 bytes: no row lies in two cache lines."""
    room = np.empty(array.nbytes + 64, np.int8)
    offset = -room.ctypes.data % 64
    copy = room[offset : offset + array.nbytes].reshape(array.shape)
    copy[:] = array
    return copy


def _variant_number(name: str) -> int:
    if name == "auto":
        return int(lib.b8_best_variant())
    for number in range(4):
        if ffi.string(lib.b8_variant_name(number)).decode() == name and lib.b8_variant_works(number):
            return number
    raise UsageError(f"this processor and build have no variant {name!r}, but {', '.join(variants())}")


def _check(status: int) -> None:
    if status != lib.B8_OK:
        raise UsageError(f"the core refused its arguments ({status})")
