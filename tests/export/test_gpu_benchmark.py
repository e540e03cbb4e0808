"""benchmarks/gpu.py where there is no GPU: a clear end, parts that fail alone, and what runs on the CPU as well."""

from __future__ import annotations

import json

import numpy as np
import pytest

from farlook.benchmarks import gpu, gpu_networks, gpu_torch
from farlook.benchmarks.gpu_block8 import milliseconds
from farlook.kernels.cuda.device import count_devices
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BackendError, UsageError


def test_without_a_gpu_it_says_what_is_missing(tmp_path, capsys):
    try:
        count_devices()
    except BackendError:
        output = tmp_path / "gpu.json"
        assert gpu.main(["-o", str(output)]) == BackendError.exit_code
        assert "NVIDIA" in capsys.readouterr().err
        assert not output.exists()
    else:
        pytest.skip("there is a GPU")


def test_unknown_parts_are_refused(tmp_path, capsys):
    assert gpu.main(["-o", str(tmp_path / "gpu.json"), "--parts", "block9"]) == UsageError.exit_code
    assert "block9" in capsys.readouterr().err


def test_a_part_that_fails_loses_no_other(tmp_path):
    record = gpu.Record(tmp_path / "gpu.json")
    record.take("first", lambda: {"ms": 1})
    record.take("second", lambda: 1 / 0)
    record.take("third", lambda: "fine")
    written = json.loads((tmp_path / "gpu.json").read_text())
    assert written["first"] == {"ms": 1}
    assert written["second"] == {"error": "ZeroDivisionError: division by zero"}
    assert written["third"] == "fine"


def test_the_machine_is_told():
    found = gpu.machine()
    assert found["packages"]["numpy"] == np.__version__
    assert "driver" in found


@pytest.mark.parametrize("name", ["block8", "block8-paper"])
def test_graphs_are_compared_with_the_reference(name, tmp_path, kodim, monkeypatch):
    monkeypatch.setattr(gpu_networks, "_SIZE", "480p")
    inputs = {}
    shapes = gpu_networks._prepare(name, tmp_path, kodim, inputs)
    assert shapes["analysis"]["image"][2:] == [480, 640]
    same = gpu_networks._compare(name, tmp_path, "ort", "fp32", inputs, 0)
    half = gpu_networks._compare(name, tmp_path, "ort", "fp16", inputs, 0)
    assert all(each["largest"] == 0 for each in same["synthesis"]["differences"].values())
    assert 0 < half["synthesis"]["differences"]["image"]["largest"] < 2
    assert same["analysis"]["ms"]["p50"] > 0


def test_torch_gets_the_bundles_weights():
    spec = gpu_torch._spec(find_bundle("mfca"), "synthesis")
    inputs = list(spec.make_inputs(1, 64, 64))
    found = gpu_torch._differences(find_bundle("mfca"), spec, spec.module, inputs)
    assert found["image"] < 1e-4


def test_other_codecs_have_no_torch_network():
    with pytest.raises(UsageError, match="no neural codec"):
        gpu_torch._measure("block8", "analysis", 0)


def test_every_call_is_counted():
    calls = []
    found = milliseconds(lambda: calls.append(1), 0)
    assert found["count"] == len(calls) - 3 == 1
