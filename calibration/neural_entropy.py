"""Freezes a neural codec's context weights and probability tables from symbols of training pictures.

The weights of each step are fitted alone, as all that they see is known symbols: by gradient descent on the length
of the code, with a logistic distribution around the predicted value. They are then rounded to integers, the coder
itself runs over the symbols, and what it meets is counted into the tables. `farlook.runtime.neural.contexts`
says what each number is for.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.calibration.neural_tables import CLASSES, TableCounter, make_tables
from farlook.calibration.neural_weights import StepData, fit_step
from farlook.runtime.errors import UsageError
from farlook.runtime.neural.contexts import Known, LatentModel, Place, code_tile, flat
from farlook.runtime.neural.description import MAX_SYMBOL, Coding
from farlook.runtime.neural.schedule import make_steps, positions
from farlook.runtime.neural.symbols import kept_channels

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.neural.description import Latent
    from farlook.runtime.neural.schedule import Step

    Sample = tuple[int, NDArray[np.int32]]
    """A level, and a picture's symbols, int32 [channels, height, width]."""

FIRST_GROUPS = (0.06, 0.12, 0.25, 0.45)
"""Where groups of channels end, as parts of all channels; the last ends with them."""
FIRST_SPACING, SPACING = 8, 2
"""Lattice that the first group begins with, and that all others begin with."""

_FEWEST = 4
_POSITIONS = 40_000
"""Positions of a step that its weights are fitted to, about."""


@dataclass(frozen=True)
class Tile:
    """One latent of one tile of a training picture.

    Attributes:
        level: Of 0 to levels - 1.
        place: Where it lies between the anchors.
        symbols: int32 [channels, height, width].
        coded: Which of them are coded, bool of the same shape; None for all.
    """

    level: int
    place: Place
    symbols: NDArray[np.int32]
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
            latents: the i-th sample of each is of the same picture and level.
        layout: The manifest's `coding` object; see `docs/format.md`.
        contexts: Whether to use known symbols; without, tables depend on channel and level only.
        seed: Of the choice of positions and of the descent.
        report: Told what is fitted, how many steps of it are done, and of how many.

    Returns:
        JSON: lists of integers only.

    Raises:
        UsageError: A latent has no samples, or fewer or more than another, or samples of another shape.
    """
    coding = Coding.read(layout)
    _check(coding, latents)
    generator = np.random.default_rng(seed)
    counter = TableCounter()
    fitted: dict[str, Any] = {}
    for latent in coding.latents:
        tiles = [*_tiles(coding, latent, latents)]
        model = _fit_latent(coding, latent, tiles, contexts, generator, report)
        fitted[latent.name] = model
        frozen = LatentModel.read(model, latent.channels, coding.anchors, CLASSES)
        for tile in tiles:
            shape = tile.symbols.shape[1:]
            code_tile(frozen, counter, (shape[0], shape[1]), tile.place, tile.coded, tile.symbols)
    return {"classes": CLASSES, "tables": make_tables(counter.counts), "latents": fitted}


def _check(coding: Coding, latents: Mapping[str, Sequence[Sample]]) -> None:
    counts = {latent.name: len(latents.get(latent.name, ())) for latent in coding.latents}
    if not min(counts.values()) or len(set(counts.values())) > 1:
        raise UsageError(f"every latent needs the same pictures, and some at all; there are {counts}")
    for latent in coding.latents:
        for level, symbols in latents[latent.name]:
            if symbols.ndim != 3 or symbols.shape[0] != latent.channels or not 0 <= level < coding.levels:
                raise UsageError(f"a sample of {latent.name} has the shape {symbols.shape} and level {level}")


def _tiles(coding: Coding, latent: Latent, latents: Mapping[str, Sequence[Sample]]) -> Iterator[Tile]:
    """The pictures cut into tiles, as the codec will."""
    side = coding.tile // latent.stride
    for index, (level, symbols) in enumerate(latents[latent.name]):
        coded = None
        if latent.gate is not None:
            by = coding.latent(latent.gate.by)
            values = latents[by.name][index][1][0].astype(np.int16)
            coded = kept_channels(latent, latent.gate, values, by.stride, symbols.shape[1:])
        place = Place.of(level, coding.levels, coding.anchors)
        for top in range(0, symbols.shape[1], side):
            for left in range(0, symbols.shape[2], side):
                window = (slice(None), slice(top, top + side), slice(left, left + side))
                yield Tile(level, place, symbols[window], None if coded is None else coded[window])


def _fit_latent(
    coding: Coding,
    latent: Latent,
    tiles: Sequence[Tile],
    contexts: bool,
    generator: np.random.Generator,
    report: Callable[[str, int, int], None],
) -> dict[str, Any]:
    ends = _group_ends(latent.channels)
    spacings = [FIRST_SPACING, *[SPACING] * (len(ends) - 1)] if contexts else [1] * len(ends)
    order = _order(tiles)
    steps = make_steps(ends, spacings)
    fields = []
    for done, data in enumerate(_gather(coding, order, steps, tiles, generator)):
        report(latent.name, done, len(steps))
        fields.append(fit_step(data, generator, contexts=contexts))
    report(latent.name, len(steps), len(steps))
    return {"order": order.tolist(), "groups": ends, "spacings": spacings, "steps": fields}


def _order(tiles: Sequence[Tile]) -> NDArray[np.intp]:
    """Channels with the largest symbols first: they tell most of what follows."""
    size = np.sum([np.log2(1 + np.abs(tile.symbols)).mean(axis=(1, 2)) for tile in tiles], axis=0)
    order: NDArray[np.intp] = np.argsort(-size, kind="stable")
    return order


def _group_ends(channels: int) -> list[int]:
    ends = [max(round(part * channels), _FEWEST) for part in FIRST_GROUPS]
    return sorted({end for end in ends if end < channels} | {channels})


def _gather(
    coding: Coding,
    order: NDArray[np.intp],
    steps: Sequence[Step],
    tiles: Sequence[Tile],
    generator: np.random.Generator,
) -> Iterator[StepData]:
    """What each step sees at a random choice of its positions."""
    for step in steps:
        total = sum(positions(step, *tile.symbols.shape[1:]).size for tile in tiles)
        parts = [
            _gather_tile(coding, order, step, tile, _POSITIONS / max(total, 1), generator) for tile in tiles
        ]
        joined = [np.concatenate(each) for each in zip(*parts, strict=True)]
        yield StepData(step, *joined)


def _gather_tile(
    coding: Coding,
    order: NDArray[np.intp],
    step: Step,
    tile: Tile,
    share: float,
    generator: np.random.Generator,
) -> tuple[NDArray[Any], ...]:
    here = positions(step, *tile.symbols.shape[1:])
    here = here[generator.random(here.size) < share]
    known = Known(order, tile.symbols.shape[1:])
    known.reveal(step, tile.symbols[order])
    anchors = np.zeros((here.size, coding.anchors), dtype=np.float32)
    share_of_next = tile.place.share / tile.place.whole
    anchors[:, tile.place.row] = 1 - share_of_next
    anchors[:, min(tile.place.row + 1, coding.anchors - 1)] += share_of_next
    symbols = flat(tile.symbols[order])[step.channels, here].T
    coded = np.ones(symbols.shape, dtype=np.bool_)
    if tile.coded is not None:
        coded = flat(tile.coded[order])[step.channels, here].T
    return (
        anchors,
        _small(known.magnitude_features(step, here).T),
        _small(known.value_features(step, here).T),
        _small(symbols),
        coded,
    )


def _small(numbers: NDArray[Any]) -> NDArray[np.int16]:
    small: NDArray[np.int16] = np.clip(numbers, -MAX_SYMBOL, MAX_SYMBOL).astype(np.int16)
    return small
