"""Markdown, JSON and plots."""

from __future__ import annotations

import json

import pytest
from PIL import Image

from farlook.benchmarks.report import (
    average,
    beside,
    figure,
    mean,
    processor,
    relative,
    table,
    write_json,
    write_plot,
    write_text,
)
from farlook.runtime.errors import OutputError


def test_a_table_is_padded():
    text = table(["name", "x"], [["a", "1.00"], ["longer", "-"]])
    assert text.splitlines() == [
        "| name   |    x |",
        "| ------ | ---: |",
        "| a      | 1.00 |",
        "| longer |    - |",
    ]


def test_numbers():
    assert (figure(None), figure(1.234), figure(1.26, 1), figure(2, 1, signed=True)) == (
        "-",
        "1.23",
        "1.3",
        "+2.0",
    )
    assert mean([1.0, 2.0]) == "1.50"
    assert mean([1.0, None, 2.0]) == "1.50 [2]"
    assert mean([None, None]) == "-"
    assert (average([]), average([None, 4.0])) == (None, 4.0)


def test_paths(tmp_path):
    assert beside(tmp_path / "page.md", ".json") == tmp_path / "page.json"
    assert relative(tmp_path / "images" / "a.svg", tmp_path / "pages" / "page.md") == "../images/a.svg"


def test_text_ends_in_one_line_break(tmp_path):
    write_text(tmp_path / "page.md", "text\n\n")
    assert (tmp_path / "page.md").read_bytes() == b"text\n"
    with pytest.raises(OutputError):
        write_text(tmp_path / "none" / "page.md", "text")


def test_json_is_rounded(tmp_path):
    write_json(tmp_path / "a.json", {"list": [{"name": "x", "value": 1 / 3, "none": None, "whole": 7}]})
    expected = {"list": [{"name": "x", "value": 0.33333, "none": None, "whole": 7}]}
    assert json.loads((tmp_path / "a.json").read_text()) == expected


@pytest.mark.parametrize("count", [1, 3])
def test_plots_are_small_files_of_their_suffix(tmp_path, count):
    pytest.importorskip("matplotlib")
    panels = {f"panel {n}": {"jpeg": [(0.1, 25.0), (0.2, 27.0)], "jpeg, bursts": []} for n in range(count)}
    for name in ("plot.svg", "again.svg", "plot.png"):
        write_plot(tmp_path / name, panels, ("rate", "PSNR"))
    drawing = (tmp_path / "plot.svg").read_text()
    assert drawing == (tmp_path / "again.svg").read_text()
    assert len(drawing) < 100_000
    assert all(f"panel {n}" in drawing for n in range(count))
    with Image.open(tmp_path / "plot.png") as image:
        assert image.format == "PNG"


def test_the_processor_has_a_name():
    assert processor()
