"""What `farlook doctor` says of the machine: GPU, driver, CUDA, JetPack, and what installs what is missing."""

from __future__ import annotations

import re
from importlib import metadata
from pathlib import Path
from typing import TYPE_CHECKING

from farlook.runtime.finding import Finding
from farlook.runtime.machine import this_machine, version_text

if TYPE_CHECKING:
    from farlook.runtime.machine import Gpu, Jetson, Machine

JETPACK_COMMAND = "sudo apt-get update && sudo apt-get install nvidia-jetpack"
_NVIDIA = "0x10de"
_PCI = Path("/sys/bus/pci/devices")
_OS_RELEASE = Path("/etc/os-release")
_DRIVER_COMMANDS = {
    "ubuntu": "sudo ubuntu-drivers install",
    "debian": "sudo apt-get install nvidia-driver",
    "fedora": "sudo dnf install akmod-nvidia",
}
_DRIVERS_PAGE = "https://www.nvidia.com/drivers"
_NEEDS_CUDA = {13000: ("tensorrt_cu13", "tensorrt_rtx_cu13"), 12000: ("tensorrt_cu12", "tensorrt_rtx_cu12")}
"""Packages that are made for a CUDA, which the driver must serve."""


def look_at_machine() -> list[Finding]:
    """The GPU, its driver and, on a Jetson, JetPack."""
    machine = this_machine()
    findings = [_gpu(machine)]
    if machine.gpu is not None:
        findings.append(_driver(machine))
    if machine.jetson is not None:
        findings.append(_jetpack(machine.jetson))
    return findings


def _gpu(machine: Machine) -> Finding:
    if machine.gpu is not None:
        return Finding("machine", "GPU", True, _describe(machine.gpu))
    if machine.jetson is None and not _has_nvidia():
        return Finding("machine", "GPU", False, "this machine has no NVIDIA GPU; networks run on the CPU")
    remedy = JETPACK_COMMAND if machine.jetson is not None else _driver_command()
    return Finding("machine", "GPU", False, machine.problem, remedy)


def _describe(gpu: Gpu) -> str:
    shared = ", shared with the processor" if gpu.integrated else ""
    memory = f"{gpu.memory / (1 << 30):.1f} GiB{shared}"
    return f"{gpu.name}, compute capability {gpu.sm // 10}.{gpu.sm % 10}, {memory}"


def _driver(machine: Machine) -> Finding:
    """The driver, and whether it is new enough for the TensorRT that is installed."""
    version = f"NVIDIA driver {machine.driver or 'of unknown version'}, for CUDA {version_text(machine.cuda)}"
    for needed, packages in _NEEDS_CUDA.items():
        found = [name for name in packages if _version(name)]
        if found and machine.cuda < needed:
            detail = f"{version}: too old for {', '.join(found)}, which needs CUDA {version_text(needed)}"
            remedy = JETPACK_COMMAND if machine.jetson else _driver_command()
            return Finding("machine", "driver", False, detail, remedy)
    bindings = _version("cuda-bindings")
    return Finding(
        "machine",
        "driver",
        True,
        f"{version}; {f'cuda-bindings {bindings}' if bindings else 'no cuda-bindings'}",
    )


def _jetpack(jetson: Jetson) -> Finding:
    release = f"Jetson Linux {jetson.l4t}" if jetson.l4t else "Jetson Linux of unknown version"
    board = jetson.model or "a Jetson"
    if jetson.jetpack:
        return Finding("machine", "JetPack", True, f"{jetson.jetpack} on {board}, {release}")
    detail = (
        f"the package nvidia-jetpack is not installed on {board}, {release}: CUDA and TensorRT may be missing"
    )
    return Finding("machine", "JetPack", False, detail, JETPACK_COMMAND)


def _has_nvidia() -> bool:
    """Whether there is a device of NVIDIA's on the PCI bus."""
    try:
        vendors = [path.read_text().strip() for path in _PCI.glob("*/vendor")]
    except OSError:
        return False
    return _NVIDIA in vendors


def _driver_command() -> str:
    """What installs the driver here; a page where that is not known."""
    try:
        text = _OS_RELEASE.read_text()
    except OSError:
        return _DRIVERS_PAGE
    names = re.findall(r"^ID(?:_LIKE)?=\"?([^\"\n]+)", text, re.MULTILINE)
    known = [name for line in names for name in line.split() if name in _DRIVER_COMMANDS]
    return _DRIVER_COMMANDS[known[0]] if known else _DRIVERS_PAGE


def _version(name: str) -> str | None:
    try:
        return metadata.version(name)
    except metadata.PackageNotFoundError:
        return None
