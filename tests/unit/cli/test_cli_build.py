"""farlook build: engines, tables, and what cannot be built."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from hashlib import sha256

import pytest

from farlook.cli.run import run
from farlook.runtime.bundle import Bundle, shipped_bundles
from farlook.runtime.machine import this_machine

RTX = ("--precision", "fp32", "--target", "rtx")
SMALL = ("--shapes", "8x8,64x64,128x64", "--opt-level", "0")
GRAPHS = ("analysis", "synthesis")


@pytest.fixture
def library():
    """TensorRT for RTX, and what it takes to build."""
    pytest.importorskip("tensorrt_rtx")
    pytest.importorskip("polygraphy")


@pytest.fixture
def mine(tmp_path, monkeypatch):
    """A bundle of one's own, and the working directory around it."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("FARLOOK_ENGINES", raising=False)
    return shutil.copy(shipped_bundles()["block8-paper"], tmp_path / "mine.bundle")


@pytest.mark.usefixtures("library")
def test_engines_lie_beside_the_bundle(mine, capfd):
    assert run(["build", "mine.bundle", *RTX, "--sm", "86", *SMALL]) == 0
    names = sorted(path.name for path in mine.with_name("mine.bundle.engines").iterdir())
    digests = {graph: sha256(Bundle.open(mine).graph(graph)).hexdigest()[:8] for graph in GRAPHS}
    stems = [f"block8-paper.{graph}.{digests[graph]}.fp32.rtx" for graph in GRAPHS]
    assert names == [f"{stem}.{kind}" for stem in stems for kind in ("engine", "json")]
    shown = capfd.readouterr()
    assert "3 fp32" in shown.out
    assert "windows of 8x8 to 128x64 pixels, best at 64x64" in shown.out
    assert "for compute capability 8.6" in shown.out
    assert "most memory at once: " in shown.err


@pytest.mark.usefixtures("library")
def test_json_has_all_of_it(mine, capfd):
    assert run(["build", str(mine), *RTX, "--sm", "86,120", *SMALL, "-o", "there", "--json"]) == 0
    found = json.loads(capfd.readouterr().out)
    assert [engine["fingerprint"]["graph"] for engine in found["engines"]] == ["analysis", "synthesis"]
    assert found["engines"][0]["fingerprint"]["sm"] == [86, 120]
    assert found["engines"][0]["types"]["compute"] == {"fp32": 3}
    assert found["peak_memory"] > 0
    assert (mine.parent / "there").is_dir()


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["block8", *RTX], 2, "block8 has no networks, so there is nothing to build"),
        (["nothing", *RTX], 5, "there is no codec or bundle 'nothing'"),
        (["block8-paper", "--sm", "86"], 2, "--sm is for --target rtx"),
        (
            ["block8-paper", *RTX, "--hardware-compatible", "same"],
            2,
            "--hardware-compatible is for --target local",
        ),
        (["block8-paper", *RTX, "--version-compatible"], 2, "--version-compatible is for --target local"),
        (["block8-paper", *RTX, "--shapes", "64"], 2, "--shapes takes MIN,OPT,MAX"),
        (["block8-paper", *RTX, "--workspace", "much"], 2, "'much' is no size"),
    ],
)
def test_what_cannot_be_built_says_why(capfd, arguments, code, message):
    assert run(["build", *arguments]) == code
    assert message in capfd.readouterr().err


def test_without_a_gpu_nothing_is_built_for_this_machine(capfd):
    if this_machine().gpu is not None:
        pytest.skip("there is a GPU")
    assert run(["build", "block8-paper"]) == 6
    assert "build on the device itself, or for RTX GPUs without one by --target rtx" in capfd.readouterr().err


@pytest.mark.usefixtures("library")
def test_a_compute_capability_that_is_none_is_refused(capfd):
    assert run(["build", "block8-paper", *RTX, "--sm", "42"]) == 2
    assert "has no engines for compute capability '42'; it has them for: " in capfd.readouterr().err


@pytest.mark.usefixtures("library")
def test_int8_needs_a_bundle_that_was_calibrated(capfd, tmp_path):
    assert run(["build", "block8-paper", *RTX, "--precision", "int8", "-o", str(tmp_path)]) == 5
    assert "farlook calibrate" in capfd.readouterr().err


@pytest.mark.usefixtures("library")
def test_a_folder_that_cannot_be_made_is_an_error(mine, capfd):
    assert run(["build", str(mine), *RTX, *SMALL, "-o", str(mine / "below")]) == 7
    assert "choose another by -o DIR" in capfd.readouterr().err


def test_without_tensorrt_for_rtx_the_extra_is_named():
    program = (
        "import sys; sys.modules['tensorrt_rtx'] = None; from farlook.cli.run import run; "
        "sys.exit(run(['build', 'block8-paper', '--precision', 'fp32', '--target', 'rtx']))"
    )
    done = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, timeout=60, check=False
    )
    assert done.returncode == 6
    assert "pip install 'farlook[rtx]'" in done.stderr


def test_encode_and_decode_say_what_runs_and_why(tmp_path, photo, capfd):
    stream, picture = str(tmp_path / "photo.flk"), str(tmp_path / "photo.png")
    assert run(["encode", str(photo), stream, "--codec", "block8-paper", "--verbose"]) == 0
    assert run(["decode", stream, picture, "--verbose"]) == 0
    lines = [line for line in capfd.readouterr().err.splitlines() if line.startswith("block8-paper runs by ")]
    assert len(lines) == 2
    assert "onnxruntime" in lines[0]


@pytest.mark.parametrize(
    ("arguments", "code", "message"),
    [
        (["--precision", "fp8"], 2, "there is no precision 'fp8'"),
        (["--precision", "int8", "--backend", "ort"], 5, "no int8 analysis graph"),
        (["--backend", "tensorrt"], 6, "farlook build block8-paper --precision fp32 --target local"),
        (
            ["--backend", "rtx", "--precision", "fp16"],
            6,
            "farlook build block8-paper --precision fp16 --target rtx",
        ),
    ],
)
def test_what_does_not_run_here_comes_with_the_command(
    tmp_path, monkeypatch, photo, capfd, arguments, code, message
):
    monkeypatch.setenv("FARLOOK_ENGINES", str(tmp_path / "none"))
    arguments = ["encode", str(photo), str(tmp_path / "x.flk"), "--codec", "block8-paper", *arguments]
    assert run(arguments) == code
    assert message in capfd.readouterr().err
