"""PNG plots."""

import pytest
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from farlook.benchmarks.page_data import Extras
from farlook.benchmarks.page_plots import write_plots
from farlook.benchmarks.results import read_results


def test_every_figure_of_merit_has_its_plots(make_results, tmp_path):
    results = read_results(make_results(mode="luma"))
    results.metrics.pop()
    written = write_plots(tmp_path / "plots", [results], Extras())
    keys = ("psnr-luma", "ms-ssim-luma")
    expected = {f"{kind}-kodak-luma-{key}.png" for kind in ("rate", "speed") for key in keys}
    assert {path.name for path in written} == expected
    for path in written:
        with Image.open(path) as image:
            assert image.format == "PNG"
            assert len(image.convert("RGB").getcolors(1 << 24)) > 20


def test_references_and_untimed_results(make_results, tmp_path):
    folder = make_results()
    results = read_results(folder)
    results.timings.clear()
    del results.metrics[1:]
    references = {"jpeg2000": {"bpp": [0.1, 0.3], "psnr-rgb": [20.0, 30.0]}}
    written = write_plots(tmp_path, [results], Extras(references))
    assert {path.name.partition("-")[0] for path in written} == {"rate"}
