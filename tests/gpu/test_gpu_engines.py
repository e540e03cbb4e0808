"""Engines on a GPU against ONNX Runtime on the CPU, in every order of shapes. Left out where there is no GPU."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.kernels.cuda.arrays import to_host, upload
from farlook.runtime.backends.ort.load import load
from farlook.runtime.backends.tensorrt.library import open_library
from farlook.runtime.backends.tensorrt.load import open_graphs
from farlook.runtime.bundle import find_bundle
from farlook.runtime.engines import FOLDER_VARIABLE
from farlook.runtime.errors import BackendError
from farlook.runtime.machine import this_machine

SIZES = {"A": (64, 96), "B": (128, 32), "C": (32, 32)}


@pytest.fixture(scope="module", params=["tensorrt", "rtx"])
def sessions(request, tmp_path_factory):
    """The analysis of block8-paper: its engine, and ONNX Runtime's session."""
    if this_machine().gpu is None:
        pytest.skip(this_machine().problem)
    pytest.importorskip("polygraphy")
    from farlook.export.engine import build_engine, sources_of
    from farlook.export.engine_config import Settings
    from farlook.export.engine_shapes import Sizes

    try:
        library = open_library(request.param)
    except BackendError as error:
        pytest.skip(str(error))
    folder, bundle = tmp_path_factory.mktemp("engines"), find_bundle("block8-paper")
    source = sources_of(bundle, "fp32")[0]
    sm = (this_machine().gpu.sm,) if request.param == "rtx" else ()
    sizes = Sizes((8, 8), (96, 64), (128, 128))
    build_engine(library, bundle, source, sizes, Settings(sm=sm, optimisation=0), folder)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv(FOLDER_VARIABLE, str(folder))
        (session,), _ = open_graphs([source], 0, request.param)
    return session, load(source.read(), "analysis", 1)


def picture(letter, seed):
    return np.random.default_rng(seed).random((1, 1, *SIZES[letter]), np.float32) * 255


def assert_same(found, expected):
    for name, array in expected.items():
        np.testing.assert_allclose(found[name], array, rtol=1e-3, atol=1e-2 * max(np.abs(array).max(), 1))


@pytest.mark.parametrize("order", ["AAAA", "ABABAB", "AABBAA", "ABCABCABCABC"])
def test_runs_are_right_whatever_the_order_of_shapes(sessions, order):
    session, cpu = sessions
    for seed, letter in enumerate(order):
        image = picture(letter, seed)
        assert_same(session.run({"image": image}), cpu.run({"image": image}))
    assert session.note == ""


def test_arrays_on_the_gpu_go_in_and_out(sessions):
    pytest.importorskip("cuda.core")
    from farlook.kernels.cuda.device import open_device

    session, cpu = sessions
    device = open_device(0)
    stream = device.create_stream()
    for seed, letter in enumerate("ABBA"):
        image = picture(letter, seed)
        outputs = session.run_device({"image": upload(device, stream, image)})
        assert_same({name: to_host(array) for name, array in outputs.items()}, cpu.run({"image": image}))


def test_arrays_of_torch_go_in_and_out(sessions):
    torch = pytest.importorskip("torch")
    if not torch.cuda.is_available():
        pytest.skip("this torch has no CUDA")
    session, cpu = sessions
    for seed in range(20):  # a race would show now and then
        image = picture("A", seed)
        there = torch.as_tensor(image, device="cuda") * 2 - 1  # may not be done yet when the engine takes it
        found = session.run_device({"image": there})
        del there
        taken = {name: torch.from_dlpack(array).cpu().numpy() for name, array in found.items()}
        assert_same(taken, cpu.run({"image": image * 2 - 1}))
