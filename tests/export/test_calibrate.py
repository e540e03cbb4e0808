"""From a bundle to one of three precisions, through the real codec; the verbs that do it."""

from __future__ import annotations

import json
import shlex
import shutil

import numpy as np
import onnx
import pytest
from onnx import numpy_helper
from PIL import Image

from farlook.calibration.calibrate import Settings, calibrate
from farlook.calibration.graphs import count_types
from farlook.calibration.networks import measure_ranges, open_networks
from farlook.calibration.pictures import PictureSet
from farlook.calibration.precision import graph_at
from farlook.calibration.verify import check_precisions, verify
from farlook.cli import calibrate as calibrate_verb
from farlook.cli import sensitivity as sensitivity_verb
from farlook.cli import verify as verify_verb
from farlook.cli.run import run
from farlook.export.engine import build_engine, sources_of
from farlook.export.engine_config import Settings as EngineSettings
from farlook.export.engine_shapes import Sizes, stride_of
from farlook.runtime.backends.tensorrt.library import open_library
from farlook.runtime.bundle import Bundle, find_bundle, shipped_bundles
from farlook.runtime.codec import Codec
from farlook.runtime.errors import BundleError, CalibrationError, UsageError

CODECS = [name for name, path in shipped_bundles().items() if Bundle.open(path).graphs]
PRECISIONS = ("fp32", "fp16", "int8")


@pytest.fixture(scope="module", params=CODECS)
def calibrated(request, tmp_path_factory):
    """A shipped codec's name, and its bundle after calibration on two small synthetic pictures."""
    path = tmp_path_factory.mktemp("calibrated") / "made.bundle"
    calibrate(find_bundle(request.param), path, PictureSet(None, 2, 64), Settings(threads=1))
    return request.param, path


@pytest.fixture(scope="module")
def small(kodim):
    return np.ascontiguousarray(kodim[200:264, 300:396])


def test_streams_do_not_depend_on_precision_to_be_decoded(calibrated, small):
    name, path = calibrated
    original = find_bundle(name)
    assert Bundle.open(path).digest == original.digest
    codecs = [Codec.load(name, "ort", 1), *(Codec.load(path, "ort", 1, each) for each in PRECISIONS)]
    for encoder in codecs:
        stream = encoder.encode(small, quality=60)
        known = encoder.symbol_arrays(stream)
        assert known
        pictures = [decoder.decode(stream) for decoder in codecs]
        for decoder, picture in zip(codecs, pictures, strict=True):
            found = decoder.symbol_arrays(stream)
            assert all(np.array_equal(found[key], known[key]) for key in known)
            assert np.abs(picture.astype(int) - pictures[0]).mean() < 6


def test_fp32_graphs_stay_as_they_are(calibrated):
    name, path = calibrated
    before, after = find_bundle(name), Bundle.open(path)
    for graph in before.graphs:
        assert after.graph(graph) == before.graph(graph)
        assert set(after.graphs[graph]) == set(PRECISIONS)


def test_graphs_are_of_the_types_that_they_say(calibrated):
    bundle = Bundle.open(calibrated[1])
    for name in bundle.graphs:
        counts = {each: count_types(bundle.graph(name, each)) for each in PRECISIONS}
        assert "float16" not in counts["fp32"]
        assert counts["fp16"]["float16"] > 0
        assert counts["int8"]["int8"] > 0
        assert "int8" not in counts["fp16"]


def test_quantisers_are_symmetric_and_weights_are_per_channel(calibrated):
    bundle = Bundle.open(calibrated[1])
    for name in bundle.graphs:
        graph = onnx.load_from_string(bundle.graph(name, "int8")).graph
        known = {tensor.name: numpy_helper.to_array(tensor) for tensor in graph.initializer}
        quantisers = [n for n in graph.node if n.op_type in ("QuantizeLinear", "DequantizeLinear")]
        assert quantisers
        for node in quantisers:
            scale, zero = known[node.input[1]], known[node.input[2]]
            assert np.all(np.isfinite(scale))
            assert np.all(scale > 0)
            assert zero.dtype == np.int8
            assert not zero.any()
            if node.input[0] in known:
                axis = next(each.i for each in node.attribute if each.name == "axis")
                assert scale.shape == (known[node.input[0]].shape[axis],)
                assert known[node.input[0]].dtype == np.int8
            else:
                assert scale.shape == ()


def test_notes_say_what_was_measured(calibrated):
    notes = Bundle.open(calibrated[1]).calibration()
    assert notes["method"] == "mse"
    assert notes["pictures"]["used"] == 2
    assert notes["pictures"]["source"] == "synthetic"
    for network in notes["networks"].values():
        assert all(value >= 0 for value in network["thresholds"].values())
        assert network["quantised"]


def test_the_same_pictures_make_the_same_bundle(tmp_path):
    bundle = find_bundle("block8-paper")
    for name in ("a", "b"):
        calibrate(bundle, tmp_path / name, PictureSet(None, 1, 64), Settings(threads=1))
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_one_picture_is_measured_at_every_quality(small):
    """What the decoder is given reaches furthest at the best quality."""
    bundle = find_bundle("fera")
    found = []
    for pictures in ([small], [small] * 6):
        networks = open_networks(bundle)
        measure_ranges(bundle, networks, pictures, "absmax", threads=1)
        found.append(networks["synthesis"].thresholds)
    assert found[0] == found[1]


def test_fp16_is_made_of_fp32_where_it_is_missing():
    data = graph_at(find_bundle("block8-paper"), "synthesis", "fp16")
    assert count_types(data)["float16"] > 0


def test_a_codec_of_a_missing_precision_says_how_to_make_it():
    with pytest.raises(BundleError, match="farlook calibrate"):
        Codec.load("block8-paper", "ort", 1, "int8")
    with pytest.raises(UsageError, match="runs no networks"):
        Codec.load("block8", precision="fp16")
    with pytest.raises(UsageError, match="fp32, fp16, int8"):
        Codec.load("block8-paper", precision="int4")


def test_auto_keeps_what_a_budget_needs_and_verify_agrees(tmp_path, small):
    bundle = find_bundle("block8-paper")
    path = tmp_path / "mixed.bundle"
    settings = Settings(keep=("auto",), budget=0.3, threads=1)
    notes = calibrate(bundle, path, PictureSet(None, 2, 96), settings)
    assert notes["bd_rate"] <= 0.3
    assert notes["judged_on"] == {"pictures": 4, "held_out": True, "side": 256}
    assert notes["networks"]["synthesis"]["kept_fp16"] == ["node_Conv_95"]
    found = verify(Bundle.open(path), [small], threads=1, qualities=(20, 50, 80))
    assert [(row.backend, row.precision) for row in found.rows] == [("ort", each) for each in PRECISIONS]
    assert found.rows[0].flipped == found.rows[0].change.bd_rate == 0
    assert 0 < found.rows[2].flipped < 10
    assert len(found.crosses) == 9
    assert all(cross.identical for cross in found.crosses)
    assert not found.failures(5.0)
    assert found.failures(-1.0)


@pytest.mark.parametrize(("count", "held", "broken"), [(7, 0, 1), (8, 4, 0), (11, 4, 19)])
def test_the_budget_is_measured_on_pictures_that_ranges_were_not_measured_on(
    tmp_path, kodim, count, held, broken, capsys
):
    folder = tmp_path / "pictures"
    folder.mkdir()
    for index in range(count):
        Image.fromarray(kodim[:64, 64 * index : 64 * index + 64]).save(folder / f"{index}.png")
    for index in range(broken):
        (folder / f"broken {index}.png").write_bytes(b"no picture")
    out = tmp_path / "made.bundle"
    assert (
        run(
            ["calibrate", "block8-paper", "-i", str(folder), "--keep-fp16", "auto", "-t", "1", "-o", str(out)]
        )
        == 0
    )
    notes = Bundle.open(out).calibration()
    assert notes["pictures"]["used"] == count - held
    assert notes["judged_on"] == {"pictures": held or 4, "held_out": bool(held), "side": 256}
    told = capsys.readouterr().err
    if held:
        assert "on 4 pictures that ranges are not measured on: " in told
        assert broken or ": 0.png, 2.png, 4.png, 6.png" in told
        assert "standard error" in told
    else:
        assert f"as only {count} of {count + broken} can be used, and it takes 8 to hold some out" in told
    assert "others may cost more" in told


@pytest.mark.parametrize(
    ("settings", "text"),
    [
        (Settings(method="magic"), "absmax"),
        (Settings(percentile=0), "percentile"),
        (Settings(precisions=("int4",)), "int4"),
        (Settings(precisions=()), "none"),
        (Settings(keep=("auto", "node")), "not both"),
        (Settings(keep=("node_of_another",)), "farlook sensitivity"),
        (Settings(keep=("auto",), precisions=("fp16",)), "add int8"),
        (Settings(budget=-1.0), "budget"),
    ],
)
def test_settings_that_make_no_sense_are_refused(settings, text, tmp_path):
    with pytest.raises(UsageError, match=text):
        calibrate(find_bundle("block8-paper"), tmp_path / "x", PictureSet(None, 1, 64), settings)


def test_codecs_without_networks_are_refused(tmp_path):
    with pytest.raises(UsageError, match="no networks"):
        open_networks(find_bundle("block8"))
    with pytest.raises(BundleError, match="int8 out of --precisions"):
        check_precisions(find_bundle("block8-paper"), ("int8",))


def examples(verb):
    return [line for line in verb._EPILOG.splitlines() if line.startswith("farlook ")]


EXAMPLES = [line for verb in (calibrate_verb, sensitivity_verb, verify_verb) for line in examples(verb)]


@pytest.fixture(scope="module")
def workplace(tmp_path_factory, small):
    """A folder with what the examples name."""
    folder = tmp_path_factory.mktemp("work")
    (folder / "pictures").mkdir()
    Image.fromarray(small).save(folder / "pictures" / "a.png")
    shutil.copy(shipped_bundles()["block8-paper"], folder / "mine.bundle")
    return folder


def faster(arguments):
    """An example's arguments, with fewer and smaller synthetic pictures."""
    small_set = ["--limit", "1", "--side", "64"] if "--synthetic" in arguments else []
    return [*arguments, *small_set, "--threads", "1"]


@pytest.mark.parametrize("example", EXAMPLES)
def test_examples_work(example, workplace, monkeypatch):
    monkeypatch.chdir(workplace)
    assert run(faster(shlex.split(example)[1:])) == 0


def test_sensitivity_ranks_writes_and_draws(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    arguments = [
        "sensitivity",
        "mine.bundle",
        "-i",
        "pictures",
        "--json",
        "s.json",
        "--plot",
        "s.svg",
        "-t",
        "1",
    ]
    assert run(arguments) == 0
    costs = json.loads((workplace / "s.json").read_text())["costs"]
    assert costs[0]["node"] == "node_Conv_95"
    assert len(costs) == 4
    assert "node_Conv_95" in capsys.readouterr().out
    assert "</svg>" in (workplace / "s.svg").read_text()


def test_verify_fails_above_its_gate(workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    arguments = ["verify", "mine.bundle", "-i", "pictures", "--precisions", "fp16", "-t", "1"]
    assert run([*arguments, "--max-bd-rate", "-50"]) == CalibrationError.exit_code
    assert "costs a BD-rate" in capsys.readouterr().err
    assert run([*arguments, "--json"]) == 0
    assert json.loads(capsys.readouterr().out)["rows"][1]["precision"] == "fp16"


@pytest.mark.parametrize(
    ("arguments", "text"),
    [
        (["calibrate", "mine.bundle", "-o", "x.bundle"], "--synthetic"),
        (["calibrate", "mine.bundle", "-i", "nowhere", "-o", "x.bundle"], "no directory"),
        (["calibrate", "mine.bundle", "--synthetic", "-o", "none/x.bundle"], "no directory"),
        (["sensitivity", "mine.bundle", "--synthetic", "--json", "none/x.json"], "no directory"),
        (["sensitivity", "mine.bundle", "--synthetic", "--plot", "none/x.png"], "no directory"),
        (["sensitivity", "mine.bundle", "--synthetic", "--plot", "x.bmp"], ".svg"),
        (["verify", "mine.bundle", "--synthetic"], "farlook calibrate"),
        (["verify", "mine.bundle", "--synthetic", "--precisions", "fp64"], "fp64"),
        (["verify", "mine.bundle", "--synthetic", "--precisions", "fp32", "--backends", "abacus"], "abacus"),
        (["sensitivity", "mine.bundle", "--synthetic", "--network", "middle"], "only analysis"),
        (["sensitivity", "block8", "--synthetic"], "no networks"),
        (["verify", "block8", "--synthetic"], "no networks"),
    ],
)
def test_bad_input_is_one_line(arguments, text, workplace, monkeypatch, capsys):
    monkeypatch.chdir(workplace)
    assert run(arguments) > 0
    found = capsys.readouterr()
    error = found.err.strip().splitlines()
    assert not found.out  # it was said before the work
    assert len(error) == 1
    assert text in error[0]


def test_int8_engines_are_built_for_several_gpus_without_one(calibrated, tmp_path):
    pytest.importorskip("tensorrt_rtx")
    pytest.importorskip("polygraphy")
    bundle, library = Bundle.open(calibrated[1]), open_library("rtx")
    stride = stride_of(bundle)
    sizes = Sizes((stride, stride), (2 * stride, 2 * stride), (4 * stride, 4 * stride))
    for source in sources_of(bundle, "int8"):
        built = build_engine(
            library, bundle, source, sizes, EngineSettings(sm=(86, 89, 120), optimisation=0), tmp_path
        )
        assert built.path.is_file()
        assert built.types.compute["int8"] > 0
