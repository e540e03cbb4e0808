"""What is asked of NVML, through a stand-in with the names that nvidia-ml-py documents."""

from types import SimpleNamespace

import pytest

from farlook.runtime.profile import nvml


class NVMLError(Exception):
    pass


def refused(*_):
    raise NVMLError("not supported")


def stand_in(**changes):
    process = SimpleNamespace(pid=42, usedGpuMemory=123_000_000)
    members = {
        "NVMLError": NVMLError,
        "NVML_CLOCK_SM": 1,
        "NVML_CLOCK_MEM": 2,
        "NVML_TEMPERATURE_GPU": 0,
        "nvmlInit": lambda: None,
        "nvmlDeviceGetHandleByIndex": lambda index: f"handle {index}",
        "nvmlDeviceGetHandleByUUID": lambda uuid: f"handle {uuid}",
        "nvmlDeviceGetIndex": lambda handle: 3,
        "nvmlDeviceGetTotalEnergyConsumption": lambda handle: 5000,
        "nvmlDeviceGetPowerUsage": lambda handle: 70_000,
        "nvmlDeviceGetClockInfo": lambda handle, kind: 1000 * kind,
        "nvmlDeviceGetMaxClockInfo": lambda handle, kind: 2000,
        "nvmlDeviceGetTemperature": lambda handle, kind: 55,
        "nvmlDeviceGetMemoryInfo": lambda handle: SimpleNamespace(used=2_000_000_000),
        "nvmlDeviceGetCurrentClocksEventReasons": lambda handle: 0x24,
        "nvmlDeviceGetComputeRunningProcesses": lambda handle: [process],
        "nvmlDeviceGetName": lambda handle: b"Some GPU",
        "nvmlDeviceGetUUID": lambda handle: "GPU-1",
        "nvmlDeviceGetEnforcedPowerLimit": refused,
        "nvmlSystemGetDriverVersion": lambda: "580.65.06",
    }
    return SimpleNamespace(
        **{key: value for key, value in {**members, **changes}.items() if value is not None}
    )


@pytest.fixture
def find(monkeypatch):
    """Look for a GPU with a stand-in for the module; None stands for one that is not installed."""

    def look(module):
        def give(name):
            if module is None:
                raise ImportError(name)
            return module

        monkeypatch.setattr(nvml, "import_module", give)
        nvml.find_gpu.cache_clear()
        return nvml.find_gpu()

    yield look
    nvml.find_gpu.cache_clear()


def sensors(gpu):
    return {(sensor.name, sensor.unit): sensor.read() for sensor in gpu.sensors()}


def test_the_energy_counter_goes_before_power(find, monkeypatch):
    monkeypatch.delenv("CUDA_VISIBLE_DEVICES", raising=False)
    gpu, why_none = find(stand_in())
    assert (gpu.index, why_none) == (0, "")
    found = sensors(gpu)
    assert found["GPU 0", "J"] == 5.0
    assert ("GPU 0", "W") not in found
    assert found["GPU 0 memory in use", "MB"] == 2000
    assert found["GPU 0 SM", "MHz"] == 1000


def test_power_where_there_is_no_counter(find):
    gpu, _ = find(stand_in(nvmlDeviceGetTotalEnergyConsumption=refused, nvmlDeviceGetTemperature=refused))
    found = sensors(gpu)
    assert found["GPU 0", "W"] == 70.0
    assert ("GPU 0", "C") not in found


def test_older_drivers_call_the_reasons_otherwise(find):
    old = stand_in(
        nvmlDeviceGetCurrentClocksEventReasons=None,
        nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 8,
    )
    gpu, _ = find(old)
    assert sensors(gpu)["GPU 0 slowed by", "flags"] == 8


def test_reasons_by_an_older_driver_under_a_newer_package(find):
    gpu, _ = find(
        stand_in(
            nvmlDeviceGetCurrentClocksEventReasons=refused,
            nvmlDeviceGetCurrentClocksThrottleReasons=lambda handle: 4,
        )
    )
    assert sensors(gpu)["GPU 0 slowed by", "flags"] == 4


def test_facts_and_memory_of_a_process(find):
    gpu, _ = find(stand_in())
    assert gpu.describe() == {
        "name": "Some GPU",
        "uuid": "GPU-1",
        "driver": "580.65.06",
        "max_sm_mhz": 2000.0,
    }
    assert gpu.process_bytes(42) == 123_000_000
    assert gpu.process_bytes(43) is None


@pytest.mark.parametrize(("visible", "index"), [("2,0", 2), ("GPU-77,GPU-1", 3), ("", 0)])
def test_the_gpu_is_the_first_that_cuda_sees(find, monkeypatch, visible, index):
    monkeypatch.setenv("CUDA_VISIBLE_DEVICES", visible)
    gpu, _ = find(stand_in())
    assert gpu.index == index


def test_without_the_package_or_a_gpu(find):
    assert find(None) == (None, f"NVML is not asked: {nvml.REMEDY}")
    gpu, why_none = find(stand_in(nvmlInit=refused))
    assert gpu is None
    assert "not supported" in why_none
