"""The one place that imports TensorRT, or TensorRT for RTX: which of them, its version, and what it can do.

Both have the same interface, and so do versions 10.3 to 11 of the first as far as farlook uses it. What one of
them lacks is asked for by `member`, never named where the module is imported.
"""

from __future__ import annotations

from collections import deque
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from farlook.runtime.engines import LIBRARIES
from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from farlook.runtime.engines import Fingerprint

_KEPT = 8
_OLDEST = {"tensorrt": (10, 3), "rtx": (1, 1)}

_JETSON = "; on a Jetson it comes with JetPack: sudo apt-get install tensorrt python3-libnvinfer"


class Library:
    """TensorRT, or TensorRT for RTX.

    Args:
        backend: "tensorrt" or "rtx".
        module: The Python module.

    Attributes:
        backend: As given.
        module: As given.
        name: The module's name.
        version: Its version, as in "10.3.0".
    """

    def __init__(self, backend: str, module: Any) -> None:
        self.backend = backend
        self.module = module
        self.name: str = LIBRARIES[backend]
        self.version: str = module.__version__
        self._messages: deque[str] = deque(maxlen=_KEPT)
        self.logger = _logger(module, self._messages.append)

    def member(self, holder: str, name: str) -> Any:
        """`holder.name` of the module, as in `BuilderFlag.TF32`; None where this version has no such thing."""
        return getattr(getattr(self.module, holder, None), name, None)

    def problem(self, otherwise: str) -> str:
        """The errors that the library logged since the last call, or `otherwise`."""
        messages = "; ".join(dict.fromkeys(self._messages))
        self._messages.clear()
        return messages or otherwise

    def network_flags(self) -> int:
        """Bits for `create_network`: strongly typed, so that precision is what the graph says.

        On versions without the flag there is no other mode.
        """
        flag = self.member("NetworkDefinitionCreationFlag", "STRONGLY_TYPED")
        return 0 if flag is None else 1 << int(flag)

    def deserialise(
        self, engine: bytes, label: str, fingerprint: Fingerprint | None = None
    ) -> tuple[Any, Any]:
        """Load an engine.

        Args:
            engine: What the library wrote.
            label: What to call it in errors.
            fingerprint: Of the engine, if it is from the cache.

        Returns:
            The runtime, which must outlive the engine, and the engine.

        Raises:
            BackendError: The library does not take it.
        """
        self._messages.clear()
        runtime = self.module.Runtime(self.logger)
        if fingerprint is not None and fingerprint.flags.get("version_compatible"):
            # Such engines bring a small runtime of their own, which is code: ours, by the fingerprint's digest.
            runtime.engine_host_code_allowed = True
        loaded = runtime.deserialize_cuda_engine(engine)
        if loaded is None:
            why = self.problem("it gives no reason")
            raise BackendError(f"{self.name} {self.version} cannot load the {label} engine: {why}")
        return runtime, loaded


@lru_cache
def open_library(backend: str) -> Library:
    """Import TensorRT ("tensorrt") or TensorRT for RTX ("rtx").

    Raises:
        MissingExtraError: It is not installed.
        BackendError: It is older than what farlook needs, or broken.
    """
    name = LIBRARIES[backend]
    try:
        module = import_module(name)
    except ImportError as error:
        hint = _JETSON if backend == "tensorrt" else ""
        raise MissingExtraError(name, backend, f"to run its engines{hint}") from error
    except Exception as error:  # its shared libraries may fail to load in ways of their own
        raise BackendError(f"{name} is installed, but cannot be imported: {error}") from error
    version = tuple(int(part) for part in str(module.__version__).split(".")[:2])
    if version < _OLDEST[backend]:
        oldest = ".".join(map(str, _OLDEST[backend]))
        raise BackendError(f"{name} {module.__version__} is too old: farlook needs {oldest} or later")
    return Library(backend, module)


def _logger(module: Any, keep: Callable[[str], None]) -> Any:
    """A logger that keeps errors for `Library.problem`, and prints nothing."""

    class Logger(module.ILogger):  # type: ignore[misc]  # the module is chosen as the program runs
        def __init__(self) -> None:
            module.ILogger.__init__(self)

        def log(self, severity: Any, message: str) -> None:
            if severity <= module.ILogger.ERROR:
                keep(message)

    return Logger()
