"""What to export: a module, the names of its tensors, and how large each axis may be."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from torch import Tensor, nn

_AXIS = re.compile(r"(?P<size>[1-9]\d*)|(?:(?P<factor>[1-9]\d*)\*)?(?P<name>[a-z_]\w*)", re.ASCII)


@dataclass(frozen=True)
class Axis:
    """One axis of an input: `factor` times the free size `name`, or, without a name, always `factor` long."""

    name: str | None
    factor: int = 1

    @classmethod
    def parse(cls, text: str) -> Axis:
        """Read "64" (fixed), "batch" (free) or "8*rows" (a multiple of 8).

        Raises:
            UsageError: `text` is none of these.
        """
        match = _AXIS.fullmatch(text)
        if match is None:
            raise UsageError(f"{text!r} is not an axis; write a size as '64', a name as 'batch', or '8*rows'")
        return cls(match["name"], int(match["size"] or match["factor"] or 1))

    def admits(self, size: int) -> bool:
        """Whether an axis of this kind can be `size` long."""
        return size % self.factor == 0 if self.name else size == self.factor


@dataclass(frozen=True)
class GraphSpec:
    """One network to export.

    The same name on two axes means the same size, in all inputs: `{"y": ("batch", "64", "rows", "cols"),
    "mask": ("batch", "1", "rows", "cols")}`. An analysis that halves its picture three times takes
    `{"image": ("batch", "1", "8*rows", "8*cols")}`.

    Attributes:
        name: "analysis" or "synthesis"; error messages begin with it.
        module: The network, in eval mode; it returns a tensor or a tuple of tensors.
        inputs: The axes of each input, by its name, in the order of the module's arguments. See `Axis.parse`.
        outputs: The names of the module's results, in their order.
        example: `(batch, height, width)` of a picture, any positive sizes, to the module's inputs, padded to
            the model's stride by the callable. It must return the same tensors every time.

    Raises:
        UsageError: A name is missing or used twice, or an axis cannot be read.
    """

    name: str
    module: nn.Module
    inputs: Mapping[str, tuple[str, ...]]
    outputs: tuple[str, ...]
    example: Callable[[int, int, int], tuple[Tensor, ...]]

    def __post_init__(self) -> None:
        names = [*self.inputs, *self.outputs]
        if not self.inputs or not self.outputs:
            raise UsageError(f"{self.name}: a graph needs at least one input and one output")
        if len(set(names)) < len(names):
            raise UsageError(
                f"{self.name}: every input and output needs its own name; got {', '.join(names)}"
            )
        for name in self.inputs:
            self.axes(name)

    def axes(self, name: str) -> tuple[Axis, ...]:
        """Return the axes of the input `name`."""
        return tuple(Axis.parse(text) for text in self.inputs[name])

    def make_inputs(self, batch: int, height: int, width: int) -> tuple[Tensor, ...]:
        """Return `example(batch, height, width)`, once its shapes are seen to be those declared.

        Raises:
            UsageError: The example has another number of tensors, or one with a shape that `inputs` excludes.
        """
        tensors = self.example(batch, height, width)
        if len(tensors) != len(self.inputs):
            raise UsageError(
                f"{self.name}: the example has {len(tensors)} tensors for {len(self.inputs)} inputs"
            )
        sizes: dict[str, int] = {}
        for name, tensor in zip(self.inputs, tensors, strict=True):
            if not _fits(self.axes(name), tensor.shape, sizes):
                declared = " x ".join(self.inputs[name])
                raise UsageError(
                    f"{self.name}: the example gives {name!r} as {tuple(tensor.shape)}, not {declared}"
                )
        return tensors


def _fits(axes: Sequence[Axis], shape: Sequence[int], sizes: dict[str, int]) -> bool:
    """Whether `shape` is one that `axes` admit; `sizes` holds what the names stand for so far."""
    if len(axes) != len(shape):
        return False
    for axis, size in zip(axes, shape, strict=True):
        if not axis.admits(size):
            return False
        if axis.name and sizes.setdefault(axis.name, size // axis.factor) != size // axis.factor:
            return False
    return True
