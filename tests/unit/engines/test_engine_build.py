"""The whole of a build, with a TensorRT that has the names of version 10.3 or 11.1 and no others."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import threading
from pathlib import Path
from types import SimpleNamespace

import pytest

from farlook.export.engine import _keep_times, check_driver, check_gpu, sources_of
from farlook.export.engine_config import Settings, known_sm, parse_bytes, parse_sm
from farlook.export.engine_progress import Stop, monitor
from farlook.runtime.bundle import find_bundle
from farlook.runtime.engines import FP16_PASS
from farlook.runtime.errors import BackendError, UsageError

HERE = Path(__file__).parent
VERSIONS = sorted(json.loads((HERE / "tensorrt_surface.json").read_text())["versions"])


@pytest.fixture(scope="module", params=VERSIONS)
def built(request, tmp_path_factory):
    """What `build_with_fake.py` found with a version."""
    pytest.importorskip("polygraphy")
    folder = tmp_path_factory.mktemp("engines")
    command = [sys.executable, str(HERE / "build_with_fake.py"), request.param, str(folder)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=100, check=False)
    assert done.returncode == 0, done.stderr
    return {"version": request.param, **json.loads(done.stdout.splitlines()[-1])}


def test_a_plain_build_sets_no_flags_and_no_precision(built):
    assert built["plain"]["flags"] == []
    assert built["plain"]["pool"] is None


def test_settings_reach_the_builder(built):
    assert built["all"]["flags"] == ["VERSION_COMPATIBLE"]
    assert built["all"]["pool"] == ["WORKSPACE", 1 << 28]
    assert built["all"]["level"] == "int"


def test_a_level_that_a_version_lacks_is_named(built):
    if built["version"].startswith("10.3"):
        assert (
            "BackendError: tensorrt 10.3.0.26 has no hardware compatibility 'same'" in built["same"]["error"]
        )
    else:
        assert built["same"]["fingerprint"]["flags"]["hardware_compatible"] == "same"


def test_progress_is_told(built):
    assert built["plain"]["phases"] == [["Building", 0, 2], ["Building", 0, 2], ["Building", 2, 2]]


def test_a_build_that_fails_says_why_and_what_to_do(built):
    error = built["broken"]["error"]
    assert error.startswith("ExportError: tensorrt")
    assert "cannot build the analysis engine: Error Code 10: no implementation: out of memory" in error
    assert "--workspace 256M" in error


def test_an_engine_of_another_precision_is_not_kept(built):
    assert (
        "the analysis engine was to be fp16, but its convolutions and products are: 1 fp32"
        in (built["engine of fp32"]["error"])
    )
    assert "are: 1 fp16, 99 fp32" in built["engine of one in a hundred"]["error"]


def test_an_engine_that_keeps_some_layers_in_fp32_or_fuses_them_is_kept(built):
    assert built["engine of half"]["layers"] == {"fp32": 3}  # what they give out
    assert built["engine that is fused"]["layers"] == {"fp32": 2}


@pytest.mark.parametrize(
    ("name", "checked"),
    [
        ("plain", "layers"),
        ("engine of half", "layers"),
        ("engine that is fused", "undetermined (fused)"),
        ("engine that is fused in part", "layers"),
        ("engine of a fused region alone", "undetermined (fused)"),
        ("fp32 engine that is fused", "undetermined (fused)"),
    ],
)
def test_the_fingerprint_says_how_the_precision_was_checked(built, name, checked):
    assert built[name]["fingerprint"]["flags"]["checked"] == checked


@pytest.mark.parametrize("name", ["engine that does not tell", "engine of names", "engine of fused names"])
def test_an_engine_whose_layers_tell_no_type_is_not_kept(built, name):
    error = built[name]["error"]
    assert "lists no types in the layers of the analysis engine, so its precision cannot be checked" in error
    assert "the engine is not trusted; it is not kept" in error
    assert not built[name]["engines"]


def test_an_engine_without_layers_is_not_kept(built):
    assert "lists no layers of the analysis engine, so its precision" in built["engine of nothing"]["error"]


def test_without_a_driver_the_builder_says_what_to_do(built):
    error = built["no driver"]["error"]
    assert error.startswith(
        f"BackendError: tensorrt {built['version']} gives no Builder: CUDA initialization"
    )
    assert "`nvidia-smi` must list the GPU" in error


def test_times_are_kept_whatever_becomes_of_the_engine(built):
    assert built["times of a refused engine"]


def test_the_fingerprint_says_what_the_engine_is_for(built):
    found = built["plain"]["fingerprint"]
    assert found["shapes"] == {"image": [[1, 1, 8, 8], [1, 1, 32, 64], [1, 1, 64, 128]]}
    assert (found["gpu"], found["sm"], found["cuda"]) == ("Orin", [87], 12060)
    assert (found["library"], found["version"]) == ("tensorrt", built["version"])
    assert built["plain"]["profile"] == {"image": [[1, 1, 8, 8], [1, 1, 32, 64], [1, 1, 64, 128]]}
    assert built["plain"]["layers"] == {"fp16": 1}
    assert found["flags"]["fp16_pass"] == FP16_PASS


def test_engine_fingerprint_and_times_are_kept(built):
    names = ["block8-paper.analysis.a.fp16.tensorrt.engine", "block8-paper.analysis.a.fp16.tensorrt.json"]
    kept = [
        name for name in built["files"] if not name.endswith(".lock") and "engine " not in name
    ]  # Polygraphy's
    assert kept == [*names, f"timing.{built['version']}.cache"]


def test_without_a_gpu_there_is_no_engine_for_this_machine(monkeypatch, machine):
    here = machine(gpu=None, problem="there is no NVIDIA driver")
    monkeypatch.setattr("farlook.export.engine.this_machine", lambda: here)
    with pytest.raises(BackendError, match=r"needs its GPU, but there is no NVIDIA driver: .*--target rtx"):
        check_gpu()


@pytest.mark.parametrize(("cuda", "fits"), [(12080, False), (13000, True), (13010, True)])
def test_a_driver_that_is_too_old_is_named(monkeypatch, machine, library, cuda, fits):
    monkeypatch.setattr("farlook.export.engine.this_machine", lambda: machine(cuda=cuda))
    monkeypatch.setattr("farlook.export.engine._cuda_of", lambda _: 13000)
    if fits:
        check_driver(library)
    else:
        with pytest.raises(
            BackendError, match=r"serves CUDA 12\.8, but tensorrt .* needs 13\.0: update the driver"
        ):
            check_driver(library)


def test_a_codec_without_networks_has_nothing_to_build():
    with pytest.raises(UsageError, match="block8 has no networks, so there is nothing to build"):
        sources_of(find_bundle("block8"), "fp16")


def test_graphs_of_a_bundle_are_told_with_their_digests():
    bundle = find_bundle("block8-paper")
    found = sources_of(bundle, "fp32")
    assert [source.name for source in found] == ["analysis", "synthesis"]
    assert found[0].digests == {"fp32": bundle.graphs["analysis"]["fp32"]["sha256"]}
    assert found[0].read() == bundle.graph("analysis")


def test_a_timing_cache_that_cannot_be_written_costs_no_engine(tmp_path):
    times = SimpleNamespace(get_timing_cache=lambda: SimpleNamespace(serialize=lambda: b"times"))
    _keep_times(times, tmp_path / "missing" / "timing.cache")
    _keep_times(times, tmp_path / "timing.cache")
    assert (tmp_path / "timing.cache").read_bytes() == b"times"


@pytest.mark.parametrize(
    ("text", "size"), [("1", 1), ("512K", 1 << 19), ("512MiB", 1 << 29), ("2g", 1 << 31)]
)
def test_sizes_are_read(text, size):
    assert parse_bytes(text) == size


@pytest.mark.parametrize("text", ["", "0", "-1", "1.5G", "big", "1T"])
def test_what_is_no_size_is_refused(text):
    with pytest.raises(UsageError, match="is no size: write bytes, or 512M, or 2G"):
        parse_bytes(text)


def test_tensorrt_itself_builds_for_no_other_gpu(library):
    assert known_sm(library) == ()
    with pytest.raises(UsageError, match="has no engines for compute capability '86'"):
        parse_sm("86", library)


def test_settings_are_in_the_fingerprint():
    flags = Settings(optimisation=3).flags()
    assert flags["optimisation"] == 3
    assert flags["tf32"] is False


def test_ctrl_c_stops_a_build_at_its_next_step(tensorrt):
    stop = Stop()
    watch = monitor(tensorrt, lambda *_: None, stop)
    watch.phase_start("Building", None, 3)
    assert watch.step_complete("Building", 0)

    go_on = None
    with pytest.raises(KeyboardInterrupt):  # noqa: PT012, SIM117  # it is raised where the inner block ends
        with stop.on_interrupt():
            signal.raise_signal(signal.SIGINT)
            go_on = watch.step_complete("Building", 1)
    assert go_on is False


def test_a_build_in_another_thread_leaves_ctrl_c_alone():
    before = signal.getsignal(signal.SIGINT)
    during = []

    def build():
        with Stop().on_interrupt():
            during.append(signal.getsignal(signal.SIGINT))

    thread = threading.Thread(target=build)
    thread.start()
    thread.join()
    assert during == [before]
