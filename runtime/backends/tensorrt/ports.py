"""Inputs and outputs of an engine, by name, and what fits them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import BackendError

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from farlook.runtime.backends.tensorrt.library import Library

Shape = tuple[int, ...]


@dataclass(frozen=True)
class Port:
    """One input or output.

    Attributes:
        name: As in the graph.
        is_input: Whether it goes in.
        dtype: numpy's type.
        shape: -1 where a dimension changes.
        smallest: Of an input: the smallest shape that the engine takes; else empty.
        largest: Of an input: the largest; else empty.
    """

    name: str
    is_input: bool
    dtype: np.dtype[Any]
    shape: Shape
    smallest: Shape = ()
    largest: Shape = ()

    def check(self, shape: Shape, dtype: np.dtype[Any], label: str) -> None:
        """Refuse what the engine does not take.

        Raises:
            BackendError: The type or the shape differs; the text has what the engine takes.
        """
        if dtype != self.dtype:
            raise BackendError(f"the {label} engine takes {self.name} as {self.dtype}, not {dtype}")
        inside = len(shape) == len(self.shape) and all(
            low <= length <= high
            for low, length, high in zip(self.smallest, shape, self.largest, strict=True)
        )
        if not inside:
            raise BackendError(
                f"the {label} engine takes {self.name} of {_text(self.smallest)} to {_text(self.largest)}, not "
                f"{_text(shape)}: build one for larger windows with farlook build --shapes"
            )


def ports_of(library: Library, engine: Any) -> tuple[Port, ...]:
    """Every input and output of a loaded engine, with the range of its first profile."""
    found = []
    for index in range(engine.num_io_tensors):
        name = engine.get_tensor_name(index)
        is_input = engine.get_tensor_mode(name) == library.module.TensorIOMode.INPUT
        smallest, _, largest = engine.get_tensor_profile_shape(name, 0) if is_input else ((), (), ())
        found.append(
            Port(
                name,
                is_input,
                np.dtype(library.module.nptype(engine.get_tensor_dtype(name))),
                tuple(engine.get_tensor_shape(name)),
                tuple(smallest),
                tuple(largest),
            )
        )
    return tuple(found)


def check_names(inputs: Mapping[str, Any], ports: Iterable[Port], label: str) -> None:
    """Refuse inputs that are too many or too few.

    Raises:
        BackendError: They are not those of the engine.
    """
    wanted = {port.name for port in ports if port.is_input}
    if set(inputs) != wanted:
        raise BackendError(
            f"the {label} engine takes the inputs {', '.join(sorted(wanted))}, not "
            f"{', '.join(sorted(inputs)) or 'none'}"
        )


def check_outputs(outputs: Iterable[str], ports: Iterable[Port], label: str) -> None:
    """Refuse outputs that the engine does not have.

    Raises:
        BackendError: One is named that is none of the engine's.
    """
    known = {port.name for port in ports if not port.is_input}
    strange = sorted(set(outputs) - known)
    if strange:
        raise BackendError(f"the {label} engine gives {', '.join(sorted(known))}, not {', '.join(strange)}")


def _text(shape: Shape) -> str:
    return "x".join(map(str, shape)) or "a number"
