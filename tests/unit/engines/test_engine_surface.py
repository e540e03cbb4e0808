"""No symbol that TensorRT 10.3 has and 11 has not is touched, nor the other way round.

The names are NVIDIA's, from the source of the Python bindings of both versions.
"""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pytest

from farlook.runtime.backends.tensorrt import library as libraries
from farlook.runtime.backends.tensorrt import probe as probes
from farlook.runtime.backends.tensorrt.inspect import compute_types, engine_layers, layer_types
from farlook.runtime.backends.tensorrt.library import CODE_VARIABLE, Library, open_library
from farlook.runtime.errors import BackendError, MissingExtraError


@pytest.fixture(autouse=True)
def _open_anew():
    open_library.cache_clear()
    probes.probe.cache_clear()
    yield
    open_library.cache_clear()
    probes.probe.cache_clear()


@pytest.fixture
def installed(monkeypatch, tensorrt, cuda, machine):
    """TensorRT, CUDA and a GPU, as if they were here."""
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    monkeypatch.setattr(probes, "open_cuda", lambda _: cuda)
    monkeypatch.setattr(probes, "this_machine", machine)
    return tensorrt


def test_the_recorded_surface_knows_what_was_removed(tensorrt, removed):
    for name in removed:
        assert hasattr(tensorrt.BuilderFlag, name) is tensorrt.__version__.startswith("10.")
    assert hasattr(tensorrt, "IInt8Calibrator") is tensorrt.__version__.startswith("10.")
    assert not hasattr(tensorrt.Builder, "build_engine")


def test_networks_are_strongly_typed(library):
    assert library.network_flags() == 1 << int(library.module.NetworkDefinitionCreationFlag.STRONGLY_TYPED)


def test_a_version_without_the_flag_has_no_other_mode(library, tensorrt, monkeypatch):
    monkeypatch.delattr(tensorrt.NetworkDefinitionCreationFlag, "STRONGLY_TYPED")
    assert library.network_flags() == 0


def test_what_a_version_lacks_is_none(library):
    assert library.member("BuilderFlag", "NO_SUCH_FLAG") is None
    assert library.member("NoSuchClass", "X") is None


@pytest.mark.usefixtures("installed")
def test_the_probe_builds_and_runs_a_network(tensorrt):
    found = probes.probe("tensorrt")
    assert (found.name, found.works, found.remedy) == ("tensorrt", True, "")
    assert found.detail == f"tensorrt {tensorrt.__version__} on NVIDIA GeForce RTX 3060"


@pytest.mark.usefixtures("installed")
def test_the_probe_says_that_there_is_no_gpu(monkeypatch, machine):
    monkeypatch.setattr(probes, "this_machine", lambda: machine(gpu=None, problem="there is no driver"))
    found = probes.probe("tensorrt")
    assert not found.works
    assert found.detail.endswith(", but there is no driver")


def test_the_probe_compares_numbers(monkeypatch, installed, gpu_memory):
    monkeypatch.setattr(gpu_memory, "enqueue", lambda _: None)
    found = probes.probe("tensorrt")
    assert not found.works
    assert "computed [0.0, 1.0, 2.0, 3.0] + itself as" in found.detail


def test_a_runtime_without_a_builder_is_named(monkeypatch, installed):
    monkeypatch.delattr(installed, "Builder")
    found = probes.probe("tensorrt")
    assert not found.works
    assert "has no Builder: a lean runtime only runs engines" in found.detail


@pytest.fixture
def without_driver(tensorrt, gpu_memory, fake):
    """TensorRT where there is no driver: its classes cannot be made."""
    return Library("tensorrt", fake(tensorrt.__version__, gpu_memory, gpu=None))


@pytest.mark.parametrize("kind", ["Builder", "Runtime"])
def test_what_the_library_cannot_make_is_an_error_with_what_to_do(without_driver, kind):
    with pytest.raises(BackendError, match=rf"gives no {kind}: .*`nvidia-smi` must list the GPU"):
        without_driver.make(kind)


def test_an_engine_cannot_be_loaded_without_a_driver(without_driver):
    with pytest.raises(BackendError, match="gives no Runtime: pybind11"):
        without_driver.deserialise(b"{}", "analysis")


def test_the_probe_says_that_the_library_cannot_start(monkeypatch, without_driver, machine):
    monkeypatch.setattr(probes, "open_library", lambda _: without_driver)
    monkeypatch.setattr(probes, "this_machine", machine)
    found = probes.probe("tensorrt")
    assert not found.works
    assert "gives no Builder: CUDA initialization failure" in found.detail


def test_engines_that_hold_code_run_only_where_the_environment_allows_it(library, monkeypatch):
    fingerprint = SimpleNamespace(flags={"version_compatible": True})
    monkeypatch.delenv(CODE_VARIABLE, raising=False)
    with pytest.raises(BackendError, match=r"it holds code.* set FARLOOK_ENGINE_CODE=1; else build it anew"):
        library.deserialise(b'{"layers": []}', "analysis", fingerprint)
    plain, _ = library.deserialise(b'{"layers": []}', "analysis", SimpleNamespace(flags={}))
    assert not plain.__dict__.get("engine_host_code_allowed")
    own, _ = library.deserialise(b'{"layers": []}', "analysis", fingerprint, own=True)
    monkeypatch.setenv(CODE_VARIABLE, "1")
    allowed, _ = library.deserialise(b'{"layers": []}', "analysis", fingerprint)
    assert own.engine_host_code_allowed is allowed.engine_host_code_allowed is True


def test_without_tensorrt_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "tensorrt", None)
    with pytest.raises(MissingExtraError, match=r"JetPack.*pip install 'farlook\[tensorrt\]'"):
        open_library("tensorrt")
    found = probes.probe("tensorrt")
    assert (found.works, found.remedy) == (False, "pip install 'farlook[tensorrt]'")


def test_a_version_that_is_too_old_is_refused(monkeypatch, tensorrt):
    tensorrt.__version__ = "8.6.1"
    monkeypatch.setitem(sys.modules, "tensorrt", tensorrt)
    with pytest.raises(BackendError, match=r"tensorrt 8\.6\.1 is too old: farlook needs 10\.3 or later"):
        open_library("tensorrt")


def test_a_library_that_is_broken_says_so(monkeypatch):
    def broken(_):
        raise OSError("libnvinfer.so.10: cannot open shared object file")

    monkeypatch.setattr(libraries, "import_module", broken)
    with pytest.raises(BackendError, match=r"installed, but cannot be imported: libnvinfer\.so\.10"):
        open_library("tensorrt")


def test_errors_that_the_library_logs_are_told_once(library, tensorrt):
    library.logger.log(tensorrt.ILogger.ERROR, "it went wrong")
    library.logger.log(tensorrt.ILogger.ERROR, "it went wrong")
    assert library.problem("nothing") == "it went wrong"
    assert library.problem("nothing") == "nothing"


def test_the_inspectors_layers_are_counted_by_precision(library):
    engine = (
        b'{"layers": [{"out": "a", "kind": "HALF"}, {"out": "b", "kind": "HALF"}, {"out": "c", "kind": "FLOAT"}, '
        b'{"out": "d", "kind": "INT8"}]}'
    )
    layers = engine_layers(library, library.deserialise(engine, "x")[1])
    assert [layer["Name"] for layer in layers] == ["a", "b", "c", "d"]
    assert layer_types(layers) == {"fp16": 2, "fp32": 1, "int8": 1}


@pytest.mark.parametrize(
    ("output", "types"),
    [
        ({"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}, {"fp16": 1}),
        ({"Format/Datatype": "Row major Int8 format"}, {"int8": 1}),
        ({"Format": "Row major linear FP32", "Datatype": "Float"}, {"fp32": 1}),
        ({"Datatype": "Half", "Dimensions": [1, 3]}, {"fp16": 1}),
        ({"Dimensions": [1, 3]}, {}),
    ],
)
def test_types_are_told_in_several_ways(output, types):
    assert layer_types([{"Name": "a", "Outputs": [output]}]) == types
    assert layer_types([{"Name": "a"}]) == {}


FP16 = {"Format/Datatype": "Channel major FP16 format where channel % 8 == 0"}
FP32 = {"Format/Datatype": "Row major linear FP32"}
INT8 = {"Format/Datatype": "Row major Int8 format"}


@pytest.mark.parametrize(
    ("layer", "types"),
    [
        ({"LayerType": "CaskConvolution", "Inputs": [FP16], "Outputs": [FP32]}, {"fp16": 1}),
        ({"LayerType": "CaskConvolution", "Inputs": [FP16, FP32], "Outputs": [FP32]}, {"fp16": 1}),
        ({"LayerType": "CaskConvolution", "Inputs": [INT8], "Outputs": [FP16]}, {"int8": 1}),
        ({"LayerType": "gemm", "Weights": {"Type": "Half", "Count": 9}, "Inputs": [FP32]}, {"fp16": 1}),
        ({"LayerType": "x", "ParameterType": "MatrixMultiply", "Outputs": [FP32]}, {"fp32": 1}),
        ({"LayerType": "Reformat", "Name": "Reformatting CopyNode for conv", "Outputs": [FP32]}, {}),
        ({"LayerType": "CaskConvolution"}, {}),
        (
            {"Name": "{ForeignNode[a...b]}", "LayerType": "Myelin", "Inputs": [FP32], "Outputs": [FP32]},
            {"fused": 1},
        ),
        ({"LayerType": "Myelin", "Inputs": [FP32], "Outputs": [FP16]}, {"fp16": 1}),
        ({"Name": "conv"}, {}),
    ],
)
def test_the_precision_of_work_is_that_of_what_goes_in(layer, types):
    assert compute_types([layer]) == types


def test_layers_without_details_are_names(library, monkeypatch, tensorrt):
    monkeypatch.setattr(
        tensorrt.EngineInspector, "get_engine_information", lambda *_: '{"Layers": ["conv", "relu"]}'
    )
    loaded = library.deserialise(b'{"layers": []}', "x")[1]
    assert engine_layers(library, loaded) == [{"Name": "conv"}, {"Name": "relu"}]
    monkeypatch.setattr(tensorrt.EngineInspector, "get_engine_information", lambda *_: "no JSON")
    with pytest.raises(BackendError, match="gives no list of layers"):
        engine_layers(library, loaded)


def test_a_library_knows_which_it_is(tensorrt):
    assert Library("tensorrt", tensorrt).name == "tensorrt"
    assert Library("rtx", tensorrt).name == "tensorrt_rtx"
