"""Engines run: inputs by name, memory that stays, CUDA graphs, threads. On a TensorRT and a GPU that are not there."""

from __future__ import annotations

import gc
import threading

import numpy as np
import pytest

from farlook.runtime.backends.tensorrt.session import EngineSession
from farlook.runtime.errors import BackendError

ENGINE = b'{"layers": []}'


@pytest.fixture
def session(library, cuda):
    return EngineSession(library, cuda, library.deserialise(ENGINE, "analysis"), "analysis")


def numbers(length, start=0):
    return np.arange(start, start + length, dtype=np.float32)


def test_ports_are_the_engines(session):
    (x, y) = session.ports
    assert (x.name, x.is_input, x.dtype, x.shape, x.smallest, x.largest) == (
        "x",
        True,
        np.float32,
        (-1,),
        (1,),
        (64,),
    )
    assert (y.name, y.is_input) == ("y", False)


def test_a_run_gives_what_the_engine_computes(session):
    np.testing.assert_array_equal(session.run({"x": numbers(5)})["y"], 2 * numbers(5))


def test_an_input_need_not_be_contiguous(session):
    np.testing.assert_array_equal(session.run({"x": numbers(10)[::2]})["y"], 2 * numbers(10)[::2])


def test_outputs_of_a_run_stay_when_the_next_one_comes(session):
    first = session.run({"x": numbers(4)})["y"]
    session.run({"x": numbers(4, 50)})
    np.testing.assert_array_equal(first, 2 * numbers(4))


def test_from_the_second_run_of_the_same_shape_on_a_graph_is_launched(session, gpu_memory):
    for start in range(4):
        np.testing.assert_array_equal(session.run({"x": numbers(6, start)})["y"], 2 * numbers(6, start))
    assert gpu_memory.calls.count("cudaGraphInstantiate") == 1
    assert gpu_memory.calls.count("cudaGraphLaunch") == 3
    assert session.note == ""


def test_every_shape_has_its_own_graph(session, gpu_memory):
    for _ in range(3):
        for length in (6, 3, 5):
            np.testing.assert_array_equal(session.run({"x": numbers(length)})["y"], 2 * numbers(length))
    assert gpu_memory.calls.count("cudaGraphInstantiate") == 3
    assert gpu_memory.calls.count("cudaGraphLaunch") == 6


def test_memory_stays_from_run_to_run_and_grows_when_it_must(session, gpu_memory):
    for length in (4, 3, 4, 2):
        session.run({"x": numbers(length)})
    assert gpu_memory.calls.count("cudaMalloc") == gpu_memory.calls.count("cudaHostAlloc") == 2
    session.run({"x": numbers(64)})
    session.run({"x": numbers(4)})
    assert gpu_memory.calls.count("cudaMalloc") == 4
    np.testing.assert_array_equal(session.run({"x": numbers(4)})["y"], 2 * numbers(4))


def test_graphs_are_few_however_many_shapes_there_are(session, gpu_memory):
    for length in range(64, 30, -1):
        for _ in range(2):
            session.run({"x": numbers(length)})
    assert len(gpu_memory.graphs) == 16
    np.testing.assert_array_equal(session.run({"x": numbers(64)})["y"], 2 * numbers(64))


def test_an_engine_that_cannot_be_recorded_runs_without_graphs_and_says_so(session, gpu_memory):
    gpu_memory.capturable = False
    for _ in range(4):
        np.testing.assert_array_equal(session.run({"x": numbers(3)})["y"], 2 * numbers(3))
    assert "cudaGraphLaunch" not in gpu_memory.calls
    assert session.note.startswith("no CUDA graph: CUDA failed in cudaStreamEndCapture")


def test_threads_have_contexts_and_streams_of_their_own(session, gpu_memory):
    results = {}

    def work(start):
        for _ in range(3):
            results[start] = session.run({"x": numbers(8, start)})["y"]

    for start in (100, 200):
        thread = threading.Thread(target=work, args=(start,))
        thread.start()
        thread.join()
    for start, found in results.items():
        np.testing.assert_array_equal(found, 2 * numbers(8, start))
    assert gpu_memory.calls.count("cudaStreamCreateWithFlags") == 2


def test_everything_is_given_back(library, cuda, gpu_memory):
    session = EngineSession(library, cuda, library.deserialise(ENGINE, "analysis"), "analysis")
    for _ in range(3):
        session.run({"x": numbers(8)})
    assert gpu_memory.memory
    assert gpu_memory.graphs
    assert gpu_memory.streams
    del session
    gc.collect()
    assert not gpu_memory.memory
    assert not gpu_memory.graphs
    assert not gpu_memory.streams


@pytest.mark.parametrize(
    ("inputs", "message"),
    [
        ({}, "takes the inputs x, not none"),
        ({"z": numbers(3)}, "takes the inputs x, not z"),
        ({"x": numbers(3), "z": numbers(3)}, "takes the inputs x, not x, z"),
        ({"x": numbers(3).astype(np.float64)}, "takes x as float32, not float64"),
        ({"x": numbers(65)}, "takes x of 1 to 64, not 65: .* farlook build --shapes"),
        ({"x": numbers(4).reshape(2, 2)}, "takes x of 1 to 64, not 2x2"),
        ({"x": np.zeros(0, np.float32)}, "takes x of 1 to 64, not 0"),
    ],
    ids=["none", "name", "one more", "type", "too large", "rank", "empty"],
)
def test_inputs_that_do_not_fit_are_named(session, inputs, message):
    with pytest.raises(BackendError, match=f"the analysis engine {message}"):
        session.run(inputs)


def test_an_engine_that_fails_says_so(library, cuda):
    loaded = library.deserialise(b'{"layers": [], "broken": true}', "analysis")
    session = EngineSession(library, cuda, loaded, "analysis")
    with pytest.raises(BackendError, match="the analysis engine failed: TensorRT gives no reason"):
        session.run({"x": numbers(3)})
    with pytest.raises(BackendError, match="failed"):
        session.prove()


def test_too_little_gpu_memory_is_named(session, gpu_memory):
    gpu_memory.limit = 100
    with pytest.raises(
        BackendError, match=r"CUDA failed in cuda.*Alloc.*: cudaErrorMemoryAllocation.*smaller windows"
    ):
        session.run({"x": numbers(64)})
    gpu_memory.limit = 1 << 20
    np.testing.assert_array_equal(session.run({"x": numbers(64)})["y"], 2 * numbers(64))


def test_an_engine_proves_itself_on_its_smallest_shapes(session):
    session.prove()


def test_times_are_of_copies_and_the_engine(session):
    assert session.times({"x": numbers(3)}) == {"copies in": 1e-3, "engine": 1e-3, "copies out": 1e-3}


def test_layers_are_timed_by_the_profiler(session):
    assert session.layer_times({"x": numbers(3)}) == [("sum", 2e-3)]
    np.testing.assert_array_equal(session.run({"x": numbers(3)})["y"], 2 * numbers(3))


def test_an_engine_that_the_library_does_not_take_says_why(library):
    with pytest.raises(BackendError, match="cannot load the analysis engine: the engine is damaged"):
        library.deserialise(b"no engine", "analysis")


def test_arrays_on_the_gpu_go_in_and_out_without_a_copy(session, gpu_memory):
    x = session.run_device({"x": on_device(gpu_memory, numbers(7))})["y"]
    y = session.run_device({"x": x})["y"]
    np.testing.assert_array_equal(on_host(y), 4 * numbers(7))
    assert "cudaMemcpyAsync" not in gpu_memory.calls


def test_outputs_may_be_written_to_arrays_that_are_there(session, gpu_memory):
    target = on_device(gpu_memory, numbers(7))
    found = session.run_device({"x": on_device(gpu_memory, numbers(7))}, {"y": target})["y"]
    assert found.address == target.__cuda_array_interface__["data"][0]
    np.testing.assert_array_equal(on_host(found), 2 * numbers(7))


def test_the_stream_waits_for_what_makes_an_array(session, gpu_memory):
    session.run_device({"x": on_device(gpu_memory, numbers(7), stream=77)})
    assert any(call.startswith("wait ") for call in gpu_memory.calls)


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"typestr": "<f8"}, "takes x as float32, not float64"),
        ({"shape": (65,)}, "takes x of 1 to 64"),
        ({"strides": (8,)}, "x is not in C order"),
        ({"shift": 4}, "x does not begin at a multiple of 256 bytes"),
    ],
)
def test_arrays_on_the_gpu_that_do_not_fit_are_named(session, gpu_memory, change, message):
    with pytest.raises(BackendError, match=message):
        session.run_device({"x": on_device(gpu_memory, numbers(7), **change)})


def test_an_array_of_the_host_is_no_array_on_the_gpu(session):
    with pytest.raises(BackendError, match="x does not lie on an NVIDIA GPU"):
        session.run_device({"x": numbers(7)})
    with pytest.raises(BackendError, match="x is no array on the GPU"):
        session.run_device({"x": [1.0]})


class OnDevice:
    """An array of some other library, on the GPU."""

    def __init__(self, interface):
        self.__cuda_array_interface__ = interface


def on_device(gpu_memory, array, *, shift=0, stream=None, **changes):
    _, address = gpu_memory.cudaMalloc(array.nbytes)
    view(address, array.shape)[:] = array
    interface = {"shape": array.shape, "typestr": "<f4", "data": (address + shift, False), "strides": None}
    return OnDevice(interface | {"stream": stream, "version": 3} | changes)


def view(address, shape):
    import ctypes

    size = 4 * int(np.prod(shape))
    return np.frombuffer((ctypes.c_char * size).from_address(address), np.float32).reshape(shape)


def on_host(array):
    return view(array.address, array.shape).copy()
