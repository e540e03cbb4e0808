"""Which NVIDIA GPU to use, and what is wrong where none can be."""

from __future__ import annotations

from threading import Lock
from typing import Any

from farlook.kernels.cuda.compile import SOURCES, compile_source, nvrtc_version
from farlook.runtime.errors import BackendError, MissingExtraError, UsageError

_NO_DRIVER = "no NVIDIA driver is installed: `nvidia-smi` must list the GPU before anything can run on it"
_NO_DEVICE = "the NVIDIA driver lists no GPU: see CUDA_VISIBLE_DEVICES, and `nvidia-smi`"
_LOCK = Lock()
_MODULES: dict[int, dict[str, Any]] = {}


def open_device(number: int = 0) -> Any:  # cuda.core.Device
    """The GPU of this number, made the calling thread's current one.

    Returns:
        A `cuda.core.Device`.

    Raises:
        MissingExtraError: cuda.core is not installed.
        BackendError: There is no driver, no GPU, or the driver is older than the CUDA that is installed.
        UsageError: There are fewer GPUs.
    """
    count = count_devices()
    if not 0 <= number < count:
        raise UsageError(f"there is no GPU {number}: this machine has {count}, counted from 0")
    from cuda.core import Device  # noqa: PLC0415  # optional, and slow to import

    device = Device(number)
    try:
        device.set_current()
    except Exception as error:  # cuda.core's errors share no public base
        raise BackendError(f"the NVIDIA GPU {number} cannot be used: {error}") from error
    return device


def count_devices() -> int:
    """How many NVIDIA GPUs the driver offers, at least 1.

    Raises:
        MissingExtraError: cuda.bindings is not installed.
        BackendError: There is no driver, or no GPU.
    """
    _ask_driver("cuInit", 0)
    (count,) = _ask_driver("cuDeviceGetCount")
    if count == 0:
        raise BackendError(_NO_DEVICE)
    return int(count)


def driver_version() -> tuple[int, int]:
    """The newest CUDA that the driver runs, as in (12, 6).

    Raises:
        MissingExtraError: cuda.bindings is not installed.
        BackendError: There is no driver.
    """
    (version,) = _ask_driver("cuDriverGetVersion")
    return int(version) // 1000, int(version) % 1000 // 10


def kernel_of(device: Any, source: str, name: str) -> Any:  # cuda.core.Kernel
    """A kernel, compiled and loaded once for each GPU.

    Args:
        device: From `open_device`.
        source: The file, one of `SOURCES`.
        name: The kernel's.

    Raises:
        MissingExtraError: NVRTC is not installed.
        BackendError: The kernel cannot be compiled, or the driver cannot load it.
    """
    with _LOCK:
        modules = _MODULES.setdefault(device.device_id, {})
        if source not in modules:
            modules[source] = _load(device, source)
        module = modules[source]
    try:
        return module.get_kernel(name)
    except Exception as error:  # the driver takes code when the first kernel is asked for
        driver = ".".join(map(str, driver_version()))
        raise BackendError(
            f"the driver, for CUDA {driver}, cannot load {name}, compiled by NVRTC {nvrtc_version()}: {error}; "
            f"{_newer_driver()}"
        ) from error


def _load(device: Any, source: str) -> Any:
    if source not in SOURCES:
        raise UsageError(f"there is no CUDA source {source!r}")
    driver, compiler = driver_version(), nvrtc_version()
    if driver[0] < int(compiler.split(".", maxsplit=1)[0]):
        raise BackendError(
            f"the NVIDIA driver is too old: it runs CUDA {driver[0]}.{driver[1]}, but NVRTC {compiler} is installed; "
            f"{_newer_driver()}"
        )
    return compile_source(source, int(device.arch))


def _newer_driver() -> str:
    major = driver_version()[0]
    return f"install a newer driver, or: pip install 'cuda-bindings[all]=={major}.*'"


def _ask_driver(function: str, *arguments: Any) -> tuple[Any, ...]:
    """Call a function of the driver."""
    try:
        from cuda.bindings import driver  # noqa: PLC0415  # optional
    except ImportError as error:
        raise MissingExtraError("cuda.bindings", "cuda", "to use an NVIDIA GPU") from error
    try:
        status, *values = getattr(driver, function)(*arguments)
    except RuntimeError as error:  # libcuda is looked for at the first call
        raise BackendError(_NO_DRIVER) from error
    if status == driver.CUresult.CUDA_ERROR_NO_DEVICE:
        raise BackendError(_NO_DEVICE)
    if status != driver.CUresult.CUDA_SUCCESS:
        raise BackendError(f"the NVIDIA driver failed in {function}: {status.name}; see `nvidia-smi`")
    return tuple(values)
