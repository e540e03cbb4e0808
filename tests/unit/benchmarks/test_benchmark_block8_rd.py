"""The rate-distortion benchmark on a piece of a picture."""

from __future__ import annotations

import json

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs")
pytest.importorskip("matplotlib")

from farlook.benchmarks.block8_rd import (
    HIGHEST_RATE,
    RATES,
    Job,
    Point,
    Section,
    main,
    section_page,
    sweep,
    target_cells,
)


@pytest.fixture
def folder(tmp_path, kodim):
    """Two pictures of 192 x 176 pixels."""
    made = tmp_path / "kodak"
    made.mkdir()
    for name, left in (("one", 240), ("two", 400)):
        Image.fromarray(np.ascontiguousarray(kodim[180:356, left : left + 192])).save(made / f"{name}.png")
    return made


def run(folder, tmp_path, *more):
    places = ("--output", str(tmp_path / "page.md"), "--plot", str(tmp_path / "plot.svg"))
    return main(["--images", str(folder), *places, "--quiet", "--processes", "1", *more])


@pytest.mark.parametrize("mode", ["luma", "rgb"])
def test_a_sweep_ends_above_the_highest_rate(folder, mode):
    points = sweep(Job("kodak", folder / "one.png", mode, "jpeg"))
    assert points[-2].bpp <= HIGHEST_RATE < points[-1].bpp
    for point in points:
        assert point.bpp == 8 * point.size / (192 * 176)
        assert 0 < point.ms_ssim < 1
    assert points[-1].psnr > points[0].psnr + 3


def test_it_writes_a_page_its_points_and_a_plot(folder, tmp_path, capsys):
    codecs = ("--codecs", "block8-paper,jpeg,j2k", "--tested", "block8-paper")
    assert run(folder, tmp_path, *codecs) == 0
    page = (tmp_path / "page.md").read_text()
    assert f"python benchmarks/block8_rd.py --images {folder}" in page
    assert "](plot.svg)" in page
    for title in ("## kodak, luma: 2 pictures", "## kodak, RGB: 2 pictures"):
        assert title in page
    assert "| block8-paper against |" in page
    assert "target" not in page.lower(), "they are block8's"
    assert (tmp_path / "plot.svg").read_text().startswith("<?xml")
    assert f"wrote {tmp_path / 'page.md'}" in capsys.readouterr().out


def test_the_points_are_as_compressai_writes_them(folder, tmp_path):
    arguments = ("--codecs", "block8-paper,jpeg", "--tested", "block8-paper", "--modes", "luma")
    assert run(folder, tmp_path, *arguments) == 0
    ours, jpeg = json.loads((tmp_path / "page.json").read_text())["sets"]["kodak"]["luma"]
    assert (ours["name"], jpeg["name"]) == ("block8-paper", "jpeg")
    assert jpeg["description"].startswith("libjpeg-turbo")
    results = jpeg["results"]
    assert results["bpp"] == list(RATES)
    assert len(results["psnr"]) == len(results["ms-ssim"]) == len(results["pictures"]) == len(RATES)
    for name in ("one", "two"):
        points = jpeg["pictures"][name]
        assert points["bpp"][0] == pytest.approx(8 * points["bytes"][0] / (192 * 176), abs=1e-5)
        assert sorted(points) == ["bpp", "bytes", "ms-ssim", "psnr", "setting"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("--codecs", "jpeg"), "cannot judge block8: it is not among --codecs; name another with --tested"),
        (("--codecs", "jpeg", "--tested", "jpeg", "--modes", "cmyk"), "--modes is luma, rgb"),
        (("--codecs", "gif"), "no codec is called 'gif'"),
        (("--codecs", "jpeg", "--tested", "jpeg", "--plot", "none/plot.svg"), "there is no folder none"),
    ],
)
def test_errors_come_before_the_work(folder, tmp_path, capsys, arguments, message):
    assert run(folder, tmp_path, *arguments) == 2
    assert message in capsys.readouterr().err
    assert not (tmp_path / "page.md").exists()


def points(factor):
    """A PSNR curve that rises 3 dB a doubling."""
    rates = [factor * 0.04 * 2**step for step in range(6)]
    return [Point(1, 1, rate, 25 + 3 * step, 0.9 + step / 100) for step, rate in enumerate(rates)]


def test_results_are_judged_by_the_targets():
    found = {"block8": {"a": points(0.58)}, "jpeg": {"a": points(1)}, "webp": {"a": points(0.5)}}
    page = section_page(Section("kodak", "luma", found), "block8")
    cells = [[cell.strip() for cell in line.split("|")[1:-1]] for line in page.splitlines()[-2:]]
    assert cells == [
        ["jpeg", "-42.0", "-42.0", "-40", "-46", "met"],
        ["webp", "+16.0", "+16.0", "-", "-", ""],
    ]
    assert "target" not in section_page(Section("aerial", "luma", found), "block8")


def test_targets_are_met_missed_or_the_hope_met():
    assert target_cells(-39.9, (-40, -46))[-1] == "missed"
    assert target_cells(-40.0, (-40, -46))[-1] == "met"
    assert target_cells(-46.0, (-40, -46))[-1] == "hope met"
    assert target_cells(None, (-40, -46))[-1] == "missed"
    assert target_cells(-50.0, None) == ["-", "-", ""]
