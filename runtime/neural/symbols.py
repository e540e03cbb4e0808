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
    from farlook.runtime.neural.description import Coding, Latent
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
    """

    def __init__(self, coding: Coding, entropy: Mapping[str, Any]) -> None:
        self._coding = coding
        self._tables = Tables(entropy["tables"])
        classes = int(entropy["classes"])
        if len(self._tables.rows) != classes * FRACTIONS:
            raise ValueError(f"there are {len(self._tables.rows)} tables for {classes} classes of scale")
        self._models = {
            latent.name: LatentModel.read(
                entropy["latents"][latent.name],
                latent.channels,
                sum(each.channels for each in coding.earlier(latent)),
                coding.anchors,
                classes,
            )
            for latent in coding.latents
        }

    def pack(self, symbols: Symbols, grid: TileGrid, level: int) -> list[bytes]:
        """Code the symbols: one payload a tile."""
        payloads = []
        for tile in range(grid.count):
            writer = Writer(self._tables)
            self._code(writer, tile_views(self._coding, symbols, grid, tile), level, reads=False)
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
            self._code(reader, tile_views(self._coding, symbols, grid, tile), level, reads=True)
            reader.finish()
        return symbols

    def _code(self, port: Port, views: Symbols, level: int, *, reads: bool) -> None:
        """Pass a tile through a port; what is read goes into `views`."""
        coding = self._coding
        place = Place.of(level, coding.levels, coding.anchors)
        for latent in coding.latents:
            mine = views[latent.name]
            side, coded = side_symbols(coding, latent, views), coded_symbols(coding, latent, views)
            try:
                mine[...] = code_tile(
                    self._models[latent.name], port, place, side, coded, None if reads else mine
                )
                check_gates(coding, latent, mine)
            except ValueError as error:
                raise CorruptStreamError(
                    f"a packet passes its checksum but cannot be decoded: {error}"
                ) from error


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
        symbols[latent.name] = found
        coded = coded_symbols(coding, latent, symbols)
        if coded is not None:
            found *= coded
        try:
            check_gates(coding, latent, found)
        except ValueError as error:
            raise BundleError(f"the bundle's analysis is not what its manifest says: {error}") from error
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


def tile_views(coding: Coding, symbols: Symbols, grid: TileGrid, tile: int) -> Symbols:
    """The parts of a picture's symbols that a tile covers; what pads the picture is its last tiles'."""
    row, column = divmod(tile, grid.columns)
    views = {}
    for latent in coding.latents:
        rows = _span(row, grid.rows, grid.side // latent.stride)
        columns = _span(column, grid.columns, grid.side // latent.stride)
        views[latent.name] = symbols[latent.name][:, rows, columns]
    return views


def _span(index: int, count: int, side: int) -> slice:
    return slice(index * side, None if index == count - 1 else (index + 1) * side)


def side_symbols(coding: Coding, latent: Latent, symbols: Symbols) -> NDArray[np.int16]:
    """What a latent's contexts see of earlier ones, repeated to its grid: int16 [channels, height, width]."""
    shape = symbols[latent.name].shape[1:]
    parts = [np.zeros((0, *shape), dtype=np.int16)]
    parts += [_repeated(symbols[e.name], e.stride // latent.stride, shape) for e in coding.earlier(latent)]
    return np.concatenate(parts)


def coded_symbols(coding: Coding, latent: Latent, symbols: Symbols) -> Bools | None:
    """Which of a latent's symbols are coded, bool [channels, height, width]; None if all are."""
    if latent.gate is None:
        return None
    by = coding.latent(latent.gate.by)
    values = _repeated(symbols[by.name], by.stride // latent.stride, symbols[latent.name].shape[1:])
    kept = np.array(latent.gate.table)[values]
    coded: Bools = np.arange(latent.channels)[:, None, None] < kept
    return coded


def check_gates(coding: Coding, latent: Latent, symbols: NDArray[np.int16]) -> None:
    """Check that a latent that gates others only has values that they have entries for.

    Raises:
        ValueError: It has others.
    """
    lengths = coding.gates().get(latent.name)
    if lengths and symbols.size and not 0 <= int(symbols.min()) <= int(symbols.max()) < min(lengths):
        raise ValueError(f"{latent.name} has a value that no gate is for")


def _repeated(symbols: NDArray[np.int16], times: int, shape: tuple[int, ...]) -> NDArray[np.int16]:
    return symbols.repeat(times, axis=1).repeat(times, axis=2)[:, : shape[0], : shape[1]]
