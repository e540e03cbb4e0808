"""What is said of the machine, and the command for what it lacks."""

from __future__ import annotations

import pytest

from farlook.runtime import doctor_machine
from farlook.runtime.backends.base import Probe
from farlook.runtime.doctor import _auto
from farlook.runtime.doctor_machine import look_at_machine
from farlook.runtime.machine import Gpu, Jetson, Machine

RTX = Gpu("NVIDIA GeForce RTX 3060", 86, 12 << 30, integrated=False)
ORIN = Gpu("Orin", 87, 8 << 30, integrated=True)


@pytest.fixture
def look(monkeypatch, tmp_path):
    """What is found on a machine with some packages, devices and an operating system."""

    def look(gpu=RTX, *, cuda=13000, jetson=None, packages=(), vendors=("0x10de",), system="ID=debian\n"):
        problem = "" if gpu else "there is no NVIDIA driver (libcuda.so.1)"
        machine = Machine(gpu, problem, "580.65.06", cuda if gpu else 0, jetson, "linux-x86_64")
        for number, vendor in enumerate(vendors):
            (tmp_path / str(number)).mkdir()
            (tmp_path / str(number) / "vendor").write_text(f"{vendor}\n")
        (tmp_path / "os-release").write_text(system)
        monkeypatch.setattr(doctor_machine, "this_machine", lambda: machine)
        monkeypatch.setattr(doctor_machine, "_PCI", tmp_path)
        monkeypatch.setattr(doctor_machine, "_OS_RELEASE", tmp_path / "os-release")
        monkeypatch.setattr(doctor_machine, "_version", lambda name: "1.0" if name in packages else None)
        return {finding.name: finding for finding in look_at_machine()}

    return look


def test_a_gpu_and_its_driver_are_described(look):
    found = look(packages=("cuda-bindings",))
    assert found["GPU"].detail == "NVIDIA GeForce RTX 3060, compute capability 8.6, 12.0 GiB"
    assert found["driver"].detail == "NVIDIA driver 580.65.06, for CUDA 13.0; cuda-bindings 1.0"
    assert all(finding.works for finding in found.values())


def test_a_machine_without_nvidia_needs_no_driver(look):
    found = look(None, vendors=("0x8086", "0x1002"))
    assert list(found) == ["GPU"]
    assert found["GPU"].detail.startswith("this machine has no NVIDIA GPU")
    assert found["GPU"].remedy == ""


@pytest.mark.parametrize(
    ("system", "command"),
    [
        ("ID=ubuntu\nID_LIKE=debian\n", "sudo ubuntu-drivers install"),
        ("ID=debian\n", "sudo apt-get install nvidia-driver"),
        ('ID="linuxmint"\nID_LIKE="ubuntu debian"\n', "sudo ubuntu-drivers install"),
        ("ID=arch\n", "https://www.nvidia.com/drivers"),
    ],
)
def test_a_gpu_without_a_driver_comes_with_the_command(look, system, command):
    found = look(None, system=system)
    assert (found["GPU"].works, found["GPU"].remedy) == (False, command)


def test_a_driver_that_is_too_old_for_tensorrt_is_named(look):
    found = look(cuda=12080, packages=("tensorrt_rtx_cu13",))
    assert not found["driver"].works
    assert "for CUDA 12.8: too old for tensorrt_rtx_cu13, which needs CUDA 13.0" in found["driver"].detail
    assert found["driver"].remedy == "sudo apt-get install nvidia-driver"


def test_a_jetson_is_described(look):
    found = look(ORIN, cuda=12060, jetson=Jetson("Jetson Orin Nano", "36.4.3", "6.2+b77"))
    assert found["GPU"].detail.endswith("8.0 GiB, shared with the processor")
    assert found["JetPack"].works
    assert found["JetPack"].detail == "6.2+b77 on Jetson Orin Nano, Jetson Linux 36.4.3"


@pytest.mark.parametrize("gpu", [ORIN, None])
def test_a_jetson_without_jetpack_comes_with_the_command(look, gpu):
    found = look(gpu, cuda=12060, jetson=Jetson("Jetson Orin Nano", "36.4.3", ""))
    command = "sudo apt-get update && sudo apt-get install nvidia-jetpack"
    assert (found["JetPack"].works, found["JetPack"].remedy) == (False, command)
    if gpu is None:
        assert found["GPU"].remedy == command


@pytest.mark.parametrize(
    ("working", "detail"),
    [
        ({"ort"}, "networks run by ort"),
        ({"ort-cuda", "ort"}, "networks run by ort-cuda"),
        ({"tensorrt", "ort"}, "networks run by ort; tensorrt for those that farlook build made engines of"),
        ({"ort-trt"}, "no backend runs networks here"),
        (set(), "no backend runs networks here"),
    ],
)
def test_what_auto_takes_is_told(working, detail):
    names = ("tensorrt", "rtx", "ort-cuda", "ort", "ort-trt")
    found = _auto([Probe(name, works=name in working, detail="") for name in names])
    assert found.detail == detail
    assert found.works is bool(working & {"ort", "ort-cuda", "tensorrt"})
