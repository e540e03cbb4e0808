"""Engines of the cache to sessions."""

from __future__ import annotations

from typing import TYPE_CHECKING

from farlook.runtime.backends.cuda import open_cuda
from farlook.runtime.backends.tensorrt.library import open_library
from farlook.runtime.backends.tensorrt.session import EngineSession
from farlook.runtime.engines import find_engine, read_engine
from farlook.runtime.machine import this_machine

if TYPE_CHECKING:
    from collections.abc import Sequence

    from farlook.runtime.backends.base import GraphSource


def open_graphs(
    sources: Sequence[GraphSource], threads: int, backend: str
) -> tuple[tuple[EngineSession, ...], str]:
    """Load the engines of graphs, and run each once.

    Args:
        sources: The graphs.
        threads: Of the CPU; engines take none.
        backend: "tensorrt" or "rtx".

    Returns:
        The sessions, and what runs them.

    Raises:
        MissingExtraError: The library or cuda-bindings is not installed.
        BackendError: An engine is missing, damaged, or made for something else; or it does not run.
    """
    del threads
    for source in sources:  # the cheapest reason to give up comes first: no library is imported for it
        find_engine(source, backend)
    library = open_library(backend)
    cuda = open_cuda(backend)
    sessions = []
    for source in sources:
        engine, fingerprint = read_engine(source, backend, library.version, this_machine())
        kernels = find_engine(source, backend).with_suffix(".kernels") if backend == "rtx" else None
        loaded = library.deserialise(engine, source.name, fingerprint)
        sessions.append(EngineSession(library, cuda, loaded, source.name, kernels))
        sessions[-1].prove()
    return tuple(sessions), f"{library.name} {library.version} with {sources[0].precision} engines"
