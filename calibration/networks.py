"""The networks of one bundle as calibration sees them: read, measured through the codec itself, and rewritten."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from farlook.calibration.emulate import emulate
from farlook.calibration.fp16 import to_fp16
from farlook.calibration.graphs import check, read_graph
from farlook.calibration.groups import Group, find_groups
from farlook.calibration.qdq import insert_qdq
from farlook.calibration.ranges import PERCENTILE
from farlook.calibration.record import RecordingSession
from farlook.calibration.subjects import fitter, open_subject
from farlook.runtime.backends.ort.load import load
from farlook.runtime.errors import BundleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable, Collection, Iterable, Mapping

    import numpy as np
    from numpy.typing import NDArray
    from onnx import ModelProto

    from farlook.runtime.backends.base import Session
    from farlook.runtime.bundle import Bundle

SWEEP = (1, 20, 40, 60, 80, 100)
"""Qualities at which pictures go through the codec while ranges are measured, two for each picture in turn.

Where pictures are too few for all of them, the last one goes through at those that are left.
"""
_EACH = 2


@dataclass
class Network:
    """One graph.

    Attributes:
        name: "analysis" or "synthesis".
        label: What to call it in errors.
        model: FP32, its constants folded.
        groups: What can be quantised.
        magnitudes: The largest magnitude seen of each tensor.
        thresholds: The largest magnitude that INT8 shall represent, of each activation that a group quantises.
    """

    name: str
    label: str
    model: ModelProto
    groups: list[Group]
    magnitudes: dict[str, float] = field(default_factory=dict)
    thresholds: dict[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, bundle: Bundle, name: str) -> Network:
        """One network of a bundle.

        Raises:
            BundleError: It is missing, damaged, or has what calibration does not know.
        """
        label = f"{bundle.path}: {name}"
        model = read_graph(bundle.graph(name), label)
        return cls(name, label, model, find_groups(model))

    def activations(self) -> set[str]:
        """Names of the tensors that groups quantise."""
        nodes = {node.name: node for node in self.model.graph.node}
        return {nodes[g.name].input[index] for g in self.groups for index in g.activations}

    def fp16(self) -> bytes:
        """The graph in FP16, where ranges allow it."""
        return check(to_fp16(self.model, ranges=self.magnitudes).model, self.label)

    def int8(self, kept: Collection[str] = (), rest: str = "fp16") -> bytes:
        """The graph with its groups in INT8.

        Args:
            kept: Names of groups that are not quantised.
            rest: What everything else is stored as: "fp16" or "fp32".

        Raises:
            CalibrationError: Ranges were not measured, or cannot be represented.
        """
        groups = [group for group in self.groups if group.name not in kept]
        model = insert_qdq(self.model, groups, self.thresholds)
        if rest == "fp16":
            model = to_fp16(model, ranges=self.magnitudes).model
        return check(model, self.label)

    def session(self, graph: bytes, threads: int = 0) -> Session:
        """A session that rounds as an engine would; see `farlook.calibration.emulate`."""
        return load(emulate(graph), self.name, threads)


def open_networks(bundle: Bundle) -> dict[str, Network]:
    """All networks of a bundle, by name.

    Raises:
        UsageError: It has none.
        BundleError: See `Network.read`.
    """
    if not bundle.graphs:
        raise UsageError(
            f"{bundle.path} is of {bundle.codec}, which has no networks: there is nothing to calibrate"
        )
    return {name: Network.read(bundle, name) for name in bundle.graphs}


def measure_ranges(
    bundle: Bundle,
    networks: Mapping[str, Network],
    pictures: Iterable[NDArray[np.uint8]],
    method: str = "mse",
    percentile: float = PERCENTILE,
    threads: int = 0,
    advance: Callable[[], None] = lambda: None,
) -> None:
    """Send pictures through the FP32 codec, encoder and decoder, and note ranges in `networks`.

    Memory does not grow with the number of pictures: each is coded, counted and forgotten. However few they are,
    every quality of `SWEEP` is seen: latents reach furthest at the best.

    Raises:
        UsageError: There is no such method.
        CalibrationError: A tensor has values that are infinite or not numbers, or no picture is usable.
        BackendError: A network does not run.
    """
    codec, fit = open_subject(bundle, "ort", threads), fitter(bundle)
    recorders = {
        name: RecordingSession(network.model, network.activations(), network.label, threads)
        for name, network in networks.items()
    }
    codec.swap_sessions(lambda name, _: recorders[name])
    left, last = set(SWEEP), None
    for index, given in enumerate(pictures):
        picture = last = fit(given)
        for offset in range(0, len(SWEEP), len(SWEEP) // _EACH):
            quality = SWEEP[(index + offset) % len(SWEEP)]
            codec.decode(codec.encode(picture, quality=quality))
            left.discard(quality)
        advance()
    if last is not None:
        for quality in sorted(left):
            codec.decode(codec.encode(last, quality=quality))
    for name, network in networks.items():
        if not recorders[name].runs:
            raise BundleError(f"{network.label}: the codec never ran this graph")
        histograms = recorders[name].histograms
        network.magnitudes = recorders[name].magnitudes()
        network.thresholds = {
            tensor: histogram.threshold(method, percentile) for tensor, histogram in histograms.items()
        }
