"""Fits block8's probability models to what the coder met: logistic regression, in the rows that the coder adds.

For coefficient k of a block, the logit of "not zero" is the sum of lane z(k) over the rows of the block's contexts
and of the coefficients before k; that of "no more from k on" the same for lane e(k). Both are convex in the
rows, so that Adam with a falling rate finds the optimum.
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from farlook.kernels.block8_tables import GROUPS, SIDES, TableSet, rows_of, sign_rows_of

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from farlook.models.block8_trace import BlockData, PictureData

SCALE = 16
SIGNED = 16
_LEFT = 56
_MAX_COUNT = 8
_ENOUGH = 120_000  # blocks of a model for an epoch: more teach it no more
_LOW = 48
_LONG_RUN = 32113  # 0.98


def group_map(model: int) -> NDArray[np.int64]:
    """The group of rows of each place in a model's scan (`b8_fine_group`, `b8_coarse_group`)."""
    k = np.arange(64)
    if model == 1:
        edges = [17, 19, 21, 24, 28, 34, 42, 52]
        return np.where(k <= 16, np.maximum(k - 1, 0), 15 + np.searchsorted(edges, k, side="right"))
    return np.where(k < 44, np.maximum(k - 1, 0), 43 + (k - 44) // 5)


_PLACE = np.arange(64)
ZERO_LANE = np.select(
    [_PLACE == 0, _PLACE < 22, _PLACE < 44], [63, 10 + _PLACE, 10 + _PLACE], 54 + (_PLACE - 44) // 5
)
_END_GROUP = np.searchsorted([2, 3, 4, 5, 7, 9, 11, 14, 17, 21, 26, 32, 39, 47, 55], _PLACE, side="right")
END_LANE = np.where(_END_GROUP <= 10, _END_GROUP, 47 + _END_GROUP)


@dataclass
class FittedModel:
    """One model's rows, as they will be stored, and the bits that they take."""

    rows: NDArray[np.int8]
    signs: NDArray[np.int8]
    levels: NDArray[np.uint16]
    bits: dict[str, float]


class BlockLogits(torch.nn.Module):
    """The logits of all decisions of blocks of one model.

    Args:
        model: 0 to 3.
        start: Rows to begin from, int8 [rows, 64] and [sign rows, 16]; None: zeros.
    """

    def __init__(self, model: int, start: tuple[NDArray[np.int8], NDArray[np.int8]] | None = None) -> None:
        super().__init__()
        groups, self.places = GROUPS[model], SIDES[model] ** 2
        self.contexts = _LEFT + 4 * groups
        rows = (
            torch.zeros(rows_of(groups), 64) if start is None else torch.from_numpy(start[0] / SCALE).float()
        )
        signs = (
            torch.zeros(sign_rows_of(groups), SIGNED)
            if start is None
            else torch.from_numpy(start[1] / SCALE).float()
        )
        self.sign_groups = min(groups, 16)
        self.rows = torch.nn.Parameter(rows[: self.contexts].clone())
        self.inner = torch.nn.Parameter(rows[self.contexts : self.contexts + 2 * groups].clone())
        self.found = torch.nn.Parameter(rows[self.contexts + 2 * groups :].cumsum(0))
        inner_signs = 40 + 4 * self.sign_groups
        self.sign_rows = torch.nn.Parameter(signs[:inner_signs].clone())
        self.sign_inner = torch.nn.Parameter(signs[inner_signs:].clone())
        place = torch.arange(self.places)
        group = torch.from_numpy(group_map(model)[: self.places])
        # Columns of `items`: each place at magnitude 1, then each at more.
        self.item = torch.cat([2 * group, 2 * group + 1])
        self.before = (torch.cat([place, place])[:, None] < place[None, :]).float()
        self.zero_lane = torch.from_numpy(ZERO_LANE[: self.places])
        self.end_lane = torch.from_numpy(END_LANE[: self.places])
        self.sign_item = self.item[self._signed_columns()]
        self.sign_before = self.before[self._signed_columns()][:, 1 : self.signed + 1]

    @property
    def signed(self) -> int:
        """Coefficients whose signs are modelled."""
        return min(self.places - 1, SIGNED)

    def _signed_columns(self) -> Tensor:
        low = torch.arange(1, self.signed + 1)
        return torch.cat([low, low + self.places])

    def forward(
        self, rows: Tensor, starts: Tensor, items: Tensor, known: Tensor | None, count: Tensor
    ) -> tuple[Tensor, Tensor]:
        """Logits of "not zero" and of "no more", [n, places] each.

        Args:
            rows: int64 [r], row numbers.
            starts: int64 [n].
            items: float [n, 2 places], 1 where a coefficient of a magnitude stands.
            known: The same of coefficients that stand before all places, or None.
            count: int64 [n, places], how many stand before each place.
        """
        context = functional.embedding_bag(rows, self.rows, starts, mode="sum")
        # found[i] is the sum of the rows of the first i + 1 coefficients that were found.
        found = torch.cat([torch.zeros(1, 64), self.found])
        tallied = count.clamp(max=_MAX_COUNT)
        logits = []
        for lane in (self.zero_lane, self.end_lane):
            inner = self.inner[self.item][:, lane]
            extra = (count - _MAX_COUNT).clamp(min=0) * (found[-1] - found[-2])[lane]
            logit = context[:, lane] + items @ (inner * self.before) + found[tallied, lane] + extra
            logits.append(logit if known is None else logit + known @ inner)
        return logits[0], logits[1]

    def sign_logits(
        self, rows: Tensor, weights: Tensor, starts: Tensor, signed_items: Tensor, known: Tensor | None
    ) -> Tensor:
        """Logits of "negative" of the first coefficients, [n, signed].

        Args:
            rows: int64 [s].
            weights: float [s], 1 or -1.
            starts: int64 [n].
            signed_items: float [n, 2 signed], 1 for positive and -1 for negative coefficients.
            known: The same of coefficients that stand before all places, or None.
        """
        context = functional.embedding_bag(
            rows, self.sign_rows, starts, mode="sum", per_sample_weights=weights
        )
        inner = self.sign_inner[self.sign_item][:, : self.signed]
        logits = context[:, : self.signed] + signed_items @ (inner * self.sign_before)
        return logits if known is None else logits + known @ inner

    def quantised(self) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
        """The rows as the coder stores them."""
        found = torch.diff(self.found, dim=0, prepend=torch.zeros(1, 64))
        rows = torch.cat([self.rows, self.inner, found])
        return _to_int8(rows), _to_int8(torch.cat([self.sign_rows, self.sign_inner]))


@dataclass(frozen=True)
class _Batch:
    rows: Tensor
    row_starts: Tensor
    sign_rows: Tensor
    sign_weights: Tensor
    sign_starts: Tensor
    levels: Tensor
    known: Tensor | None


def _loss(network: BlockLogits, batch: _Batch) -> tuple[Tensor, Tensor, Tensor]:
    """Bits of "not zero", "no more" and signs of a batch; and the logits of "not zero"."""
    found, known = batch.levels, None
    if batch.known is not None:
        known = torch.where(batch.known, batch.levels, 0)
        found = batch.levels - known
    present = found != 0
    before = present.long().cumsum(1) - present.long()
    if known is not None:
        before = before + (known != 0).sum(1, keepdim=True)
    items, known_items = _items(found), None if known is None else _items(known)
    zero, end = network(batch.rows, batch.row_starts, items, known_items, before)
    coded, asked, no_more = _decisions(present, batch.known)
    bits = functional.binary_cross_entropy_with_logits(zero, present.float(), reduction="none")[coded].sum()
    bits = bits + functional.binary_cross_entropy_with_logits(end, no_more, reduction="none")[asked].sum()
    low = slice(1, network.signed + 1)
    signs = found[:, low].sign().float()
    logits = network.sign_logits(
        batch.sign_rows,
        batch.sign_weights,
        batch.sign_starts,
        _signed_items(network, items, found),
        None if known is None or known_items is None else _signed_items(network, known_items, known),
    )
    sign_bits = functional.binary_cross_entropy_with_logits(logits, (signs < 0).float(), reduction="none")
    return bits / np.log(2), sign_bits[signs != 0].sum() / np.log(2), zero


def _items(levels: Tensor) -> Tensor:
    magnitude = levels.abs()
    return torch.cat([magnitude == 1, magnitude > 1], dim=1).float()


def _signed_items(network: BlockLogits, items: Tensor, levels: Tensor) -> Tensor:
    signs = levels[:, 1 : network.signed + 1].sign().float()
    return items[:, network._signed_columns()] * torch.cat([signs, signs], dim=1)


def _decisions(present: Tensor, known: Tensor | None) -> tuple[Tensor, Tensor, Tensor]:
    """Where "not zero" and "no more" are decided, and what of the latter."""
    places = present.shape[1]
    place = torch.arange(places)
    last = (present * place).amax(1, keepdim=True)
    no_more = (place > last).float()
    if known is None:
        asked = torch.roll(present, 1, dims=1)
        asked[:, 0] = False
        asked[:, 1] = True
        return (place >= 1) & (place <= last) & (place < places - 1), asked, no_more
    open_places = ~known & (place >= 1)
    final = (open_places * place).amax(1, keepdim=True)
    passed = (open_places * place).cummax(1).values.roll(1, dims=1)  # the open place before
    passed[:, 0] = 0
    asked = open_places & ((passed == 0) | present.gather(1, passed))
    return open_places & (place <= last) & (place < final), asked, no_more


def fit_steps(data: BlockData, epochs: int, batch: int) -> int:
    """Optimiser steps that a model's blocks are worth."""
    return max(1, epochs * -(-min(len(data.levels), _ENOUGH) // batch))


def fit_model(
    model: int,
    data: BlockData,
    start: tuple[NDArray[np.int8], NDArray[np.int8]] | None,
    *,
    epochs: int,
    rate: float,
    batch: int,
    seed: int,
    progress: Callable[[], None] = lambda: None,
) -> FittedModel:
    """Fit one model's tables to blocks, in `fit_steps` steps; `progress` is told of each."""
    network = BlockLogits(model, start)
    count = len(data.levels)
    optimiser = torch.optim.Adam(network.parameters(), lr=rate, betas=(0.9, 0.99))
    steps = fit_steps(data, epochs, batch)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimiser, rate, total_steps=steps, pct_start=0.1)
    generator = torch.Generator().manual_seed(seed)
    done = 0
    while done < steps:
        order = torch.randperm(count, generator=generator).numpy()
        for begin in range(0, count, batch):
            if done == steps:
                break
            part = _take(data, order[begin : begin + batch])
            bits, sign_bits, _ = _loss(network, part)
            loss = (bits + sign_bits) / len(part.levels)
            loss = loss + 1e-5 * sum(p.square().sum() for p in network.parameters())
            optimiser.zero_grad()
            loss.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
            optimiser.step()
            schedule.step()
            done += 1
            progress()
    return _finish(model, network, data, batch)


def _finish(model: int, network: BlockLogits, data: BlockData, batch: int) -> FittedModel:
    rows, signs = network.quantised()
    exact = BlockLogits(model, (rows, signs))
    totals = np.zeros(3)
    above = np.zeros((2, 64))
    escapes = np.zeros((2, 8))
    with torch.no_grad():
        chosen = np.random.default_rng(0).permutation(len(data.levels))[:_ENOUGH]
        for begin in range(0, len(chosen), batch):
            part = _take(data, chosen[begin : begin + batch])
            bits, sign_bits, zero = _loss(exact, part)
            coded = part.levels if part.known is None else part.levels * ~part.known
            _count_levels(coded.numpy(), np.rint(SCALE * zero.numpy()), above, escapes)
            totals += [float(bits), float(sign_bits), 0]
    levels = np.concatenate([probabilities(above[1], above[0]), probabilities(escapes[1], escapes[0])])
    for ones, zeros in ((above[1], above[0]), (escapes[1], escapes[0])):
        totals[2] += code_length(ones, zeros)
    return FittedModel(rows, signs, levels, dict(zip(("zeros", "signs", "levels"), totals, strict=True)))


def _count_levels(
    levels: NDArray[np.int16],
    logits: NDArray[np.float32],
    above: NDArray[np.float64],
    escapes: NDArray[np.float64],
) -> None:
    """Count decisions "above 1" and "above 2", [outcome, context], and those of the escapes' lengths."""
    block, place = np.nonzero(levels)
    magnitude = np.abs(levels[block, place].astype(np.int64))
    bins = ((logits[block, place].astype(np.int64) + 128) >> 4).clip(0, 15)
    near = np.where(place < 3, 0, np.where(place < 10, 1, 2))
    np.add.at(above, ((magnitude > 1).astype(int), 16 * near + bins), 1)
    more = magnitude > 1
    np.add.at(above, ((magnitude[more] > 2).astype(int), _LOW + bins[more]), 1)
    rest = magnitude[magnitude > 2] - 2
    length = np.floor(np.log2(rest)).astype(int)
    for bits in range(int(length.max(initial=-1)) + 1):
        escapes[1, min(bits, 7)] += (length > bits).sum()
        escapes[0, min(bits, 7)] += (length == bits).sum()


def fit_set(
    met: PictureData,
    start: TableSet | None,
    *,
    epochs: int,
    rate: float,
    batch: int,
    seed: int,
    progress: Callable[[int, int], None] = lambda *_: None,
) -> tuple[TableSet, dict[str, float]]:
    """Fit a set of tables to what the coder met; also the bits that each part of the streams takes."""
    total = sum(fit_steps(data, epochs, batch) for data in met.blocks)
    done = itertools.count(1)
    fitted = []
    for model, data in enumerate(met.blocks):
        rows = None if start is None else (start.rows[model], start.signs[model])
        fitted.append(
            fit_model(
                model,
                data,
                rows,
                epochs=epochs,
                rate=rate,
                batch=batch,
                seed=seed,
                progress=lambda: progress(next(done), total),
            )
        )
    roots = [_fit_roots(pairs) for pairs in met.roots]
    ones = np.bincount(met.skips[:, 0], met.skips[:, 1], 5)
    zeros = np.bincount(met.skips[:, 0], minlength=5) - ones
    bits = {f"{model} {name}": value for model, fit in enumerate(fitted) for name, value in fit.bits.items()}
    bits |= {f"roots {plane}": value for plane, (_, value) in enumerate(roots)} | {
        "skip": code_length(ones, zeros)
    }
    tables = TableSet(
        rows=tuple(fit.rows for fit in fitted),
        signs=tuple(fit.signs for fit in fitted),
        levels=tuple(fit.levels for fit in fitted),
        roots=tuple(probs for probs, _ in roots),
        skip=_skip_probabilities(ones, zeros),
    )
    return tables, bits


def _skip_probabilities(ones: NDArray[Any], zeros: NDArray[Any]) -> NDArray[np.uint16]:
    probs = probabilities(ones, zeros)
    # Photographs hardly ever have long runs of nothing; drawings and skies that do must cost nothing.
    probs[4] = max(probs[4], _LONG_RUN)
    return probs


def _fit_roots(pairs: NDArray[np.int32]) -> tuple[NDArray[np.uint16], float]:
    context, residual = pairs[:, 0], np.abs(pairs[:, 1]).astype(np.int64)
    length = np.where(residual > 0, np.floor(np.log2(np.maximum(residual, 1))).astype(int) + 1, 0)
    ones, zeros = np.zeros(112), np.zeros(112)
    for i in range(16):
        ones[:96] += np.bincount(16 * context[length > i] + i, minlength=96)
        zeros[:96] += np.bincount(16 * context[length == i] + i, minlength=96)
    second = np.where(length > 1, residual >> np.maximum(length - 2, 0) & 1, 0)
    ones[96:] = np.bincount(length[length > 1], second[length > 1], 16)
    zeros[96:] = np.bincount(length[length > 1], minlength=16) - ones[96:]
    raw = float(np.maximum(length - 2, 0).sum() + (length > 0).sum())
    return probabilities(ones, zeros), code_length(ones, zeros) + raw


def probabilities(ones: NDArray[Any], zeros: NDArray[Any]) -> NDArray[np.uint16]:
    """Probabilities of 1 in 2^-15, from counts."""
    share = np.rint(32768 * (ones + 0.4) / (ones + zeros + 0.8)).clip(32, 32768 - 32)
    stored: NDArray[np.uint16] = share.astype(np.uint16)
    return stored


def code_length(ones: NDArray[Any], zeros: NDArray[Any]) -> float:
    """Bits that decisions take with the probabilities of their counts."""
    share = probabilities(ones, zeros) / 32768
    return float(-(ones * np.log2(share) + zeros * np.log2(1 - share)).sum())


def _to_int8(rows: Tensor) -> NDArray[np.int8]:
    stored: NDArray[np.int8] = np.rint(SCALE * rows.detach().numpy()).clip(-127, 127).astype(np.int8)
    return stored


def _take(data: BlockData, chosen: NDArray[np.int64]) -> _Batch:
    rows, row_starts = _pieces(data.rows, data.row_starts, chosen)
    signs, sign_starts = _pieces(data.signs, data.sign_starts, chosen)
    return _Batch(
        torch.from_numpy(rows.astype(np.int64)),
        row_starts,
        torch.from_numpy((signs & 0x7FFF).astype(np.int64)),
        torch.from_numpy(np.where(signs & 0x8000, -1, 1).astype(np.float32)),
        sign_starts,
        torch.from_numpy(data.levels[chosen].astype(np.int32)),
        None if data.known is None else torch.from_numpy(data.known[chosen]),
    )


def _pieces(
    values: NDArray[np.uint16], starts: NDArray[np.int64], chosen: NDArray[np.int64]
) -> tuple[NDArray[np.uint16], Tensor]:
    ends = np.append(starts[1:], len(values))
    counts = ends[chosen] - starts[chosen]
    begins = np.cumsum(counts) - counts
    index = np.repeat(starts[chosen] - begins, counts) + np.arange(counts.sum())
    return values[index], torch.from_numpy(begins)
