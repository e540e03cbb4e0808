"""The benchmark of block8's decoders runs on a small picture, and judges as it should."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks import block8_ground
from farlook.benchmarks.block8_ground import Outcome, Point, anchor_curves, gains, main, verdicts

pytest.importorskip("onnxruntime")
pytest.importorskip("scipy")


@pytest.fixture
def folder(tmp_path, kodim):
    path = tmp_path / "kodak"
    path.mkdir()
    Image.fromarray(np.ascontiguousarray(kodim[100:292, 200:424])).save(path / "one.png")
    return path


@pytest.fixture
def anchors(tmp_path):
    """A codec that is far worse than block8."""
    points = {"one": {"bpp": [0.05, 0.2, 0.5, 1.0], "psnr": [20.0, 24.0, 28.0, 33.0]}}
    entries = [{"name": "j2k", "pictures": points}]
    path = tmp_path / "anchors.json"
    path.write_text(json.dumps({"sets": {"kodak": {"luma": entries, "rgb": entries}}}))
    return path


def test_it_measures_and_writes(folder, anchors, tmp_path, monkeypatch, capsys):
    monkeypatch.setattr(block8_ground, "QUALITIES", (8, 16, 24, 32, 40))
    monkeypatch.setattr(block8_ground, "_RUNS", 1)
    page = tmp_path / "page.md"
    command = [
        "--images",
        folder,
        "--anchors",
        anchors,
        "--output",
        page,
        "--draws",
        1,
        "--processes",
        1,
        "--quiet",
    ]
    assert main([str(word) for word in command]) == 0
    text = page.read_text()
    assert text.strip() == capsys.readouterr().out.strip()
    assert "luma: BD-rate against j2k, %" in text
    assert "webp" in text  # without points: a dash
    record = json.loads(page.with_suffix(".json").read_text())
    found = record["sets"]["kodak"]["luma"]["one"]
    assert found["quality"] == sorted(found["quality"])
    assert all(
        ours > linear for ours, linear in zip(found["psnr"]["fast"], found["psnr"]["linear"], strict=True)
    )
    assert {"linear", "fast"} == set(found["lossy"])


def test_a_network_that_is_not_there_is_said_before_the_work(folder, anchors, tmp_path, capsys):
    command = [
        "--images",
        folder,
        "--anchors",
        anchors,
        "--output",
        tmp_path / "p.md",
        "--networks",
        "x.bundle",
    ]
    assert main([str(word) for word in command]) == 5
    assert "x.bundle" in capsys.readouterr().err


def test_missing_anchors_are_said(folder, tmp_path, capsys):
    command = ["--images", folder, "--anchors", tmp_path / "none.json", "--output", tmp_path / "p.md"]
    assert main([str(word) for word in command]) == 3
    assert "none.json" in capsys.readouterr().err


def test_gains_count_between_the_rates():
    def point(bpp, better):
        return Point(1, 1, bpp, (30.0, 30.0 + better), (0.9, 0.9))

    outcome = Outcome([point(0.01, 1.0), point(0.1, 0.5), point(0.4, -0.25), point(0.7, 1.0)], (20.0, 21.0))
    assert gains(outcome, 1) == [0.5, -0.25]


def test_verdicts_say_what_was_missed():
    rates = {("kodak", "luma"): {"fast": {"j2k": -19.0, "webp": -10.0}}}
    text = verdicts(rates, "fast", below=1, lossy=[0.6, 0.2])
    lines = {line.split("|")[1].strip(): line for line in text.splitlines()}
    assert "met" in lines["luma: BD-rate against j2k, %"]
    assert "missed" in lines["luma: BD-rate against webp, %"]
    assert "missed" in lines["streams on which it is below linear"]
    assert "met" in lines["luma: gain with 10% lost, dB"]
    assert "missed" in lines["rgb: gain with 10% lost, dB"]


def test_codecs_that_were_not_measured_have_no_curves():
    assert anchor_curves({}, "kodak", "luma", "j2k") == {}
