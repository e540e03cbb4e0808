"""What a machine says of itself, and what is wrong with it for measuring."""

from farlook.runtime.profile.machine import describe_machine, machine_sensors, parse_power_mode, warnings_for
from farlook.runtime.profile.tree import Tree


def test_a_jetson(orin):
    facts = describe_machine(orin)
    assert facts["board"] == "NVIDIA Jetson AGX Orin Developer Kit"
    assert facts["jetson_linux"] == "36.4.3"
    assert facts["governor"] == ["schedutil"]
    assert facts["cpu_max_mhz"] == 2201.6
    assert facts["memory_bytes"] == 64349384 * 1024
    assert facts["gpu_devfreq"] == {
        "17000000.gpu": {"governor": "nvhost_podgov", "min_mhz": 306, "cur_mhz": 408, "max_mhz": 1300.5}
    }
    assert {"VDD_GPU_SOC", "GPU 17000000.gpu"} <= {sensor.name for sensor in machine_sensors(orin)}


def test_this_machine_names_itself_and_its_packages():
    facts = describe_machine(Tree())
    assert facts["cpu"]
    assert facts["cores"] >= 1
    assert {"farlook", "numpy"} <= set(facts["versions"])


def test_power_mode_as_nvpmodel_prints_it():
    assert parse_power_mode("NV Power Mode: MAXN\n0\n") == "MAXN (0)"
    assert parse_power_mode("NVPM WARN: ...\nNV Power Mode: MODE_30W\n2\n") == "MODE_30W (2)"
    assert parse_power_mode("") is None


def test_warnings_name_the_command():
    busy = {"governor": ["powersave"], "load_1min": 3.0, "cores": 4}
    governor, load = warnings_for(busy)
    assert "cpupower frequency-set -g performance" in governor
    assert "3.0" in load
    [jetson] = warnings_for({"governor": ["schedutil"], "jetson_linux": "36.4.3", "cores": 8})
    assert "jetson_clocks" in jetson
    assert warnings_for({"governor": ["performance"], "load_1min": 0.1, "cores": 4}) == []
