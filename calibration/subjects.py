"""Codecs that calibration works on: for every bundle with graphs, something that encodes and decodes through them.

block8-paper, fera, block8-ground-fast, ...   the codec itself
block8 with graphs                            block8, whose transform is the bundle's graphs, not the C core's
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from farlook.runtime.backends import open_graphs
from farlook.runtime.backends.base import FP32, GraphSource
from farlook.runtime.bundle import BLOCK8_LAYOUT
from farlook.runtime.codec import DEFAULT_QUALITY, Codec
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Callable

    from numpy.typing import NDArray

    from farlook.runtime.bundle import Bundle

_MULTIPLE = 16


def open_subject(bundle: Bundle, backend: str = "auto", threads: int = 0, precision: str = FP32) -> Codec:
    """Open a bundle's graphs for calibration or verification.

    Raises:
        UsageError: The bundle has no graphs.
        BundleError: It is damaged, has no graphs of that precision, or block8's tables are others than its.
        BackendError: The backend cannot run the graphs.
    """
    if not bundle.graphs:
        raise UsageError(
            f"{bundle.path} is of {bundle.codec}, which has no networks: it needs no calibration"
        )
    if bundle.layout == BLOCK8_LAYOUT:
        return TransformSubject(bundle, backend, threads, precision)
    return Codec.load(bundle.path, backend, threads, precision)


class TransformSubject(Codec):
    """block8 with its transform by graphs: the C core rounds and codes. Sides are cut to multiples of 16."""

    def __init__(self, bundle: Bundle, backend: str, threads: int, precision: str) -> None:
        from farlook.kernels.block8 import Core  # noqa: PLC0415  # only for this kind
        from farlook.kernels.block8_tables import Tables  # noqa: PLC0415

        self.bundle = bundle
        self._core = Core(Tables.unpack(bundle.tables()))
        sources = [GraphSource.of(bundle, name, precision) for name in ("analysis", "synthesis")]
        opened = open_graphs(backend, sources, threads)
        self.backend, self.choice = opened.name, opened.reason
        self._analysis, self._synthesis = opened.sessions

    def encode(
        self,
        image: NDArray[Any],
        *,
        quality: float | None = None,
        bpp: float | None = None,
        budget: int | None = None,
    ) -> bytes:
        """Compress a picture at a quality; see `Codec.encode`."""
        from farlook.export.block8_onnx import encode_graph  # noqa: PLC0415  # only for this kind
        from farlook.runtime.block8.job import step_of  # noqa: PLC0415

        if bpp is not None or budget is not None:
            raise UsageError("block8's graphs are measured at qualities only")
        step = step_of(DEFAULT_QUALITY if quality is None else quality)
        return encode_graph(self._analysis, self._core, image, step)

    def decode(self, data: bytes) -> NDArray[Any]:
        """Rebuild a picture; see `Codec.decode`."""
        from farlook.export.block8_onnx import rebuild  # noqa: PLC0415  # only for this kind

        return np.rint(rebuild(self._synthesis, self._grids(data))).clip(0, 255).astype(np.uint8)

    def symbol_arrays(self, data: bytes) -> dict[str, NDArray[np.integer[Any]]]:
        """Coefficients as the synthesis takes them; see `Codec.symbol_arrays`."""
        return dict(zip(("luma", "chroma"), self._grids(data), strict=False))

    def _grids(self, data: bytes) -> list[NDArray[np.int16]]:
        from farlook.runtime.block8.decode import decode_tiles  # noqa: PLC0415  # only for this kind
        from farlook.runtime.block8.grids import grids_of_lists  # noqa: PLC0415
        from farlook.runtime.block8.stream import read_stream  # noqa: PLC0415

        header, packets = read_stream(data)
        return grids_of_lists(decode_tiles(self._core, header, packets, 1))


def fitter(bundle: Bundle) -> Callable[[NDArray[np.uint8]], NDArray[np.uint8]]:
    """What makes a picture one that the bundle's subject takes: of block8's graphs, sides of 16 and their bands."""
    if bundle.layout != BLOCK8_LAYOUT:
        return lambda picture: picture
    from farlook.calibration.graphs import read_graph  # noqa: PLC0415  # needs onnx

    image = read_graph(bundle.graph("analysis"), str(bundle.path)).graph.input[0]
    bands = int(image.type.tensor_type.shape.dim[1].dim_value)

    def fit(picture: NDArray[np.uint8]) -> NDArray[np.uint8]:
        height, width = (max(side // _MULTIPLE, 1) * _MULTIPLE for side in picture.shape[:2])
        cut = Image.fromarray(picture[:height, :width]).convert("L" if bands == 1 else "RGB")
        missing = [
            (0, max(0, want - side)) for want, side in zip((height, width), picture.shape, strict=False)
        ]
        return np.pad(np.asarray(cut), [*missing, *[(0, 0)] * (bands > 1)], mode="edge")

    return fit
