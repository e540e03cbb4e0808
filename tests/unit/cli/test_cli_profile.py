"""farlook profile, as it is called."""

import csv
import json

import pytest

from farlook.cli import profile as verb
from farlook.cli.run import run

FAST = ["--size", "64x48", "--runs", "3", "--warmup", "1", "--threads", "1", "--no-sensors"]


def test_block8_is_profiled_without_any_argument_but_speed(capsys):
    assert run(["profile", *FAST]) == 0
    out = capsys.readouterr().out
    assert "block8 on native, 64x48 RGB, quality 50, 1 thread" in out
    for text in ("end to end", "coding", "synthesis", "frames/s", "MP/s", "its parts alone", "memory:"):
        assert text in out


def test_files_are_written(tmp_path, capsys):
    files = {name: tmp_path / f"profile.{name}" for name in ("csv", "json")}
    arguments = [part for name, path in files.items() for part in (f"--{name}", str(path))]
    assert run(["profile", "block8-paper", *FAST, "--layers", "--quality", "30", *arguments]) == 0
    assert "by operator" in capsys.readouterr().out
    with files["csv"].open() as file:
        assert len(list(csv.DictReader(file))) == 6
    report = json.loads(files["json"].read_text())
    assert report["bundle"]["codec"] == "block8-paper"
    assert [table["network"] for table in report["layers"]] == ["analysis", "synthesis"]


def test_a_plot_is_drawn(tmp_path):
    pytest.importorskip("matplotlib")
    assert run(["profile", *FAST, "--plot", str(tmp_path / "p.png")]) == 0
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")


def test_json_on_the_output_is_nothing_but_json(capsys):
    assert run(["profile", *FAST, "--json", "-", "--only", "decode", "--grey"]) == 0
    report = json.loads(capsys.readouterr().out)
    assert [phase["direction"] for phase in report["phases"]] == ["decode"]
    assert report["picture"]["bands"] == 1


def test_a_picture_of_ones_own_in_its_own_size(kodim_path, capsys):
    fast = [*FAST[2:], "--image", str(kodim_path)]
    assert run(["profile", *fast]) == 0
    assert "768x512" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--size", "huge"], 2),
        (["--quality", "5", "--bpp", "1"], 2),
        (["--runs", "3", "--duration", "1"], 2),
        (["--only", "both"], 2),
        (["--precision", "fp16"], 2),
        (["--backend", "ort"], 2),
        (["--image", "nothing.png"], 3),
        (["nothing.bundle"], 5),
        (["--layers"], 2),
    ],
)
def test_what_makes_no_sense_is_said(arguments, code, capsys):
    base = [] if "--runs" in arguments else ["--runs", "1"]
    size = [] if "--size" in arguments else ["--size", "32x32"]
    assert run(["profile", *arguments, *base, *size, "--no-sensors", "--warmup", "0"]) == code
    assert capsys.readouterr().err.startswith("farlook: ")


@pytest.mark.parametrize("option", ["--csv", "--json", "--plot"])
def test_a_file_that_cannot_be_written_is_refused_before_anything_is_measured(
    tmp_path, capsys, monkeypatch, option
):
    monkeypatch.setattr(verb, "measure", lambda *_: pytest.fail("it measured"))
    assert run(["profile", *FAST, option, str(tmp_path / "none" / "x")]) == 7
    assert "cannot write" in capsys.readouterr().err


def test_layers_of_what_has_none_are_refused_before_anything_is_measured(capsys, monkeypatch):
    monkeypatch.setattr(verb, "measure", lambda *_: pytest.fail("it measured"))
    assert run(["profile", "block8", *FAST, "--layers"]) == 2
    assert "leave --layers out" in capsys.readouterr().err
