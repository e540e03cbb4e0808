"""What the codec asks of a layout. `Latents` and `Symbols` are the layout's own."""

from __future__ import annotations

from typing import TYPE_CHECKING, Generic, Protocol, TypeVar

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.tiles import TileGrid

Latents = TypeVar("Latents")
Symbols = TypeVar("Symbols")


class Layout(Protocol, Generic[Latents, Symbols]):
    """One way from planes to coded tiles and back."""

    def __init__(self, bundle: Bundle) -> None: ...

    def analyse(self, session: Session, planes: list[NDArray[np.uint8]]) -> list[Latents]:
        """Run the analysis transform on each plane, uint8 [height, width]."""

    def quantise(self, latents: list[Latents], quality: int) -> list[Symbols]:
        """Make integers of the latents, at a quality of 1 to 100."""

    def sizes(self, symbols: list[Symbols], grid: TileGrid) -> list[int]:
        """Bytes of each tile's payload."""

    def pack(self, symbols: list[Symbols], grid: TileGrid) -> list[bytes]:
        """Code the symbols: one payload a tile."""

    def unpack(self, payloads: list[bytes], grid: TileGrid, bands: int) -> list[Symbols]:
        """Undo `pack`.

        Raises:
            CorruptStreamError: A payload is not what an encoder writes.
        """

    def synthesise(
        self, session: Session, symbols: list[Symbols], quality: int, grid: TileGrid
    ) -> list[NDArray[np.uint8]]:
        """Run the synthesis transform on each plane's symbols: planes, uint8 [height, width]."""
