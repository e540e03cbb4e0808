"""A bundle of block8 with its transform as ONNX graphs beside the tables, checked against the integer core."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

from farlook.export.block8_graphs import analysis_graph, synthesis_graph
from farlook.export.bundle import add_graphs
from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.runtime.backends.ort.load import load
from farlook.runtime.block8.decode import decode_tiles, synthesise
from farlook.runtime.block8.grids import grids_of, grids_of_lists, store_of_grids
from farlook.runtime.block8.stream import PREAMBLE, read_stream
from farlook.runtime.bundle import BLOCK8_LAYOUT, find_bundle
from farlook.runtime.errors import BundleError, MismatchError

if TYPE_CHECKING:
    import os
    from collections.abc import Callable, Iterator, Mapping
    from pathlib import Path

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session

COEFFICIENT_TOLERANCE, COEFFICIENT_MEAN = 8.0, 1.0
"""Most and mean by which coefficients may differ from the integer core's, in its unit, a quarter of a level."""
PIXEL_TOLERANCE, PIXEL_MEAN = 3.0, 0.5
"""Most and mean by which pixels may, in levels."""

_SIDES = ((16, 16), (48, 80), (160, 96), (256, 384))
_STEP = 200


@dataclass(frozen=True)
class Difference:
    """How far graphs are from the integer core.

    Attributes:
        coefficient: The largest difference of a coefficient, in quarters of a level.
        coefficient_mean: The mean difference.
        pixel: The largest difference of a pixel, in levels.
        pixel_mean: The mean difference.
    """

    coefficient: float
    coefficient_mean: float
    pixel: float
    pixel_mean: float

    @property
    def fits(self) -> bool:
        """Whether all are within the tolerances."""
        coefficients = self.coefficient <= COEFFICIENT_TOLERANCE and self.coefficient_mean <= COEFFICIENT_MEAN
        return coefficients and self.pixel <= PIXEL_TOLERANCE and self.pixel_mean <= PIXEL_MEAN


def export_block8_onnx(
    out: str | os.PathLike[str],
    bundle: str | Path | None = None,
    *,
    bands: int = 3,
    opset: int = 18,
    report: Callable[[str], None] = lambda _: None,
) -> dict[str, Any]:
    """Write a copy of a bundle of block8 that has its transform as graphs too.

    Args:
        out: The bundle's path.
        bundle: Whose tables; None for the one that ships.
        bands: 3 for graphs of RGB pictures, 1 for grey ones.
        opset: 17 to 20.
        report: Told in a line what was done.

    Returns:
        The bundle's manifest; its coding digest is that of `bundle`, so that their streams are each other's.

    Raises:
        BundleError: `bundle` is damaged, or none of block8.
        MismatchError: The graphs and the integer core disagree by more than the tolerances.
        MissingExtraError: onnx or onnxruntime is not installed.
        OutputError: The bundle cannot be written.
    """
    found = find_bundle("block8" if bundle is None else bundle)
    if found.layout != BLOCK8_LAYOUT:
        raise BundleError(
            f"{found.path} is a bundle of {found.codec}: it has graphs already, or none to be made"
        )
    core = Core(Tables.unpack(found.tables()))
    graphs = {
        "analysis": analysis_graph(bands, opset).SerializeToString(),
        "synthesis": synthesis_graph(bands, opset).SerializeToString(),
    }
    difference = compare_graphs(graphs, core, bands)
    if not difference.fits:
        raise MismatchError(f"block8's graphs are too far from the integer core: {difference}")
    report(
        f"graphs of {sum(map(len, graphs.values()))} bytes; coefficients differ from the integer core's by "
        f"{difference.coefficient / 4:.2f} levels at most, pixels by {difference.pixel:.2f}"
    )
    return add_graphs(out, found, graphs)


def compare_graphs(graphs: Mapping[str, bytes], core: Core, bands: int, threads: int = 1) -> Difference:
    """Run FP32 graphs in ONNX Runtime beside the integer core, on noise and on slopes of four sizes.

    Args:
        graphs: "analysis" and "synthesis", serialized.
        core: The integer core.
        bands: Of the pictures.
        threads: Of ONNX Runtime.

    Raises:
        MissingExtraError: onnxruntime is not installed.
    """
    analysis, synthesis = (load(graphs[name], name, threads) for name in ("analysis", "synthesis"))
    coefficients, pixels = [], []
    for image in _pictures(bands):
        geometry = Geometry(image.shape[1], image.shape[0], bands, 8)
        settings = core.settings(geometry, step=_STEP, mtu=1024)
        right = core.store_rows(image, 0, geometry.units_y, settings)
        found = analyse(analysis, image)
        coefficients += [np.abs(a - b) for a, b in zip(found, grids_of(right, geometry), strict=True)]
        packets = core.encode_stored(right, 0, geometry.units_y, settings)
        header, read = read_stream(PREAMBLE + b"".join(packet.data for packet in packets))
        decoded = decode_tiles(core, header, read, 1)
        rebuilt = rebuild(synthesis, grids_of_lists(decoded))
        pixels.append(np.abs(rebuilt - synthesise(core, header, decoded, 1)))
    return Difference(*_largest_and_mean(coefficients), *_largest_and_mean(pixels))


def analyse(session: Session, image: NDArray[np.uint8]) -> list[NDArray[np.float32]]:
    """A picture's coefficients by the analysis graph.

    Args:
        session: The graph.
        image: [height, width] or [height, width, 3], sides multiples of 16.

    Returns:
        Luma, float32 [64, rows, columns], and of RGB chroma, [128, rows, columns].
    """
    planes = image[None] if image.ndim == 2 else image.transpose(2, 0, 1)
    found = session.run({"image": np.ascontiguousarray(planes[None], np.float32)})
    return [found[name][0].astype(np.float32) for name in ("luma", "chroma") if name in found]


def rebuild(session: Session, grids: list[NDArray[np.int16]]) -> NDArray[np.float32]:
    """The picture of coefficients by the synthesis graph: float32 [height, width] or [height, width, 3]."""
    feeds = {
        name: grid[None].astype(np.float32) for name, grid in zip(("luma", "chroma"), grids, strict=False)
    }
    image: NDArray[np.float32] = session.run(feeds)["image"][0].astype(np.float32)
    return image[0] if len(image) == 1 else image.transpose(1, 2, 0)


def encode_graph(
    session: Session, core: Core, image: NDArray[np.uint8], step: int, digest: bytes = bytes(2)
) -> bytes:
    """A stream whose coefficients come from the analysis graph; the integer core rounds and codes them.

    Args:
        session: The graph, of any precision, on any backend.
        core: The integer core.
        image: As for `analyse`.
        step: Index of the quantiser step.
        digest: First two bytes of the digest of the bundle that decodes it.
    """
    geometry = Geometry(image.shape[1], image.shape[0], 1 if image.ndim == 2 else 3, 8)
    store = store_of_grids(analyse(session, image), geometry)
    settings = core.settings(geometry, step=step, mtu=1024, digest=digest)
    packets = core.encode_stored(store, 0, geometry.units_y, settings)
    return PREAMBLE + b"".join(packet.data for packet in packets)


def _pictures(bands: int) -> Iterator[NDArray[np.uint8]]:
    rng = np.random.default_rng(8)
    for height, width in _SIDES:
        shape = (height, width, bands)
        slope = np.add.outer(np.arange(height), np.arange(width))[:, :, None] * rng.uniform(-1, 1, bands)
        noise = rng.normal(0, 8, shape)
        for image in (rng.integers(0, 256, shape), np.clip(128 + slope + noise, 0, 255)):
            yield image.astype(np.uint8)[:, :, 0] if bands == 1 else image.astype(np.uint8)


def _largest_and_mean(differences: list[NDArray[np.float32]]) -> tuple[float, float]:
    values = np.concatenate([difference.ravel() for difference in differences])
    return float(values.max()), float(values.mean())
