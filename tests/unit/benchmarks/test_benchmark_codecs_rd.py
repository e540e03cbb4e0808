"""The neural codecs' benchmark, with the stand-in for one of them."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs")
pytest.importorskip("matplotlib")
pytest.importorskip("onnxruntime")

from farlook.benchmarks import codecs as all_codecs
from farlook.benchmarks.block8_rd import Job
from farlook.benchmarks.codecs_rd import main, sweep

STANDIN = str(Path(__file__).parents[2] / "vectors" / "neural" / "standin.bundle")


@pytest.fixture
def folder(tmp_path, kodim):
    """Two pictures of 192 x 176 pixels, one of which a paper's claim is about."""
    made = tmp_path / "kodak"
    made.mkdir()
    for name, left in (("kodim23", 240), ("two", 400)):
        Image.fromarray(np.ascontiguousarray(kodim[180:356, left : left + 192])).save(made / f"{name}.png")
    return made


@pytest.fixture(autouse=True)
def standin(monkeypatch):
    """The stand-in under fera's name."""

    class Few(all_codecs.Neural):
        settings = (1, 40, 80, 100)

        def __init__(self):
            super().__init__(STANDIN)
            self.name = "fera"
            self.counts = {"parameters": 1.5e6, "encoder_kmac": 12.345}

    all_codecs.open_codec.cache_clear()
    monkeypatch.setitem(all_codecs.CODECS, "fera", Few)
    yield
    all_codecs.open_codec.cache_clear()


@pytest.fixture
def reference(tmp_path):
    """Published curves, made up."""
    points = [{"bpp": rate, "psnr": 30 + 10 * rate} for rate in (0.1, 0.3, 0.6, 1.2)]
    path = tmp_path / "reference.json"
    path.write_text(json.dumps({"vtm": points, "bmshj2018-hyperprior-mse": points}))
    return path


def run(folder, tmp_path, *more):
    places = ("--output", str(tmp_path / "page.md"), "--plot", str(tmp_path / "plot.svg"))
    return main(["--images", str(folder), *places, "--quiet", "--processes", "1", *more])


def test_a_sweep_is_timed(folder):
    points = sweep(Job("kodak", folder / "two.png", "rgb", "fera"))
    assert [point.setting for point in points] == [1, 40, 80, 100]
    assert all(min(point.encode_ms, point.decode_ms) > 0 for point in points)
    assert points[-1].psnr > points[0].psnr + 3


def test_it_writes_a_page_its_points_and_a_plot(folder, tmp_path, reference, capsys):
    assert run(folder, tmp_path, "--ours", "fera", "--reference", str(reference)) == 0
    page = (tmp_path / "page.md").read_text()
    assert "## kodak, RGB: 2 pictures" in page
    assert "| BD-rate, % | against jpeg | against j2k | against webp |" in page
    assert "target -25 against jpeg" in page
    assert "| fera  |                1.50 |              12.35 |" in page
    claim = next(line for line in page.splitlines() if "44.26:1" in line)
    assert "kodim23" in claim
    assert "42.38" in claim
    assert "beyond VTM" in claim
    assert "VTM, published" in page
    points = json.loads((tmp_path / "page.json").read_text())
    fera = next(each for each in points["sets"]["kodak"] if each["name"] == "fera")
    assert len(fera["pictures"]["two"]) == 4
    assert set(fera["bd-rate"]) == {"jpeg", "j2k", "webp"}
    assert (tmp_path / "plot.svg").stat().st_size > 1000
    assert "wrote" in capsys.readouterr().out


def test_without_references_nothing_is_said_of_vtm(folder, tmp_path):
    assert run(folder, tmp_path, "--ours", "fera", "--anchors", "jpeg") == 0
    page = (tmp_path / "page.md").read_text()
    assert "published |" not in page
    assert "beyond VTM" not in page


@pytest.mark.parametrize("content", ["{}", "no json", '{"vtm": [1]}'])
def test_references_that_cannot_be_read_are_an_error(folder, tmp_path, content, capsys):
    (tmp_path / "bad.json").write_text(content)
    assert run(folder, tmp_path, "--ours", "fera", "--reference", str(tmp_path / "bad.json")) == 2
    assert "cannot read curves" in capsys.readouterr().err
