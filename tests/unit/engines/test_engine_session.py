"""Engines run: inputs by name, memory that stays, CUDA graphs, threads. On a TensorRT and a GPU that are not there."""

from __future__ import annotations

import gc
import threading
import weakref

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


def test_the_second_run_of_the_same_shape_is_recorded_and_launched_from_then_on(session, gpu_memory):
    for start in range(4):
        np.testing.assert_array_equal(session.run({"x": numbers(6, start)})["y"], 2 * numbers(6, start))
    assert gpu_memory.calls.count("cudaGraphInstantiate") == 1
    assert gpu_memory.calls.count("cudaGraphLaunch") == 2
    assert gpu_memory.recorded == 0
    assert session.note == ""


@pytest.mark.parametrize(
    ("order", "graphs", "launches"),
    [
        ("ABA", 1, 0),
        ("ABABAB", 2, 2),
        ("AABBAA", 2, 2),
        ("ABCABCABC", 3, 3),
        ("AAABAAA", 1, 4),
        ("ABBBA", 2, 1),
    ],
)
def test_graphs_are_right_whatever_the_order_of_shapes(session, gpu_memory, order, graphs, launches):
    """The fake fails a recording that no run at its shapes came before, and a graph whose context has other shapes."""
    for start, letter in enumerate(order):
        x = numbers({"A": 7, "B": 3, "C": 5}[letter], start)
        np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x)
    assert len(gpu_memory.graphs) == graphs
    assert gpu_memory.calls.count("cudaGraphLaunch") == launches
    assert session.note == ""


def test_a_recording_comes_after_a_run_that_was_waited_for(session, gpu_memory):
    for _ in range(2):
        session.run({"x": numbers(6)})
    end = gpu_memory.calls.index("cudaStreamBeginCapture")
    assert gpu_memory.calls[end - 1] == "cudaStreamSynchronize"
    assert gpu_memory.calls[end - 4 : end - 1] == ["cudaMemcpyAsync", "execute", "cudaMemcpyAsync"]


def test_graphs_stay_right_when_other_ways_to_run_come_between(session, gpu_memory):
    for start in range(4):
        np.testing.assert_array_equal(session.run({"x": numbers(6, start)})["y"], 2 * numbers(6, start))
        session.times({"x": numbers(9)})
        session.layer_times({"x": numbers(2)})
        session.run_device({"x": on_device(gpu_memory, numbers(7))})
    assert gpu_memory.calls.count("cudaGraphLaunch") == 2


def test_contexts_share_scratch_memory(session, gpu_memory):
    for length in (6, 3, 6, 3):
        session.run({"x": numbers(length)})
    assert gpu_memory.contexts == 3
    assert gpu_memory.calls.count("cudaMalloc") == 3  # x, y, and the scratch memory of all


def test_without_room_for_another_context_shapes_run_without_a_graph(session, gpu_memory):
    gpu_memory.most_contexts = 1
    for _ in range(4):
        np.testing.assert_array_equal(session.run({"x": numbers(6)})["y"], 2 * numbers(6))
    assert "cudaGraphLaunch" not in gpu_memory.calls
    assert session.note.startswith("no CUDA graph: the analysis engine gets no context")


def test_shapes_that_cannot_be_recorded_are_tried_once_and_alone(session, gpu_memory):
    gpu_memory.capturable = False
    for _ in range(5):
        session.run({"x": numbers(3)})
    assert gpu_memory.calls.count("cudaStreamBeginCapture") == 1
    gpu_memory.capturable = True
    for _ in range(3):
        session.run({"x": numbers(4)})
        np.testing.assert_array_equal(session.run({"x": numbers(3)})["y"], 2 * numbers(3))
    assert len(gpu_memory.graphs) == 1
    assert gpu_memory.calls.count("cudaStreamBeginCapture") == 2


def test_a_recording_that_becomes_no_graph_is_given_back(session, gpu_memory):
    gpu_memory.instantiable = False
    for _ in range(3):
        np.testing.assert_array_equal(session.run({"x": numbers(3)})["y"], 2 * numbers(3))
    assert gpu_memory.recorded == 0
    assert session.note == "no CUDA graph: CUDA failed in cudaGraphInstantiate: cudaErrorInvalidValue"


def test_shapes_that_came_long_ago_are_forgotten(session, gpu_memory, monkeypatch):
    monkeypatch.setattr("farlook.runtime.backends.tensorrt.graphs.REMEMBERED", 8)
    for length in (*range(20, 0, -1), 20, 1):
        session.run({"x": numbers(length)})
    assert len(session._slot()._graphs._seen) == 8
    assert len(gpu_memory.graphs) == 1  # of the 1 that came a while ago, not of the 20 that came first


def test_every_shape_has_its_own_graph(session, gpu_memory):
    for _ in range(4):
        for length in (6, 3, 5):
            np.testing.assert_array_equal(session.run({"x": numbers(length)})["y"], 2 * numbers(length))
    assert gpu_memory.calls.count("cudaGraphInstantiate") == 3
    assert gpu_memory.calls.count("cudaGraphLaunch") == 6


def test_memory_stays_from_run_to_run_and_grows_when_it_must(session, gpu_memory):
    for length in (4, 3, 4, 2):
        session.run({"x": numbers(length)})
    assert (gpu_memory.calls.count("cudaMalloc"), gpu_memory.calls.count("cudaHostAlloc")) == (3, 2)
    session.run({"x": numbers(64)})
    session.run({"x": numbers(4)})
    assert gpu_memory.calls.count("cudaMalloc") == 5
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


def test_too_little_gpu_memory_is_named(session, gpu_memory, monkeypatch):
    gpu_memory.limit = 100
    with pytest.raises(
        BackendError, match=r"CUDA failed in cuda.*lloc.*: cudaErrorMemoryAllocation.*smaller windows"
    ):
        session.run({"x": numbers(64)})
    with monkeypatch.context() as patch:  # room on the GPU, but not on the host
        patch.setattr(
            gpu_memory, "cudaHostAlloc", lambda size, _: (gpu_memory.cudaError_t(2), 0), raising=False
        )
        gpu_memory.limit = 1 << 20
        with pytest.raises(BackendError, match="cudaHostAlloc"):
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


@pytest.mark.parametrize(
    ("changes", "waited"),
    [
        ({"stream": 77}, [77]),
        ({"stream": None}, []),  # version 3 says that there is nothing to wait for
        ({"stream": None, "version": 2}, [1]),
        ({"stream": 0}, [1]),
    ],
)
def test_the_stream_waits_for_what_makes_an_array(session, gpu_memory, changes, waited):
    session.run_device({"x": on_device(gpu_memory, numbers(7), **changes)})
    assert gpu_memory.waits == [(session._slot().stream, stream) for stream in waited]


def test_an_output_of_the_callers_is_waited_for_by_who_takes_it(session, gpu_memory):
    target = on_device(gpu_memory, numbers(7))
    found = session.run_device({"x": on_device(gpu_memory, numbers(7))}, {"y": target})["y"]
    found.__dlpack__(stream=9)
    assert gpu_memory.waits == [(9, session._slot().stream)]


def test_inputs_and_outputs_are_kept_until_the_engine_is_done_with_them(session, gpu_memory):
    gpu_memory.busy = True
    x, y = on_device(gpu_memory, numbers(7)), on_device(gpu_memory, numbers(7))
    alive = [weakref.ref(x), weakref.ref(y)]
    session.run_device({"x": x}, {"y": y})
    del x, y
    gc.collect()
    assert all(each() is not None for each in alive)
    gpu_memory.busy = False
    session.run_device({"x": on_device(gpu_memory, numbers(2))})
    gc.collect()
    assert all(each() is None for each in alive)
    session.run({"x": numbers(3)})  # waits for everything
    assert gpu_memory.events == 0


def test_memory_of_outputs_is_given_back_with_them(session, gpu_memory):
    x = on_device(gpu_memory, numbers(7))
    session.run_device({"x": x})
    before = len(gpu_memory.memory)
    for _ in range(5):
        session.run_device({"x": x})
    gc.collect()
    assert len(gpu_memory.memory) == before


def test_no_memory_is_taken_for_outputs_that_are_given(session, gpu_memory):
    x, y = on_device(gpu_memory, numbers(7)), on_device(gpu_memory, numbers(7))
    session.run_device({"x": x}, {"y": y})
    before = gpu_memory.calls.count("cudaMalloc")
    for _ in range(3):
        session.run_device({"x": x}, {"y": y})
    assert gpu_memory.calls.count("cudaMalloc") == before


def test_arrays_of_another_gpu_are_refused(session, gpu_memory):
    x, far, host = (on_device(gpu_memory, numbers(7)) for _ in range(3))
    gpu_memory.places[far.__cuda_array_interface__["data"][0]] = 1
    gpu_memory.places[host.__cuda_array_interface__["data"][0]] = None
    with pytest.raises(BackendError, match="x lies on GPU 1, but farlook runs on GPU 0: copy it there"):
        session.run_device({"x": far})
    with pytest.raises(BackendError, match="y lies on GPU 1"):
        session.run_device({"x": x}, {"y": far})
    with pytest.raises(BackendError, match="x does not lie on an NVIDIA GPU"):
        session.run_device({"x": host})


def test_the_threads_own_choice_of_a_gpu_stays(session, gpu_memory):
    gpu_memory.device = 3
    np.testing.assert_array_equal(session.run({"x": numbers(5)})["y"], 2 * numbers(5))
    assert gpu_memory.device == 3


def test_outputs_that_cannot_be_written_are_named(session, gpu_memory):
    x, y = on_device(gpu_memory, numbers(7)), on_device(gpu_memory, numbers(7))
    address = y.__cuda_array_interface__["data"][0]
    y.__cuda_array_interface__["data"] = (address, True)
    with pytest.raises(BackendError, match="y is read-only, so it cannot be written to"):
        session.run_device({"x": x}, {"y": y})
    with pytest.raises(BackendError, match="the analysis engine gives y, not z"):
        session.run_device({"x": x}, {"z": y})
    session.run_device({"x": y})  # to read from it is fine


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
