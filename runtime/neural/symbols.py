"""Latents to symbols, symbols to payloads, and back: what of a neural codec is exact on every machine."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import BundleError, CorruptStreamError
from farlook.runtime.neural.coder import Reader, Tables, Writer
from farlook.runtime.neural.contexts import FRACTIONS, LatentModel, Place, code_tile
from farlook.runtime.neural.description import MAX_SYMBOL

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farlook.runtime.neural.contexts import Bools, Port
    from farlook.runtime.neural.description import Coding, Gate, Latent
    from farlook.runtime.tiles import TileGrid

    Symbols = dict[str, NDArray[np.int16]]
    """For each latent its symbols, int16 [channels, height, width] of the whole picture's grid."""


class SymbolCoder:
    """Codes symbols with one bundle's tables.

    Args:
        coding: The manifest's.
        entropy: `entropy.json`.

    Raises:
        KeyError, IndexError, TypeError, ValueError, OverflowError: The tables are damaged.
        MissingExtraError: constriction is not installed.
    """

    def __init__(self, coding: Coding, entropy: Mapping[str, Any]) -> None:
        self._coding = coding
        self._tables = Tables(entropy["tables"])
        classes = int(entropy["classes"])
        if len(self._tables.rows) != classes * FRACTIONS:
            raise ValueError(f"there are {len(self._tables.rows)} tables for {classes} classes of scale")
        self._models = {
            latent.name: LatentModel.read(
                entropy["latents"][latent.name], latent.channels, coding.anchors, classes
            )
            for latent in coding.latents
        }

    def pack(self, symbols: Symbols, grid: TileGrid, level: int) -> list[bytes]:
        """Code the symbols: one payload a tile."""
        payloads = []
        for tile in range(grid.count):
            writer = Writer(self._tables)
            self._code(writer, grid, tile, level, symbols)
            payloads.append(writer.payload())
        return payloads

    def unpack(self, payloads: list[bytes], grid: TileGrid, level: int) -> Symbols:
        """Undo `pack`.

        Raises:
            CorruptStreamError: A payload is not what an encoder writes.
        """
        symbols = empty_symbols(self._coding, grid)
        for tile, payload in enumerate(payloads):
            reader = Reader(self._tables, payload)
            self._code(reader, grid, tile, level, symbols, reads=True)
            reader.finish()
        return symbols

    def _code(
        self, port: Port, grid: TileGrid, tile: int, level: int, symbols: Symbols, *, reads: bool = False
    ) -> None:
        """Pass a tile through a port; what is read goes into `symbols`."""
        coding = self._coding
        place = Place.of(level, coding.levels, coding.anchors)
        gates = coding.gates()
        for latent in coding.latents:
            part = symbols[latent.name][(slice(None), *tile_window(coding, latent, grid, tile))]
            coded = None
            if latent.gate is not None:
                by = coding.latent(latent.gate.by)
                values = symbols[by.name][(slice(None), *tile_window(coding, by, grid, tile))]
                coded = kept_channels(latent, latent.gate, values[0], by.stride, part.shape[1:])
            given = None if reads else part
            try:
                found = code_tile(self._models[latent.name], port, part.shape[1:], place, coded, given)
            except ValueError as error:
                raise CorruptStreamError(
                    f"a packet passes its checksum but cannot be decoded: {error}"
                ) from error
            part[...] = found
            if latent.name in gates and not in_gates(part, gates[latent.name]):
                raise CorruptStreamError("a packet passes its checksum but cannot be decoded: no such gate")


def quantise(coding: Coding, latents: Mapping[str, NDArray[np.float32]], level: int) -> Symbols:
    """Round latents, which gains in a graph are already applied to, at a level.

    Args:
        coding: The manifest's.
        latents: float32 [channels, height, width], by name.
        level: 0 to `levels` - 1.

    Raises:
        BundleError: A latent that gates others has a value that they have no entry for.
    """
    symbols: Symbols = {}
    position = coding.position(level)
    for latent in coding.latents:
        values = latents[latent.name]
        gain = latent.gain(position)
        if gain is not None and f"gain_{latent.name}" not in coding.analysis.inputs:
            values = values * gain[:, None, None]
        rounded = np.nan_to_num(np.rint(values), posinf=MAX_SYMBOL, neginf=-MAX_SYMBOL)
        found = np.clip(rounded, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int16)
        if latent.gate is not None:
            by = coding.latent(latent.gate.by)
            found *= kept_channels(latent, latent.gate, symbols[by.name][0], by.stride, found.shape[1:])
        symbols[latent.name] = found
    for name, lengths in coding.gates().items():
        if not in_gates(symbols[name], lengths):
            raise BundleError(f"the bundle's analysis gives {name!r} values that it does not have gates for")
    return symbols


def dequantise(
    coding: Coding, symbols: Symbols, level: int, window: tuple[slice, slice]
) -> dict[str, NDArray[np.float32]]:
    """The synthesis' latents, float32 [1, channels, height, width], of a window of rows and columns in pixels."""
    position = coding.position(level)
    tensors = {}
    for latent in coding.latents:
        if latent.name not in coding.synthesis.inputs:
            continue
        rows, columns = (slice(side.start // latent.stride, side.stop // latent.stride) for side in window)
        values = symbols[latent.name][:, rows, columns].astype(np.float32)
        gain = latent.inverse_gain(position)
        tensors[latent.name] = (values if gain is None else values * gain[:, None, None])[None]
    return tensors


def empty_symbols(coding: Coding, grid: TileGrid) -> Symbols:
    """Zeros for all latents of a picture."""
    height, width = (-(-side // coding.stride) * coding.stride for side in (grid.height, grid.width))
    return {
        latent.name: np.zeros((latent.channels, height // latent.stride, width // latent.stride), np.int16)
        for latent in coding.latents
    }


def tile_window(coding: Coding, latent: Latent, grid: TileGrid, tile: int) -> tuple[slice, slice]:
    """Rows and columns of a latent's grid that a tile covers; what pads the picture is its last tiles'."""
    row, column = divmod(tile, grid.columns)
    return (
        _span(row, grid.rows, grid.height, grid.side, coding.stride, latent.stride),
        _span(column, grid.columns, grid.width, grid.side, coding.stride, latent.stride),
    )


def _span(index: int, count: int, pixels: int, side: int, stride: int, step: int) -> slice:
    padded = -(-pixels // stride) * stride
    return slice(index * side // step, (padded if index == count - 1 else (index + 1) * side) // step)


def kept_channels(
    latent: Latent, gate: Gate, by: NDArray[np.int16], by_stride: int, shape: tuple[int, ...]
) -> Bools:
    """Which symbols are coded, bool [channels, height, width]."""
    times = by_stride // latent.stride
    spread = by.repeat(times, axis=0).repeat(times, axis=1)[: shape[0], : shape[1]]
    kept = np.array(gate.table)[np.clip(spread, 0, len(gate.table) - 1)]
    coded: Bools = np.arange(latent.channels)[:, None, None] < kept
    return coded


def in_gates(symbols: NDArray[np.int16], lengths: tuple[int, ...]) -> bool:
    """Whether all symbols have an entry in tables of these lengths."""
    return not symbols.size or (int(symbols.min()) >= 0 and int(symbols.max()) < min(lengths))
