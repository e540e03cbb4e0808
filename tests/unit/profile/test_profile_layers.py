"""Layers by ONNX Runtime's profiling, and by engines that time themselves."""

import numpy as np
import pytest

from farlook.runtime.bundle import find_bundle, shipped_decoders
from farlook.runtime.codec import Codec
from farlook.runtime.errors import BackendError, UsageError
from farlook.runtime.profile.layers import LayerTable, measure_layers, read_events, tapped
from farlook.runtime.profile.parts import measure_parts


def event(name, ts, dur, **args):
    return {"cat": "Node", "name": f"{name}_kernel_time", "ts": ts, "dur": dur, "args": args}


def run(ts, dur):
    return {"cat": "Session", "name": "model_run", "ts": ts, "dur": dur}


def test_events_are_added_up_by_node_without_the_first_run():
    events = [
        event("a", 1, 500, op_name="Conv", node_index="0"), run(0, 600),
        event("a", 1001, 30, op_name="Conv", node_index="0", provider="CPUExecutionProvider"),
        event("b", 1040, 10, op_name="Add", node_index="1", provider="CPUExecutionProvider"),
        {"cat": "Node", "name": "a_fence_before", "ts": 1001, "dur": 99, "args": {}},
        run(1000, 60),
        event("a", 2001, 50, op_name="Conv", node_index="0", provider="CPUExecutionProvider"),
        run(2000, 80),
    ]  # fmt: skip
    layers, seconds = read_events(events, skip=1, runs=2)
    assert [(layer.name, layer.kind, layer.detail, layer.calls) for layer in layers] == [
        ("a", "Conv", "CPU", 1.0),
        ("b", "Add", "CPU", 0.5),
    ]
    assert [layer.seconds for layer in layers] == pytest.approx([40e-6, 5e-6])
    assert seconds == pytest.approx(70e-6)


def test_nodes_of_one_name_are_told_apart_by_their_index():
    events = [
        run(0, 9),
        event("ReorderInput", 1, 2, op_name="ReorderInput", node_index="4"),
        event("ReorderInput", 4, 3, op_name="ReorderInput", node_index="7"),
    ]
    layers, _ = read_events(events, skip=0, runs=1)
    assert [layer.seconds for layer in layers] == pytest.approx([3e-6, 2e-6])
    table = LayerTable("analysis", "it", layers, 9e-6, 1, 1)
    assert table.by_kind() == [("ReorderInput", 2, pytest.approx(5e-6))]
    assert table.sum_seconds == pytest.approx(5e-6)


def test_a_profile_without_runs_is_an_error():
    with pytest.raises(BackendError, match="no run"):
        read_events([run(0, 1)], skip=1, runs=1)


def test_both_networks_of_a_codec(codec, kodim):
    analysis, synthesis = measure_layers(
        codec, kodim[:96, :96], {"quality": 30}, precision="fp32", threads=1, runs=2
    )
    assert (analysis.network, synthesis.network) == ("analysis", "synthesis")
    assert analysis.windows == synthesis.windows == 3  # three planes
    for table in (analysis, synthesis):
        assert any(layer.kind == "Conv" for layer in table.layers)
        assert list(table.layers) == sorted(table.layers, key=lambda layer: -layer.seconds)
        assert 0 < table.sum_seconds <= table.run_seconds


def test_a_codec_without_networks(block8, kodim):
    with pytest.raises(UsageError, match="no networks"):
        measure_layers(block8, kodim[:32, :32], {}, precision="fp32", threads=1)


@pytest.mark.parametrize("name", shipped_decoders())
def test_a_decoder_for_the_ground_has_one_network(name, kodim):
    pytest.importorskip("onnxruntime")
    ground = Codec.load(find_bundle(name).path, "ort", 1)
    [table] = measure_layers(ground, kodim[:64, :64], {}, precision="fp32", threads=1, runs=1)
    assert table.network == "synthesis"
    assert table.layers
    assert measure_parts(ground, kodim[:64, :64], {}, 1) == {}


def test_taps_note_what_networks_are_given_and_leave_no_trace(codec, kodim):
    before = codec._analysis
    with tapped(codec) as taps:
        codec.encode(kodim[:64, :64], quality=30)
    planes = [(1, 1, 64, 64), (1, 1, 32, 32), (1, 1, 32, 32)]
    assert [feed["image"].shape for feed in taps["analysis"].feeds] == planes
    assert taps["synthesis"].feeds == []
    assert codec._analysis is before


class Engine:
    """A session that times itself, as those of engines do."""

    def __init__(self, session):
        self._session = session

    def run(self, inputs):
        return self._session.run(inputs)

    def layer_times(self, inputs):
        return [("conv", 2e-3), ("add", 1e-3)]

    def layers(self):
        return [{"Name": "conv", "LayerType": "Convolution", "Outputs": [{"Format/Datatype": "Half"}]}]

    def times(self, inputs):
        return {"copies in": 1e-4, "engine": 3e-3, "copies out": 2e-4}


def test_engines_time_their_own_layers(codec, kodim, monkeypatch):
    for name in ("_analysis", "_synthesis"):
        monkeypatch.setattr(codec, name, Engine(getattr(codec, name)))
    analysis, _ = measure_layers(codec, kodim[:64, :64], {}, precision="fp32", threads=1, runs=2)
    conv, add = analysis.layers
    assert (conv.name, conv.kind, conv.detail, conv.calls) == ("conv", "Convolution", "Half", 3)
    assert conv.seconds == pytest.approx(3 * 2e-3)
    assert (add.kind, add.detail) == ("", "")
    assert np.isclose(analysis.sum_seconds, 9e-3)
