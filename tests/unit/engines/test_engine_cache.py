"""The cache of engines: what is found, what is not used and why, and the command that builds it anew."""

from __future__ import annotations

import hashlib
import json
from dataclasses import replace
from pathlib import Path

import pytest

from farlook import __version__
from farlook.runtime.backends.base import GraphSource
from farlook.runtime.bundle import shipped_bundles
from farlook.runtime.engines import (
    FOLDER_VARIABLE,
    FP16_PASS,
    Fingerprint,
    build_command,
    differences,
    engine_folder,
    engine_path,
    read_engine,
    write_engine,
)
from farlook.runtime.errors import BackendError, OutputError
from farlook.runtime.machine import Gpu, Jetson

VERSION = "10.3.0"
ENGINE = b"an engine"


@pytest.fixture(autouse=True)
def _beside_bundles(monkeypatch):
    monkeypatch.delenv(FOLDER_VARIABLE, raising=False)


@pytest.fixture
def source(tmp_path):
    digests = {"fp32": "a" * 64, "fp16": "b" * 64}
    return GraphSource(tmp_path / "mine.bundle", "mfca", "analysis", "fp16", digests)


@pytest.fixture
def fingerprint():
    return Fingerprint(
        codec="mfca",
        graph="analysis",
        precision="fp16",
        source="a" * 64,
        digest="b" * 64,
        library="tensorrt",
        version=VERSION,
        sm=(86,),
        gpu="NVIDIA GeForce RTX 3060",
        cuda=12060,
        jetpack="",
        platform="linux-x86_64",
        shapes={"image": [[1, 3, 32, 32], [1, 3, 512, 512], [1, 3, 512, 512]]},
        flags={"version_compatible": False, "hardware_compatible": "none", "fp16_pass": FP16_PASS},
        farlook="0.1.0",
        sha256=hashlib.sha256(ENGINE).hexdigest(),
    )


@pytest.fixture
def path(source, fingerprint):
    """An engine in the cache."""
    folder = engine_folder(source.bundle, source.codec)
    folder.mkdir()
    path = engine_path(folder, source, "tensorrt")
    write_engine(path, ENGINE, fingerprint)
    return path


def found(fingerprint, source, machine, version=VERSION, library="tensorrt"):
    return differences(fingerprint, source, library, version, machine)


def test_an_engine_is_found_again(path, source, fingerprint, machine):
    assert path.parent.name == "mine.bundle.engines"
    assert path.name == "mfca.analysis.bbbbbbbb.fp16.tensorrt.engine"
    assert read_engine(source, "tensorrt", VERSION, machine()) == (ENGINE, fingerprint)


def test_without_an_engine_the_command_that_builds_it_is_told(source, machine):
    with pytest.raises(
        BackendError, match=r"there is no engine .*: build it with farlook build .*mine\.bundle --prec"
    ):
        read_engine(source, "tensorrt", VERSION, machine())


@pytest.mark.parametrize(
    ("backend", "command"),
    [("tensorrt", "--precision fp16 --target local"), ("rtx", "--precision fp16 --target rtx")],
)
def test_the_command_names_the_bundle_or_the_codec_that_ships(source, backend, command):
    assert build_command(source, backend) == f"farlook build {source.bundle} {command}"
    shipped = replace(source, bundle=shipped_bundles()["block8-paper"], codec="block8-paper")
    assert build_command(shipped, backend) == f"farlook build block8-paper {command}"


def test_engines_of_shipped_bundles_are_in_the_users_cache(monkeypatch, tmp_path):
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    folder = engine_folder(shipped_bundles()["block8-paper"], "block8-paper")
    assert folder == tmp_path / "farlook" / "engines" / "block8-paper"
    monkeypatch.delenv("XDG_CACHE_HOME")
    assert engine_folder(shipped_bundles()["block8-paper"], "block8-paper").is_relative_to(Path.home())


def test_the_environment_can_say_where_engines_are(monkeypatch, source, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(tmp_path / "elsewhere"))
    assert engine_folder(source.bundle, source.codec) == tmp_path / "elsewhere"


def test_bundles_of_one_codec_may_share_a_folder(monkeypatch, path, source, machine, tmp_path):
    monkeypatch.setenv(FOLDER_VARIABLE, str(path.parent))
    other = replace(source, bundle=tmp_path / "other.bundle", digests={"fp32": "c" * 64})
    with pytest.raises(
        BackendError,
        match=r"no engine .*mfca\.analysis\.cccccccc\.fp16.*of other graphs than .*: mfca\.analysis\.bbbbbbbb\.fp16",
    ):
        read_engine(other, "tensorrt", VERSION, machine())
    assert engine_path(path.parent, replace(source, precision="fp32"), "tensorrt") != path
    assert read_engine(source, "tensorrt", VERSION, machine())[0] == ENGINE


def test_what_fits_has_no_differences(fingerprint, source, machine):
    assert found(fingerprint, source, machine()) == []


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"codec": "fera"}, "its codec is fera, not mfca"),
        ({"graph": "synthesis"}, "its graph is synthesis, not analysis"),
        ({"precision": "fp32"}, "its precision is fp32, not fp16"),
        ({"source": "c" * 64}, "it was built of another graph"),
        ({"digest": "c" * 64}, "it was built of another graph"),
        ({"library": "tensorrt_rtx"}, "its library is tensorrt_rtx, not tensorrt"),
        ({"version": "10.13.3"}, "it was built by tensorrt 10.13.3, not 10.3.0"),
        ({"sm": (87,)}, "it is for compute capability 8.7, not 8.6"),
        ({"gpu": "NVIDIA RTX A2000"}, "it was built on NVIDIA RTX A2000, not NVIDIA GeForce RTX 3060"),
        ({"cuda": 13010}, "the driver here serves CUDA 13.0, older than 13.1"),
        ({"jetpack": "6.1"}, "its jetpack is 6.1, not none"),
        ({"platform": "linux-aarch64"}, "it was built on linux-aarch64, not linux-x86_64"),
    ],
)
def test_what_differs_is_named(fingerprint, source, machine, change, message):
    assert message in "; ".join(found(replace(fingerprint, **change), source, machine()))


def test_a_graph_that_the_bundle_does_not_hold_is_known_by_the_one_it_is_made_of(
    fingerprint, source, machine
):
    made = replace(source, digests={"fp32": "a" * 64})
    assert found(fingerprint, made, machine()) == []
    assert found(replace(fingerprint, source="c" * 64), made, machine())


@pytest.mark.usefixtures("path")
def test_without_a_gpu_it_cannot_run(fingerprint, source, machine):
    here = machine(gpu=None, problem="there is no NVIDIA driver", cuda=0)
    assert found(fingerprint, source, here) == []
    with pytest.raises(BackendError, match=r"engine cannot run here: there is no NVIDIA driver$"):
        read_engine(source, "tensorrt", VERSION, here)
    with pytest.raises(
        BackendError, match=r"it was built by tensorrt 10\.3\.0, not 11\.1\.0; rebuild it with"
    ):
        read_engine(source, "tensorrt", "11.1.0", here)


def test_graphs_made_for_the_build_are_of_this_farlook(fingerprint, source, machine):
    bare = replace(source, digests={"fp32": "a" * 64})
    assert found(replace(fingerprint, farlook=__version__), bare, machine()) == []
    (difference,) = found(replace(fingerprint, farlook="0.0.1"), bare, machine())
    assert difference == f"its graph was made by farlook 0.0.1, not {__version__}"
    assert found(replace(fingerprint, farlook="0.0.1"), source, machine()) == []


@pytest.mark.parametrize(("number", "told"), [(0, "unknown"), (FP16_PASS + 1, str(FP16_PASS + 1))])
def test_graphs_of_another_fp16_pass_are_stale(fingerprint, source, machine, number, told):
    bare = replace(source, digests={"fp32": "a" * 64})
    flags = {"fp16_pass": number} if number else {}
    (difference,) = found(replace(fingerprint, flags=flags), bare, machine())
    assert difference == f"its graph was made by FP16 pass {told}, not {FP16_PASS}"
    assert found(replace(fingerprint, flags=flags), source, machine()) == []  # the bundle holds the graph


def test_a_fingerprint_with_an_endless_number_is_damaged(fingerprint):
    endless = fingerprint.to_json().replace(b"86", b"Infinity")
    with pytest.raises(ValueError, match="its fingerprint is damaged"):
        Fingerprint.from_json(endless)


@pytest.mark.parametrize(
    ("built", "here", "fits"),
    [("10.3.0", "10.13.3", True), ("10.13.3", "10.3.0", False), ("10.13.3", "11.1.0", False)],
)
def test_version_compatible_engines_run_with_later_versions(fingerprint, source, machine, built, here, fits):
    compatible = replace(fingerprint, version=built, flags={"version_compatible": True})
    assert (found(compatible, source, machine(), here) == []) is fits
    assert found(replace(compatible, flags={}), source, machine(), here) != []


@pytest.mark.parametrize(
    ("level", "sm", "fits"),
    [
        ("none", 86, False),
        ("same", 86, True),
        ("same", 89, False),
        ("ampere_plus", 89, True),
        ("ampere_plus", 120, True),
        ("ampere_plus", 75, False),
    ],
)
def test_hardware_compatible_engines_run_on_other_gpus(fingerprint, source, machine, level, sm, fits):
    compatible = replace(fingerprint, flags={"hardware_compatible": level})
    here = machine(gpu=Gpu("another", sm, 1 << 30, integrated=False))
    assert (found(compatible, source, here) == []) is fits


def test_engines_for_rtx_run_on_every_gpu_that_they_were_built_for(fingerprint, source, machine):
    portable = replace(
        fingerprint, library="tensorrt_rtx", sm=(86, 89, 120), gpu="", cuda=0, platform="linux-aarch64"
    )
    for sm, fits in ((86, True), (120, True), (90, False)):
        here = machine(gpu=Gpu("any", sm, 1 << 30, integrated=False))
        assert (found(portable, source, here, library="tensorrt_rtx") == []) is fits


def test_jetpack_must_be_the_same(fingerprint, source, machine):
    orin = Gpu("Orin", 87, 8 << 30, integrated=True)
    built = replace(fingerprint, sm=(87,), gpu="Orin", jetpack="6.1", platform="linux-aarch64")
    for jetpack, differ in (("6.1", []), ("6.2", ["its jetpack is 6.1, not 6.2"])):
        here = machine(gpu=orin, jetson=Jetson("Orin Nano", "36.4", jetpack), platform="linux-aarch64")
        assert found(built, source, here) == differ


@pytest.mark.parametrize(
    "damage", ["engine", "cut", "no json", "cut json", "schema", "type", "field", "not utf-8"]
)
def test_a_damaged_engine_is_not_used_and_the_command_is_told(path, source, fingerprint, machine, damage):
    fields = json.loads(fingerprint.to_json())
    changes = {
        "schema": fields | {"schema": 99},
        "type": fields | {"version": 10},
        "field": {key: value for key, value in fields.items() if key != "sm"},
    }
    if damage == "engine":
        path.write_bytes(b"xn engine")
    elif damage == "cut":
        path.write_bytes(ENGINE[:-1])
    elif damage == "no json":
        path.with_suffix(".json").unlink()
    elif damage == "cut json":
        path.with_suffix(".json").write_bytes(fingerprint.to_json()[:50])
    elif damage == "not utf-8":
        path.with_suffix(".json").write_bytes(b"\xff\xfe{")
    else:
        path.with_suffix(".json").write_text(json.dumps(changes[damage]))
    with pytest.raises(
        BackendError, match=r"is not used: .*; rebuild it with farlook build .* --target local"
    ):
        read_engine(source, "tensorrt", VERSION, machine())


def test_an_engine_without_a_folder_to_go_to_is_an_error(tmp_path, fingerprint):
    with pytest.raises(OutputError, match="cannot write"):
        write_engine(tmp_path / "missing" / "x.engine", ENGINE, fingerprint)
