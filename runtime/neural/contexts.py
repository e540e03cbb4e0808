"""Which table codes a symbol: integers from symbols decoded before, so that every machine chooses the same.

    magnitudes of known symbols --weights--> + bias of (channel, level) --> class of scale   \
                                                                                              table
    known symbols               --weights--> predicted value = whole part + fraction --------/

Sums are of whole numbers below 2^53 in float64: exact in any order, with any BLAS.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np

from farlook.runtime.neural.description import MAX_SYMBOL
from farlook.runtime.neural.schedule import (
    eight_around,
    make_steps,
    neighbour_means,
    neighbour_spread,
    positions,
    surroundings,
)

if TYPE_CHECKING:
    from collections.abc import Mapping

    from numpy.typing import NDArray

    from farlook.runtime.neural.schedule import Step

    Bools = NDArray[np.bool_]
    Ints = NDArray[np.int32]
    Longs = NDArray[np.int64]
    Floats = NDArray[np.float64]

CLASS_BITS = 12
"""Scale classes are sums of weights in units of 2^-12."""
MEAN_BITS = 12
"""Predicted values are sums of weights in units of 2^-12."""
LEADERS = 8
"""So many channels, the first in coding order, are looked at more closely: they hold the picture's outlines."""
FRACTIONS = 5
"""Classes of a prediction's distance from its whole part: 0, 1/8, ..., 4/8."""

_ALONE = 1 << 18
"""Multiply-adds that OpenBLAS does on one thread."""

_HEAVIEST = 1 << 30
"""Times 12 times the largest symbol, or times 8 times the largest magnitude, this stays below 2^53."""


class Port(Protocol):
    """Writes or reads one batch of numbers."""

    def code(self, tables: Longs, values: Longs | None) -> Longs:
        """Code numbers, each with its table; `values` is what to write, or None to read. Returns the values."""


@dataclass(frozen=True)
class Place:
    """Where a level lies between anchors: `share` parts of `whole` on the way from `row` to the next."""

    row: int
    share: int
    whole: int

    @classmethod
    def of(cls, level: int, levels: int, anchors: int) -> Place:
        """The place of a level of 0 to `levels` - 1; the last lies on the last anchor."""
        row, share = divmod(level * (anchors - 1), levels - 1)
        return cls(row, share, levels - 1)

    def shares(self, anchors: int) -> NDArray[np.float32]:
        """What share each anchor has, float32 [anchors]."""
        shares = np.zeros(anchors, dtype=np.float32)
        shares[self.row] = 1 - self.share / self.whole
        shares[min(self.row + 1, anchors - 1)] += self.share / self.whole
        return shares

    def between(self, rows: Longs) -> Longs:
        """Interpolated between rows, int64 [anchors, channels], and rounded down."""
        following = rows[min(self.row + 1, len(rows) - 1)]
        between: Longs = (rows[self.row] * (self.whole - self.share) + following * self.share) // self.whole
        return between


@dataclass(frozen=True)
class StepModel:
    """The weights of one step of `channels` channels.

    Attributes:
        scale: Whole numbers, float64 [channels, features], of `magnitude_features`.
        mean: Whole numbers, float64 [channels, features], of `value_features`.
        bias: int64 [anchors, channels].
    """

    scale: Floats
    mean: Floats
    bias: NDArray[np.int64]


@dataclass(frozen=True)
class LatentModel:
    """How one latent is coded.

    Attributes:
        order: The channel that is coded first, second, ...
        steps: See `schedule`.
        models: One a step.
        classes: Number of classes of scale.
    """

    order: NDArray[np.intp]
    steps: tuple[Step, ...]
    models: tuple[StepModel, ...]
    classes: int

    @classmethod
    def read(
        cls, fields: Mapping[str, Any], channels: int, side: int, anchors: int, classes: int
    ) -> LatentModel:
        """Read a latent's object of `entropy.json`; `side` is the number of channels of earlier latents.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: It is damaged.
        """
        order = np.array(fields["order"], dtype=np.intp)
        ends, spacings = [int(end) for end in fields["groups"]], [int(each) for each in fields["spacings"]]
        if sorted(order.tolist()) != list(range(channels)) or ends != sorted(set(ends)) or ends[0] < 1:
            raise ValueError("the order of the channels or their groups are damaged")
        if ends[-1] != channels or not all(each in (1, 2, 4, 8, 16) for each in spacings):
            raise ValueError("the groups of channels or their spacings are damaged")
        steps = make_steps(ends, spacings)
        models = tuple(
            _step_model(step, each, anchors, side) for step, each in zip(steps, fields["steps"], strict=True)
        )
        return cls(order, steps, models, classes)


def code_tile(
    model: LatentModel,
    port: Port,
    place: Place,
    side: NDArray[np.integer[Any]],
    coded: Bools | None,
    symbols: NDArray[np.integer[Any]] | None,
) -> Ints:
    """Write or read one latent of one tile.

    Args:
        model: The latent's.
        port: Where to or from.
        place: Where the level lies between the anchors.
        side: Symbols of earlier latents, repeated to this one's grid, [channels, height, width]; may have none.
        coded: Which symbols are coded, bool [channels, height, width]; the others are 0. None for all.
        symbols: [channels, height, width]; None to read.

    Returns:
        The symbols.

    Raises:
        ValueError: What is read lies outside the range of symbols.
    """
    known = Known(model.order, side)
    shape = (side.shape[1], side.shape[2])
    window = None if coded is None else flat(coded[model.order])
    given = None if symbols is None else flat(symbols[model.order].astype(np.int64))
    for step, weights in zip(model.steps, model.models, strict=True):
        here = positions(step, *shape)
        if here.size:
            scale, mean = known.predict(step, weights, model.classes, here, place)
            part = np.ones(scale.shape, np.bool_) if window is None else window[step.channels, here]
            values = None if given is None else given[step.channels, here]
            known.keep(step, here, _code(port, scale, mean, part, values))
        if step.closes:
            known.close(step)
    return known.symbols()


def _code(port: Port, scale: Longs, mean: Longs, part: Bools, values: Longs | None) -> Longs:
    """Pass a step's symbols through the port, as differences from their predictions.

    A prediction above the nearest whole number and one as far below it share a table: the sign is turned.
    """
    whole = (mean[part] + 4) >> 3
    fraction = mean[part] - 8 * whole
    sign = np.where(fraction < 0, -1, 1)
    tables = scale[part] * FRACTIONS + np.abs(fraction)
    found = port.code(tables, None if values is None else sign * (values[part] - whole))
    symbols = np.zeros(scale.shape, dtype=np.int64)
    symbols[part] = whole + sign * found
    if symbols.size and max(int(symbols.max()), -int(symbols.min())) > MAX_SYMBOL:
        raise ValueError("a symbol lies outside its range")
    return symbols


class Known:
    """What of a tile's latent is known, channels in coding order."""

    def __init__(self, order: NDArray[np.intp], side: NDArray[np.integer[Any]]) -> None:
        self._order = order
        sizes = magnitudes(side).astype(np.float64)
        self._side = flat(np.concatenate([sizes, surroundings(sizes)]))
        self._values = np.zeros((len(order), *side.shape[1:]))
        self._magnitudes = np.zeros_like(self._values)
        self._around = np.zeros_like(self._values)
        leaders = self._values[:LEADERS]
        self._eight = np.zeros((8, *leaders.shape))
        self._relief = np.zeros_like(leaders)

    def predict(
        self, step: Step, weights: StepModel, classes: int, here: NDArray[np.intp], place: Place
    ) -> tuple[Longs, Longs]:
        """Class of scale, and value in eighths, of a step's symbols: int64 [channels, positions]."""
        bias = place.between(weights.bias)[:, None]
        sums = product(weights.scale, self.magnitude_features(step, here))
        scale = (sums + bias) >> CLASS_BITS
        means = product(weights.mean, self.value_features(step, here))
        eighths = (means + (1 << (MEAN_BITS - 4))) >> (MEAN_BITS - 3)
        limit = 8 * MAX_SYMBOL
        return np.clip(scale, 0, classes - 1), np.clip(eighths, -limit, limit)

    def magnitude_features(self, step: Step, here: NDArray[np.intp]) -> Floats:
        """What scales are predicted from: float64 [features, positions].

        Of earlier latents and of all channels of earlier groups: magnitudes, and the sums of their eight
        neighbours'. Of the leaders, the first of those channels: the magnitude of how far the eight neighbours lie
        apart. Of the group's own known neighbours: the means of their magnitudes, and how far they lie apart.
        """
        parts = [self._side[:, here]]
        parts += [flat(each)[: step.first, here] for each in (self._magnitudes, self._around)]
        parts.append(flat(self._relief)[: step.first, here])
        if step.neighbours:
            apart = magnitudes(neighbour_spread(self._values[step.channels], step).astype(np.int64))
            parts.append(flat(neighbour_means(self._magnitudes[step.channels], step))[:, here])
            parts.append(flat(apart)[:, here])
        return np.concatenate(parts)

    def value_features(self, step: Step, here: NDArray[np.intp]) -> Floats:
        """What values are predicted from: float64 [features, positions].

        The symbols of all channels of earlier groups; the eight neighbours of the leaders, first all upper left
        ones; the means of the group's own known neighbours.
        """
        parts = [flat(self._values)[: step.first, here]]
        parts += [flat(each)[: step.first, here] for each in self._eight]
        if step.neighbours:
            parts.append(flat(neighbour_means(self._values[step.channels], step))[:, here])
        return np.concatenate(parts)

    def keep(self, step: Step, here: NDArray[np.intp], symbols: Longs) -> None:
        """Take note of a step's symbols, int64 [channels, positions]."""
        flat(self._values)[step.channels, here] = symbols
        flat(self._magnitudes)[step.channels, here] = magnitudes(symbols)

    def close(self, step: Step) -> None:
        """Look at the neighbourhoods of a group that is whole."""
        self._around[step.channels] = surroundings(self._magnitudes[step.channels])
        if step.first < LEADERS:
            leaders = slice(step.first, min(step.last, LEADERS))
            self._eight[:, leaders] = eight = eight_around(self._values[leaders])
            self._relief[leaders] = magnitudes((eight.max(axis=0) - eight.min(axis=0)).astype(np.int64))

    def reveal(self, step: Step, symbols: NDArray[np.integer[Any]]) -> None:
        """Take note of all that a step's group sees, of symbols in coding order: [channels, height, width]."""
        self._values[: step.last] = symbols[: step.last]
        self._magnitudes[: step.last] = magnitudes(symbols[: step.last])
        self.close(replace(step, first=0, last=step.first))

    def symbols(self) -> Ints:
        """All symbols, channels in their own order: int32 [channels, height, width]."""
        symbols = np.empty(self._values.shape, dtype=np.int32)
        symbols[self._order] = self._values
        return symbols


def feature_counts(step: Step, side: int) -> tuple[int, int]:
    """How many features scales and values of a step are predicted from, with `side` channels of other latents."""
    own = step.last - step.first if step.neighbours else 0
    leaders = min(step.first, LEADERS)
    return 2 * (side + step.first) + leaders + 2 * own, step.first + 8 * leaders + own


def product(weights: Floats, features: Floats) -> Longs:
    """The matrix product of whole numbers, int64 [channels, positions].

    In pieces so small that BLAS does not share them out: waking its threads takes longer than the work, on a busy
    machine twenty times as long.
    """
    columns = max(_ALONE // max(weights.size, 1), 1)
    sums = np.empty((len(weights), features.shape[1]))
    for first in range(0, features.shape[1], columns):
        piece = slice(first, first + columns)
        np.matmul(weights, features[:, piece], out=sums[:, piece])
    return sums.astype(np.int64)


def magnitudes(symbols: NDArray[np.integer[Any]]) -> NDArray[np.int64]:
    """About 8 log2(1 + |symbol|), in whole numbers; at most that of 1023."""
    found: Longs = _MAGNITUDES[np.minimum(np.abs(symbols), len(_MAGNITUDES) - 1)]
    return found


def flat(grid: NDArray[Any]) -> NDArray[Any]:
    """[channels, height, width] as [channels, positions]."""
    return grid.reshape(len(grid), grid.shape[1] * grid.shape[2])


# floor(16 log2(1 + v)) is the position of the highest bit of (1 + v)^16: no floating point.
_MAGNITUDES = np.array([((1 + v) ** 16).bit_length() // 2 for v in range(1024)], dtype=np.int64)


def _step_model(step: Step, fields: Mapping[str, Any], anchors: int, side: int) -> StepModel:
    channels = step.last - step.first
    scales, values = feature_counts(step, side)
    model = StepModel(
        scale=np.array(fields["scale"], dtype=np.float64).reshape(channels, scales),
        mean=np.array(fields["mean"], dtype=np.float64).reshape(channels, values),
        bias=np.array(fields["bias"], dtype=np.int64).reshape(anchors, channels),
    )
    for weights in (model.scale, model.mean):
        if (
            not np.all(np.rint(weights) == weights)
            or np.abs(weights).sum(axis=1, initial=0).max() > _HEAVIEST
        ):
            raise ValueError("a weight is no whole number, or too large")
    if np.abs(model.bias).max() > _HEAVIEST:
        raise ValueError("a bias is too large")
    return model
