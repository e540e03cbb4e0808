"""How a picture is cut: square tiles, one packet each, in rows from the top left."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class TileGrid:
    """The tiles of a picture of `width` x `height` pixels; at the right and lower rim they may be smaller."""

    width: int
    height: int
    side: int

    @property
    def columns(self) -> int:
        """Tiles in a row."""
        return -(-self.width // self.side)

    @property
    def rows(self) -> int:
        """Rows of tiles."""
        return -(-self.height // self.side)

    @property
    def count(self) -> int:
        """Tiles in the picture."""
        return self.columns * self.rows
