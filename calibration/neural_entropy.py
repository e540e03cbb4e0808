"""Freezes a neural codec's context weights and probability tables from symbols of training pictures.

The weights of each step are fitted alone, as all that they see is known symbols: by gradient descent on the length
of the code, with a logistic distribution around the predicted value. They are then rounded to integers, the coder
itself runs over the symbols, and what it meets is counted into the tables. `farlook.runtime.neural.contexts`
says what each number is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import groupby
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.neural_tables import CLASSES, TableCounter, make_tables
from farlook.calibration.neural_weights import StepData, fit_step
from farlook.runtime.errors import UsageError
from farlook.runtime.neural.contexts import Known, LatentModel, Place, code_tile, flat
from farlook.runtime.neural.description import MAX_SYMBOL, TILE_LOG2, Coding
from farlook.runtime.neural.schedule import make_steps, positions
from farlook.runtime.neural.symbols import coded_symbols, side_symbols, tile_views
from farlook.runtime.tiles import TileGrid

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.neural.description import Latent
    from farlook.runtime.neural.schedule import Step

    Sample = tuple[int, NDArray[np.int32]]
    """A level, and a picture's symbols, int32 [channels, height, width]."""

GROUPS = ((4, 8), (12, 8), (24, 2), (48, 2), (96, 2), (1024, 2))
"""Where groups of channels end, and the spacing of the lattice that each begins with."""

_NETWORK = {"inputs": ["level"], "halo": 0}
_UNUSED = {"tile_log2": TILE_LOG2, "analysis": _NETWORK, "synthesis": _NETWORK}
_POSITIONS = 40_000
"""Positions of a step that its weights are fitted to, about."""


@dataclass(frozen=True)
class Tile:
    """One latent of one tile of a training picture, channels in their own order.

    Attributes:
        place: Where its level lies between the anchors.
        side: What its contexts see of earlier latents, int16 [channels, height, width].
        symbols: int16 [channels, height, width].
        coded: Which of them are coded, bool of the same shape; None for all.
    """

    place: Place
    side: NDArray[np.int16]
    symbols: NDArray[np.int16]
    coded: NDArray[np.bool_] | None


def fit_entropy(
    latents: Mapping[str, Sequence[Sample]],
    layout: Mapping[str, Any],
    *,
    contexts: bool = True,
    seed: int = 0,
    report: Callable[[str, int, int], None] = lambda *_: None,
) -> dict[str, Any]:
    """Fit the tables of a bundle's `entropy.json`.

    Args:
        latents: For each latent of the layout, pictures at levels that cover the scale, in the same order for all
            latents: the i-th sample of each is of the same picture and level. Symbols are rounded, and 0 where
            they are gated.
        layout: The manifest's `coding` object, see `docs/format.md`; `levels`, `stride` and `latents` of it are needed,
            and `tile_log2`, if it is not 9.
        contexts: Whether to use known symbols; without, tables depend on channel and level only.
        seed: Of the choice of positions and of the descent.
        report: Told what is fitted, how many steps of it are done, and of how many.

    Returns:
        JSON: lists of integers only.

    Raises:
        UsageError: A latent has no samples, or fewer or more than another, or samples of another shape.
    """
    coding = Coding.read({**_UNUSED, **layout})
    pictures = [*_pictures(coding, latents)]
    generator = np.random.default_rng(seed)
    counter = TableCounter()
    fitted: dict[str, Any] = {}
    for latent in coding.latents:
        tiles = [tile for level, symbols in pictures for tile in _tiles(coding, latent, level, symbols)]
        fitted[latent.name] = fields = _fit_latent(coding, tiles, contexts, generator, report, latent.name)
        frozen = LatentModel.read(fields, latent.channels, len(tiles[0].side), coding.anchors, CLASSES)
        for tile in tiles:
            code_tile(frozen, counter, tile.place, tile.side, tile.coded, tile.symbols)
    return {"classes": CLASSES, "tables": make_tables(counter.counts), "latents": fitted}


def _pictures(
    coding: Coding, latents: Mapping[str, Sequence[Sample]]
) -> Iterator[tuple[int, dict[str, NDArray[np.int16]]]]:
    """Level and symbols of each picture, checked."""
    counts = {latent.name: len(latents.get(latent.name, ())) for latent in coding.latents}
    if not min(counts.values()) or len(set(counts.values())) > 1:
        raise UsageError(f"every latent needs the same pictures, and some at all; there are {counts}")
    for samples in zip(*(latents[latent.name] for latent in coding.latents), strict=True):
        level, sizes = samples[0][0], set()
        for latent, (other, values) in zip(coding.latents, samples, strict=True):
            if values.ndim != 3 or values.shape[0] != latent.channels:
                raise UsageError(f"a sample of {latent.name} has the shape {values.shape}")
            sizes.add((values.shape[1] * latent.stride, values.shape[2] * latent.stride, other))
        if len(sizes) > 1 or not 0 <= level < coding.levels:
            raise UsageError(f"the samples of a picture differ in size or level, or {level} is no level")
        yield level, {e.name: _small(v) for e, (_, v) in zip(coding.latents, samples, strict=True)}


def _tiles(
    coding: Coding, latent: Latent, level: int, symbols: dict[str, NDArray[np.int16]]
) -> Iterator[Tile]:
    """A picture cut as the codec will."""
    height, width = (side * latent.stride for side in symbols[latent.name].shape[1:])
    grid = TileGrid(width, height, coding.tile)
    place = Place.of(level, coding.levels, coding.anchors)
    for index in range(grid.count):
        views = tile_views(coding, symbols, grid, index)
        side, coded = side_symbols(coding, latent, views), coded_symbols(coding, latent, views)
        yield Tile(place, side, views[latent.name], coded)


def _fit_latent(
    coding: Coding,
    tiles: Sequence[Tile],
    contexts: bool,
    generator: np.random.Generator,
    report: Callable[[str, int, int], None],
    label: str,
) -> dict[str, Any]:
    channels = len(tiles[0].symbols)
    groups = [group for index, group in enumerate(GROUPS) if not index or GROUPS[index - 1][0] < channels]
    ends = [min(end, channels) for end, _ in groups]
    spacings = [spacing if contexts else 1 for _, spacing in groups]
    order = _order(tiles)
    steps = make_steps(ends, spacings)
    fields = []
    for done, data in enumerate(_gather(coding.anchors, order, steps, tiles, generator)):
        report(label, done, len(steps))
        fields.append(fit_step(data, generator, contexts=contexts))
    report(label, len(steps), len(steps))
    return {"order": order.tolist(), "groups": ends, "spacings": spacings, "steps": fields}


def _order(tiles: Sequence[Tile]) -> NDArray[np.intp]:
    """Channels with the largest symbols first: they tell most of what follows."""
    size = np.sum([np.log2(1 + np.abs(tile.symbols)).mean(axis=(1, 2)) for tile in tiles], axis=0)
    order: NDArray[np.intp] = np.argsort(-size, kind="stable")
    return order


def _gather(
    anchors: int,
    order: NDArray[np.intp],
    steps: Sequence[Step],
    tiles: Sequence[Tile],
    generator: np.random.Generator,
) -> Iterator[StepData]:
    """What each step sees at a random choice of its positions."""
    totals = {step: sum(_positions(step, tile).size for tile in tiles) for step in steps}
    for _, each in groupby(steps, key=lambda step: step.first):
        group = list(each)
        shares = [_POSITIONS / max(totals[step], 1) for step in group]
        found = [_gather_tile(anchors, order, group, tile, shares, generator) for tile in tiles]
        for step, parts in zip(group, zip(*found, strict=True), strict=True):
            joined = (np.concatenate(part) for part in zip(*parts, strict=True))
            yield StepData(step, len(tiles[0].side), *joined)


def _gather_tile(
    anchors: int,
    order: NDArray[np.intp],
    group: Sequence[Step],
    tile: Tile,
    shares: Sequence[float],
    generator: np.random.Generator,
) -> list[tuple[NDArray[Any], ...]]:
    """For each step of a group what `StepData` needs of one tile."""
    known = Known(order, tile.side)
    known.reveal(group[0], tile.symbols[order])
    symbols = flat(tile.symbols[order])
    coded = np.ones(symbols.shape, dtype=np.bool_) if tile.coded is None else flat(tile.coded[order])
    found: list[tuple[NDArray[Any], ...]] = []
    for step, share in zip(group, shares, strict=True):
        here = _positions(step, tile)
        here = here[generator.random(here.size) < share]
        found.append(
            (
                np.broadcast_to(tile.place.shares(anchors), (here.size, anchors)),
                _small(known.magnitude_features(step, here).T),
                _small(known.value_features(step, here).T),
                symbols[step.channels, here].T,
                coded[step.channels, here].T,
            )
        )
    return found


def _positions(step: Step, tile: Tile) -> NDArray[np.intp]:
    return positions(step, *tile.symbols.shape[1:])


def _small(numbers: NDArray[Any]) -> NDArray[np.int16]:
    small: NDArray[np.int16] = np.clip(numbers, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int16)
    return small
