"""CUDA kernels compiled at run time: by NVRTC without a GPU, and clear words where something is missing."""

from __future__ import annotations

import sys

import pytest

from farlook.kernels.cuda import compile as compiling
from farlook.kernels.cuda import device as devices
from farlook.kernels.cuda.compile import SOURCES, compile_source, nvrtc_capabilities, nvrtc_version
from farlook.kernels.cuda.device import count_devices, open_device
from farlook.runtime.errors import BackendError, MissingExtraError, UsageError


@pytest.fixture
def nvrtc():
    """NVRTC's compute capabilities; a test that needs it is left out where it is not installed."""
    pytest.importorskip("cuda.core")
    try:
        return nvrtc_capabilities()
    except MissingExtraError as error:
        pytest.skip(str(error))


@pytest.mark.parametrize("source", SOURCES)
def test_nvrtc_compiles_the_kernels(nvrtc, source):
    code = compile_source(source, 86 if 86 in nvrtc else nvrtc[-1])
    names = {"analysis.cu": b"b8_analysis_rgb", "synthesis.cu": b"b8_lists_rgb"}
    assert names[source] in code.code


def test_a_newer_gpu_gets_ptx():
    assert compiling._target(86, [75, 86, 120]) == ("sm_86", "cubin")
    assert compiling._target(130, [75, 86, 120]) == ("compute_120", "ptx")


def test_an_older_gpu_is_refused_with_what_to_do(nvrtc):
    with pytest.raises(BackendError, match=r"compute capability 3\.0.*pip install"):
        compile_source("analysis.cu", 30)


def test_a_source_that_does_not_compile_is_named(nvrtc, tmp_path, monkeypatch):
    (tmp_path / "broken.cu").write_text("int x = ;")
    monkeypatch.setattr(compiling, "FOLDER", tmp_path)
    with pytest.raises(BackendError, match=r"cannot compile broken\.cu for sm_"):
        compile_source("broken.cu", nvrtc[-1])


@pytest.mark.parametrize("module", ["cuda.core", "cuda.bindings"])
def test_a_missing_package_is_named_with_its_extra(monkeypatch, module):
    monkeypatch.setitem(sys.modules, module, None)
    with pytest.raises(MissingExtraError, match=r"farlook\[cuda\]"):
        compile_source("analysis.cu", 86)


def test_a_missing_driver_is_named():
    pytest.importorskip("cuda.bindings")
    try:
        count_devices()
    except BackendError as error:
        assert "NVIDIA driver" in str(error)  # noqa: PT017  # with a GPU there is nothing to raise
        with pytest.raises(BackendError, match="nvidia-smi"):
            open_device(0)
    else:
        with pytest.raises(UsageError, match="there is no GPU 99"):
            open_device(99)


@pytest.mark.parametrize(("driver", "fits"), [((12, 6), False), ((13, 0), True)])
def test_a_driver_that_is_too_old_is_named(monkeypatch, driver, fits):
    monkeypatch.setattr(devices, "driver_version", lambda: driver)
    monkeypatch.setattr(devices, "nvrtc_version", lambda: "13.0")
    monkeypatch.setattr(devices, "compile_source", lambda name, capability: (name, capability))
    device = type("Device", (), {"arch": "86"})()
    if fits:
        assert devices._load(device, "analysis.cu") == ("analysis.cu", 86)
    else:
        with pytest.raises(BackendError, match=r"too old: it runs CUDA 12\.6.*cuda-bindings\[all\]==12"):
            devices._load(device, "analysis.cu")


def test_the_version_is_nvrtcs(nvrtc):
    assert int(nvrtc_version().split(".")[0]) >= 12
