"""block8's C99 core, from Python: trained tables, and functions on whole rows of units.

Every call releases the GIL, and works in memory of its own: calls may run in parallel threads.
"""

from __future__ import annotations

import mmap
import threading
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels._native import ffi, lib
from farlook.runtime.errors import BundleError, CorruptStreamError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

UNIT = int(lib.B8_UNIT)
STEPS = int(lib.B8_STEPS)
MAX_SIDE = int(lib.B8_MAX_SIDE)
MIN_MTU = int(lib.B8_MIN_MTU)
MAX_MTU = int(lib.B8_MAX_MTU)
PREAMBLE_BYTES = int(lib.B8_PREAMBLE_BYTES)
UNIT_SAMPLES = int(lib.B8_UNIT_SAMPLES)
LEVEL_PROBS = int(lib.B8_LEVEL_PROBS)
ROOT_PROBS = int(lib.B8_ROOT_PROBS)
SKIP_PROBS = int(lib.B8_SKIP_PROBS)
CHANGE_PROBS = int(lib.B8_CHANGE_PROBS)
HOT_LANES = 32
"""Lanes of a row that most blocks need; the core keeps the rest apart."""
MODELS = ("luma", "chroma", "luma means", "chroma means")
GROUPS = (48, 24, 15, 3)
SIDES = (8, 8, 4, 2)

_MAGIC = b"B8T2"
_SIGMOID = np.round(32768 / (1 + np.exp(-(np.arange(256) - 128) / 16))).clip(1, 32767).astype(np.uint16)
_PROBABILITY_MAX = 32767
_MAX_SETS = 32
_KEPT = 8 << 20
"""Most bytes of a kind that a thread keeps for its next call."""


@dataclass(frozen=True)
class TableSet:
    """Trained tables for one range of steps; logits are in sixteenths, probabilities in 2^-15.

    Attributes:
        rows: A model each: int8 [64 + 6 groups, 64], logits of "not zero" and "no more".
        signs: A model each: int8 [40 + 6 min(groups, 16), 16], logits of "negative".
        levels: A model each: uint16 [72], probabilities of greater magnitudes.
        roots: Of luma and chroma: uint16 [112], probabilities of the lengths of roots' residuals.
        skip: uint16 [5], probabilities that nothing of a unit is sent.
        changes: uint16 [32], of a set for refinements: probabilities that a level changes, and which way.
    """

    rows: tuple[NDArray[np.int8], ...]
    signs: tuple[NDArray[np.int8], ...]
    levels: tuple[NDArray[np.uint16], ...]
    roots: tuple[NDArray[np.uint16], ...]
    skip: NDArray[np.uint16]
    changes: NDArray[np.uint16] | None = None


@dataclass(frozen=True)
class Tables:
    """All that training gives the coder.

    Attributes:
        scans: A model each: uint8 [side^2], index u * side + v of the k-th coefficient.
        decisions: uint16 [8], the encoder's thresholds.
        chroma_finer: Step indices by which chroma's steps are finer than luma's.
        limits: A set each: the first step index that is too coarse for it.
        sets: The sets, from fine to coarse.
        refinement_limits: The same for the sets of layers that refine.
        refinements: Sets for layers that refine a picture known at twice the step, from fine to coarse.
    """

    scans: tuple[NDArray[np.uint8], ...]
    decisions: NDArray[np.uint16]
    chroma_finer: int
    limits: tuple[int, ...]
    sets: tuple[TableSet, ...]
    refinement_limits: tuple[int, ...] = ()
    refinements: tuple[TableSet, ...] = ()

    def pack(self) -> bytes:
        """The tables as bytes, little-endian."""
        counts = [len(self.sets), len(self.refinements), self.chroma_finer]
        head = np.array([*counts, *self.limits, *self.refinement_limits, *self.decisions], "<u2").tobytes()
        parts = [_MAGIC, head, *(scan.tobytes() for scan in self.scans)]
        for tables in (*self.sets, *self.refinements):
            words = (*tables.levels, *tables.roots, tables.skip)
            words += () if tables.changes is None else (tables.changes,)
            parts += [half.tobytes() for rows in tables.rows for half in _halves(rows)]
            parts += [array.tobytes() for array in tables.signs]
            parts += [array.astype("<u2").tobytes() for array in words]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Tables:
        """Undo `pack`.

        Raises:
            BundleError: The bytes are no tables, or hold what no training gives.
        """
        reader = _Reader(data)
        if reader.take(4).tobytes() != _MAGIC:
            raise BundleError("the bundle's tables are none that this farlook reads")
        count, refining, chroma_finer = (int(value) for value in reader.words(3))
        if not 1 <= count <= _MAX_SETS or refining > _MAX_SETS:
            raise BundleError(f"the bundle's tables claim {count} and {refining} sets")
        limits = tuple(int(limit) for limit in reader.words(count))
        refinement_limits = tuple(int(limit) for limit in reader.words(refining))
        decisions = reader.words(8)
        scans = tuple(reader.take(side * side) for side in SIDES)
        sets = tuple(reader.table_set(refines=False) for _ in range(count))
        refinements = tuple(reader.table_set(refines=True) for _ in range(refining))
        if reader.offset != len(data) or any(
            sorted(scan.tolist()) != list(range(len(scan))) or scan[0] != 0 for scan in scans
        ):
            raise BundleError("the bundle's tables are damaged")
        return cls(scans, decisions, chroma_finer, limits, sets, refinement_limits, refinements)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.offset = 0

    def take(self, size: int) -> NDArray[np.uint8]:
        piece = self.data[self.offset : self.offset + size]
        if len(piece) < size:
            raise BundleError("the bundle's tables are cut short")
        self.offset += size
        return piece.copy()

    def words(self, count: int) -> NDArray[np.uint16]:
        return self.take(2 * count).view("<u2").astype(np.uint16)

    def probabilities(self, count: int) -> NDArray[np.uint16]:
        values = self.words(count)
        if values.min() < 1 or values.max() > _PROBABILITY_MAX:
            raise BundleError("the bundle's tables hold a probability of 0 or 1")
        return values

    def rows(self, count: int) -> NDArray[np.int8]:
        halves = self.take(count * 64).view(np.int8).reshape(2, count, HOT_LANES)
        return np.concatenate(list(halves), axis=1)

    def table_set(self, *, refines: bool) -> TableSet:
        return TableSet(
            rows=tuple(self.rows(rows_of(g)) for g in GROUPS),
            signs=tuple(self.take(sign_rows_of(g) * 16).view(np.int8).reshape(-1, 16) for g in GROUPS),
            levels=tuple(self.probabilities(LEVEL_PROBS) for _ in GROUPS),
            roots=tuple(self.probabilities(ROOT_PROBS) for _ in range(2)),
            skip=self.probabilities(SKIP_PROBS),
            changes=self.probabilities(CHANGE_PROBS) if refines else None,
        )


def rows_of(groups: int) -> int:
    """Rows of a model's table of logits."""
    return 64 + 6 * groups


def sign_rows_of(groups: int) -> int:
    """Rows of a model's table of signs."""
    return 40 + 6 * min(groups, 16)


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
        size = int(lib.b8_encoder_bytes(settings.geometry.native(), settings.mtu))
        encoder = Encoder(self, begin, end, settings, _SCRATCH.memory(size))
        first = int(lib.b8_first_row(begin))
        return encoder.push(image[first : int(lib.b8_last_row(settings.geometry.native(), end))])

    def store_rows(self, image: NDArray[Any], begin: int, end: int, settings: Settings) -> NDArray[np.int16]:
        """Transform rows of units without coding them: int16 [units, 1536], for `encode_stored`."""
        geometry = settings.geometry
        memory = _SCRATCH.memory(int(lib.b8_encoder_bytes(geometry.native(), settings.mtu)))
        store = np.empty(((end - begin) * geometry.units_x, UNIT_SAMPLES), np.int16)
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
        memory = _SCRATCH.memory(int(lib.b8_encoder_bytes(geometry.native(), settings.mtu)))
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
        memory = _SCRATCH.memory(int(lib.b8_decoder_bytes(geometry.native())))
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
        memory = _SCRATCH.memory(int(lib.b8_synthesis_bytes(geometry.native())))
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
                rows, rest = _halves(values.rows[model])
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

    def __init__(
        self, core: Core, begin: int, end: int, settings: Settings, memory: _Memory | None = None
    ) -> None:
        native = settings.geometry.native()
        self._core = core
        self._settings = settings
        self._memory = memory or _Memory(int(lib.b8_encoder_bytes(native, settings.mtu)))
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
        self._data = _SCRATCH.room("sink", capacity)
        self._packets = ffi.new("b8_packet[]", units)
        self._room = ffi.from_buffer("uint8_t[]", self._data)
        self.native = ffi.new("b8_sink *", (self._room, capacity, 0, self._packets, units, 0))

    def packets(self) -> list[Packet]:
        """What was written."""
        return [
            Packet(p.first, p.count, p.step, self._data[p.offset : p.offset + p.size].tobytes(), p.layer)
            for p in self._packets[0 : self.native.count]
        ]


class _Scratch(threading.local):
    """Memory that a thread uses again from call to call: fresh pages cost more than what is done with them."""

    def __init__(self) -> None:
        self._rooms: dict[str, NDArray[np.uint8]] = {}

    def room(self, use: str, size: int) -> NDArray[np.uint8]:
        """At least `size` bytes, the same for the same use; large ones are not kept."""
        room = self._rooms.get(use)
        if room is None or len(room) < size:
            room = np.empty(size, np.uint8)
            if size <= _KEPT:
                self._rooms[use] = room
        return room

    def memory(self, size: int) -> _Memory:
        """Working memory of one call."""
        return _Memory(size, self.room("memory", size + 64))


_SCRATCH = _Scratch()


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
        room: Where to take them from, at least 64 bytes more; None: new ones.
    """

    def __init__(self, size: int, room: NDArray[np.uint8] | None = None) -> None:
        if size == 0:
            raise UsageError("the core cannot code a picture of this size and kind")
        self.size = size
        self._bytes = np.empty(size + 64, np.uint8) if room is None else room
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


def _halves(rows: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The lanes of rows that most blocks need, and the rest."""
    return rows[:, :HOT_LANES], rows[:, HOT_LANES:]


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
