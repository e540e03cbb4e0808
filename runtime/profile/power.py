"""Where Linux tells power: INA3221 rails of a Jetson, RAPL counters of a PC, and hwmon's power sensors.

Every rail is a sensor of its own. Rails are not added up: VDD_IN holds the others of an Orin NX or Nano, and
VIN_SYS_5V0 of an AGX Orin feeds VDDQ_VDD2_1V8AO, so a sum would count energy twice.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from farlook.runtime.profile.sensors import Sensor

if TYPE_CHECKING:
    from pathlib import Path

    from farlook.runtime.profile.tree import Tree

WHOLE_MODULE = ("VDD_IN", "VIN")
"""Rails that carry all of a module's power, or all of a board's."""

_CHANNELS = (1, 2, 3)
_UNUSED = ("", "NC")


def power_sensors(tree: Tree) -> list[Sensor]:
    """All power sensors of a machine that this user may read."""
    return [*_ina3221(tree), *_hwmon_power(tree), *_rapl(tree)]


def _ina3221(tree: Tree) -> list[Sensor]:
    """Rails by the kernel's ina3221 driver: millivolts and milliamperes, a label for each channel in use."""
    # JetPack 6 and 7 bind the driver "ina3221", some older kernels "ina3221x". The class lists the same chips.
    folders = tree.glob("sys/bus/i2c/drivers/ina3221*/*-*/hwmon/hwmon*")
    folders = folders or [
        folder
        for folder in tree.glob("sys/class/hwmon/hwmon*")
        if str(tree.text(folder / "name")).startswith("ina3221")
    ]
    sensors = []
    for folder in folders:
        chip = folder.parent.parent.name if folder.parent.name == "hwmon" else folder.name
        for channel in _CHANNELS:
            label = tree.text(folder / f"in{channel}_label") or ""
            enabled = tree.text(folder / f"in{channel}_enable")
            read = partial(_rail, tree, folder, channel)
            if label in _UNUSED or enabled == "0" or read() is None:
                continue
            sensors.append(Sensor(label, "W", read, f"INA3221 at {chip}"))
    return sensors


def _rail(tree: Tree, folder: Path, channel: int) -> float | None:
    millivolts = tree.number(folder / f"in{channel}_input")
    milliamperes = tree.number(folder / f"curr{channel}_input")
    return None if millivolts is None or milliamperes is None else millivolts * milliamperes * 1e-6


def _hwmon_power(tree: Tree) -> list[Sensor]:
    """Sensors that give microwatts themselves, as the INA238 at a Jetson Thor's input does."""
    sensors = []
    for file in tree.glob("sys/class/hwmon/hwmon*/power*_input"):
        chip = tree.text(file.parent / "name") or file.parent.name
        label = tree.text(file.with_name(file.name.replace("_input", "_label"))) or ""
        # The INA238 has no label of its own: the board's input is what it measures on a Thor.
        name = label or ("VIN" if chip.startswith("ina238") else f"{chip} {file.name.split('_')[0]}")
        read = partial(_scaled, tree, file, 1e-6)
        if read() is not None:
            sensors.append(Sensor(name, "W", read, f"{file.parent.name} {chip}"))
    return sensors


def _rapl(tree: Tree) -> list[Sensor]:
    """Energy counters of x86 processors, in microjoules; since Linux 5.10 only root may read them."""
    sensors = []
    for folder in tree.glob("sys/class/powercap/intel-rapl:*"):
        name = tree.text(folder / "name") or folder.name
        read = partial(_scaled, tree, folder / "energy_uj", 1e-6)
        if read() is not None:
            wrap = (tree.number(folder / "max_energy_range_uj") or 0.0) * 1e-6
            sensors.append(Sensor(f"CPU {name}", "J", read, f"RAPL {folder.name}", wrap))
    return sensors


def _scaled(tree: Tree, file: Path, factor: float) -> float | None:
    value = tree.number(file)
    return None if value is None else value * factor
