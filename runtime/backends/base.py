"""What every backend offers: a way to look whether it works here, and sessions that run one graph."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    import numpy as np
    from numpy.typing import NDArray

    from farlook.runtime.bundle import Bundle

FP32 = "fp32"
PRECISIONS = (FP32, "fp16", "int8")


class Session(Protocol):
    """A loaded graph. Sessions may be shared between threads."""

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph once.

        Args:
            inputs: One array for each of the graph's inputs, by name.

        Returns:
            The graph's outputs, by name.

        Raises:
            BackendError: An input is missing or of a wrong shape, or the run failed.
        """


class DeviceSession(Session, Protocol):
    """A loaded graph on a GPU, which takes and gives arrays that lie there already."""

    def run_device(self, inputs: Mapping[str, Any]) -> dict[str, Any]:
        """Run the graph once, without a copy to or from the host.

        Args:
            inputs: One array for each of the graph's inputs, by name, each with `__dlpack__` or
                `__cuda_array_interface__`, on the first GPU, in C order, of the graph's type.

        Returns:
            The graph's outputs by name: `farlook.runtime.backends.device.DeviceArray`, which has both too.

        Raises:
            BackendError: An input is missing, not on the GPU, or of a wrong shape or type; or the run failed.
        """


@dataclass(frozen=True)
class GraphSource:
    """Which graph a session is to run, and where to find it.

    Backends that compile beforehand look for their engine by it; the others read the ONNX model.

    Attributes:
        bundle: Path of the bundle.
        codec: The bundle's codec.
        name: "analysis" or "synthesis".
        precision: One of `PRECISIONS`.
        digests: SHA-256 of the graph in every precision that the bundle holds, by precision.
        read: Gives the ONNX model at that precision. Raises BundleError.
    """

    bundle: Path
    codec: str
    name: str
    precision: str = FP32
    digests: Mapping[str, str] = field(default_factory=dict)
    read: Callable[[], bytes] = field(default=bytes, compare=False)

    @classmethod
    def of(
        cls, bundle: Bundle, name: str, precision: str = FP32, read: Callable[[], bytes] | None = None
    ) -> GraphSource:
        """A graph of a bundle; `read` if it is not among the bundle's members at that precision."""
        digests = {kind: entry["sha256"] for kind, entry in bundle.graphs.get(name, {}).items()}
        return cls(
            bundle.path,
            bundle.codec,
            name,
            precision,
            digests,
            read or partial(bundle.graph, name, precision),
        )


@dataclass(frozen=True)
class Probe:
    """What a look at one backend found.

    Attributes:
        name: The backend's name, as in `backend="ort"`.
        works: Whether a small graph ran and gave the right numbers.
        detail: Version and device, or what went wrong.
        remedy: The command that installs what is missing; empty where nothing is.
    """

    name: str
    works: bool
    detail: str
    remedy: str = ""

    @property
    def reason(self) -> str:
        """Why it does not work, with what to do."""
        return f"{self.detail}{f' ({self.remedy})' if self.remedy else ''}"
