"""Settings of a build, through Polygraphy: one way to say them to TensorRT 10, 11 and RTX."""

from __future__ import annotations

import os
import re
import sys
import warnings
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError, MissingExtraError, UsageError

if TYPE_CHECKING:
    from pathlib import Path
    from types import ModuleType

    from farlook.runtime.backends.tensorrt.library import Library

LEVELS = ("none", "same", "ampere_plus")
"""Of hardware compatibility: this GPU, GPUs of its compute capability, all from Ampere on."""

_LEVELS = {"same": "SAME_COMPUTE_CAPABILITY", "ampere_plus": "AMPERE_PLUS"}
_TENSORRT_PART = "polygraphy.backend.trt"
_RTX_VARIABLE = "POLYGRAPHY_USE_TENSORRT_RTX"
_UNITS = {"": 1, "K": 1 << 10, "M": 1 << 20, "G": 1 << 30}


@dataclass(frozen=True)
class Settings:
    """How an engine is built.

    Attributes:
        sm: RTX only: compute capabilities times ten.
        workspace: Most bytes of scratch memory on the GPU; None for the library's own limit.
        optimisation: 0 (quick build) to 5 (fast engine); None for the library's own choice.
        version_compatible: Whether later versions of the library may run it.
        hardware_compatible: One of `LEVELS`.
    """

    sm: tuple[int, ...] = ()
    workspace: int | None = None
    optimisation: int | None = None
    version_compatible: bool = False
    hardware_compatible: str = "none"

    def flags(self) -> dict[str, Any]:
        """For the fingerprint."""
        return {
            "workspace": self.workspace,
            "optimisation": self.optimisation,
            "version_compatible": self.version_compatible,
            "hardware_compatible": self.hardware_compatible,
            "tf32": False,
        }


def parse_bytes(text: str) -> int:
    """Read a size: bytes, or with K, M or G.

    Raises:
        UsageError: It is none.
    """
    match = re.fullmatch(r"(\d{1,15})([KMG]?)(?:i?B)?", text.strip(), re.IGNORECASE)
    if match is None or not int(match[1]):
        raise UsageError(f"{text!r} is no size: write bytes, or 512M, or 2G")
    return int(match[1]) * _UNITS[match[2].upper()]


def parse_sm(text: str, library: Library) -> tuple[int, ...]:
    """Read compute capabilities: "86,89,120", or "8.6,8.9,12.0".

    Raises:
        UsageError: One is none, or one that the library has no engines for.
    """
    known = known_sm(library)
    found = []
    for part in text.split(","):
        digits = part.strip().replace(".", "")
        if not digits.isdigit() or int(digits) not in known:
            raise UsageError(
                f"{library.name} {library.version} has no engines for compute capability {part.strip()!r}; "
                f"it has them for: {', '.join(map(str, known))}"
            )
        found.append(int(digits))
    return tuple(dict.fromkeys(found))


def known_sm(library: Library) -> tuple[int, ...]:
    """Compute capabilities that the library can build for without a GPU; none with TensorRT itself."""
    members = getattr(getattr(library.module, "ComputeCapability", None), "__members__", {})
    return tuple(sorted(int(name[2:]) for name in members if re.fullmatch(r"SM\d+", name)))


def create_config(
    library: Library,
    builder: Any,
    network: Any,
    shapes: dict[str, list[list[int]]],
    settings: Settings,
    monitor: Any,
    timing_cache: Path | None,
) -> Any:
    """A builder's configuration.

    Args:
        library: TensorRT.
        builder: Its builder.
        network: What will be built.
        shapes: Of each input the smallest, best and largest.
        settings: See `Settings`.
        monitor: An `IProgressMonitor`.
        timing_cache: Times of kernels of earlier builds, if the file is there; None on RTX, which keeps none.

    Raises:
        MissingExtraError: Polygraphy is not installed.
        BackendError: This version of the library lacks something that the settings ask for.
    """
    polygraphy, failure = _polygraphy(library)
    profile = polygraphy.Profile()
    for name, (smallest, best, largest) in shapes.items():
        profile.add(name, smallest, best, largest)
    options: dict[str, Any] = {"profiles": [profile], "progress_monitor": monitor}
    if settings.workspace is not None:
        options["memory_pool_limits"] = {library.member("MemoryPoolType", "WORKSPACE"): settings.workspace}
    if settings.optimisation is not None:
        options["builder_optimization_level"] = settings.optimisation
    if settings.version_compatible:
        options["version_compatible"] = True
    if settings.hardware_compatible != "none":
        options["hardware_compatibility_level"] = _level(library, settings.hardware_compatible)
    if timing_cache is not None and timing_cache.is_file():
        options["load_timing_cache"] = str(timing_cache)
    try:
        with (
            warnings.catch_warnings()
        ):  # of RTX's timing cache, which does nothing, and which Polygraphy touches
            warnings.simplefilter("ignore", DeprecationWarning)
            config = polygraphy.CreateConfig(**options)(builder, network)
    except failure as error:
        raise BackendError(
            f"{library.name} {library.version} does not take these settings: {error}"
        ) from error
    _target(library, config, settings.sm)
    return config


def _level(library: Library, name: str) -> Any:
    level = library.member("HardwareCompatibilityLevel", _LEVELS[name])
    if level is None:
        raise BackendError(f"{library.name} {library.version} has no hardware compatibility {name!r}")
    return level


def _target(library: Library, config: Any, capabilities: tuple[int, ...]) -> None:
    """Say for which compute capabilities to build; without any it is for the GPU at hand."""
    if not capabilities:
        return
    config.num_compute_capabilities = len(capabilities)
    for index, sm in enumerate(capabilities):
        if not config.set_compute_capability(library.member("ComputeCapability", f"SM{sm}"), index):
            raise BackendError(f"{library.name} {library.version} refuses compute capability {sm}")


def _polygraphy(library: Library) -> tuple[ModuleType, type[Exception]]:
    """Polygraphy's TensorRT part and its errors, for this library: on first import it settles for one of both."""
    wanted = library.backend == "rtx"
    os.environ[_RTX_VARIABLE] = "1" if wanted else "0"
    try:
        config: Any = import_module("polygraphy.config")
        if (
            _TENSORRT_PART not in sys.modules
        ):  # it has not settled yet, even if Polygraphy itself was imported
            config.USE_TENSORRT_RTX = wanted
        trt, logger, exception = map(
            import_module, (_TENSORRT_PART, "polygraphy.logger", "polygraphy.exception")
        )
    except ImportError as error:
        raise MissingExtraError("polygraphy", library.backend, "to build engines") from error
    if wanted != config.USE_TENSORRT_RTX:
        raise BackendError(
            "Polygraphy serves one of TensorRT and TensorRT for RTX in a process: build for the other in a new one"
        )
    logger.G_LOGGER.module_severity = logger.G_LOGGER.CRITICAL  # what goes wrong comes as an exception
    return trt, exception.PolygraphyException
