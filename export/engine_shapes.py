"""Shapes of engines: from sizes of windows in pixels to the smallest, best and largest shape of each input."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from farlook.runtime.block8.neural import WINDOW
from farlook.runtime.bundle import BLOCK8_LAYOUT, GROUND_LAYOUT
from farlook.runtime.errors import BundleError, UsageError
from farlook.runtime.layouts.block8_paper import BLOCK
from farlook.runtime.neural.description import LAYOUT, Coding
from farlook.runtime.neural.windows import CORE

if TYPE_CHECKING:
    from farlook.runtime.bundle import Bundle

LARGEST = 16384
BLOCK8_STRIDE = 16
"""Of block8's graphs: a block of chroma."""
_ROWS, _COLUMNS, _BATCH = ("rows",), ("cols", "columns"), "batch"
_PAPER_SIDE = 2048


@dataclass(frozen=True)
class Sizes:
    """Windows of pixels, each (width, height), all multiples of the bundle's stride.

    Attributes:
        smallest: The smallest that the engine takes.
        best: The one that it is tuned for.
        largest: The largest that it takes.
    """

    smallest: tuple[int, int]
    best: tuple[int, int]
    largest: tuple[int, int]


def stride_of(bundle: Bundle) -> int:
    """What sides of windows are multiples of, in pixels."""
    if bundle.layout == BLOCK8_LAYOUT:
        return BLOCK8_STRIDE
    return int(bundle.coding["stride"]) if bundle.layout == LAYOUT else BLOCK


def parse_sizes(text: str, stride: int) -> Sizes:
    """Read "MIN,OPT,MAX", each "WxH", and round them up to the stride.

    Raises:
        UsageError: It is not of that form, or the sizes are not in order.
    """
    found = [re.fullmatch(r"(\d{1,5})x(\d{1,5})", part.strip()) for part in text.lower().split(",")]
    sizes = [(_up(int(each[1]), stride), _up(int(each[2]), stride)) for each in found if each]
    if len(sizes) != 3 or len(found) != 3:
        raise UsageError(
            f"--shapes takes MIN,OPT,MAX, each as WxH in pixels, not {text!r}: as in 64x64,512x512,1280x1280"
        )
    for axis in (0, 1):
        side = [size[axis] for size in sizes]
        if not 1 <= side[0] <= side[1] <= side[2] <= LARGEST:
            raise UsageError(f"--shapes {text}: the sizes must grow from MIN to MAX, within 1 to {LARGEST}")
    return Sizes(*sizes)


def default_sizes(bundle: Bundle) -> Sizes:
    """From one stride to the largest window that the codec cuts; tuned for the one inside a large picture.

    Raises:
        BundleError: The bundle's description of its networks is damaged.
    """
    stride = stride_of(bundle)
    if bundle.layout == GROUND_LAYOUT:
        side = _up(WINDOW + 2 * int(bundle.coding["halo"]), stride)
        return Sizes((stride, stride), (side, side), (side, side))
    if bundle.layout == BLOCK8_LAYOUT:  # whole pictures
        return Sizes((stride, stride), (1920, 1088), (4096, 4096))
    if bundle.layout != LAYOUT:
        return Sizes((stride, stride), (_PAPER_SIDE, BLOCK * 16), (_PAPER_SIDE, _PAPER_SIDE))
    try:
        coding = Coding.read(bundle.coding)
    except (KeyError, TypeError, ValueError, OverflowError) as error:
        raise BundleError(f"{bundle.path}: the description of its networks is damaged: {error!r}") from error
    graphs = (coding.analysis, coding.synthesis)
    side = max(_up(CORE + 2 * graph.halo + graph.blend, stride) for graph in graphs)
    return Sizes((stride, stride), (side, side), (side, side))


def input_shapes(name: str, shape: list[int], names: list[str], sizes: Sizes, stride: int) -> list[list[int]]:
    """The smallest, best and largest shape of an input.

    Args:
        name: Of the input, for errors.
        shape: Its dimensions, -1 where they change.
        names: What those are called in the graph, as in "batch", "2*rows"; anything where they do not change.
        sizes: Of windows.
        stride: Pixels of one row.

    Raises:
        BundleError: A dimension changes, but is not called by a name that farlook gives.
    """
    return [
        [_dimension(name, length, called, size, stride) for length, called in zip(shape, names, strict=True)]
        for size in (sizes.smallest, sizes.best, sizes.largest)
    ]


def _dimension(name: str, length: int, called: str, size: tuple[int, int], stride: int) -> int:
    if length >= 0:
        return length
    if called == _BATCH:
        return 1
    match = re.fullmatch(r"(?:(\d+)\*)?(\w+)", called or "")
    if match is None or match[2] not in (*_ROWS, *_COLUMNS):
        raise BundleError(
            f"the dimension {called!r} of the input {name} is none of batch, rows and columns: "
            "export the bundle with this farlook"
        )
    side = size[1] if match[2] in _ROWS else size[0]
    return int(match[1] or 1) * (side // stride)


def describe(sizes: Sizes) -> dict[str, Any]:
    """For people and for fingerprints: "WxH" of each."""
    found = {"smallest": sizes.smallest, "best": sizes.best, "largest": sizes.largest}
    return {name: f"{width}x{height}" for name, (width, height) in found.items()}


def _up(length: int, stride: int) -> int:
    return -(-length // stride) * stride
