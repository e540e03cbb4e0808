# ruff: noqa: N802  # names of the CUDA driver
"""What this machine is: a driver that is there or not, and Jetsons."""

from __future__ import annotations

import ctypes

import pytest

from farlook.runtime import machine as machines
from farlook.runtime.machine import Gpu, Jetson, this_machine, version_text


@pytest.fixture(autouse=True)
def _look_anew():
    this_machine.cache_clear()
    yield
    this_machine.cache_clear()


class Driver:
    """libcuda, as far as it is asked."""

    def __init__(self, status=0, devices=1):
        self.status, self.devices = status, devices

    def cuDriverGetVersion(self, version):
        version._obj.value = 12060
        return 0

    def cuInit(self, flags):
        return self.status

    def cuDeviceGetCount(self, count):
        count._obj.value = self.devices
        return 0

    def cuDeviceGet(self, device, number):
        device._obj.value = number
        return 0

    def cuDeviceGetAttribute(self, value, attribute, device):
        value._obj.value = {75: 8, 76: 7, 18: 1}[attribute]
        return 0

    def cuDeviceGetName(self, name, length, device):
        ctypes.memmove(name, b"Orin\0", 5)
        return 0

    def cuDeviceTotalMem_v2(self, size, device):
        size._obj.value = 8 << 30
        return 0


def test_a_gpu_is_described(monkeypatch):
    monkeypatch.setattr(machines, "_library", Driver)
    found = this_machine()
    assert found.gpu == Gpu("Orin", 87, 8 << 30, integrated=True)
    assert (found.cuda, found.problem) == (12060, "")


@pytest.mark.parametrize(
    ("driver", "problem"),
    [
        (lambda: None, "there is no NVIDIA driver"),
        (lambda: Driver(status=100), "the NVIDIA driver cannot start: CUDA error 100"),
        (lambda: Driver(devices=0), "the NVIDIA driver sees no GPU"),
    ],
)
def test_why_there_is_no_gpu(monkeypatch, driver, problem):
    monkeypatch.setattr(machines, "_library", driver)
    found = this_machine()
    assert found.gpu is None
    assert problem in found.problem


def test_a_jetson_says_what_it_is(monkeypatch, tmp_path):
    release = "# R36 (release), REVISION: 4.3, GCID: 38968081, BOARD: generic, EABI: aarch64\n"
    (tmp_path / "release").write_text(release)
    (tmp_path / "model").write_bytes(b"NVIDIA Jetson Orin Nano Developer Kit\0")
    monkeypatch.setattr(machines, "_TEGRA_RELEASE", tmp_path / "release")
    monkeypatch.setattr(machines, "_MODEL", tmp_path / "model")
    monkeypatch.setattr(machines, "_jetpack", lambda: "6.2+b77")
    assert this_machine().jetson == Jetson("NVIDIA Jetson Orin Nano Developer Kit", "36.4.3", "6.2+b77")


@pytest.mark.parametrize(
    ("text", "version"),
    [
        ("NVRM version: NVIDIA UNIX Open Kernel Module for x86_64  580.65.06  Release Build\n", "580.65.06"),
        ("NVRM version: NVIDIA UNIX x86_64 Kernel Module  535.183.01  Sun May 12\n", "535.183.01"),
        ("", ""),
    ],
)
def test_the_drivers_version_is_read(monkeypatch, tmp_path, text, version):
    (tmp_path / "version").write_text(text)
    monkeypatch.setattr(machines, "_DRIVER_VERSION", tmp_path / "version")
    assert this_machine().driver == version


def test_versions_are_written_as_people_do():
    assert [version_text(cuda) for cuda in (12060, 13000, 11040)] == ["12.6", "13.0", "11.4"]
