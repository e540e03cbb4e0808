"""block8's transform as ONNX graphs: near the integer core at every size, its bundle still block8's, FP16 too."""

from __future__ import annotations

import numpy as np
import pytest
from typer.testing import CliRunner

import farlook
from farlook.calibration.precision import graph_at
from farlook.cli.app import app
from farlook.export import block8_onnx
from farlook.export.block8_graphs import analysis_graph, synthesis_graph
from farlook.export.block8_onnx import (
    COEFFICIENT_TOLERANCE,
    PIXEL_TOLERANCE,
    analyse,
    compare_graphs,
    encode_graph,
    export_block8_onnx,
    rebuild,
)
from farlook.export.engine_shapes import default_sizes, input_shapes, stride_of
from farlook.kernels.block8 import Core, Geometry
from farlook.kernels.block8_tables import Tables
from farlook.runtime.backends.ort.load import load
from farlook.runtime.block8.grids import grids_of, grids_of_lists, store_of_grids
from farlook.runtime.bundle import Bundle, find_bundle
from farlook.runtime.errors import BundleError, MismatchError, UsageError

STEP = 300


@pytest.fixture(scope="module")
def core():
    return Core(Tables.unpack(find_bundle("block8").tables()))


@pytest.fixture(scope="module")
def bundle(tmp_path_factory):
    path = tmp_path_factory.mktemp("graphs") / "block8-graphs.bundle"
    export_block8_onnx(path)
    return Bundle.open(path)


def geometry_of(image):
    return Geometry(image.shape[1], image.shape[0], 1 if image.ndim == 2 else 3, 8)


def store_of(core, image):
    geometry = geometry_of(image)
    return core.store_rows(image, 0, geometry.units_y, core.settings(geometry, step=STEP, mtu=1024))


@pytest.mark.parametrize("opset", [17, 20])
@pytest.mark.parametrize("bands", [1, 3])
def test_graphs_are_near_the_integer_core(core, bands, opset):
    graphs = {
        "analysis": analysis_graph(bands, opset).SerializeToString(),
        "synthesis": synthesis_graph(bands, opset).SerializeToString(),
    }
    difference = compare_graphs(graphs, core, bands)
    assert difference.fits
    assert difference.coefficient > 0.5  # it does measure
    assert difference.pixel > 0.5


def test_graphs_use_no_other_operators():
    kinds = {node.op_type for model in (analysis_graph(), synthesis_graph()) for node in model.graph.node}
    assert kinds == {"Clip", "Concat", "Conv", "DepthToSpace", "Gather", "Mul", "Resize"}


def test_a_photograph_keeps_its_quality(bundle, core, block8, kodim):
    analysis, synthesis = (load(bundle.graph(name), name, 1) for name in ("analysis", "synthesis"))
    right = grids_of(store_of(core, kodim), geometry_of(kodim))
    for found, expected in zip(analyse(analysis, kodim), right, strict=True):
        assert np.abs(found - expected).max() <= COEFFICIENT_TOLERANCE
    data = encode_graph(analysis, core, kodim, STEP, bundle.digest[:2])
    own = core.encode_stored(store_of_grids(right, geometry_of(kodim)), 0, 16, settings_of(core, kodim))
    assert len(data) == pytest.approx(sum(len(packet.data) for packet in own), rel=0.01)
    assert psnr(block8.decode(data), kodim) > 34
    linear = block8.encode(kodim, quality=60)
    header, _, coefficients = block8._read(linear, 1)
    image = np.clip(np.rint(rebuild(synthesis, grids_of_lists(coefficients))), 0, 255)
    assert header.geometry == geometry_of(kodim)
    assert np.abs(image - block8.decode(linear)).max() <= PIXEL_TOLERANCE


def settings_of(core, image):
    return core.settings(geometry_of(image), step=STEP, mtu=1024)


def psnr(found, right):
    return 10 * np.log10(255**2 / np.mean((found.astype(float) - right) ** 2))


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize(("width", "height"), [(16, 16), (48, 80), (130, 70)])
def test_stores_and_grids_hold_the_same(core, width, height, bands):
    rng = np.random.default_rng(width)
    image = rng.integers(0, 256, (height, width, 3)[: 2 if bands == 1 else 3], np.uint8)
    geometry = geometry_of(image)
    grids = grids_of(store_of(core, image), geometry)
    again = store_of_grids(grids, geometry)
    for a, b in zip(grids, grids_of(again, geometry), strict=True):
        np.testing.assert_array_equal(a, b)
    settings = settings_of(core, image)
    coded = core.encode_stored(again, 0, geometry.units_y, settings)
    assert coded == core.encode_rows(image, 0, geometry.units_y, settings)


def test_the_bundle_is_still_block8s(bundle, block8, kodim):
    data = block8.encode(kodim[:64, :64], quality=50)
    assert bundle.digest == find_bundle("block8").digest
    assert farlook.Codec.load(bundle.path, threads=1).encode(kodim[:64, :64], quality=50) == data


def test_fp16_graphs_stay_near(bundle, core, kodim):
    part = np.ascontiguousarray(kodim[:128, :192])
    session = load(graph_at(bundle, "analysis", "fp16"), "analysis", 1)
    right = grids_of(store_of(core, part), geometry_of(part))
    for found, expected in zip(analyse(session, part), right, strict=True):
        assert np.abs(found - expected).mean() < 2
        assert np.abs(found - expected).max() < 8 * COEFFICIENT_TOLERANCE


def test_engines_get_shapes_of_whole_pictures(bundle):
    names, stride = ["batch", "", "16*rows", "16*columns"], stride_of(bundle)
    smallest, best, largest = input_shapes("image", [-1, 3, -1, -1], names, default_sizes(bundle), stride)
    assert smallest == [1, 3, 16, 16]
    assert best == [1, 3, 1088, 1920]
    assert largest == [1, 3, 4096, 4096]


def test_graphs_that_are_wrong_are_not_written(tmp_path, monkeypatch):
    monkeypatch.setattr(block8_onnx, "COEFFICIENT_TOLERANCE", 0.1)
    with pytest.raises(MismatchError, match="too far from the integer core"):
        export_block8_onnx(tmp_path / "wrong.bundle")
    assert not list(tmp_path.iterdir())


def test_bad_arguments_are_refused(tmp_path):
    with pytest.raises(UsageError, match="bands"):
        analysis_graph(2)
    with pytest.raises(UsageError, match="opset 21"):
        synthesis_graph(3, opset=21)
    with pytest.raises(BundleError, match="block8-paper"):
        export_block8_onnx(tmp_path / "paper.bundle", "block8-paper")


def test_the_command_line_exports_graphs(tmp_path):
    path = tmp_path / "grey.bundle"
    result = CliRunner().invoke(app, ["export", "block8", "--format", "onnx", "--grey", "-o", str(path)])
    assert result.exit_code == 0, result.output
    assert set(Bundle.open(path).graphs) == {"analysis", "synthesis"}
    refused = CliRunner().invoke(
        app, ["export", "block8", "--format", "onnx", "-o", str(path), "-w", "weights.safetensors"]
    )
    assert refused.exit_code != 0
