"""Backends: the probe, the choice, and what graphs and inputs that do not fit do."""

from __future__ import annotations

import sys
from dataclasses import replace
from functools import partial

import numpy as np
import pytest

from farlook.runtime.backends import AUTO, ORDER, open_graphs, probe_backends
from farlook.runtime.backends.base import GraphSource
from farlook.runtime.backends.ort.load import PROVIDERS, load
from farlook.runtime.backends.ort.probe import probe
from farlook.runtime.bundle import Bundle
from farlook.runtime.errors import BackendError, BundleError, MissingExtraError, UsageError


@pytest.fixture(scope="module")
def graph(shipped):
    return Bundle.open(shipped).graph("analysis")


@pytest.fixture(scope="module")
def sources(shipped):
    bundle = Bundle.open(shipped)
    return [GraphSource.of(bundle, name) for name in ("analysis", "synthesis")]


@pytest.fixture
def analysis(graph):
    return load(graph, "analysis", 1)


@pytest.fixture
def without_onnxruntime(monkeypatch):
    """As if onnxruntime were not installed."""
    monkeypatch.setitem(sys.modules, "onnxruntime", None)
    probe.cache_clear()
    yield
    probe.cache_clear()


def picture(*shape):
    return np.zeros(shape, dtype=np.float32)


def test_the_probe_runs_a_network():
    found = probe()
    assert (found.name, found.works, found.remedy) == ("ort", True, "")
    assert "onnxruntime" in found.detail


def test_every_backend_is_looked_at_in_order():
    assert [found.name for found in probe_backends()] == list(ORDER)


@pytest.mark.parametrize("name", ["auto", "ort"])
def test_a_backend_that_works_is_opened(name, sources):
    opened = open_graphs(name, sources, 1)
    analysis, synthesis = opened.sessions
    assert "onnxruntime" in opened.reason
    assert set(analysis.run({"image": picture(1, 1, 8, 8)})) == {"g1", "g2", "error"}
    latents = {"latents": picture(1, 8, 1, 1), "detailed": picture(1, 1, 1, 1)}
    assert set(synthesis.run(latents)) == {"image"}


def test_auto_says_why_it_passed_over_what_comes_first(sources):
    opened = open_graphs("auto", sources, 1)
    for name in AUTO[: AUTO.index(opened.name)]:
        assert f"not {name}: " in opened.reason


def test_auto_says_why_it_passed_over_engines_where_a_graph_is_missing(sources):
    missing = [
        replace(source, precision="int8", read=partial(raise_missing, source.name)) for source in sources
    ]
    with pytest.raises(
        BundleError, match=r"ort: there is no int8 analysis graph; not tensorrt: .*; not rtx: .*"
    ):
        open_graphs("auto", missing, 1)


def raise_missing(name):
    raise BundleError(f"there is no int8 {name} graph")


@pytest.mark.parametrize("name", ["", "cuda", "ORT"])
def test_an_unknown_backend_lists_those_there_are(name, sources):
    with pytest.raises(UsageError, match=rf"no backend '{name}'; choose one of: auto, .*ort"):
        open_graphs(name, sources)


@pytest.mark.usefixtures("without_onnxruntime")
def test_without_onnxruntime_the_probe_says_how_to_install_it():
    found = probe()
    assert not found.works
    assert found.remedy == "pip install 'farlook[cpu]'"


@pytest.mark.usefixtures("without_onnxruntime")
@pytest.mark.parametrize("name", ["auto", "ort"])
def test_without_any_backend_the_error_says_what_to_install(name, sources):
    with pytest.raises(BackendError, match=r"ort cannot run here: .*pip install 'farlook\[cpu\]'"):
        open_graphs(name, sources)


@pytest.mark.parametrize("name", ["ort-cuda", "ort-trt"])
def test_a_provider_that_onnxruntime_lacks_is_named(name, graph):
    import onnxruntime

    if PROVIDERS[name][0] in onnxruntime.get_available_providers():
        pytest.skip("this onnxruntime has it")
    found = probe(name)
    assert (found.name, found.works) == (name, False)
    assert PROVIDERS[name][0] in found.detail
    assert "pip install 'farlook[gpu]'" in found.remedy
    with pytest.raises(BackendError, match=r"was built without .*ExecutionProvider"):
        load(graph, "analysis", backend=name)


def test_a_session_that_fell_back_to_the_cpu_is_refused(monkeypatch, graph):
    import onnxruntime

    monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: list(PROVIDERS["ort-trt"]))
    with pytest.raises(BackendError, match=r"only by CPUExecutionProvider|cannot load the analysis graph"):
        load(graph, "analysis", backend="ort-cuda")


@pytest.mark.usefixtures("without_onnxruntime")
def test_without_onnxruntime_loading_says_how_to_install_it(graph):
    with pytest.raises(MissingExtraError, match=r"pip install 'farlook\[cpu\]'"):
        load(graph, "analysis")


@pytest.mark.parametrize("shape", [(1, 1, 8, 8), (1, 1, 16, 40), (1, 1, 8, 1024)])
def test_a_session_takes_pictures_of_any_size(analysis, shape):
    outputs = analysis.run({"image": picture(*shape)})
    rows, columns = shape[2] // 8, shape[3] // 8
    assert outputs["g1"].shape == outputs["error"].shape == (1, 1, rows, columns)
    assert outputs["g2"].shape[0::2] == (1, rows)
    assert outputs["g2"].shape[3] == columns


def test_a_session_gives_the_same_twice(analysis, grey):
    image = grey[None, None, :64, :64].astype(np.float32)
    first, second = analysis.run({"image": image}), analysis.run({"image": image})
    for name, array in first.items():
        np.testing.assert_array_equal(array, second[name])


@pytest.mark.parametrize("damage", ["empty", "cut", "random", "text"])
def test_a_damaged_graph_is_a_backend_error(graph, damage):
    data = {
        "empty": b"",
        "cut": graph[: len(graph) // 2],
        "random": np.random.default_rng(4).bytes(1000),
        "text": b"not a graph",
    }[damage]
    with pytest.raises(BackendError, match="cannot load the analysis graph"):
        load(data, "analysis")


@pytest.mark.parametrize(
    "inputs",
    [
        {},
        {"picture": picture(1, 1, 8, 8)},
        {"image": picture(8, 8)},
        {"image": picture(1, 3, 8, 8)},
        {"image": picture(1, 1, 8, 9)},
        {"image": picture(1, 1, 8, 8).astype(np.float64)},
        {"image": picture(1, 1, 8, 8), "more": picture(1)},
        {"image": None},
    ],
    ids=["none", "name", "rank", "channels", "not blocks", "type", "one more", "no array"],
)
def test_inputs_that_do_not_fit_are_a_backend_error(analysis, inputs):
    with pytest.raises(BackendError, match="failed in the analysis graph"):
        analysis.run(inputs)
