"""A benchmark from end to end, stopped and continued."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("scipy")

from farlook.benchmarks.bench import read_setup, run_bench
from farlook.benchmarks.bench_setup import Plan
from farlook.benchmarks.results import read_results, write_results
from farlook.cli.run import run
from farlook.runtime.errors import UsageError

CODECS = ("farlook:block8", "webp:m0:half")


@pytest.fixture
def pictures(tmp_path, kodim):
    """Two pictures of 192 x 176 pixels."""
    folder = tmp_path / "kodak"
    folder.mkdir()
    for name, left in (("one", 240), ("two", 400)):
        Image.fromarray(np.ascontiguousarray(kodim[180:356, left : left + 192])).save(folder / f"{name}.png")
    return folder


def plan(pictures, **changes):
    options = {"repeats": 2, "crops": 1, "codecs": CODECS, "rates": [0.2, 0.4], **changes}
    return Plan(pictures, sorted(pictures.iterdir()), **options)


def silent(*_):
    pass


def untimed(folder):
    """The records of quality, without an order."""
    return sorted((folder / "points.jsonl").read_text().splitlines())


def test_it_measures_everything_once(pictures, tmp_path):
    told = []
    out = tmp_path / "out"
    run_bench(plan(pictures), out, 1, lambda *step: told.append(step))
    assert told[0] == ("quality", 0, 4)
    assert ("quality", 4, 4) in told
    assert told[-1] == ("times", 4, 4)
    results = read_results(out)
    assert results.codecs == list(CODECS)
    assert results.pictures == ["one.png", "two.png"]
    before = {path: path.stat().st_size for path in out.rglob("*.jsonl")}
    again = []
    run_bench(plan(pictures), out, 1, lambda *step: again.append(step))
    assert again == [("quality", 4, 4), ("times", 4, 4)]
    assert {path: path.stat().st_size for path in out.rglob("*.jsonl")} == before
    assert sum("original" in path.name for path in (out / "crops").iterdir()) == 1


def test_a_codec_may_be_added_but_nothing_else_changed(pictures, tmp_path):
    out = tmp_path / "out"
    run_bench(plan(pictures, repeats=0, codecs=CODECS[:1]), out, 1, silent)
    run_bench(plan(pictures, repeats=0, codecs=CODECS[1:]), out, 1, silent)
    assert read_results(out).codecs == list(CODECS)
    with pytest.raises(UsageError, match=r"another setup.*rates: \[0.2, 0.4\] before, \[0.2\] now"):
        run_bench(plan(pictures, repeats=0, rates=[0.2]), out, 1, silent)
    Image.new("RGB", (192, 176)).save(pictures / "two.png")
    with pytest.raises(UsageError, match=r"pictures, two\.png, sha256"):
        run_bench(plan(pictures, repeats=0), out, 1, silent)


def test_a_folder_of_other_things_is_left_alone(pictures, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    with pytest.raises(UsageError, match="holds other files"):
        run_bench(plan(pictures), tmp_path, 1, silent)
    assert not (tmp_path / "setup.json").exists()


def test_a_setup_that_is_none_is_an_error(tmp_path):
    assert read_setup(tmp_path) is None
    for text in ("{", "[]", "{}"):
        (tmp_path / "setup.json").write_text(text)
        with pytest.raises(UsageError, match=r"setup\.json"):
            read_setup(tmp_path)


def command(pictures, out, *more):
    codecs = ("-c", ",".join(CODECS), "--rates", "0.2,0.4", "--repeats", "0", "--crops", "0")
    return ["bench", str(pictures), *codecs, "-o", str(out), *more]


def test_a_kill_costs_no_more_than_what_was_under_way(pictures, tmp_path):
    out = tmp_path / "out"
    code = "import sys; from farlook.cli.run import run; sys.exit(run(sys.argv[1:]))"
    process = subprocess.Popen([sys.executable, "-c", code, *command(pictures, out)], cwd=tmp_path)
    journal = out / "points.jsonl"
    deadline = time.monotonic() + 120
    while not (journal.exists() and journal.read_bytes().count(b"\n")) and process.poll() is None:
        assert time.monotonic() < deadline
        time.sleep(0.01)
    children = child_processes(process.pid)
    process.send_signal(signal.SIGKILL)
    process.wait()
    kept = journal.read_bytes()
    assert kept.count(b"\n") >= 1
    journal.write_bytes(kept + b'{"picture":"on')  # torn in the middle of a line
    while any(Path(f"/proc/{child}/cmdline").exists() for child in children):
        assert time.monotonic() < deadline, "processes went on without their parent"
        time.sleep(0.05)
    assert run(command(pictures, out)) == 0
    assert journal.read_bytes().startswith(kept)
    run_bench(plan(pictures, repeats=0, crops=0), tmp_path / "whole", 1, silent)
    assert untimed(out) == untimed(tmp_path / "whole")


def child_processes(pid):
    path = Path(f"/proc/{pid}/task/{pid}/children")
    return path.read_text().split() if path.exists() else []


@pytest.mark.skipif(os.name != "posix", reason="signals")
def test_the_verb_prints_a_table_and_writes_files(pictures, tmp_path, capsys, monkeypatch):
    monkeypatch.setenv("COLUMNS", "40")
    out = tmp_path / "out"
    assert run(command(pictures, out)) == 0
    printed = capsys.readouterr()
    lines = printed.out.splitlines()
    assert lines[0].split()[:5] == ["PSNR", "of", "RGB,", "dB", "at"]
    assert lines[1].startswith("farlook:block8 ")
    assert lines[2].startswith("webp:m0:half "), "names are not cut, however narrow the terminal"
    assert lines[-1].endswith(f"wrote {out}")
    for name in ("per-image.csv", "bd-rate.csv", "codecs/farlook-block8.json", "codecs/webp-m0-half.json"):
        assert (out / name).stat().st_size > 0
    assert run(command(pictures, out, "--json")) == 0
    [ours, webp] = json.loads(capsys.readouterr().out)
    assert (ours["name"], webp["name"]) == CODECS
    assert len(ours["results"]["bpp"]) == len(ours["results"]["psnr-rgb"]) == 2
    assert write_results(out).codecs == list(CODECS)


@pytest.mark.parametrize(
    ("more", "message"),
    [
        (("--codec", "farlook:block8", "--rates", "a,b"), "--rates takes numbers"),
        (("--codec", "farlook:block8", "--rates", ","), "--rates names nothing"),
        (("--codec", ","), "--codec names nothing"),
        (("--codec", "gif"), "no codec is called 'gif'"),
    ],
)
def test_what_makes_no_sense_is_refused_before_anything_is_written(pictures, tmp_path, capsys, more, message):
    assert run(["bench", str(pictures), "-o", str(tmp_path / "out"), *more]) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "out").exists()
