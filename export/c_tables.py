"""block8's trained tables as C: arrays of constants, and the core's structures that point into them.

What is written follows the core's own structures, field by field, as the binding filled them in.
"""

from __future__ import annotations

import textwrap
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.kernels._native import ffi
from farlook.kernels.block8 import Core
from farlook.kernels.block8_tables import MODELS, Tables, TableSet
from farlook.runtime.errors import ExportError

if TYPE_CHECKING:
    from collections.abc import Sequence

    from numpy.typing import NDArray

_LINE = 110
_PREFIX = "farlook_block8_"


@dataclass(frozen=True)
class CTables:
    """Tables as C.

    Attributes:
        declarations: Of the arrays, for a header.
        definitions: Of the arrays.
        structures: `farlook_tables`, a `b8_tables`, of the arrays.
        size: Bytes of the arrays.
    """

    declarations: str
    definitions: str
    structures: str
    size: int


def c_tables(tables: Tables, *, chroma: bool) -> CTables:
    """Write tables as C.

    Args:
        tables: Trained.
        chroma: False leaves out what only RGB pictures need.
    """
    native, kept = Core(for_flight(tables, chroma=chroma), "scalar").native_tables()
    writer = _Writer(kept)
    top = writer.value(ffi.typeof("b8_tables"), native[0])
    joined = {kind: np.concatenate(parts) for kind, parts in writer.arrays.items()}
    declared = {kind: f"const {kind} {_name(kind)}[{len(values)}]" for kind, values in joined.items()}
    return CTables(
        declarations="\n".join(f"extern {text};" for text in declared.values()),
        definitions="\n\n".join(
            f"{text} = {{\n{_numbers(joined[kind])}\n}};" for kind, text in declared.items()
        ),
        structures="\n\n".join(
            [*writer.structures, _wrapped(f"static const b8_tables farlook_tables = {top};")]
        ),
        size=sum(values.nbytes for values in joined.values()),
    )


def for_flight(tables: Tables, *, chroma: bool) -> Tables:
    """The tables with nothing where an encoder of one layer, or of grey pictures, needs nothing."""
    sets = tables.sets if chroma else tuple(_set_without_chroma(one) for one in tables.sets)
    return replace(tables, sets=sets, refinements=(), refinement_limits=())


def _set_without_chroma(one: TableSet) -> TableSet:
    return replace(
        one,
        rows=_only_luma(one.rows),
        signs=_only_luma(one.signs),
        levels=_only_luma(one.levels),
        roots=_only_luma(one.roots),
    )


def _only_luma(arrays: Sequence[NDArray[Any]]) -> tuple[NDArray[Any], ...]:
    return tuple(
        array[:0] if MODELS[index].startswith("chroma") else array for index, array in enumerate(arrays)
    )


class _Writer:
    """Writes structures as initialisers, and gathers the arrays that they point to."""

    def __init__(self, kept: Sequence[Any]) -> None:
        self.arrays: dict[str, list[NDArray[Any]]] = {}
        self.structures: list[str] = []
        self._kept = {int(ffi.cast("uintptr_t", array)): array for array in kept if len(array) > 0}
        self._empty = {int(ffi.cast("uintptr_t", array)) for array in kept if len(array) == 0}
        self._places: dict[int, str] = {}

    def value(self, kind: Any, value: Any) -> str:
        """The initialiser of a cffi value of a cffi type."""
        if kind.kind == "primitive":
            return f"{int(value)}u"
        if kind.kind == "array":
            return _braces([self.value(kind.item, item) for item in value])
        if kind.kind == "struct":
            return _braces([self.value(field.type, getattr(value, name)) for name, field in kind.fields])
        return self._pointer(kind.item, int(ffi.cast("uintptr_t", value)))

    def _pointer(self, item: Any, address: int) -> str:
        if address == 0 or (address in self._empty and address not in self._kept):
            return "NULL"
        if address not in self._kept:
            raise ExportError("the C core's tables point to what the binding does not hold")
        if address not in self._places:
            array = self._kept[address]
            place = self._structure(item, array) if item.kind == "struct" else self._place(item.cname, array)
            self._places[address] = place
        return self._places[address]

    def _place(self, kind: str, array: Any) -> str:
        parts = self.arrays.setdefault(kind, [])
        offset = sum(len(part) for part in parts)
        parts.append(np.frombuffer(ffi.buffer(array), np.dtype(kind.removesuffix("_t"))))
        return f"&{_name(kind)}[{offset}]"

    def _structure(self, kind: Any, array: Any) -> str:
        name = f"farlook_{kind.cname.removeprefix('b8_')}s"
        items = ",\n".join(_wrapped("    " + self.value(kind, item)) for item in array)
        self.structures.append(f"static const {kind.cname} {name}[{len(array)}] = {{\n{items}}};")
        return name


def _name(kind: str) -> str:
    return _PREFIX + kind.removesuffix("_t")


def _braces(items: Sequence[str]) -> str:
    return "{" + ", ".join(items) + "}"


def _wrapped(text: str) -> str:
    return textwrap.fill(text, _LINE, subsequent_indent="     ", break_long_words=False)


def _numbers(values: NDArray[Any]) -> str:
    text = ", ".join(map(str, values.tolist()))
    return textwrap.fill(text, _LINE, initial_indent="    ", subsequent_indent="    ")
