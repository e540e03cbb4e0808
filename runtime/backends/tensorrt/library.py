"""The one place that imports TensorRT, or TensorRT for RTX: which of them, its version, and what it can do.

Both have the same interface, and so do versions 10.3 to 11 of the first as far as farlook uses it. What one of
them lacks is asked for by `member`, never named where the module is imported.
"""

from __future__ import annotations

import os
from collections import deque
from functools import lru_cache
from importlib import import_module
from typing import TYPE_CHECKING, Any

from farlook.runtime.engines import LIBRARIES
from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Callable

    from farlook.runtime.engines import Fingerprint

CODE_VARIABLE = "FARLOOK_ENGINE_CODE"
"""Environment variable: 1 lets version-compatible engines run, which hold code for the processor."""

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

    def make(self, kind: str) -> Any:
        """A new "Builder" or "Runtime".

        Raises:
            BackendError: This library has none; or it gives none, as where there is no GPU or no driver for it.
        """
        maker = getattr(self.module, kind, None)
        if maker is None:
            raise BackendError(
                f"{self.name} {self.version} has no {kind}: a lean runtime only runs engines; install the whole library"
            )
        self._messages.clear()
        try:
            made = maker(self.logger)
        except (RuntimeError, TypeError) as error:  # the bindings' words for a null pointer
            why = self.problem(" ".join(str(error).split()))
            raise BackendError(
                f"{self.name} {self.version} gives no {kind}: {why}; `nvidia-smi` must list the GPU; see `farlook "
                "doctor` too"
            ) from error
        return made

    def deserialise(
        self, engine: bytes, label: str, fingerprint: Fingerprint | None = None, *, own: bool = False
    ) -> tuple[Any, Any]:
        """Load an engine.

        A version-compatible engine brings a small runtime of its own: code, which the library runs as it is. Its
        fingerprint lies beside it and is not signed, so it proves nothing to one who can write there. Such engines
        are only loaded where the environment says FARLOOK_ENGINE_CODE=1: say so for engines that you built.

        Args:
            engine: What the library wrote.
            label: What to call it in errors.
            fingerprint: Of the engine, if it has one.
            own: Whether this process has just built it.

        Returns:
            The runtime, which must outlive the engine, and the engine.

        Raises:
            BackendError: The library does not take it, or it would run code that the environment does not allow.
        """
        holds_code = fingerprint is not None and bool(fingerprint.flags.get("version_compatible"))
        if holds_code and not own and os.environ.get(CODE_VARIABLE) != "1":
            raise BackendError(
                f"the {label} engine is version-compatible: it holds code, which would run here as it is. If you built "
                f"it, set {CODE_VARIABLE}=1; else build it anew, without --version-compatible"
            )
        runtime = self.make("Runtime")
        if holds_code:
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
