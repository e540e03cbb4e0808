"""Contexts: scratch memory of their own or shared, and the kernels that TensorRT for RTX compiles as it runs."""

from __future__ import annotations

from types import SimpleNamespace

import numpy as np
import pytest

from farlook.runtime.backends.tensorrt.contexts import Contexts
from farlook.runtime.backends.tensorrt.library import Library
from farlook.runtime.backends.tensorrt.session import EngineSession
from farlook.runtime.errors import BackendError

ENGINE = b'{"layers": []}'


@pytest.fixture
def rtx():
    """An engine of TensorRT for RTX, as far as contexts go, and what was asked of it."""
    found = SimpleNamespace(compiled=b"", loaded=[], strategies=[], contexts=[], memory=[])
    cache = SimpleNamespace(serialize=lambda: found.compiled, deserialize=found.loaded.append)
    config = SimpleNamespace(
        create_runtime_cache=lambda: cache,
        set_runtime_cache=lambda _: None,
        set_execution_context_allocation_strategy=found.strategies.append,
    )

    def create_execution_context(*arguments):
        found.contexts.append(arguments)
        return SimpleNamespace(set_device_memory=lambda *given: found.memory.append(given))

    found.engine = SimpleNamespace(
        create_runtime_config=lambda: config,
        create_execution_context=create_execution_context,
        device_memory_size_v2=512,
    )
    found.config = config
    module = SimpleNamespace(
        __version__="1.4.0",
        ILogger=type("ILogger", (), {"ERROR": 1}),
        ExecutionContextAllocationStrategy=SimpleNamespace(USER_MANAGED=2),
        DynamicShapesKernelSpecializationStrategy=SimpleNamespace(EAGER=1),
    )
    found.library = Library("rtx", module)
    return found


def test_contexts_are_given_scratch_memory_where_the_library_lets_them(rtx, tmp_path):
    contexts = Contexts(rtx.library, rtx.engine, "analysis", tmp_path / "x.kernels")
    assert contexts.scratch == 512
    contexts.make(4096)
    assert rtx.strategies == [2]
    assert rtx.contexts == [(rtx.config,)]
    assert rtx.memory == [(4096, 512)]
    assert rtx.config.dynamic_shapes_kernel_specialization_strategy == 1  # no stand-ins in recorded runs


def test_without_a_choice_contexts_have_scratch_memory_of_their_own(rtx, tmp_path):
    del rtx.config.set_execution_context_allocation_strategy
    contexts = Contexts(rtx.library, rtx.engine, "analysis", tmp_path / "x.kernels")
    assert contexts.scratch is None
    contexts.make()
    assert (rtx.contexts, rtx.memory) == ([(rtx.config,)], [])


def test_a_library_that_gives_contexts_memory_runs_too(library, tensorrt, cuda, gpu_memory, monkeypatch):
    monkeypatch.delattr(tensorrt, "ExecutionContextAllocationStrategy")
    session = EngineSession(library, cuda, library.deserialise(ENGINE, "analysis"), "analysis")
    x = np.arange(5, dtype=np.float32)
    for _ in range(3):
        np.testing.assert_array_equal(session.run({"x": x})["y"], 2 * x)
    assert gpu_memory.calls.count("cudaMalloc") == 2
    assert gpu_memory.calls.count("cudaGraphLaunch") == 1


def test_too_little_memory_for_a_context_is_named(library, gpu_memory):
    _runtime, engine = library.deserialise(ENGINE, "analysis")
    gpu_memory.most_contexts = 0
    with pytest.raises(
        BackendError, match="the analysis engine gets no context, most often for want of GPU memory"
    ):
        Contexts(library, engine, "analysis").make(4096)


def test_kernels_are_written_when_they_change_and_only_then(rtx, tmp_path):
    path = tmp_path / "x.kernels"
    contexts = Contexts(rtx.library, rtx.engine, "analysis", path)
    for compiled in (b"first", b"other"):  # of the same length
        rtx.compiled = compiled
        contexts.save()
        assert path.read_bytes() == compiled
    path.unlink()
    contexts.save()
    assert not path.exists()


def test_kernels_of_earlier_processes_are_taken_over_and_not_written_again(rtx, tmp_path):
    path = tmp_path / "x.kernels"
    path.write_bytes(b"earlier")
    contexts = Contexts(rtx.library, rtx.engine, "analysis", path)
    assert rtx.loaded == [b"earlier"]
    rtx.compiled = b"earlier"
    before = path.stat().st_mtime_ns
    contexts.save()
    assert path.stat().st_mtime_ns == before


def test_kernels_without_a_place_to_go_to_are_compiled_anew(rtx, tmp_path):
    contexts = Contexts(rtx.library, rtx.engine, "analysis", tmp_path / "missing" / "x.kernels")
    rtx.compiled = b"first"
    contexts.save()
    assert not (tmp_path / "missing").exists()
