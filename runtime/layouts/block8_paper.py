"""block8-paper: 8x8 blocks through one of two linear autoencoders, G1 (1 latent) or G2 (8 latents).

Taha, Elrefaei, Akah, Abdelrasoul 2025. Every block goes through G1; where the mean squared error of G1's
reconstruction exceeds a threshold the block is G2's. Latents are quantised with one step and Huffman coded
(`block_contexts`). The synthesis network sees the latents of the 3x3 blocks around the one it draws.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.prefix import PrefixBook
from farlook.runtime.errors import BundleError
from farlook.runtime.layouts.block_contexts import ContextModel, TileSymbols, code_tiles
from farlook.runtime.layouts.ports import Player, Recorder
from farlook.runtime.profile.stages import stage

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.tiles import TileGrid

BLOCK = 8
KINDS = ("luma", "chroma")

# Work is cut so that intermediates stay within some tens of megabytes, whatever the picture's size.
_STRIP_BLOCKS = 1 << 14
_GROUP_BLOCKS = 1 << 16

_MAX_TABLES = 4096

# A quantiser's scales: far beyond any use on both sides, and far from what overflows.
_SMALLEST, _LARGEST = 1e-2, 1e4


@dataclass(frozen=True)
class BlockLatents:
    """Latents of one plane, before quantisation.

    Attributes:
        g1: float32 [rows, columns].
        g2: float32 [rows, columns, latents].
        error: Mean squared error of G1's reconstruction, in squared grey levels, float32 [rows, columns].
    """

    g1: NDArray[np.float32]
    g2: NDArray[np.float32]
    error: NDArray[np.float32]


@dataclass(frozen=True)
class BlockSymbols:
    """Quantised latents of one plane.

    Attributes:
        latents: int32 [rows, columns, latents]: G1's latent and zeros, or G2's latents.
        detailed: Which blocks are G2's, bool [rows, columns].
    """

    latents: NDArray[np.int32]
    detailed: NDArray[np.bool_]


class Block8PaperLayout:
    """See the module's text; `farlook.runtime.layouts.base.Layout` says what each method is for."""

    def __init__(self, bundle: Bundle) -> None:
        try:
            self._quantiser = Quantiser.from_coding(bundle.coding)
            self._models, self._book = read_tables(bundle.entropy())
        except (KeyError, IndexError, TypeError, ValueError, OverflowError) as error:
            raise BundleError(f"{bundle.path}: the coding tables are damaged: {error!r}") from error

    def analyse(self, session: Session, planes: list[NDArray[np.uint8]]) -> list[BlockLatents]:
        """Planes to latents, a strip of blocks at a time."""
        latents = self._models["luma"].latents
        return [_analyse_plane(session, plane, latents) for plane in planes]

    def quantise(self, latents: list[BlockLatents], quality: int) -> list[BlockSymbols]:
        """Latents to integers."""
        return [
            self._quantiser.quantise(plane, quality, kind)
            for plane, kind in zip(latents, _kinds(len(latents)), strict=True)
        ]

    def sizes(self, symbols: list[BlockSymbols], grid: TileGrid) -> list[int]:
        """Bytes of each tile's payload."""
        return [int(size) for recorder in self._record(symbols, grid) for size in recorder.sizes()]

    def pack(self, symbols: list[BlockSymbols], grid: TileGrid) -> list[bytes]:
        """One payload a tile."""
        return [payload for recorder in self._record(symbols, grid) for payload in recorder.payloads()]

    def unpack(self, payloads: list[bytes], grid: TileGrid, bands: int) -> list[BlockSymbols]:
        """Payloads to integers."""
        latents = self._models["luma"].latents
        planes = [_empty_symbols(*shape, latents) for shape in _plane_blocks(grid, bands)]
        for first, last in _tile_rows(grid):
            player = Player(payloads[first * grid.columns : last * grid.columns], self._book)
            for plane, kind, side in zip(planes, _kinds(bands), _tile_sides(grid, bands), strict=True):
                rows = slice(first * side, min(last * side, plane.detailed.shape[0]))
                valid = to_tiles(np.ones_like(plane.detailed[rows]), side)
                tiles = code_tiles(self._models[kind], player, valid, None)
                plane.latents[rows] = from_tiles(tiles.latents, plane.latents[rows].shape)
                plane.detailed[rows] = from_tiles(tiles.detailed, plane.detailed[rows].shape)
            player.finish()
        return planes

    def synthesise(
        self, session: Session, symbols: list[BlockSymbols], quality: int, grid: TileGrid
    ) -> list[NDArray[np.uint8]]:
        """Integers to planes."""
        planes = []
        for index, (plane, kind) in enumerate(zip(symbols, _kinds(len(symbols)), strict=True)):
            halve = index > 0
            width, height = (grid.width + halve) >> halve, (grid.height + halve) >> halve
            step = self._quantiser.step(quality, kind)
            planes.append(_synthesise_plane(session, plane, step)[:height, :width])
        return planes

    def _record(self, symbols: list[BlockSymbols], grid: TileGrid) -> Iterator[Recorder]:
        bands = len(symbols)
        for first, last in _tile_rows(grid):
            recorder = Recorder((last - first) * grid.columns, self._book)
            for plane, kind, side in zip(symbols, _kinds(bands), _tile_sides(grid, bands), strict=True):
                rows = slice(first * side, last * side)
                known = TileSymbols(
                    latents=to_tiles(plane.latents[rows], side).astype(np.int64),
                    detailed=to_tiles(plane.detailed[rows], side),
                )
                valid = to_tiles(np.ones_like(plane.detailed[rows]), side)
                code_tiles(self._models[kind], recorder, valid, known)
            yield recorder


@dataclass(frozen=True)
class Quantiser:
    """Uniform quantiser with a dead zone; one step for all latents of a plane.

    Attributes:
        steps: Luma step of quality 1, 2, ..., in grey levels of an orthonormal transform.
        chroma_ratio: Chroma step over luma step.
        rounding: What is added before truncation to latents 1 and up; 0.5 would be plain rounding.
        detail: A block is G2's where G1's mean squared error exceeds `detail` times the squared step.
    """

    steps: tuple[float, ...]
    chroma_ratio: float
    rounding: float
    detail: float

    @classmethod
    def from_coding(cls, coding: dict[str, Any]) -> Quantiser:
        """Read it from a manifest's `coding` object."""
        fields = coding["quantiser"]
        quantiser = cls(
            tuple(map(float, fields["steps"])),
            float(fields["chroma_ratio"]),
            float(fields["rounding"]),
            float(fields["detail"]),
        )
        scales = [*quantiser.steps, quantiser.chroma_ratio]
        if len(quantiser.steps) != 100 or not all(_SMALLEST <= scale <= _LARGEST for scale in scales):
            raise ValueError(f"the quantiser needs 100 steps and a ratio of {_SMALLEST} to {_LARGEST}")
        if not (0 <= quantiser.rounding < 1 and 0 <= quantiser.detail <= _LARGEST):
            raise ValueError("the quantiser's rounding or detail lies outside its range")
        return quantiser

    def step(self, quality: int, kind: str) -> float:
        """The step of a plane's kind at a quality of 1 to 100."""
        return self.steps[quality - 1] * (self.chroma_ratio if kind == "chroma" else 1.0)

    def quantise(self, latents: BlockLatents, quality: int, kind: str) -> BlockSymbols:
        """Choose G1 or G2 for each block, and round."""
        step = self.step(quality, kind)
        detailed = latents.error > self.detail * step * step
        magnitude = np.floor(np.abs(latents.g2) / np.float32(step) + np.float32(self.rounding))
        symbols = (np.sign(latents.g2) * magnitude * detailed[..., None]).astype(np.int32)
        first = np.where(detailed, latents.g2[..., 0], latents.g1)
        symbols[..., 0] = np.rint(first / np.float32(step))
        return BlockSymbols(symbols, detailed)


def read_tables(entropy: dict[str, Any]) -> tuple[dict[str, ContextModel], PrefixBook]:
    """The context models and the book of a bundle's `entropy.json`.

    Raises:
        KeyError, TypeError, ValueError, OverflowError: The tables are damaged.
    """
    models: dict[str, ContextModel] = {}
    lengths: list[list[int]] = []
    escapes: list[int] = []
    for kind in KINDS:
        fields = entropy[kind]
        models[kind] = model = ContextModel.from_fields(fields, len(lengths))
        lengths += fields["lengths"]
        escapes += fields["escapes"]
        if model.end_row != len(lengths) or len(escapes) != len(lengths):
            raise ValueError(f"the {kind} tables are not as many as their contexts")
    if len({model.latents for model in models.values()}) != 1:
        raise ValueError("luma and chroma have different numbers of latents")
    width = max(map(len, lengths))
    if len(lengths) > _MAX_TABLES:
        raise ValueError(f"there are {len(lengths)} tables, more than {_MAX_TABLES}")
    padded = np.array([row + [0] * (width - len(row)) for row in lengths], dtype=np.uint8)
    return models, PrefixBook(padded, np.array(escapes, dtype=np.uint16))


def _run(
    session: Session, inputs: Mapping[str, NDArray[np.float32]], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Run a graph that a bundle brought, and check that its outputs are what this layout expects.

    Raises:
        BundleError: An output is missing or has another shape.
    """
    outputs = session.run(inputs)
    for name, shape in shapes.items():
        if name not in outputs or outputs[name].shape != shape:
            found = outputs[name].shape if name in outputs else "missing"
            raise BundleError(f"the bundle's graph should give {name!r} as {shape}, but it is {found}")
    return outputs


def _analyse_plane(session: Session, plane: NDArray[np.uint8], latents: int) -> BlockLatents:
    padded = _pad_to_blocks(plane)
    strip = BLOCK * _strip_rows(padded.shape[1] // BLOCK)
    parts = []
    for top in range(0, padded.shape[0], strip):
        image = padded[None, None, top : top + strip].astype(np.float32)
        rows, columns = image.shape[2] // BLOCK, image.shape[3] // BLOCK
        shapes = {
            "g1": (1, 1, rows, columns),
            "g2": (1, latents, rows, columns),
            "error": (1, 1, rows, columns),
        }
        with stage("analysis"):
            parts.append(_run(session, {"image": image}, shapes))
    g1, g2, error = (
        np.concatenate([part[name][0] for part in parts], axis=1) for name in ("g1", "g2", "error")
    )
    return BlockLatents(g1[0], np.moveaxis(g2, 0, -1), error[0])


def _synthesise_plane(session: Session, symbols: BlockSymbols, step: float) -> NDArray[np.uint8]:
    """Draw a plane strip by strip; each strip brings one more row of blocks on both sides, then sheds it."""
    rows, columns = symbols.detailed.shape
    strip = _strip_rows(columns)
    plane = np.empty((rows * BLOCK, columns * BLOCK), dtype=np.uint8)
    for first in range(0, rows, strip):
        last = min(first + strip, rows)
        top, bottom = max(first - 1, 0), min(last + 1, rows)
        with stage("quantisation"):
            latents = symbols.latents[top:bottom].astype(np.float32) * np.float32(step)
            inputs = {
                "latents": np.ascontiguousarray(np.moveaxis(latents, -1, 0)[None]),
                "detailed": symbols.detailed[None, None, top:bottom].astype(np.float32),
            }
        shape = (1, 1, (bottom - top) * BLOCK, columns * BLOCK)
        with stage("synthesis"):
            image = _run(session, inputs, {"image": shape})["image"][0, 0]
        inner = image[(first - top) * BLOCK : (last - top) * BLOCK]
        plane[first * BLOCK : last * BLOCK] = np.clip(np.rint(inner), 0, 255).astype(np.uint8)
    return plane


def _pad_to_blocks(plane: NDArray[np.uint8]) -> NDArray[np.uint8]:
    height, width = plane.shape
    return np.pad(plane, ((0, -height % BLOCK), (0, -width % BLOCK)), mode="edge")


def _strip_rows(columns: int) -> int:
    return max(1, _STRIP_BLOCKS // columns)


def _kinds(bands: int) -> tuple[str, ...]:
    return KINDS[:1] if bands == 1 else ("luma", "chroma", "chroma")


def _tile_sides(grid: TileGrid, bands: int) -> tuple[int, ...]:
    """Blocks along a tile's side, in each plane."""
    side = grid.side // BLOCK
    return (side,) if bands == 1 else (side, side // 2, side // 2)


def _plane_blocks(grid: TileGrid, bands: int) -> list[tuple[int, int]]:
    """Rows and columns of blocks of each plane."""
    half = (-(-grid.width // 2), -(-grid.height // 2))
    sizes = [(grid.width, grid.height)] + ([half, half] if bands == 3 else [])
    return [(-(-height // BLOCK), -(-width // BLOCK)) for width, height in sizes]


def _tile_rows(grid: TileGrid) -> Iterator[tuple[int, int]]:
    """Runs of rows of tiles, about `_GROUP_BLOCKS` blocks each."""
    run = max(1, _GROUP_BLOCKS // (grid.columns * (grid.side // BLOCK) ** 2))
    for first in range(0, grid.rows, run):
        yield first, min(first + run, grid.rows)


def _empty_symbols(rows: int, columns: int, latents: int) -> BlockSymbols:
    return BlockSymbols(
        np.zeros((rows, columns, latents), dtype=np.int32), np.zeros((rows, columns), dtype=np.bool_)
    )


def to_tiles(blocks: NDArray[Any], side: int) -> NDArray[Any]:
    """[rows, columns, ...] as [tiles, side, side, ...], zeros where tiles stick out."""
    rows, columns, *rest = blocks.shape
    down, right = -(-rows // side), -(-columns // side)
    padding = [(0, down * side - rows), (0, right * side - columns)] + [(0, 0)] * len(rest)
    split = np.pad(blocks, padding).reshape(down, side, right, side, *rest)
    return split.swapaxes(1, 2).reshape(down * right, side, side, *rest)


def from_tiles(tiles: NDArray[Any], shape: tuple[int, ...]) -> NDArray[Any]:
    """Undo `to_tiles`."""
    side = tiles.shape[1]
    rows, columns, *rest = shape
    down, right = -(-rows // side), -(-columns // side)
    joined = tiles.reshape(down, right, side, side, *rest).swapaxes(1, 2)
    return joined.reshape(down * side, right * side, *rest)[:rows, :columns]
