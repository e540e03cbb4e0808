"""Compiles the CUDA sources of this folder with NVRTC, which needs no GPU and no CUDA toolkit."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BackendError, MissingExtraError

if TYPE_CHECKING:
    from collections.abc import Sequence

FOLDER = Path(__file__).parent
SOURCES = ("analysis.cu", "synthesis.cu")

_PURPOSE = "to compile CUDA kernels"


def compile_source(name: str, capability: int) -> Any:  # cuda.core.ObjectCode
    """Compile one source file.

    Args:
        name: One of `SOURCES`.
        capability: The GPU's compute capability, 86 for 8.6. One that is newer than this NVRTC gets PTX of the newest
            that NVRTC knows, which the driver translates.

    Returns:
        The code, a `cuda.core.ObjectCode`.

    Raises:
        MissingExtraError: cuda.core or NVRTC is not installed.
        BackendError: This NVRTC compiles nothing for so old a GPU, or it refuses the source.
    """
    try:
        from cuda.core import Program, ProgramOptions  # noqa: PLC0415  # optional, and slow to import
    except ImportError as error:
        raise MissingExtraError("cuda.core", "cuda", _PURPOSE) from error
    target, kind = _target(capability, nvrtc_capabilities())
    options = ProgramOptions(name=name, arch=target, std="c++17", include_path=str(FOLDER))
    try:
        source = (FOLDER / name).read_text(encoding="utf-8")
        return Program(source, "c++", options).compile(kind)
    except Exception as error:  # cuda.core's errors share no public base
        raise BackendError(f"NVRTC {nvrtc_version()} cannot compile {name} for {target}: {error}") from error


def nvrtc_version() -> str:
    """NVRTC's version, as in "13.0".

    Raises:
        MissingExtraError: It is not installed.
    """
    return ".".join(str(number) for number in _ask_nvrtc("nvrtcVersion"))


def nvrtc_capabilities() -> list[int]:
    """The compute capabilities that NVRTC compiles for, ascending, 86 for 8.6.

    Raises:
        MissingExtraError: It is not installed.
    """
    (capabilities,) = _ask_nvrtc("nvrtcGetSupportedArchs")
    return sorted(int(capability) for capability in capabilities)


def _target(capability: int, known: Sequence[int]) -> tuple[str, str]:
    """What to compile for, and whether to code of the GPU or to PTX."""
    if capability in known:
        return f"sm_{capability}", "cubin"
    if capability > known[-1]:
        return f"compute_{known[-1]}", "ptx"
    names = ", ".join(str(number / 10) for number in known)
    raise BackendError(
        f"this GPU has compute capability {capability / 10}, but NVRTC {nvrtc_version()} compiles for {names}: "
        "install one of CUDA 12, with pip install 'cuda-bindings[all]==12.*'"
    )


def _ask_nvrtc(function: str) -> tuple[Any, ...]:
    """Call a function of NVRTC that takes no arguments."""
    try:
        from cuda.bindings import nvrtc  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtraError("cuda.bindings", "cuda", _PURPOSE) from error
    try:
        status, *values = getattr(nvrtc, function)()
    except RuntimeError as error:  # the library is looked for at the first call
        raise MissingExtraError("NVRTC (libnvrtc)", "cuda", _PURPOSE) from error
    if status != nvrtc.nvrtcResult.NVRTC_SUCCESS:
        raise BackendError(f"NVRTC failed in {function}: {status.name}")
    return tuple(values)
