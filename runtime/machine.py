"""What machine this is, as far as engines care: GPU, driver, CUDA, JetPack. Needs no package beside Python's.

The GPU is asked through the driver's own library, which every NVIDIA machine has, Jetson included.
"""

from __future__ import annotations

import ctypes
import platform
import re
import subprocess
from dataclasses import dataclass
from functools import lru_cache
from pathlib import Path
from typing import Any

_DRIVERS = ("libcuda.so.1", "libcuda.so")
_MAJOR, _MINOR, _INTEGRATED = 75, 76, 18
"""CU_DEVICE_ATTRIBUTE_COMPUTE_CAPABILITY_MAJOR, _MINOR and CU_DEVICE_ATTRIBUTE_INTEGRATED of cuda.h."""

_TEGRA_RELEASE = Path("/etc/nv_tegra_release")
_MODEL = Path("/proc/device-tree/model")
_DRIVER_VERSION = Path("/proc/driver/nvidia/version")


@dataclass(frozen=True)
class Gpu:
    """One GPU.

    Attributes:
        name: As the driver calls it.
        sm: Compute capability times ten, as in 86.
        memory: Bytes; on a Jetson those that it shares with the processor.
        integrated: Whether it shares the processor's memory.
    """

    name: str
    sm: int
    memory: int
    integrated: bool


@dataclass(frozen=True)
class Jetson:
    """What a Jetson says of itself; empty where it does not.

    Attributes:
        model: The board.
        l4t: Version of Jetson Linux, as in "36.4".
        jetpack: Version of the package nvidia-jetpack, as in "6.1+b123".
    """

    model: str
    l4t: str
    jetpack: str


@dataclass(frozen=True)
class Machine:
    """This machine.

    Attributes:
        gpu: The first GPU; None without one, or without a driver.
        problem: Why there is none; empty if there is.
        driver: Version of NVIDIA's driver, as in "580.65.06"; empty if it is not known.
        cuda: The newest CUDA that the driver serves, as 1000 * major + 10 * minor; 0 without a driver.
        jetson: None on other machines.
        platform: System and processor, as in "linux-x86_64".
    """

    gpu: Gpu | None
    problem: str
    driver: str
    cuda: int
    jetson: Jetson | None
    platform: str


@lru_cache
def this_machine() -> Machine:
    """Look; once in a process."""
    gpu, cuda, problem = _ask_driver()
    return Machine(
        gpu, problem, _driver(), cuda, _jetson(), f"{platform.system().lower()}-{platform.machine()}"
    )


def version_text(cuda: int) -> str:
    """CUDA's version as people write it: 12060 is "12.6"."""
    return f"{cuda // 1000}.{cuda % 1000 // 10}"


def _ask_driver() -> tuple[Gpu | None, int, str]:
    """The first GPU, the driver's CUDA, and what is wrong."""
    library = _library()
    if library is None:
        return None, 0, "there is no NVIDIA driver (libcuda.so.1)"
    version = ctypes.c_int()
    library.cuDriverGetVersion(ctypes.byref(version))
    code = library.cuInit(0)
    if code:
        return None, version.value, f"the NVIDIA driver cannot start: CUDA error {code}"
    count = ctypes.c_int()
    library.cuDeviceGetCount(ctypes.byref(count))
    if not count.value:
        return None, version.value, "the NVIDIA driver sees no GPU"
    return _gpu(library), version.value, ""


def _gpu(library: Any) -> Gpu:
    device, value = ctypes.c_int(), ctypes.c_int()
    library.cuDeviceGet(ctypes.byref(device), 0)
    found = {}
    for attribute in (_MAJOR, _MINOR, _INTEGRATED):
        library.cuDeviceGetAttribute(ctypes.byref(value), attribute, device)
        found[attribute] = value.value
    name = ctypes.create_string_buffer(256)
    library.cuDeviceGetName(name, len(name), device)
    memory = ctypes.c_size_t()
    library.cuDeviceTotalMem_v2(ctypes.byref(memory), device)
    return Gpu(
        name.value.decode(errors="replace"),
        10 * found[_MAJOR] + found[_MINOR],
        memory.value,
        bool(found[_INTEGRATED]),
    )


def _library() -> Any:
    for name in _DRIVERS:
        try:
            return ctypes.CDLL(name)
        except OSError:
            continue
    return None


def _driver() -> str:
    match = re.search(r"(?:Kernel Module|NVRM version:.*?)\s+(\d+\.\d[\d.]*)", _text(_DRIVER_VERSION))
    return match[1] if match else ""


def _jetson() -> Jetson | None:
    release, model = _text(_TEGRA_RELEASE), _text(_MODEL).rstrip("\0\n ")
    if not release and "jetson" not in model.lower():
        return None
    match = re.search(r"R(\d+) \(release\), REVISION: ([\d.]+)", release)
    return Jetson(model, f"{match[1]}.{match[2]}" if match else "", _jetpack())


def _jetpack() -> str:
    """Version of the package nvidia-jetpack, which JetPack's full installation has."""
    try:
        command = ["/usr/bin/dpkg-query", "-W", "-f=${Version}", "nvidia-jetpack"]
        done = subprocess.run(command, capture_output=True, text=True, timeout=10, check=False)  # noqa: S603
    except (OSError, subprocess.TimeoutExpired):
        return ""
    return done.stdout.strip() if done.returncode == 0 else ""


def _text(path: Path) -> str:
    try:
        return path.read_text(errors="replace")
    except OSError:
        return ""
