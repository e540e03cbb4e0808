"""`farlook verify`: what precisions and backends change, against FP32 in ONNX Runtime on the CPU."""

from __future__ import annotations

from dataclasses import dataclass
from itertools import product
from typing import TYPE_CHECKING

import numpy as np

from farlook.calibration.distortion import MOST_PSNR, QUALITIES, Change, Points, change, psnr
from farlook.calibration.emulate import emulate
from farlook.calibration.precision import PRECISIONS, graph_at
from farlook.calibration.subjects import fitter, open_subject
from farlook.runtime.backends import ORDER
from farlook.runtime.backends.ort.load import load
from farlook.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from numpy.typing import NDArray

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.codec import Codec

    Picture = NDArray[np.uint8]
    Symbols = Mapping[str, NDArray[np.integer]]

BACKENDS = {"trt": "tensorrt"}
"""Short names of backends."""
REFERENCE = ("ort", "fp32")
_CROSSED = 2


@dataclass(frozen=True)
class Row:
    """One backend at one precision.

    Attributes:
        backend: As in `Codec.load`.
        precision: One of `PRECISIONS`.
        flipped: Share of symbols that differ from the reference's, in per cent; None if the encoder has no network.
        change: Against the reference.
    """

    backend: str
    precision: str
    flipped: float | None
    change: Change


@dataclass(frozen=True)
class Cross:
    """Streams of one encoder, decoded by another's decoder.

    Attributes:
        encoder: Backend and precision.
        decoder: Backend and precision.
        identical: Whether the decoder read the very symbols that the encoder's own reads; None if the codec tells
            none, as where block8 encodes.
        psnr: Mean in dB.
    """

    encoder: tuple[str, str]
    decoder: tuple[str, str]
    identical: bool | None
    psnr: float


@dataclass(frozen=True)
class Verification:
    """Everything that was found.

    Attributes:
        rows: The reference first.
        crosses: Every encoder with every decoder, over a few of the pictures.
    """

    rows: list[Row]
    crosses: list[Cross]

    def failures(self, max_bd_rate: float | None) -> list[str]:
        """What does not hold: symbols that depend on the decoder, and BD-rates above a limit in per cent."""
        texts = [
            f"a stream of {'/'.join(cross.encoder)} decodes to other symbols with {'/'.join(cross.decoder)}"
            for cross in self.crosses
            if cross.identical is False
        ]
        if max_bd_rate is not None:
            texts += [
                f"{row.backend}/{row.precision} costs a BD-rate of {row.change.bd_rate:+.3f} %, more than "
                f"{max_bd_rate} %"
                for row in self.rows
                if not row.change.bd_rate <= max_bd_rate
            ]
        return texts


def verify(
    bundle: Bundle,
    pictures: Sequence[Picture],
    precisions: Sequence[str] = PRECISIONS,
    backends: Sequence[str] = ("ort",),
    *,
    qualities: Sequence[int] = QUALITIES,
    threads: int = 0,
    exact: bool = True,
    advance: Callable[[], None] = lambda: None,
) -> Verification:
    """Code pictures with every backend at every precision.

    Args:
        bundle: With the graphs, or engines beside it for backends that need them.
        pictures: uint8 [height, width] or [height, width, 3].
        precisions: Some of `PRECISIONS`.
        backends: Names as in `Codec.load`, or of `BACKENDS`.
        qualities: Where to measure.
        threads: Threads of one run; 0 takes all cores.
        exact: Whether "ort" rounds to FP16 what an engine stores in it; otherwise it runs graphs as they are, and
            keeps FP32 between them on a CPU.
        advance: Called after each picture of each row.

    Raises:
        UsageError: A name is unknown, or the bundle has no networks.
        BundleError: The bundle has no graphs of a precision.
        BackendError: A backend does not work here.
    """
    combinations = _combinations(bundle, precisions, backends)
    pictures = list(map(fitter(bundle), pictures))
    codecs = {key: _open(bundle, *key, threads, exact) for key in combinations}
    runs = {key: _Run(codec, pictures, qualities, advance) for key, codec in codecs.items()}
    reference = runs[REFERENCE]
    rows = [
        Row(*key, reference.flipped(run), change(run.points, reference.points))
        for key, run in runs.items()
        if key in _wanted(precisions, backends) or key == REFERENCE
    ]
    crosses = [
        _cross(encoder, decoder, runs[encoder], codecs[decoder], pictures)
        for encoder, decoder in product(combinations, repeat=2)
    ]
    return Verification(rows, crosses)


class _Run:
    """Streams, symbols and points of one codec."""

    def __init__(
        self, codec: Codec, pictures: Iterable[Picture], qualities: Sequence[int], advance: Callable[[], None]
    ) -> None:
        self.streams: list[list[bytes]] = []
        self.symbols: list[list[Symbols]] = []
        self.points: list[Points] = []
        for picture in pictures:
            streams = [codec.encode(picture, quality=quality) for quality in qualities]
            values = tuple(psnr(picture, codec.decode(stream)) for stream in streams)
            self.streams.append(streams)
            self.symbols.append([codec.symbol_arrays(stream) for stream in streams])
            self.points.append(Points(tuple(map(len, streams)), values))
            advance()

    def flipped(self, other: _Run) -> float | None:
        """The share of symbols that differ, in per cent; None if there are none."""
        pairs = [
            (mine[name], theirs[name])
            for a, b in zip(self.symbols, other.symbols, strict=True)
            for mine, theirs in zip(a, b, strict=True)
            for name in mine
        ]
        total = sum(mine.size for mine, _ in pairs)
        if not total:
            return None
        return 100 * sum(int(np.count_nonzero(mine != theirs)) for mine, theirs in pairs) / total


def _combinations(
    bundle: Bundle, precisions: Sequence[str], backends: Sequence[str]
) -> list[tuple[str, str]]:
    """Backends and precisions to open, the reference first."""
    unknown = sorted({*precisions} - {*PRECISIONS})
    if unknown or not precisions:
        raise UsageError(
            f"there is no precision {', '.join(unknown) or 'given'}; choose of: {', '.join(PRECISIONS)}"
        )
    names = [BACKENDS.get(name, name) for name in backends]
    missing = sorted({*names} - {*ORDER})
    if missing or not names:
        raise UsageError(
            f"there is no backend {', '.join(missing) or 'given'}; choose of: {', '.join(ORDER)}"
        )
    if not bundle.graphs:
        raise UsageError(
            f"{bundle.path} is of {bundle.codec}, which has no networks: there is nothing to verify"
        )
    return list(dict.fromkeys([REFERENCE, *product(names, precisions)]))


def _wanted(precisions: Sequence[str], backends: Sequence[str]) -> set[tuple[str, str]]:
    return set(product([BACKENDS.get(name, name) for name in backends], precisions))


def _open(bundle: Bundle, backend: str, precision: str, threads: int, exact: bool) -> Codec:
    if backend != "ort":
        return open_subject(bundle, backend, threads, precision)
    codec = open_subject(bundle, "ort", threads)
    if precision != "fp32":

        def session(name: str, _: Session) -> Session:
            graph = graph_at(bundle, name, precision)
            return load(emulate(graph) if exact else graph, name, threads)

        codec.swap_sessions(session)
    return codec


def _cross(
    encoder: tuple[str, str],
    decoder: tuple[str, str],
    run: _Run,
    codec: Codec,
    pictures: Sequence[Picture],
) -> Cross:
    same: list[bool] = []
    values = []
    for picture, streams, symbols in list(zip(pictures, run.streams, run.symbols, strict=True))[:_CROSSED]:
        for stream, known in zip(streams, symbols, strict=True):
            found = codec.symbol_arrays(stream)
            if found or known:
                equal = (np.array_equal(found[name], known[name]) for name in known)
                same.append(found.keys() == known.keys() and all(equal))
            values.append(psnr(picture, codec.decode(stream)))
    return Cross(encoder, decoder, all(same) if same else None, float(np.mean(values or [MOST_PSNR])))


def check_precisions(bundle: Bundle, precisions: Sequence[str]) -> None:
    """Refuse precisions that a bundle does not have, before any work.

    Raises:
        BundleError: Says which, and what makes them.
    """
    for name, precision in product(bundle.graphs, precisions):
        if precision == "int8" and precision not in bundle.graphs[name]:
            raise BundleError(
                f"{bundle.path} has no INT8 graphs: make them with "
                f"farlook calibrate {bundle.path} --images DIR -o calibrated.bundle, or leave int8 out of --precisions"
            )
