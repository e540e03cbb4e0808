"""Contexts of an engine; on RTX with the kernels that it compiles as it runs, kept from process to process."""

from __future__ import annotations

import threading
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import OutputError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from farlook.runtime.backends.tensorrt.library import Library


class KernelCache:
    """Makes contexts.

    An engine of TensorRT for RTX holds no code for the GPU yet: that is compiled as a context first runs. The cache
    keeps it in a file. The library itself checks that a file is of this GPU, driver and version, and refuses others.

    Args:
        library: TensorRT.
        engine: Loaded.
        path: The file; None for no cache, as with TensorRT, whose engines are code.
    """

    def __init__(self, library: Library, engine: Any, path: Path | None) -> None:
        self._library, self._engine, self._path = library, engine, path
        self._lock = threading.Lock()
        self._cache: Any = None
        self._config: Any = None
        self._saved = 0
        if path is not None and hasattr(engine, "create_runtime_config"):
            self._open(path)

    def context(self) -> Any:
        """A new context, or None if the library has no memory for one."""
        with self._lock:
            if self._config is None:
                return self._engine.create_execution_context()
            return self._engine.create_execution_context(self._config)

    def save(self) -> None:
        """Write what was compiled since the last time; without a place to write to, the next process compiles anew."""
        with self._lock:
            if self._cache is None or self._path is None:
                return
            data = bytes(self._cache.serialize())
            if len(data) != self._saved:
                with suppress(OutputError):
                    write_bytes(self._path, data)
                self._saved = len(data)

    def _open(self, path: Path) -> None:
        config = self._engine.create_runtime_config()
        if not hasattr(config, "create_runtime_cache"):
            return  # TensorRT's own configuration has none
        strategy = self._library.member("DynamicShapesKernelSpecializationStrategy", "EAGER")
        if strategy is not None:
            # A CUDA graph recorded with the stand-in kernels of the lazy strategy would keep them for good.
            config.dynamic_shapes_kernel_specialization_strategy = strategy
        self._cache = config.create_runtime_cache()
        with suppress(OSError):
            self._cache.deserialize(path.read_bytes())
        config.set_runtime_cache(self._cache)
        self._config = config
