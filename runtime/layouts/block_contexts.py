"""How block8-paper's symbols are ordered, and which table codes each: integers only.

A tile's blocks are coded plane by plane, and each plane in batches whose contexts come from batches before
it, so that whole batches are computed at once:

1. `dc`, the first latent of every block, coarse to fine: the corner, then the centres and edges of ever
   smaller squares, each predicted by the mean of its known neighbours; the table follows their spread.
2. `flags`, G1 or G2, four blocks (2x2) a symbol; the table follows how much `dc` varies around them.
3. `last`, for G2 blocks: the number of the last latent that is not zero.
4. latents 1 to 7 up to `last`: a linear form of what is known around predicts the latent's mean, another its
   magnitude; the sign of the mean flips the value, and the two together choose the table.

The linear forms have integer weights in units of 1/4096. All of this is arithmetic on int64, the same on
every machine.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from farlook.runtime.layouts.ports import Port

Int = NDArray[np.int64]
Bool = NDArray[np.bool_]

DC_THRESHOLDS = (1, 2, 3, 4, 6, 8, 12, 16, 24)
DC_TABLES = 1 + 4 * (len(DC_THRESHOLDS) + 1)
WEIGHT_SCALE = 4096
"""One, in the units of the linear forms' integer weights."""
MEAN_SHIFT = 8
"""The predicted mean enters the magnitude with this many bits less."""

_NEIGHBOURS = [(dy, dx) for dy in (-1, 0, 1) for dx in (-1, 0, 1) if (dy, dx) != (0, 0)]


@dataclass(frozen=True)
class ContextModel:
    """The trained integers that choose tables for one kind of plane (luma or chroma).

    Tables of a kind stand in the book in the order dc, flags, last, latents, from row `first_table` on.

    Attributes:
        first_table: Row of the first table in the book.
        flag_thresholds: Bounds between classes of `dc` variation, increasing.
        last_weights: int64 [17]: 8 `dc` differences, 8 neighbouring flags, bias.
        last_thresholds: Bounds between classes of the form of `last_weights`.
        mean_weights: For latents 1, 2, ...: int64 [8 + 9 (k - 1)].
        magnitude_weights: For latents 1, 2, ...: int64 [27 + 2 (k - 1)].
        mean_thresholds: Bounds between classes of the absolute predicted mean.
        magnitude_thresholds: Bounds between classes of the predicted magnitude.
    """

    first_table: int
    flag_thresholds: Int
    last_weights: Int
    last_thresholds: Int
    mean_weights: list[Int]
    magnitude_weights: list[Int]
    mean_thresholds: Int
    magnitude_thresholds: Int

    @classmethod
    def from_fields(cls, fields: dict[str, Any], first_table: int) -> ContextModel:
        """Read it from one kind's object in `entropy.json`."""
        model = cls(
            first_table=first_table,
            flag_thresholds=_integers(fields["flag_thresholds"]),
            last_weights=_integers(fields["last_weights"]),
            last_thresholds=_integers(fields["last_thresholds"]),
            mean_weights=[_integers(row) for row in fields["mean_weights"]],
            magnitude_weights=[_integers(row) for row in fields["magnitude_weights"]],
            mean_thresholds=_integers(fields["mean_thresholds"]),
            magnitude_thresholds=_integers(fields["magnitude_thresholds"]),
        )
        model.check()
        return model

    def check(self) -> None:
        """Raise ValueError where weights are not as many as their inputs, or bounds do not increase."""
        weights = zip(self.mean_weights, self.magnitude_weights, strict=True)
        for k, (mean, magnitude) in enumerate(weights, start=1):
            if mean.size != 9 * k - 1 or magnitude.size != 25 + 2 * k:
                raise ValueError(f"the weights of latent {k} are not as many as their inputs")
        bounds = (
            self.flag_thresholds,
            self.last_thresholds,
            self.mean_thresholds,
            self.magnitude_thresholds,
        )
        if self.last_weights.size != 17 or any(np.any(np.diff(values) < 0) for values in bounds):
            raise ValueError("the weights of `last` are not 17, or bounds between classes decrease")

    @property
    def latents(self) -> int:
        """Latents of a G2 block."""
        return len(self.mean_weights) + 1

    @property
    def flags_row(self) -> int:
        """Row of the first flags table."""
        return self.first_table + DC_TABLES

    @property
    def last_row(self) -> int:
        """Row of the first table for `last`."""
        return self.flags_row + self.flag_thresholds.size + 1

    @property
    def latents_row(self) -> int:
        """Row of the first table for latents 1 and up."""
        return self.last_row + self.last_thresholds.size + 1

    @property
    def end_row(self) -> int:
        """Row after the last table."""
        return self.latents_row + 2 * (self.mean_thresholds.size + 1) * (self.magnitude_thresholds.size + 1)


@dataclass(frozen=True)
class TileSymbols:
    """Symbols of tiles of n x n blocks.

    Attributes:
        latents: Quantised latents, int64 [tiles, n, n, latents]; 1 and up are 0 where `detailed` is not set.
        detailed: G2 blocks, bool [tiles, n, n].
    """

    latents: Int
    detailed: Bool


def code_tiles(model: ContextModel, port: Port, valid: Bool, known: TileSymbols | None) -> TileSymbols:
    """Walk through the symbols of some tiles in stream order; see the module's text.

    Args:
        model: The trained integers.
        port: Where values are written to or read from.
        valid: Blocks that lie in the picture, bool [tiles, n, n]; the first block of each tile does.
        known: The symbols to write; None to read them.
    """
    dc = code_dc(model, port, valid, None if known is None else known.latents[..., 0])
    variation = Neighbourhood.of_dc(dc, valid)
    detailed = code_flags(model, port, variation, None if known is None else known.detailed)
    last = code_last(model, port, variation, detailed, None if known is None else known.latents)
    latents = code_latents(model, port, variation, last, detailed, dc, known)
    return TileSymbols(latents=latents, detailed=detailed)


def code_dc(model: ContextModel, port: Port, valid: Bool, known: Int | None) -> Int:
    """Step 1: the first latent of every block, coarse to fine."""
    dc = np.zeros(valid.shape, dtype=np.int64)
    for step in _dc_steps(valid.shape[1]):
        here = valid[:, step.rows, step.columns]
        prediction, spread = step.predict(dc, valid)
        tables = model.first_table + step.first_table + np.digitize(spread, DC_THRESHOLDS) * step.adaptive
        residual = None if known is None else (known[:, step.rows, step.columns] - prediction)[here]
        coded = _code_signed(port, here, tables[here], residual)
        dc[:, step.rows, step.columns][here] = coded + prediction[here]
    return dc


@dataclass(frozen=True)
class _DcStep:
    """One batch of step 1: cells of a regular lattice and the four known cells around each."""

    rows: slice
    columns: slice
    offsets: list[tuple[int, int]]
    first_table: int

    @property
    def adaptive(self) -> bool:
        """Whether the table follows the spread of the neighbours."""
        return bool(self.offsets)

    def predict(self, dc: Int, valid: Bool) -> tuple[Int, Int]:
        """The rounded mean of the neighbours inside the tile, and the largest minus the smallest of them."""
        side = dc.shape[1]
        rows = np.arange(side)[self.rows, None]
        columns = np.arange(side)[None, self.columns]
        shape = (dc.shape[0], rows.size, columns.size)
        count, total = np.zeros(shape, dtype=np.int64), np.zeros(shape, dtype=np.int64)
        low, high = np.full(shape, 1 << 40), np.full(shape, -(1 << 40))
        for dy, dx in self.offsets:
            y, x = rows + dy, columns + dx
            inside = (y >= 0) & (y < side) & (x >= 0) & (x < side)
            y, x = np.clip(y, 0, side - 1), np.clip(x, 0, side - 1)
            known = valid[:, y, x] & inside
            value = dc[:, y, x]
            count += known
            total += np.where(known, value, 0)
            low, high = (
                np.where(known, np.minimum(low, value), low),
                np.where(known, np.maximum(high, value), high),
            )
        divisor = 2 * np.maximum(count, 1)
        return (2 * total + count) // divisor, np.maximum(high - low, 0)


@lru_cache
def _dc_steps(side: int) -> list[_DcStep]:
    """The batches of step 1 for tiles of `side` (a power of two) blocks."""
    classes = len(DC_THRESHOLDS) + 1
    steps = [_DcStep(slice(0, 1), slice(0, 1), [], 0)]
    spacing = side
    while spacing > 1:
        half = spacing // 2
        fine = spacing == 2
        diagonal = [(-half, -half), (-half, half), (half, -half), (half, half)]
        straight = [(-half, 0), (half, 0), (0, -half), (0, half)]
        odd, even = slice(half, None, spacing), slice(0, None, spacing)
        centre_table, edge_table = 1 + classes * fine, 1 + classes * (2 + fine)
        steps.append(_DcStep(odd, odd, diagonal, centre_table))
        steps.append(_DcStep(even, odd, straight, edge_table))
        steps.append(_DcStep(odd, even, straight, edge_table))
        spacing = half
    return steps


@dataclass(frozen=True)
class Neighbourhood:
    """What surrounds each block within its tile.

    Attributes:
        valid: Blocks inside the picture, bool [tiles, n, n].
        differences: `dc` of the eight neighbours less the block's own, 0 outside, int64 [tiles, n, n, 8].
    """

    valid: Bool
    differences: Int

    @classmethod
    def of_dc(cls, dc: Int, valid: Bool) -> Neighbourhood:
        """Differences of `dc`, int64 [tiles, n, n]."""
        inside = around(valid)
        return cls(valid, np.where(inside, around(dc) - dc[..., None], 0) * valid[..., None])


def around(plane: NDArray[np.generic]) -> Int:
    """The eight neighbours of each cell, 0 outside the tile: int64 [tiles, n, n, 8] of [tiles, n, n]."""
    side = plane.shape[1]
    padded = np.pad(plane.astype(np.int64), ((0, 0), (1, 1), (1, 1)))
    return np.stack(
        [padded[:, 1 + dy : 1 + dy + side, 1 + dx : 1 + dx + side] for dy, dx in _NEIGHBOURS], axis=-1
    )


def code_flags(model: ContextModel, port: Port, variation: Neighbourhood, known: Bool | None) -> Bool:
    """Step 2: the G2 flags, 2x2 blocks a symbol; bit 0 upper left, 1 upper right, 2 and 3 below."""
    blocks = variation.valid.shape
    cells = _quads(variation.valid).max(axis=-1) > 0
    tables = model.flags_row + np.digitize(flag_activity(variation), model.flag_thresholds)
    weights = np.array([1, 2, 4, 8])
    symbols = None if known is None else (_quads(known) @ weights)[cells].astype(np.uint32)
    quads = np.zeros(cells.shape, dtype=np.int64)
    quads[cells] = port.code(cells, tables[cells].astype(np.uint16), symbols)
    bits = (quads[..., None] & weights) > 0
    split = bits.reshape(*quads.shape, 2, 2).transpose(0, 1, 3, 2, 4)
    detailed: Bool = split.reshape(blocks) & variation.valid
    return detailed


def flag_activity(variation: Neighbourhood) -> Int:
    """How much `dc` varies in and around each 2x2 blocks: int64 [tiles, n/2, n/2]."""
    total: Int = _quads(np.abs(variation.differences).sum(axis=-1)).sum(axis=-1)
    return total


def _quads(plane: NDArray[np.generic]) -> Int:
    """Cells two by two: int64 [tiles, n/2, n/2, 4] of [tiles, n, n]."""
    tiles, side, _ = plane.shape
    split = plane.astype(np.int64).reshape(tiles, side // 2, 2, side // 2, 2).transpose(0, 1, 3, 2, 4)
    return split.reshape(tiles, side // 2, side // 2, 4)


def code_last(
    model: ContextModel, port: Port, variation: Neighbourhood, detailed: Bool, known: Int | None
) -> Int:
    """Step 3: for G2 blocks, the number of the last latent that is not zero: int64 [tiles, n, n]."""
    tables = model.last_row + np.digitize(
        last_features(variation, detailed)[detailed] @ model.last_weights, model.last_thresholds
    )
    symbols = None if known is None else last_nonzero(known)[detailed].astype(np.uint32)
    last = np.zeros(detailed.shape, dtype=np.int64)
    last[detailed] = port.code(detailed, tables.astype(np.uint16), symbols)
    return last


def last_nonzero(latents: Int) -> Int:
    """The number of each block's last latent that is not zero, 0 if only the first may be."""
    numbers = np.arange(latents.shape[-1])
    highest: Int = np.where(latents != 0, numbers, 0).max(axis=-1)
    return highest


def last_features(variation: Neighbourhood, detailed: Bool) -> Int:
    """What the class of `last` is a linear form of: int64 [tiles, n, n, 17]."""
    return _with_bias([np.abs(variation.differences), around(detailed)])


def code_latents(
    model: ContextModel,
    port: Port,
    variation: Neighbourhood,
    last: Int,
    detailed: Bool,
    dc: Int,
    known: TileSymbols | None,
) -> Int:
    """Step 4: latents 1 and up of G2 blocks: int64 [tiles, n, n, latents], with `dc` as latent 0."""
    latents = np.zeros((*dc.shape, model.latents), dtype=np.int64)
    latents[..., 0] = dc
    features = LatentFeatures(variation, last, detailed)
    for k in range(1, model.latents):
        here = detailed & (last >= k)
        mean = features.mean(here) @ model.mean_weights[k - 1]
        magnitude = features.magnitude(here, mean) @ model.magnitude_weights[k - 1]
        tables = model.latents_row + latent_class(model, mean, magnitude, last[here] == k)
        sign = np.where(mean < 0, -1, 1)
        values = None if known is None else known.latents[..., k][here] * sign
        latents[..., k][here] = _code_signed(port, here, tables, values) * sign
        features.add(latents[..., k])
    return latents


class LatentFeatures:
    """What the mean and magnitude of the next latent are linear forms of; grows by one plane at a time."""

    def __init__(self, variation: Neighbourhood, last: Int, detailed: Bool) -> None:
        self._means = [variation.differences]
        self._magnitudes = [np.abs(variation.differences), around(detailed), around(last), last[..., None]]

    def add(self, latent: Int) -> None:
        """Make a finished plane, int64 [tiles, n, n], known."""
        neighbours = around(latent)
        self._means += [latent[..., None], neighbours]
        self._magnitudes += [np.abs(latent)[..., None], np.abs(neighbours).sum(axis=-1, keepdims=True)]

    def mean(self, here: Bool) -> Int:
        """Inputs of the mean of the cells `here`: int64 [cells, 8 + 9 planes]."""
        return np.concatenate([part[here] for part in self._means], axis=-1)

    def magnitude(self, here: Bool, mean: Int) -> Int:
        """Inputs of the magnitude, given the predicted mean in 1/4096: int64 [cells, 27 + 2 planes]."""
        parts = [part[here] for part in self._magnitudes]
        parts.append((np.abs(mean) >> MEAN_SHIFT)[:, None])
        return _with_bias(parts)


def latent_class(model: ContextModel, mean: Int, magnitude: Int, is_last: Bool) -> Int:
    """The table of a latent, counted from `latents_row`."""
    level = np.digitize(magnitude, model.magnitude_thresholds)
    lean = np.digitize(np.abs(mean), model.mean_thresholds)
    return (level * (model.mean_thresholds.size + 1) + lean) * 2 + is_last


def _integers(value: object) -> Int:
    array = np.array(value)
    if array.ndim != 1 or array.dtype.kind != "i":
        raise ValueError("weights and bounds must be lists of integers")
    return array.astype(np.int64)


def _with_bias(parts: list[Int]) -> Int:
    return np.concatenate([*parts, np.ones_like(parts[0][..., :1])], axis=-1)


def zigzag(values: Int) -> NDArray[np.uint32]:
    """0, -1, 1, -2, 2, ... as 0, 1, 2, 3, 4, ..."""
    return np.where(values < 0, -2 * values - 1, 2 * values).astype(np.uint32)


def _code_signed(port: Port, mask: Bool, tables: Int, values: Int | None) -> Int:
    coded = port.code(mask, tables.astype(np.uint16), None if values is None else zigzag(values))
    index = coded.astype(np.int64)
    return np.where(index & 1, -(index + 1) // 2, index // 2)
