"""What training gives block8's coder: scans, thresholds and sets of logistic models, packed in a bundle."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from farlook.kernels._native import lib
from farlook.runtime.errors import BundleError

if TYPE_CHECKING:
    from numpy.typing import NDArray

LEVEL_PROBS = int(lib.B8_LEVEL_PROBS)
ROOT_PROBS = int(lib.B8_ROOT_PROBS)
SKIP_PROBS = int(lib.B8_SKIP_PROBS)
CHANGE_PROBS = int(lib.B8_CHANGE_PROBS)
HOT_LANES = 32
"""Lanes of a row that most blocks need; the core keeps the rest apart."""
MODELS = ("luma", "chroma", "luma means", "chroma means")
GROUPS = (48, 24, 15, 3)
SIDES = (8, 8, 4, 2)

_MAGIC = b"B8T2"
_PROBABILITY_MAX = 32767
_MAX_SETS = 32


@dataclass(frozen=True)
class TableSet:
    """Trained tables for one range of steps; logits are in sixteenths, probabilities in 2^-15.

    Attributes:
        rows: A model each: int8 [64 + 6 groups, 64], logits of "not zero" and "no more".
        signs: A model each: int8 [40 + 6 min(groups, 16), 16], logits of "negative".
        levels: A model each: uint16 [72], probabilities of greater magnitudes.
        roots: Of luma and chroma: uint16 [112], probabilities of the lengths of roots' residuals.
        skip: uint16 [5], probabilities that nothing of a unit is sent.
        changes: uint16 [32], of a set for refinements: probabilities that a level changes, and which way.
    """

    rows: tuple[NDArray[np.int8], ...]
    signs: tuple[NDArray[np.int8], ...]
    levels: tuple[NDArray[np.uint16], ...]
    roots: tuple[NDArray[np.uint16], ...]
    skip: NDArray[np.uint16]
    changes: NDArray[np.uint16] | None = None


@dataclass(frozen=True)
class Tables:
    """All that training gives the coder.

    Attributes:
        scans: A model each: uint8 [side^2], index u * side + v of the k-th coefficient.
        decisions: uint16 [8], the encoder's thresholds.
        chroma_finer: Step indices by which chroma's steps are finer than luma's.
        limits: A set each: the first step index that is too coarse for it.
        sets: The sets, from fine to coarse.
        refinement_limits: The same for the sets of layers that refine.
        refinements: Sets for layers that refine a picture known at twice the step, from fine to coarse.
    """

    scans: tuple[NDArray[np.uint8], ...]
    decisions: NDArray[np.uint16]
    chroma_finer: int
    limits: tuple[int, ...]
    sets: tuple[TableSet, ...]
    refinement_limits: tuple[int, ...] = ()
    refinements: tuple[TableSet, ...] = ()

    def pack(self) -> bytes:
        """The tables as bytes, little-endian."""
        counts = [len(self.sets), len(self.refinements), self.chroma_finer]
        head = np.array([*counts, *self.limits, *self.refinement_limits, *self.decisions], "<u2").tobytes()
        parts = [_MAGIC, head, *(scan.tobytes() for scan in self.scans)]
        for tables in (*self.sets, *self.refinements):
            words = (*tables.levels, *tables.roots, tables.skip)
            words += () if tables.changes is None else (tables.changes,)
            parts += [half.tobytes() for rows in tables.rows for half in halves(rows)]
            parts += [array.tobytes() for array in tables.signs]
            parts += [array.astype("<u2").tobytes() for array in words]
        return b"".join(parts)

    @classmethod
    def unpack(cls, data: bytes) -> Tables:
        """Undo `pack`.

        Raises:
            BundleError: The bytes are no tables, or hold what no training gives.
        """
        reader = _Reader(data)
        if reader.take(4).tobytes() != _MAGIC:
            raise BundleError("the bundle's tables are none that this farlook reads")
        count, refining, chroma_finer = (int(value) for value in reader.words(3))
        if not 1 <= count <= _MAX_SETS or refining > _MAX_SETS:
            raise BundleError(f"the bundle's tables claim {count} and {refining} sets")
        limits = tuple(int(limit) for limit in reader.words(count))
        refinement_limits = tuple(int(limit) for limit in reader.words(refining))
        decisions = reader.words(8)
        scans = tuple(reader.take(side * side) for side in SIDES)
        sets = tuple(reader.table_set(refines=False) for _ in range(count))
        refinements = tuple(reader.table_set(refines=True) for _ in range(refining))
        if reader.offset != len(data) or any(
            sorted(scan.tolist()) != list(range(len(scan))) or scan[0] != 0 for scan in scans
        ):
            raise BundleError("the bundle's tables are damaged")
        return cls(scans, decisions, chroma_finer, limits, sets, refinement_limits, refinements)


class _Reader:
    def __init__(self, data: bytes) -> None:
        self.data = np.frombuffer(data, np.uint8)
        self.offset = 0

    def take(self, size: int) -> NDArray[np.uint8]:
        piece = self.data[self.offset : self.offset + size]
        if len(piece) < size:
            raise BundleError("the bundle's tables are cut short")
        self.offset += size
        return piece.copy()

    def words(self, count: int) -> NDArray[np.uint16]:
        return self.take(2 * count).view("<u2").astype(np.uint16)

    def probabilities(self, count: int) -> NDArray[np.uint16]:
        values = self.words(count)
        if values.min() < 1 or values.max() > _PROBABILITY_MAX:
            raise BundleError("the bundle's tables hold a probability of 0 or 1")
        return values

    def rows(self, count: int) -> NDArray[np.int8]:
        halves = self.take(count * 64).view(np.int8).reshape(2, count, HOT_LANES)
        return np.concatenate(list(halves), axis=1)

    def table_set(self, *, refines: bool) -> TableSet:
        return TableSet(
            rows=tuple(self.rows(rows_of(g)) for g in GROUPS),
            signs=tuple(self.take(sign_rows_of(g) * 16).view(np.int8).reshape(-1, 16) for g in GROUPS),
            levels=tuple(self.probabilities(LEVEL_PROBS) for _ in GROUPS),
            roots=tuple(self.probabilities(ROOT_PROBS) for _ in range(2)),
            skip=self.probabilities(SKIP_PROBS),
            changes=self.probabilities(CHANGE_PROBS) if refines else None,
        )


def rows_of(groups: int) -> int:
    """Rows of a model's table of logits."""
    return 64 + 6 * groups


def sign_rows_of(groups: int) -> int:
    """Rows of a model's table of signs."""
    return 40 + 6 * min(groups, 16)


def halves(rows: NDArray[np.int8]) -> tuple[NDArray[np.int8], NDArray[np.int8]]:
    """The lanes of rows that most blocks need, and the rest."""
    return rows[:, :HOT_LANES], rows[:, HOT_LANES:]
