"""PNG plots."""

from itertools import combinations

import pytest
from PIL import Image

pytest.importorskip("scipy")
pytest.importorskip("matplotlib")

from farlook.benchmarks.page_data import Extras
from farlook.benchmarks.page_plots import _speed, spread, write_plots
from farlook.benchmarks.page_styles import styles
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


def test_names_at_the_ends_of_lines_are_moved_little_and_kept_apart():
    assert spread([], 0.1) == []
    assert spread([0.3], 0.1) == [0.3]
    assert spread([0.2, 0.5, 0.5, 0.98], 0.1) == pytest.approx([0.2, 0.45, 0.55, 0.98])
    assert spread([0.99, 1.0, 1.0], 0.1) == pytest.approx([0.8, 0.9, 1.0])
    assert spread([0.0, 0.0], 0.1) == pytest.approx([0.0, 0.1])


def test_names_of_marks_cover_no_other(make_results):
    needed = {
        "farlook:block8:neural": 0.80,
        "farlook:block8": 0.82,
        "webp:m6": 1,
        "jpeg2000": 1.01,
        "avif:s6": 0.99,
    }
    results = read_results(make_results(bytes_needed=needed))
    metric = results.metrics[0]
    pytest.importorskip("matplotlib").use("Agg")
    pyplot = pytest.importorskip("matplotlib.pyplot")
    drawing = _speed(pyplot, results, metric, styles(results.codecs, []))
    renderer = drawing.canvas.get_renderer()
    for cell in drawing.axes:
        boxes = [text.get_window_extent(renderer) for text in cell.texts]
        assert len(boxes) == len(needed)
        assert not any(a.overlaps(b) for a, b in combinations(boxes, 2))
        frame = cell.get_window_extent(renderer)
        assert all(frame.x0 <= box.x0 and box.x1 <= frame.x1 + 20 for box in boxes)
    pyplot.close(drawing)


def test_references_and_untimed_results(make_results, tmp_path):
    folder = make_results()
    results = read_results(folder)
    results.timings.clear()
    del results.metrics[1:]
    references = {"jpeg2000": {"bpp": [0.1, 0.3], "psnr-rgb": [20.0, 30.0]}}
    written = write_plots(tmp_path, [results], Extras(references))
    assert {path.name.partition("-")[0] for path in written} == {"rate"}
