"""NVIDIA GPUs by NVML, NVIDIA's management library; on Jetsons it tells little or nothing."""

from __future__ import annotations

import os
from dataclasses import dataclass, field
from functools import lru_cache, partial
from importlib import import_module
from typing import TYPE_CHECKING, Any

from farlook.runtime.profile.sensors import Sensor

if TYPE_CHECKING:
    from collections.abc import Callable

REMEDY = "pip install nvidia-ml-py"

_REASONS = ("nvmlDeviceGetCurrentClocksEventReasons", "nvmlDeviceGetCurrentClocksThrottleReasons")
_SLOWER = {
    0x04: "power cap",
    0x08: "hardware slowdown",
    0x20: "software thermal slowdown",
    0x40: "hardware thermal slowdown",
    0x80: "power brake",
}
"""Bits of NVML's clock event reasons that mean a slower GPU; idle and user-set clocks are none of them."""


@dataclass(frozen=True)
class Gpu:
    """One GPU, as NVML sees it.

    Attributes:
        nvml: The module `pynvml`.
        handle: NVML's.
        index: Its number.
    """

    nvml: Any = field(repr=False)
    handle: Any = field(repr=False)
    index: int

    def sensors(self) -> list[Sensor]:
        """Energy (or power where there is no counter), clocks, temperature, memory, and why clocks are low."""
        nvml, name = self.nvml, f"GPU {self.index}"
        clock = partial(self._ask, "nvmlDeviceGetClockInfo")
        energy = Sensor(name, "J", partial(self._scaled, 1e-3, "nvmlDeviceGetTotalEnergyConsumption"), "NVML")
        power = Sensor(name, "W", partial(self._scaled, 1e-3, "nvmlDeviceGetPowerUsage"), "NVML")
        # The first name is of driver 535 and newer; older pynvml lacks it, older drivers refuse it.
        reasons = next((name for name in _REASONS if self._ask(name) is not None), _REASONS[0])
        candidates = [
            energy if energy.read() is not None else power,
            Sensor(f"{name} SM", "MHz", partial(clock, nvml.NVML_CLOCK_SM), "NVML"),
            Sensor(f"{name} memory", "MHz", partial(clock, nvml.NVML_CLOCK_MEM), "NVML"),
            Sensor(
                name, "C", partial(self._ask, "nvmlDeviceGetTemperature", nvml.NVML_TEMPERATURE_GPU), "NVML"
            ),
            Sensor(f"{name} memory in use", "MB", self.used_megabytes, "NVML"),
            Sensor(f"{name} slowed by", "flags", partial(self._ask, reasons), "NVML", flags=_SLOWER),
        ]
        return [sensor for sensor in candidates if sensor.read() is not None]

    def used_megabytes(self) -> float | None:
        """Memory in use on the GPU, by all processes, in units of 10^6 bytes."""
        memory = self._value("nvmlDeviceGetMemoryInfo")
        return None if memory is None else memory.used / 1e6

    def process_bytes(self, pid: int) -> int | None:
        """Memory that a process holds; None if NVML does not say, as inside some containers."""
        for process in self._value("nvmlDeviceGetComputeRunningProcesses") or []:
            if process.pid == pid and process.usedGpuMemory is not None:
                return int(process.usedGpuMemory)
        return None

    def describe(self) -> dict[str, Any]:
        """Name, driver, limits: for a report."""
        nvml = self.nvml
        facts = {
            "name": _as_text(self._value("nvmlDeviceGetName")),
            "uuid": _as_text(self._value("nvmlDeviceGetUUID")),
            "driver": _as_text(_tried(nvml, nvml.nvmlSystemGetDriverVersion)),
            "power_limit_w": self._scaled(1e-3, "nvmlDeviceGetEnforcedPowerLimit"),
            "max_sm_mhz": self._ask("nvmlDeviceGetMaxClockInfo", nvml.NVML_CLOCK_SM),
        }
        return {key: value for key, value in facts.items() if value is not None}

    def _value(self, name: str, *arguments: Any) -> Any:
        function = getattr(self.nvml, name, None)
        return _tried(self.nvml, partial(function, self.handle, *arguments)) if function else None

    def _ask(self, name: str, *arguments: Any) -> float | None:
        value = self._value(name, *arguments)
        return None if value is None else float(value)

    def _scaled(self, factor: float, name: str) -> float | None:
        value = self._ask(name)
        return None if value is None else value * factor


@lru_cache
def find_gpu() -> tuple[Gpu | None, str]:
    """The GPU that CUDA's device 0 is, and why there is none where there is none."""
    try:
        pynvml: Any = import_module("pynvml")
    except ImportError:
        return None, f"NVML is not asked: {REMEDY}"
    try:
        pynvml.nvmlInit()
        return _first_visible(pynvml), ""
    except pynvml.NVMLError as error:
        return None, f"no NVIDIA GPU that NVML knows: {error}"


def _first_visible(nvml: Any) -> Gpu:
    """CUDA numbers GPUs by speed unless CUDA_DEVICE_ORDER says otherwise, NVML by bus: they can differ."""
    first = os.environ.get("CUDA_VISIBLE_DEVICES", "").split(",")[0].strip()
    if first.startswith(("GPU-", "MIG-")):
        handle = nvml.nvmlDeviceGetHandleByUUID(first)
        return Gpu(nvml, handle, int(nvml.nvmlDeviceGetIndex(handle)))
    index = int(first) if first.isdigit() else 0
    return Gpu(nvml, nvml.nvmlDeviceGetHandleByIndex(index), index)


def _tried(nvml: Any, ask: Callable[[], Any]) -> Any:
    """What NVML answers; None where this GPU or driver does not have it."""
    try:
        return ask()
    except nvml.NVMLError:
        return None


def _as_text(value: Any) -> str | None:
    """Older versions of pynvml give bytes."""
    return value.decode() if isinstance(value, bytes) else value
