"""Rails of a Jetson, counters of a PC, and power sensors of other chips."""

import pytest

from farlook.runtime.profile.power import power_sensors

RAPL = "sys/class/powercap/intel-rapl:0"


def test_rails_in_use_are_sensors_of_their_own(orin):
    found = {sensor.name: (sensor.unit, sensor.read(), sensor.source) for sensor in power_sensors(orin)}
    assert found == {
        "VDD_GPU_SOC": ("W", pytest.approx(6.0), "INA3221 at 1-0040"),
        "VDD_CPU_CV": ("W", pytest.approx(1.5), "INA3221 at 1-0040"),
        "VIN_SYS_5V0": ("W", pytest.approx(4.4712), "INA3221 at 1-0040"),
        "VDDQ_VDD2_1V8AO": ("W", pytest.approx(0.6138), "INA3221 at 1-0041"),
    }


def test_a_chip_that_only_the_class_lists(make_tree):
    folder = "sys/class/hwmon/hwmon5"
    files = {"name": "ina3221", "in1_label": "VDD_IN", "in1_input": "5000", "curr1_input": "1000"}
    tree = make_tree({f"{folder}/{name}": text for name, text in files.items()})
    [sensor] = power_sensors(tree)
    assert (sensor.name, sensor.read()) == ("VDD_IN", pytest.approx(5.0))


def test_a_rail_that_stops_answering(orin):
    [sensor] = [each for each in power_sensors(orin) if each.name == "VDD_GPU_SOC"]
    (orin.root / "sys/bus/i2c/drivers/ina3221/1-0040/hwmon/hwmon1/curr1_input").unlink()
    assert sensor.read() is None


def test_rapl_counters_wrap(make_tree):
    files = {"name": "package-0", "energy_uj": "2500000", "max_energy_range_uj": "262143328850"}
    [sensor] = power_sensors(make_tree({f"{RAPL}/{name}": text for name, text in files.items()}))
    assert (sensor.name, sensor.unit, sensor.read()) == ("CPU package-0", "J", 2.5)
    assert sensor.wrap == pytest.approx(262143.32885)


def test_a_counter_that_may_not_be_read_is_no_sensor(make_tree):
    assert power_sensors(make_tree({f"{RAPL}/name": "package-0"})) == []


def test_a_chip_that_gives_watts_itself(make_tree):
    tree = make_tree(
        {"sys/class/hwmon/hwmon0/name": "ina238", "sys/class/hwmon/hwmon0/power1_input": "25000000"}
    )
    [sensor] = power_sensors(tree)
    assert (sensor.name, sensor.unit, sensor.read()) == ("VIN", "W", 25.0)


def test_sensors_of_two_processors_are_told_apart(make_tree):
    """Idle power is looked up by the sensor: of one's that is taken off the other's, nothing would be right."""
    files = {}
    for package, joules in ((0, 1), (1, 2)):
        folder = f"sys/class/powercap/intel-rapl:{package}:0"
        files |= {f"{folder}/name": "dram", f"{folder}/energy_uj": f"{joules}000000"}
        folder = f"sys/class/hwmon/hwmon{package}"
        files |= {f"{folder}/name": "ina238", f"{folder}/power1_input": f"{joules}000000"}
    assert len(set(power_sensors(make_tree(files)))) == 4
