"""/sys and /proc of this machine, or a recording of another one's."""

from __future__ import annotations

from pathlib import Path

MAX_BYTES = 1 << 16


class Tree:
    """Small text files under one root.

    Args:
        root: "/" for this machine; a folder that holds `sys` and `proc` for a recording.
    """

    def __init__(self, root: str | Path = "/") -> None:
        self.root = Path(root)

    def text(self, path: str | Path) -> str | None:
        """A file's text without white space and NUL bytes around it; None if it cannot be read.

        Drivers answer with an error for what a board does not have: that is no reason to stop.
        """
        try:
            with self._at(path).open("rb") as file:
                return file.read(MAX_BYTES).decode("utf-8", "replace").strip("\0 \t\r\n")
        except OSError:
            return None

    def number(self, path: str | Path) -> float | None:
        """A file's number; None if it cannot be read or is none."""
        text = self.text(path)
        try:
            return None if text is None else float(text)
        except ValueError:
            return None

    def glob(self, pattern: str) -> list[Path]:
        """Paths that match, sorted; `pattern` is relative to the root, as in "sys/class/hwmon/hwmon*"."""
        try:
            return sorted(self.root.glob(pattern))
        except OSError:
            return []

    def _at(self, path: str | Path) -> Path:
        path = Path(path)
        return path if path.is_relative_to(self.root) and self.root != Path("/") else self.root / path
