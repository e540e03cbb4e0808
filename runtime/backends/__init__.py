"""Backends run the networks of a bundle.

Each is a package with the same three files: `probe.py` (does it work here?), `load.py` (graph to session) and
`session.py` (run).

    tensorrt   an engine that `farlook build` made for this GPU
    rtx        an engine that `farlook build --target rtx` made, for NVIDIA RTX GPUs
    ort-cuda   ONNX Runtime on an NVIDIA GPU
    ort        ONNX Runtime on the CPU: works everywhere
    ort-trt    ONNX Runtime with its TensorRT provider, which builds engines while it runs

`open_graphs("auto", ...)` takes the first of `AUTO` that loads all graphs and really runs: ONNX Runtime proves
itself by a small network with a known result, TensorRT by a run of each engine.
"""

from __future__ import annotations

from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING

from farlook.runtime.errors import BackendError, BundleError, UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence
    from types import ModuleType

    from farlook.runtime.backends.base import GraphSource, Probe, Session

AUTO = ("tensorrt", "rtx", "ort-cuda", "ort")
"""Backends that "auto" tries, best first."""

ORDER = (*AUTO, "ort-trt")
"""All backends. "ort-trt" is only taken when asked for: its first run at every new size takes minutes."""

_PACKAGES = {"ort-cuda": "ort", "ort-trt": "ort"}


@dataclass(frozen=True)
class Opened:
    """Graphs, loaded.

    Attributes:
        name: The backend, one of `ORDER`.
        sessions: One for each graph, in the order in which they were asked for.
        reason: Why this backend: what it is, and why "auto" passed over those before it.
    """

    name: str
    sessions: tuple[Session, ...]
    reason: str


def probe_backend(name: str) -> Probe:
    """Look at one backend, with a real inference.

    Raises:
        UsageError: There is no backend of that name.
    """
    probe: Probe = _part(_known(name), "probe").probe(name)
    return probe


def probe_backends() -> list[Probe]:
    """Look at every backend, with a real inference each, those that "auto" tries first and in its order."""
    return [probe_backend(name) for name in ORDER]


def open_graphs(backend: str, sources: Sequence[GraphSource], threads: int = 0) -> Opened:
    """Choose a backend and load graphs.

    Args:
        backend: One of `ORDER`, or "auto" for the best that works here and can load all of them.
        sources: The graphs.
        threads: Threads of one run on the CPU; 0 takes all cores.

    Raises:
        UsageError: There is no backend of that name.
        BackendError: It, or under "auto" every one, does not work here; the text says why and what to do.
        BundleError: A graph is missing in its bundle, or damaged.
    """
    if backend != "auto":
        return Opened(backend, *_open(_known(backend), sources, threads))
    passed: list[str] = []
    for name in AUTO:
        try:
            sessions, detail = _open(name, sources, threads)
        except BackendError as error:
            passed.append(f"{name}: {error}")
        except BundleError as error:  # what engines are made of is missing, too: say why they were not used
            raise BundleError(
                "; ".join([f"{name}: {error}", *(f"not {reason}" for reason in passed)])
            ) from error
        else:
            return Opened(name, sessions, "; ".join([detail, *(f"not {reason}" for reason in passed)]))
    raise BackendError(f"no backend can run here: {'; '.join(passed)}")


def _open(name: str, sources: Sequence[GraphSource], threads: int) -> tuple[tuple[Session, ...], str]:
    """Sessions that ran a network, and what runs them."""
    opened: tuple[tuple[Session, ...], str] = _part(name, "load").open_graphs(sources, threads, name)
    return opened


def _known(name: str) -> str:
    if name not in ORDER:
        raise UsageError(f"there is no backend {name!r}; choose one of: auto, {', '.join(ORDER)}")
    return name


def _part(backend: str, part: str) -> ModuleType:
    return import_module(f"farlook.runtime.backends.{_PACKAGES.get(backend, backend)}.{part}")
