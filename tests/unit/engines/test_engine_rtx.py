"""TensorRT for RTX builds engines without a GPU: the same path as TensorRT's, with the library itself."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace

import numpy as np
import pytest

from farlook.export.engine import build_engine, peak_memory, sources_of
from farlook.export.engine_config import Settings, known_sm, parse_sm
from farlook.export.engine_network import count_types, parse
from farlook.export.engine_shapes import Sizes, parse_sizes, stride_of
from farlook.runtime.backends import probe_backend
from farlook.runtime.backends.base import GraphSource
from farlook.runtime.backends.tensorrt.library import open_library
from farlook.runtime.bundle import Bundle, shipped_bundles, shipped_decoders
from farlook.runtime.engines import FOLDER_VARIABLE, Fingerprint, read_engine
from farlook.runtime.errors import BackendError, ExportError, UsageError
from farlook.runtime.machine import Gpu, this_machine

pytest.importorskip("tensorrt_rtx")
pytest.importorskip("polygraphy")

SM = (86, 89, 120)
NETWORKS = {
    name: path for name, path in (shipped_bundles() | shipped_decoders()).items() if Bundle.open(path).graphs
}


@pytest.fixture(scope="module")
def rtx():
    return open_library("rtx")


@pytest.fixture
def build(rtx, tmp_path):
    """Builds a graph of a bundle with small windows; quickly, for all of `SM`."""

    def build(bundle, source, **settings):
        stride = stride_of(bundle)
        sizes = Sizes((stride, stride), (4 * stride, 4 * stride), (8 * stride, 8 * stride))
        return build_engine(rtx, bundle, source, sizes, Settings(sm=SM, optimisation=0, **settings), tmp_path)

    return build


def precisions(bundle):
    """What the bundle can be built in: int8 only if it was calibrated."""
    return ["fp32", "fp16", *(["int8"] if all("int8" in graphs for graphs in bundle.graphs.values()) else [])]


@pytest.mark.parametrize("precision", ["fp32", "fp16"])
def test_engines_are_built_for_several_gpus(build, tmp_path, precision):
    pytest.importorskip("onnx")
    bundle = Bundle.open(NETWORKS["block8-paper"])
    for source in sources_of(bundle, precision):
        built = build(bundle, source)
        digest = source.digests["fp32"][:8]
        assert built.path == tmp_path / f"block8-paper.{source.name}.{digest}.{precision}.rtx.engine"
        assert set(built.types.compute) == {precision}
        fingerprint = Fingerprint.from_json(built.path.with_suffix(".json").read_bytes())
        assert fingerprint == built.fingerprint
        assert (fingerprint.sm, fingerprint.gpu, fingerprint.cuda) == (SM, "", 0)
        assert (built.layers is None) == (fingerprint.flags["checked"] == "no such GPU here")
        assert this_machine().gpu is not None or built.layers is None
        assert fingerprint.digest == hashlib.sha256(source.read()).hexdigest()
        assert fingerprint.sha256 == hashlib.sha256(built.path.read_bytes()).hexdigest()
    assert peak_memory() > 1 << 20


@pytest.mark.parametrize("name", [name for name in NETWORKS if name != "block8-paper"])
def test_every_shipped_codec_can_be_built(build, name):
    pytest.importorskip("onnx")
    bundle = Bundle.open(NETWORKS[name])
    source = sources_of(bundle, "fp16")[-1]
    built = build(bundle, source)
    assert built.types.compute["fp16"] > 0
    assert built.bytes == built.path.stat().st_size


@pytest.mark.parametrize("name", NETWORKS)
def test_the_parsed_networks_of_every_precision_are_of_it(rtx, name):
    pytest.importorskip("onnx")
    bundle = Bundle.open(NETWORKS[name])
    for precision in precisions(bundle):
        for source in sources_of(bundle, precision):
            builder = rtx.module.Builder(rtx.logger)
            network, _parser = parse(rtx, builder, source.read(), source.name)
            count_types(network).check(precision, source.name)


def test_an_fp32_graph_does_not_pass_for_fp16(build):
    bundle = Bundle.open(NETWORKS["block8-paper"])
    source = GraphSource.of(bundle, "analysis", "fp16", lambda: bundle.graph("analysis"))
    with pytest.raises(ExportError, match=r"was to be fp16, but TensorRT reads .* products: 3 fp32"):
        build(bundle, source)


def test_int8_graphs_are_known_by_what_goes_into_convolutions(build):
    onnx = pytest.importorskip("onnx")
    bundle = Bundle.open(NETWORKS["block8-paper"])
    graph = quantised(onnx)
    source = GraphSource.of(bundle, "analysis", "int8", lambda: graph)
    built = build(bundle, source)
    assert built.types.compute == {"int8": 1}
    assert built.types.tensors["int8"] > 0


def quantised(onnx):
    """A convolution with quantised input and weights, its sides named as farlook's graphs name them."""
    helper, kinds = onnx.helper, onnx.TensorProto
    shape = ["batch", 1, "8*rows", "8*columns"]
    weights = np.arange(-4, 5, dtype=np.int8).reshape(1, 1, 3, 3)
    constants = [
        onnx.numpy_helper.from_array(np.float32(0.1), "scale"),
        onnx.numpy_helper.from_array(np.int8(0), "zero"),
        onnx.numpy_helper.from_array(weights, "weights"),
    ]
    nodes = [
        helper.make_node("QuantizeLinear", ["image", "scale", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "scale", "zero"], ["d"]),
        helper.make_node("DequantizeLinear", ["weights", "scale", "zero"], ["w"]),
        helper.make_node("Conv", ["d", "w"], ["y"], pads=[1, 1, 1, 1]),
    ]
    value = helper.make_tensor_value_info
    graph = helper.make_graph(
        nodes, "q", [value("image", kinds.FLOAT, shape)], [value("y", kinds.FLOAT, shape)], constants
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)])
    model.ir_version = 9
    return model.SerializeToString()


def test_an_operator_that_does_not_exist_is_named_with_its_node(build):
    onnx = pytest.importorskip("onnx")
    bundle = Bundle.open(NETWORKS["block8-paper"])
    model = onnx.load_from_string(bundle.graph("analysis"))
    model.graph.node[0].op_type, model.graph.node[0].name = "Frobnicate", "/head/frobnicate"
    graph = model.SerializeToString()
    source = GraphSource.of(bundle, "analysis", "fp32", lambda: graph)
    with pytest.raises(ExportError, match=r"the analysis graph: node /head/frobnicate \(Frobnicate\): "):
        build(bundle, source)


@pytest.mark.parametrize("damage", ["empty", "cut", "random"])
def test_a_damaged_graph_is_an_error(build, damage):
    bundle = Bundle.open(NETWORKS["block8-paper"])
    whole = bundle.graph("synthesis")
    data = {
        "empty": b"",
        "cut": whole[: len(whole) // 2],
        "random": np.random.default_rng(4).bytes(500),
    }[damage]
    source = GraphSource.of(bundle, "synthesis", "fp32", lambda: data)
    with pytest.raises(ExportError, match=r"tensorrt_rtx .* cannot (read|build) the synthesis"):
        build(bundle, source)


def test_compute_capabilities_are_those_that_the_library_has(rtx):
    assert set(SM) <= set(known_sm(rtx))
    assert parse_sm("8.6, 89,12.0,86", rtx) == SM
    for text in ("90", "", "8x6", "870"):
        with pytest.raises(
            UsageError, match=r"has no engines for compute capability .* it has them for: .*86"
        ):
            parse_sm(text, rtx)


def test_without_a_gpu_an_engine_is_there_but_not_used(monkeypatch, build, tmp_path):
    if this_machine().gpu is not None:
        pytest.skip("there is a GPU")
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path))
    bundle = Bundle.open(NETWORKS["block8-paper"])
    source = sources_of(bundle, "fp32")[0]
    version = build(bundle, source).fingerprint.version
    with pytest.raises(BackendError, match=r"cannot run here: .*NVIDIA"):
        read_engine(source, "rtx", version, this_machine())
    ada = replace(this_machine(), gpu=Gpu("NVIDIA L4", 89, 1 << 34, integrated=False), cuda=13000)
    assert read_engine(source, "rtx", version, ada)[1].sm == SM


def test_without_a_gpu_the_probe_says_so():
    if this_machine().gpu is not None:
        pytest.skip("there is a GPU")
    found = probe_backend("rtx")
    assert not found.works
    assert "tensorrt_rtx" in found.detail
    assert this_machine().problem in found.detail


def test_the_same_settings_make_the_same_fingerprint_but_for_the_engine(build):
    bundle = Bundle.open(NETWORKS["block8-paper"])
    source = sources_of(bundle, "fp32")[1]
    first, second = (json.loads(build(bundle, source).fingerprint.to_json()) for _ in range(2))
    assert first | {"sha256": ""} == second | {"sha256": ""}


def test_sizes_of_windows_are_in_the_fingerprint(rtx, tmp_path):
    bundle = Bundle.open(NETWORKS["block8-paper"])
    sizes = parse_sizes("8x8,16x24,64x32", 8)
    built = build_engine(rtx, bundle, sources_of(bundle, "fp32")[1], sizes, Settings(sm=(86,)), tmp_path)
    assert built.fingerprint.shapes == {
        "latents": [[1, 8, 1, 1], [1, 8, 3, 2], [1, 8, 4, 8]],
        "detailed": [[1, 1, 1, 1], [1, 1, 3, 2], [1, 1, 4, 8]],
    }
