"""Makes one C file of several: puts the included files where they are included, without what is compiled out.

The files stay the only source: nothing of their text is repeated in Python.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

_DIRECTIVE = re.compile(r"#\s*(\w+)\s*(.*)")
_GUARD = re.compile(r"\w+_H$")


def amalgamate(text: str, folders: Sequence[Path], *, given: Mapping[str, str], defined: str) -> str:
    """One file of `text` and all that it includes between quotes, each once.

    Args:
        text: The first file's.
        folders: Where included files are looked for, after the including file's own folder.
        given: Texts of files that are in no folder, by the names they are included by; other names that these
            texts and folders lack stay as they are.
        defined: A macro. What `#ifdef` and `#ifndef` make of it is decided here.

    Raises:
        ExportError: An `#endif` is missing.
    """
    state = _State(folders, given, defined)
    lines = list(state.lines(text, Path()))
    if state.conditions:
        raise ExportError("a conditional of the C core has no #endif")
    return re.sub(r"\n{3,}", "\n\n", "\n".join(lines)).strip() + "\n"


@dataclass
class _Condition:
    """A conditional that is open: decided here, or None, and whether lines are kept."""

    decided: bool
    kept: bool


@dataclass
class _State:
    folders: Sequence[Path]
    given: Mapping[str, str]
    defined: str
    included: set[str] = field(default_factory=set)
    conditions: list[_Condition] = field(default_factory=list)

    def lines(self, text: str, folder: Path) -> Iterator[str]:
        """The lines that are left of a file, included files in their places."""
        for line in text.splitlines():
            match = _DIRECTIVE.match(line)
            if match is None:
                if self.kept:
                    yield line
            elif match[1] == "include" and self.kept:
                yield from self._include(match[2], folder)
            elif not self._decide(match[1], match[2]) and self.kept:
                yield line

    @property
    def kept(self) -> bool:
        """Whether all conditionals that are open keep their lines."""
        return all(condition.kept for condition in self.conditions)

    def _decide(self, directive: str, rest: str) -> bool:
        """Follow a conditional; True where its line goes, because it is decided here."""
        name = (rest.split() or [""])[0]
        known = name == self.defined or _GUARD.match(name) is not None
        if directive in ("if", "ifdef", "ifndef"):
            decided = known and directive != "if"
            holds = (directive == "ifdef") == (name == self.defined)
            self.conditions.append(_Condition(decided, holds or not decided))
            return decided
        if directive in ("else", "elif", "endif"):
            condition = self.conditions[-1]
            if directive == "endif":
                self.conditions.pop()
            elif condition.decided:
                condition.kept = not condition.kept
            return condition.decided
        return directive == "define" and known and rest == name

    def _include(self, rest: str, folder: Path) -> Iterator[str]:
        name = rest.strip('"<>')
        path = None if rest.startswith("<") else self._find(name, folder)
        key = rest if path is None else str(path)
        if key in self.included:
            return
        self.included.add(key)
        if path is not None:
            yield f"\n/* ---- {_shown(path, self.folders)} ---- */\n"
            yield from self.lines(path.read_text(encoding="utf-8"), path.parent)
        elif name in self.given:
            yield from self.lines(self.given[name], folder)
        else:
            yield f"#include {rest}"

    def _find(self, name: str, folder: Path) -> Path | None:
        paths = ((place / name).resolve() for place in (folder, *self.folders) if place.parts)
        return next((path for path in paths if path.is_file()), None)


def _shown(path: Path, folders: Sequence[Path]) -> str:
    for folder in folders:
        if path.is_relative_to(folder.resolve()):
            return path.relative_to(folder.resolve()).as_posix()
    return path.name
