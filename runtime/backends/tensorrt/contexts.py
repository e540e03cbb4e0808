"""Contexts of an engine; on RTX with the kernels that it compiles as it runs, kept from process to process."""

from __future__ import annotations

import threading
from contextlib import suppress
from hashlib import sha256
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError, OutputError
from farlook.runtime.files import write_bytes

if TYPE_CHECKING:
    from pathlib import Path

    from farlook.runtime.backends.tensorrt.library import Library


class Contexts:
    """Makes contexts.

    Where the library lets it, contexts come without scratch memory: those of one stream share it, as no two of them
    run at once.

    An engine of TensorRT for RTX holds no code for the GPU yet: that is compiled as a context first runs. The cache
    keeps it in a file. The library itself checks that a file is of this GPU, driver and version, and refuses others.

    Args:
        library: TensorRT.
        engine: Loaded.
        label: What to call it in errors.
        path: The cache's file; None for no cache, as with TensorRT, whose engines are code.

    Attributes:
        scratch: Bytes of scratch memory that a context wants to be given; None if it has its own.
    """

    def __init__(self, library: Library, engine: Any, label: str, path: Path | None = None) -> None:
        self._library, self._engine, self._label, self._path = library, engine, label, path
        self._lock = threading.Lock()
        self._cache: Any = None
        self._config: Any = None
        self._saved = b""
        self._strategy = library.member("ExecutionContextAllocationStrategy", "USER_MANAGED")
        if path is not None and hasattr(engine, "create_runtime_config"):
            self._open(path)
        size = getattr(engine, "device_memory_size_v2", None)
        self.scratch = None if self._strategy is None or size is None else int(size)

    def make(self, scratch: int = 0) -> Any:
        """A new context.

        Args:
            scratch: Address of at least `scratch` bytes, if contexts want them; of a stream that runs this context
                and no other at the same time.

        Raises:
            BackendError: The library has no memory for one.
        """
        with self._lock:
            context = self._make()
        if context is None:
            why = self._library.problem(f"{self._library.name} gives no reason")
            raise BackendError(
                f"the {self._label} engine gets no context, most often for want of GPU memory: {why}"
            )
        if self.scratch is not None:
            context.set_device_memory(scratch, self.scratch)
        return context

    def save(self) -> None:
        """Write what was compiled since the last time; without a place to write to, the next process compiles anew."""
        with self._lock:
            if self._cache is None or self._path is None:
                return
            data = bytes(self._cache.serialize())
            digest = sha256(data).digest()
            if digest != self._saved:
                with suppress(OutputError):
                    write_bytes(self._path, data)
                self._saved = digest

    def _make(self) -> Any:
        if self._config is not None:
            return self._engine.create_execution_context(self._config)
        if self.scratch is not None:
            return self._engine.create_execution_context(self._strategy)
        return self._engine.create_execution_context()

    def _open(self, path: Path) -> None:
        config = self._engine.create_runtime_config()
        if not hasattr(config, "create_runtime_cache"):
            return  # TensorRT's own configuration has none
        eager = self._library.member("DynamicShapesKernelSpecializationStrategy", "EAGER")
        if eager is not None:
            # A CUDA graph recorded with the stand-in kernels of the lazy strategy would keep them for good.
            config.dynamic_shapes_kernel_specialization_strategy = eager
        if not hasattr(config, "set_execution_context_allocation_strategy"):
            self._strategy = None
        elif self._strategy is not None:
            config.set_execution_context_allocation_strategy(self._strategy)
        self._cache = config.create_runtime_cache()
        with suppress(OSError):
            data = path.read_bytes()
            self._cache.deserialize(data)
            self._saved = sha256(data).digest()
        config.set_runtime_cache(self._cache)
        self._config = config
