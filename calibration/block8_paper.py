"""Freezes block8-paper's context models and Huffman tables from training images.

The linear forms are least-squares fits, rounded to integers; class bounds are quantiles; code word lengths
come from counts taken by the coder itself, so that nothing is described twice. `block_contexts` says what
each number is for.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels.huffman import code_lengths
from farlook.runtime.layouts.block_contexts import (
    DC_TABLES,
    WEIGHT_SCALE,
    ContextModel,
    LatentFeatures,
    Neighbourhood,
    TileSymbols,
    code_tiles,
    flag_activity,
    last_features,
    last_nonzero,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.layouts.block_contexts import Bool, Int

    Sample = tuple[Bool, TileSymbols]
    """Blocks that lie in the picture, and the tiles' symbols."""

FLAG_CLASSES, LAST_CLASSES, MAGNITUDE_CLASSES = 10, 12, 12
MEAN_THRESHOLDS = (0.12, 0.3, 0.6, 1.0)
"""Bounds between classes of the absolute predicted mean, in quantiser steps."""

_RIDGE = 1e-3
_ESCAPE_SHARE = 1e-3
_MAX_ESCAPE = 62
_BORROWED = 8.0


def fit_tables(samples: Sequence[Sample], latents: int) -> dict[str, Any]:
    """Fit one kind of plane (luma or chroma): its object in a bundle's `entropy.json`.

    Args:
        samples: Quantised tiles of training images, at the qualities that matter.
        latents: Latents of a G2 block.

    Returns:
        JSON: lists of integers only.
    """
    model = _blank_model(latents)
    model = _fit_means(model, samples)
    model = _fit_magnitudes(model, samples)
    model = _fit_thresholds(model, samples)
    lengths, escapes = _fit_codes(model, samples)
    return {
        "flag_thresholds": model.flag_thresholds.tolist(),
        "last_weights": model.last_weights.tolist(),
        "last_thresholds": model.last_thresholds.tolist(),
        "mean_weights": [weights.tolist() for weights in model.mean_weights],
        "magnitude_weights": [weights.tolist() for weights in model.magnitude_weights],
        "mean_thresholds": model.mean_thresholds.tolist(),
        "magnitude_thresholds": model.magnitude_thresholds.tolist(),
        "lengths": lengths,
        "escapes": escapes,
    }


def _blank_model(latents: int) -> ContextModel:
    return ContextModel(
        first_table=0,
        flag_thresholds=np.zeros(FLAG_CLASSES - 1, dtype=np.int64),
        last_weights=np.zeros(17, dtype=np.int64),
        last_thresholds=np.zeros(LAST_CLASSES - 1, dtype=np.int64),
        mean_weights=[np.zeros(9 * k - 1, dtype=np.int64) for k in range(1, latents)],
        magnitude_weights=[np.zeros(25 + 2 * k, dtype=np.int64) for k in range(1, latents)],
        mean_thresholds=np.array([round(bound * WEIGHT_SCALE) for bound in MEAN_THRESHOLDS]),
        magnitude_thresholds=np.zeros(MAGNITUDE_CLASSES - 1, dtype=np.int64),
    )


class _LeastSquares:
    """Normal equations of one linear form, gathered sample by sample."""

    def __init__(self, inputs: int) -> None:
        self._gram = np.zeros((inputs, inputs))
        self._cross = np.zeros(inputs)

    def add(self, features: Int, targets: Int) -> None:
        inputs = features.astype(np.float64)
        self._gram += inputs.T @ inputs
        self._cross += inputs.T @ targets.astype(np.float64)

    def solve(self) -> NDArray[np.float64]:
        return np.linalg.solve(self._gram + _RIDGE * np.eye(self._cross.size), self._cross).astype(np.float64)


def _fit_means(model: ContextModel, samples: Sequence[Sample]) -> ContextModel:
    """The forms of `last` and of each latent's mean."""
    last_fit = _LeastSquares(model.last_weights.size)
    fits = [_LeastSquares(weights.size) for weights in model.mean_weights]
    for valid, symbols in samples:
        variation = Neighbourhood.of_dc(symbols.latents[..., 0], valid)
        detailed = symbols.detailed
        last_fit.add(last_features(variation, detailed)[detailed], last_nonzero(symbols.latents)[detailed])
        for k, here, features in _walk(variation, symbols):
            fits[k - 1].add(features.mean(here), symbols.latents[..., k][here])
    return replace(
        model,
        last_weights=_integers(last_fit.solve()),
        mean_weights=[_integers(fit.solve()) for fit in fits],
    )


def _fit_magnitudes(model: ContextModel, samples: Sequence[Sample]) -> ContextModel:
    fits = [_LeastSquares(weights.size) for weights in model.magnitude_weights]
    for valid, symbols in samples:
        variation = Neighbourhood.of_dc(symbols.latents[..., 0], valid)
        for k, here, features in _walk(variation, symbols):
            mean = features.mean(here) @ model.mean_weights[k - 1]
            fits[k - 1].add(features.magnitude(here, mean), np.abs(symbols.latents[..., k][here]))
    return replace(model, magnitude_weights=[_integers(fit.solve()) for fit in fits])


def _fit_thresholds(model: ContextModel, samples: Sequence[Sample]) -> ContextModel:
    """Class bounds that split what is seen into equally large classes."""
    activity, last, magnitude = [], [], []
    for valid, symbols in samples:
        variation = Neighbourhood.of_dc(symbols.latents[..., 0], valid)
        detailed = symbols.detailed
        activity.append(flag_activity(variation).ravel())
        last.append(last_features(variation, detailed)[detailed] @ model.last_weights)
        for k, here, features in _walk(variation, symbols):
            mean = features.mean(here) @ model.mean_weights[k - 1]
            magnitude.append(features.magnitude(here, mean) @ model.magnitude_weights[k - 1])
    return replace(
        model,
        flag_thresholds=_quantiles(activity, FLAG_CLASSES),
        last_thresholds=_quantiles(last, LAST_CLASSES),
        magnitude_thresholds=_quantiles(magnitude, MAGNITUDE_CLASSES),
    )


def _walk(variation: Neighbourhood, symbols: TileSymbols) -> Iterator[tuple[int, Bool, LatentFeatures]]:
    """Latents in coding order: number, cells that are coded, and what is known before them."""
    last = last_nonzero(symbols.latents)
    features = LatentFeatures(variation, last, symbols.detailed)
    for k in range(1, symbols.latents.shape[-1]):
        yield k, symbols.detailed & (last >= k), features
        features.add(symbols.latents[..., k])


class _Counter:
    """A port that counts which values each table codes."""

    def __init__(self, tables: int) -> None:
        self.counts = np.zeros((tables, _MAX_ESCAPE + 2), dtype=np.float64)

    def code(
        self, mask: Bool, tables: NDArray[np.uint16], values: NDArray[np.uint32] | None
    ) -> NDArray[np.uint32]:
        del mask
        if values is None:
            raise ValueError("counting needs values")
        cells = tables.astype(np.int64) * self.counts.shape[1] + np.minimum(values, _MAX_ESCAPE + 1)
        self.counts += np.bincount(cells, minlength=self.counts.size).reshape(self.counts.shape)
        return values


def _fit_codes(model: ContextModel, samples: Sequence[Sample]) -> tuple[list[list[int]], list[int]]:
    """Code word lengths and escape symbols of all tables."""
    counter = _Counter(model.end_row)
    for valid, symbols in samples:
        code_tiles(model, counter, valid, symbols)
    groups: list[tuple[int, int, Callable[[NDArray[np.float64]], tuple[list[int], int]]]] = [
        (0, DC_TABLES, _open_code),
        (model.flags_row, model.last_row, lambda counts: _closed_code(counts, 16)),
        (model.last_row, model.latents_row, lambda counts: _closed_code(counts, model.latents)),
        (model.latents_row, model.end_row, _open_code),
    ]
    codes = []
    for first, end, make in groups:
        # Tables that training seldom used lean on the sum of their group.
        group = counter.counts[first:end]
        shape = (group.sum(axis=0) + 1e-3) / (group.sum() + 1)
        codes += [make(counts + _BORROWED * shape) for counts in group]
    return [lengths for lengths, _ in codes], [escape for _, escape in codes]


def _open_code(counts: NDArray[np.float64]) -> tuple[list[int], int]:
    """A code for values without bound: rare large ones go through the escape."""
    tail = np.cumsum(counts[::-1])[::-1]
    escape = min(max(int(np.argmax(tail <= _ESCAPE_SHARE * tail[0])), 2), _MAX_ESCAPE)
    return _lengths(np.append(counts[:escape], tail[escape])), escape


def _closed_code(counts: NDArray[np.float64], symbols: int) -> tuple[list[int], int]:
    """A code for exactly `symbols` symbols, whose escape has no code word."""
    return [*_lengths(counts[:symbols]), 0], symbols


def _lengths(counts: NDArray[np.float64]) -> list[int]:
    # Every symbol must stay codable: other pictures may hold what training never did.
    return [int(length) for length in code_lengths(np.maximum(counts, counts.sum() / 8192))]


def _integers(weights: NDArray[np.float64]) -> Int:
    return np.rint(weights * WEIGHT_SCALE).astype(np.int64)


def _quantiles(parts: list[Int], classes: int) -> Int:
    if not any(part.size for part in parts):
        return np.zeros(classes - 1, dtype=np.int64)
    bounds = np.quantile(np.concatenate(parts), np.arange(1, classes) / classes)
    return np.ceil(bounds).astype(np.int64)
