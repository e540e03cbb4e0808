"""Small trees of files as the kernel documents them, and profiles made of given numbers."""

from __future__ import annotations

import pytest

from farlook.runtime.profile.measure import Frame, Phase, Plan, Profile
from farlook.runtime.profile.tree import Tree


def write_tree(root, files):
    for path, text in files.items():
        file = root / path
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(f"{text}\n")
    return Tree(root)


@pytest.fixture
def make_tree(tmp_path):
    """A maker of trees from {path: text}."""
    return lambda files: write_tree(tmp_path / "root", files)


def rail(folder, channel, label, millivolts, milliamperes):
    """One channel of the kernel's ina3221 driver (Documentation/hwmon/ina3221.rst)."""
    return {
        f"{folder}/in{channel}_label": label,
        f"{folder}/in{channel}_enable": "1",
        f"{folder}/in{channel}_input": millivolts,
        f"{folder}/curr{channel}_input": milliamperes,
    }


INA = "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1"
INA_41 = "sys/bus/i2c/drivers/ina3221/1-0041/hwmon/hwmon2"


@pytest.fixture
def orin(make_tree):
    """Sysfs of an AGX Orin: labels as in the kernel's tegra234-p3701.dtsi, where a channel of 1-0041 is unused."""
    return make_tree(
        {
            **rail(INA, 1, "VDD_GPU_SOC", 5000, 1200),
            **rail(INA, 2, "VDD_CPU_CV", 5000, 300),
            **rail(INA, 3, "VIN_SYS_5V0", 4968, 900),
            f"{INA}/in7_label": "sum of shunt voltages",
            f"{INA}/in7_input": "760",
            **rail(INA_41, 1, "NC", 0, 0),
            **rail(INA_41, 2, "VDDQ_VDD2_1V8AO", 1800, 341),
            f"{INA_41}/in3_label": "SPARE",
            f"{INA_41}/in3_enable": "0",
            "sys/devices/system/cpu/cpufreq/policy0/scaling_governor": "schedutil",
            "sys/devices/system/cpu/cpufreq/policy0/scaling_cur_freq": "729600",
            "sys/devices/system/cpu/cpufreq/policy0/cpuinfo_max_freq": "2201600",
            "sys/class/devfreq/17000000.gpu/governor": "nvhost_podgov",
            "sys/class/devfreq/17000000.gpu/min_freq": "306000000",
            "sys/class/devfreq/17000000.gpu/cur_freq": "408000000",
            "sys/class/devfreq/17000000.gpu/max_freq": "1300500000",
            "sys/class/devfreq/bwmgr/cur_freq": "3199000000",
            "sys/class/thermal/thermal_zone0/type": "cpu-thermal",
            "sys/class/thermal/thermal_zone0/temp": "47500",
            "sys/class/thermal/thermal_zone1/type": "tboard-fan",
            "sys/class/thermal/thermal_zone1/temp": "40000",
            "sys/class/hwmon/hwmon3/name": "soctherm_oc",
            "sys/class/hwmon/hwmon3/oc1_event_cnt": "0",
            "sys/class/hwmon/hwmon3/oc3_event_cnt": "2",
            "etc/nv_tegra_release": "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64",
            "proc/device-tree/model": "NVIDIA Jetson AGX Orin Developer Kit",
            "proc/meminfo": "MemTotal:       64349384 kB",
        }
    )


def frame(total, start=0.0, size=100, **stages):
    """A frame of `total` seconds; what its stages leave is "other"."""
    return Frame(start, total, total, size, {**stages, "other": total - sum(stages.values())})


@pytest.fixture
def made():
    """A profile of two encodes and three decodes, of 100x50 pixels."""
    encodes = [frame(0.010, 0.0, analysis=0.006, entropy=0.003), frame(0.030, 0.01, analysis=0.006)]
    decodes = [frame(0.002, 0.1 + 0.01 * i, synthesis=0.001) for i in range(3)]
    return Profile(
        Plan("block8-paper", target={"quality": 30}),
        (50, 100, 3),
        bundle={"codec": "block8-paper", "digest": "00", "path": "x"},
        backend="ort",
        machine={"cpu": "some", "cores": 4},
        memory={"before": 10_000_000, "after": 20_000_000},
        phases=[Phase("encode", encodes, 0.05, 30_000_000), Phase("decode", decodes, 0.01, 31_000_000)],
    )
