"""Backends run the networks of a bundle.

Each is a package with the same three files: `probe.py` (does it work here?), `load.py` (graph to session) and
`session.py` (run). `open_backend("auto")` takes the first of `ORDER` whose probe ran a network.
"""

from __future__ import annotations

from importlib import import_module
from typing import TYPE_CHECKING

from farlook.runtime.errors import BackendError, UsageError

if TYPE_CHECKING:
    from collections.abc import Callable
    from types import ModuleType

    from farlook.runtime.backends.base import Probe, Session

ORDER = ("ort",)
"""Backends, best first."""


def probe_backends() -> list[Probe]:
    """Look at every backend, with a real inference each, in the order in which "auto" tries them."""
    return [_part(name, "probe").probe() for name in ORDER]


def open_backend(name: str = "auto") -> tuple[str, Callable[[bytes, str, int], Session]]:
    """Choose a backend.

    Args:
        name: One of `ORDER`, or "auto" for the first that works.

    Returns:
        The backend's name, and its `load(graph, label, threads) -> Session`.

    Raises:
        UsageError: There is no backend of that name.
        BackendError: It, or under "auto" every one, does not work here; the text says why and what to do.
    """
    if name not in ("auto", *ORDER):
        raise UsageError(f"there is no backend {name!r}; choose one of: auto, {', '.join(ORDER)}")
    probes = []
    for candidate in ORDER if name == "auto" else (name,):
        probe: Probe = _part(candidate, "probe").probe()
        if probe.works:
            return candidate, _part(candidate, "load").load
        probes.append(probe)
    reasons = "; ".join(
        f"{probe.name}: {probe.detail}{f' ({probe.remedy})' if probe.remedy else ''}" for probe in probes
    )
    raise BackendError(f"no backend can run here: {reasons}")


def _part(backend: str, part: str) -> ModuleType:
    return import_module(f"farlook.runtime.backends.{backend}.{part}")
