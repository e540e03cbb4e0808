"""Large pictures go through networks in windows, cut so that no seam shows and memory stays small.

    |<---- halo ---->|<--------- core --------->|<- blend ->|<---- halo ---->|
    start          first                                  last              stop

What a window's halo comes out as is thrown away. Over `blend` pixels one window fades into the next.
"""

from __future__ import annotations

from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.runtime.errors import BundleError
from farlook.runtime.profile.stages import stage

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.neural.description import Coding, Graph

    Floats = NDArray[np.float32]
    Bytes = NDArray[np.uint8]

CORE = 1024
"""About the side of a window without its halo, in pixels."""


@dataclass(frozen=True)
class Window:
    """A window along one axis, in pixels.

    Attributes:
        start: Where it begins.
        stop: Where it ends.
        first: Where what comes out of it begins to count.
        last: Where that ends.
        fade_in: Pixels from `first` on over which it takes the place of the window before it.
        fade_out: Pixels up to `last` over which the next one takes its place.
    """

    start: int
    stop: int
    first: int
    last: int
    fade_in: int
    fade_out: int

    def kept(self, stride: int) -> slice:
        """The part of its own output, of `stride` pixels a position, that counts."""
        return slice((self.first - self.start) // stride, (self.last - self.start) // stride)

    def target(self, stride: int) -> slice:
        """Where that part goes in the whole output."""
        return slice(self.first // stride, self.last // stride)

    def weights(self, stride: int) -> Floats:
        """What each position of that part counts, float32; with its neighbours' it is 1."""
        weights = np.ones((self.last - self.first) // stride, dtype=np.float32)
        rise, fall = self.fade_in // stride, self.fade_out // stride
        weights[:rise] = (np.arange(rise, dtype=np.float32) + 0.5) / max(rise, 1)
        weights[len(weights) - fall :] = 1 - (np.arange(fall, dtype=np.float32) + 0.5) / max(fall, 1)
        return weights


def cut(length: int, graph: Graph, stride: int, core: int = CORE) -> list[Window]:
    """Windows along an axis of `length` pixels, a multiple of the stride; one if it is short."""
    core = max(core, 2 * graph.blend, stride) // stride * stride
    if length <= core + 2 * graph.halo:
        return [Window(0, length, 0, length, 0, 0)]
    borders = [*range(0, length - graph.blend, core), length]
    windows = []
    for index, (begin, end) in enumerate(pairwise(borders)):
        fade_out = 0 if end == length else graph.blend
        windows.append(
            Window(
                start=max(begin - graph.halo, 0),
                stop=min(end + fade_out + graph.halo, length),
                first=begin,
                last=end + fade_out,
                fade_in=0 if index == 0 else graph.blend,
                fade_out=fade_out,
            )
        )
    return windows


def analyse(
    session: Session, coding: Coding, image: Bytes, extra: Mapping[str, Floats], core: int = CORE
) -> dict[str, Floats]:
    """Run the analysis over a picture.

    Args:
        session: The analysis.
        coding: What its manifest says.
        image: uint8 [height, width] or [height, width, 3].
        extra: Its inputs besides `image`.
        core: See `CORE`.

    Returns:
        The latents, float32 [channels, height, width] of their grids.

    Raises:
        BundleError: The graph's outputs are not those that the manifest promises.
        BackendError: The run failed.
    """
    height, width = (-(-side // coding.stride) * coding.stride for side in image.shape[:2])
    whole = {
        latent.name: np.zeros((latent.channels, height // latent.stride, width // latent.stride), np.float32)
        for latent in coding.latents
    }
    for rows in cut(height, coding.analysis, coding.stride, core):
        for columns in cut(width, coding.analysis, coding.stride, core):
            with stage("colour"):
                tensors = {"image": _picture(image, rows, columns)} | dict(extra)
            shapes = {
                latent.name: (1, latent.channels, *_grid(rows, columns, latent.stride))
                for latent in coding.latents
            }
            with stage("analysis"):
                found = run(session, tensors, shapes)
            for latent in coding.latents:
                _add(whole[latent.name], found[latent.name][0], rows, columns, latent.stride)
    return whole


def synthesise(
    session: Session,
    coding: Coding,
    size: tuple[int, int],
    tensors_at: Callable[[Window, Window], dict[str, Floats]],
    core: int = CORE,
) -> Bytes:
    """Run the synthesis for a picture, a row of windows at a time.

    Args:
        session: The synthesis.
        coding: What its manifest says.
        size: Height and width of the picture.
        tensors_at: The inputs of a window of rows and columns.
        core: See `CORE`.

    Returns:
        uint8 [height, width, 3].

    Raises:
        BundleError: The graph's output is not what the manifest promises.
        BackendError: The run failed.
    """
    height, width = (-(-side // coding.stride) * coding.stride for side in size)
    image = np.empty((*size, 3), dtype=np.uint8)
    across = cut(width, coding.synthesis, coding.stride, core)
    carried = np.zeros((3, 0, width), dtype=np.float32)
    for rows in cut(height, coding.synthesis, coding.stride, core):
        strip = np.zeros((3, rows.last - rows.first, width), dtype=np.float32)
        strip[:, : carried.shape[1]] = carried
        for columns in across:
            shape = (1, 3, rows.stop - rows.start, columns.stop - columns.start)
            tensors = tensors_at(rows, columns)
            with stage("synthesis"):
                found = run(session, tensors, {"image": shape})["image"][0]
            _add(strip, found, rows, columns, 1, top=rows.first)
        done = rows.last - rows.fade_out - rows.first
        target = image[rows.first : rows.first + done]
        with stage("colour"):
            target[:] = _to_bytes(strip[:, : len(target), : size[1]])
        carried = strip[:, done:]
    return image


def run(
    session: Session, tensors: Mapping[str, Floats], shapes: Mapping[str, tuple[int, ...]]
) -> dict[str, NDArray[Any]]:
    """Run a graph that a bundle brought, and check that its outputs are what the manifest promises.

    Raises:
        BundleError: An output is missing, has another shape, or is not float32.
        BackendError: The run failed.
    """
    outputs = session.run(tensors)
    for name, shape in shapes.items():
        found = outputs.get(name)
        if found is None or found.shape != shape or found.dtype != np.float32:
            what = "missing" if found is None else f"{found.dtype} {found.shape}"
            raise BundleError(f"the bundle's graph should give {name!r} as float32 {shape}, but it is {what}")
    return outputs


def _grid(rows: Window, columns: Window, stride: int) -> tuple[int, int]:
    return (rows.stop - rows.start) // stride, (columns.stop - columns.start) // stride


def _picture(image: Bytes, rows: Window, columns: Window) -> Floats:
    """A window of the picture, its edges repeated, float32 [1, 3, height, width] of 0 to 1."""
    part = image[rows.start : rows.stop, columns.start : columns.stop]
    down, right = rows.stop - rows.start - part.shape[0], columns.stop - columns.start - part.shape[1]
    bands = part[..., None].repeat(3, axis=2) if part.ndim == 2 else part
    padded = np.pad(bands, ((0, down), (0, right), (0, 0)), mode="edge")
    planes: Floats = padded.transpose(2, 0, 1)[None].astype(np.float32) / np.float32(255)
    return planes


def _add(whole: Floats, found: Floats, rows: Window, columns: Window, stride: int, top: int = 0) -> None:
    """Add what counts of a window's output to the whole, whose first row is `top`."""
    target = slice(rows.target(stride).start - top // stride, rows.target(stride).stop - top // stride)
    part = found[:, rows.kept(stride), columns.kept(stride)]
    if rows.fade_in or rows.fade_out or columns.fade_in or columns.fade_out:
        part = part * rows.weights(stride)[:, None] * columns.weights(stride)
    whole[:, target, columns.target(stride)] += part


def _to_bytes(planes: Floats) -> Bytes:
    """From 0 to 1, float32 [3, height, width], to uint8 [height, width, 3]."""
    levels = np.nan_to_num(np.rint(planes * np.float32(255)), copy=False)
    image: Bytes = np.clip(levels, 0, 255).astype(np.uint8).transpose(1, 2, 0)
    return image
