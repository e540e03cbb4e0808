"""TensorRT, CUDA and machines that are not there."""

from __future__ import annotations

import importlib.util
import sys
from pathlib import Path

import pytest

from farlook.runtime.backends.cuda import Cuda
from farlook.runtime.backends.tensorrt.library import Library
from farlook.runtime.machine import Gpu, Machine


def _beside(name):
    """A module of this folder, which is no package."""
    spec = importlib.util.spec_from_file_location(f"engines_{name}", Path(__file__).parent / f"{name}.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module
    spec.loader.exec_module(module)
    return module


fake_cuda, fake_tensorrt = _beside("fake_cuda"), _beside("fake_tensorrt")
VERSIONS = sorted(fake_tensorrt.SURFACE)


@pytest.fixture
def gpu_memory():
    """CUDA's runtime whose device memory is host memory."""
    return fake_cuda.FakeCuda()


@pytest.fixture
def cuda(gpu_memory):
    """It, as farlook sees it."""
    return Cuda(gpu_memory)


@pytest.fixture(params=VERSIONS)
def tensorrt(request, gpu_memory):
    """The module of a version of TensorRT, with the names that it has and no others."""
    return fake_tensorrt.make(request.param, gpu_memory)


@pytest.fixture
def fake():
    """The maker of such modules."""
    return fake_tensorrt.make


@pytest.fixture
def library(tensorrt):
    """It, as farlook sees it."""
    return Library("tensorrt", tensorrt)


@pytest.fixture
def machine():
    """A maker of machines: an RTX 3060 on Linux, but for what is given."""

    def make(**changes):
        fields = {
            "gpu": Gpu("NVIDIA GeForce RTX 3060", 86, 12 << 30, integrated=False),
            "problem": "",
            "driver": "580.65.06",
            "cuda": 13000,
            "jetson": None,
            "platform": "linux-x86_64",
        }
        return Machine(**{**fields, **changes})

    return make


@pytest.fixture
def removed():
    """Flags of builders that version 10 has and 11 has not."""
    return fake_tensorrt.REMOVED
