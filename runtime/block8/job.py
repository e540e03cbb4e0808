"""One picture to be coded: what stays the same whatever its step, and the slices that are coded in parallel."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

from farlook.kernels.block8 import slice_rows
from farlook.runtime.block8.stream import PREAMBLE
from farlook.runtime.block8.threads import in_order
from farlook.runtime.rate import too_small

if TYPE_CHECKING:
    from collections.abc import Iterator

    import numpy as np
    from numpy.typing import NDArray

    from farlook.kernels.block8 import Core, Geometry, Packet, Settings
    from farlook.runtime.errors import TargetError

FINEST_QUALITY_STEP, COARSEST_QUALITY_STEP = 64, 681
"""Step indices of quality 100 and of quality 1."""


FEW_UNITS = 64
"""Pictures of 256x256 pixels: about two packets at 0.25 bits a pixel."""


def step_of(quality: float) -> int:
    """The index of the step for a quality of 1 to 100."""
    span = COARSEST_QUALITY_STEP - FINEST_QUALITY_STEP
    return round(COARSEST_QUALITY_STEP - (quality - 1) * span / 99)


def quality_of(step: int) -> float:
    """Undo `step_of`; what is finer or coarser than any quality counts as 100 or 1."""
    span = COARSEST_QUALITY_STEP - FINEST_QUALITY_STEP
    return min(max(1 + (COARSEST_QUALITY_STEP - step) * 99 / span, 1), 100)


def may_interleave(geometry: Geometry) -> bool:
    """Whether a picture has units enough for several packets; one packet alone has none to be interleaved with."""
    return geometry.units > FEW_UNITS


def slices_of(geometry: Geometry) -> list[tuple[int, int]]:
    """Rows of units [begin, end) of every slice: no packet goes over a slice's end."""
    rows = slice_rows(geometry)
    return [(begin, min(begin + rows, geometry.units_y)) for begin in range(0, geometry.units_y, rows)]


def joined(packets: list[Packet]) -> bytes:
    """Framed packets as bytes of a stream."""
    return b"".join([packet.data for packet in packets])


def misses(size: int, room: int) -> TargetError:
    """The error for packets of `size` bytes in all, where there is room for `room`, besides the preamble."""
    return too_small(size + len(PREAMBLE), room + len(PREAMBLE))


@dataclass(frozen=True)
class Job:
    """A picture to be coded.

    Attributes:
        core: The coder.
        image: uint8, or uint16 if the depth is above 8: [height, width] or [height, width, 3], contiguous; None if a
            GPU has transformed it.
        geometry: The picture's.
        mtu: Most bytes of a packet.
        digest: First two bytes of the bundle's digest.
        finer: uint8 [units], step indices by which units are finer, or None.
        threads: How many to work with; the bytes do not depend on it.
        interleave: Put units that touch into different packets.
        store: int16 [units, 1536], the whole picture's coefficients, if a GPU has transformed it.
        kept: int16 [1536], 1 for the coefficients of a unit that are coded and 0 for others; None: all are.
    """

    core: Core
    image: Any  # NDArray[Any], or None
    geometry: Geometry
    mtu: int
    digest: bytes
    finer: NDArray[np.uint8] | None
    threads: int
    interleave: bool = False
    store: NDArray[np.int16] | None = None
    kept: NDArray[np.int16] | None = None

    def settings(self, step: int, header_step: int | None = None) -> Settings:
        """How the core codes this picture at a step, given by its index.

        Args:
            step: Of the packets.
            header_step: Of the stream's header, if that is another one.
        """
        settings = self.core.settings(
            self.geometry,
            step=step if header_step is None else header_step,
            mtu=self.mtu,
            digest=self.digest,
            finer=self.finer,
            interleave=self.interleave,
        )
        settings.options.step = step
        return settings

    def code(self, step: int) -> Iterator[bytes]:
        """The packets of every slice, in the stream's order; one alone is not interleaved."""
        slices = slices_of(self.geometry)
        if self.interleave and len(slices) == 1:
            packets = list(self._code(step))
            if len(packets[0]) > self.mtu:
                return iter(packets)
            return replace(self, interleave=False).code(step)
        return self._code(step)

    def _code(self, step: int) -> Iterator[bytes]:
        settings = self.settings(step)

        def work(rows: tuple[int, int]) -> bytes:
            return joined(self.encode_rows(*rows, settings))

        return in_order(work, slices_of(self.geometry), self.threads)

    def encode_rows(self, begin: int, end: int, settings: Settings) -> list[Packet]:
        """Code the rows of units [begin, end)."""
        if self.store is not None or self.kept is not None:
            return self.core.encode_stored(self.store_rows(begin, end, settings), begin, end, settings)
        return self.core.encode_rows(self.image, begin, end, settings)

    def store_rows(self, begin: int, end: int, settings: Settings) -> NDArray[np.int16]:
        """The coefficients of the rows of units [begin, end)."""
        if self.store is not None:
            store = self.store[begin * self.geometry.units_x : end * self.geometry.units_x]
        else:
            store = self.core.store_rows(self.image, begin, end, settings)
        return store if self.kept is None else store * self.kept

    def for_budget(self, budget: int) -> Job:
        """The job, interleaved only if slices have several packets at this budget in bytes."""
        return replace(self, interleave=self.interleave and budget > self.mtu * len(slices_of(self.geometry)))
