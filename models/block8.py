"""block8's settings, and the tables that training begins from.

block8 is a linear autoencoder that the integers of a lapped 8x8 DCT stand for (`docs/decisions/005`): what is
learned is the order of its latents, the probabilities of every decision in the stream given what surrounds it,
and when a latent is worth its bits.
"""

from __future__ import annotations

import itertools
import math
from dataclasses import dataclass

import numpy as np

from farlook.kernels.block8 import STEPS
from farlook.kernels.block8_tables import (
    CHANGE_PROBS,
    GROUPS,
    LEVEL_PROBS,
    ROOT_PROBS,
    SIDES,
    SKIP_PROBS,
    Tables,
    TableSet,
    rows_of,
    sign_rows_of,
)

CODEC = "block8"

STEPS_LUMA = (3.2, 8.0, 17.0, 32.0, 56.0, 96.0, 165.0, 300.0)
"""Quantiser steps, in levels of an 8-bit sample, that a set of tables each is trained for."""

STEPS_REFINED = (8.0, 17.0, 32.0, 56.0, 96.0, 165.0, 300.0)
"""The same for the sets of layers that refine."""

_NOT_ZERO = -40
_NO_MORE = 16
_EVEN = 16384
_DECISIONS = (141, 155, 20, 26, 190, 12, 10, 130)
_CHROMA_FINER = 69


@dataclass(frozen=True)
class Block8Config:
    """What a training run depends on, apart from its images.

    Args:
        pictures: How many are used; large ones first, small ones evenly spread.
        side: Longest side that is kept of a picture, in pixels.
        epochs: Over the blocks, for a set's first and for each later fit.
        rate: Adam's highest rate in a set's first fit; later ones take half.
        batch: Blocks a step.
        rounds: Fits of each set: the coder decides by the tables, so that new tables meet new decisions.
        seed: Of the order of the blocks.
    """

    pictures: int = 192
    side: int = 512
    epochs: tuple[int, int] = (12, 10)
    rate: float = 0.06
    batch: int = 4096
    rounds: int = 2
    seed: int = 0


def step_index(step: float) -> int:
    """The index of the step nearest to `step` levels."""
    return min(max(round(64 * math.log2(step / 0.25)), 0), STEPS - 1)


def set_limits(steps: tuple[float, ...]) -> tuple[int, ...]:
    """First step index that is too coarse for each of the sets: half-way to the next, by ratio."""
    between = [step_index(math.sqrt(fine * coarse)) for fine, coarse in itertools.pairwise(steps)]
    return (*between, STEPS)


def first_tables() -> Tables:
    """Tables that know nothing but that most latents are zero: what training begins from."""
    diagonals = [sorted(range(s * s), key=lambda n, s=s: (n // s + n % s, n)) for s in SIDES]  # type: ignore[misc]
    return Tables(
        scans=tuple(np.array(scan, np.uint8) for scan in diagonals),
        decisions=np.array(_DECISIONS, np.uint16),
        chroma_finer=_CHROMA_FINER,
        limits=set_limits(STEPS_LUMA),
        sets=(_first_set(),) * len(STEPS_LUMA),
    )


def _first_set() -> TableSet:
    rows = []
    for groups in GROUPS:
        table = np.zeros((rows_of(groups), 64), np.int8)
        table[:16, 11:58] = _NOT_ZERO
        table[:16, :11] = table[:16, 58:63] = _NO_MORE
        rows.append(table)
    return TableSet(
        rows=tuple(rows),
        signs=tuple(np.zeros((sign_rows_of(groups), 16), np.int8) for groups in GROUPS),
        levels=tuple(np.full(LEVEL_PROBS, _EVEN // 2, np.uint16) for _ in GROUPS),
        roots=tuple(np.full(ROOT_PROBS, _EVEN, np.uint16) for _ in range(2)),
        skip=np.full(SKIP_PROBS, _EVEN // 4, np.uint16),
    )


def without_changes(tables: TableSet) -> TableSet:
    """A set for refinements to begin from: a set's own rows, and levels that change either way."""
    return TableSet(
        tables.rows, tables.signs, tables.levels, tables.roots, tables.skip,
        np.full(CHANGE_PROBS, _EVEN, np.uint16),
    )  # fmt: skip
