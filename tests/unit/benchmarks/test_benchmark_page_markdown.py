"""The report's tables as markdown."""

import pytest

pytest.importorskip("scipy")

from farlook.benchmarks.page_markdown import markdown
from farlook.benchmarks.results import read_results
from farlook.cli.run import run


@pytest.fixture
def pages(make_results):
    folder = make_results(bytes_needed={"farlook:block8:neural": 0.8, "jpeg2000": 1, "avif:s6": 0.5})
    return markdown("Codecs", [read_results(folder)], [folder]), folder


def rows(text, first):
    """The cells of a table's lines by their first one."""
    lines = next(part for part in text.split("\n\n") if part.startswith(f"| {first}")).splitlines()
    split = [[cell.strip() for cell in line.strip("|").split("|")] for line in lines[2:]]
    return {name: cells for name, *cells in split}


def test_bytes_are_those_at_equal_quality(pages):
    found = rows(pages[0], "bytes of block8, neural decoder")
    assert [float(cell) for cell in found["JPEG 2000"]] == pytest.approx(
        [-20.0] * len(found["JPEG 2000"]), abs=0.2
    )
    assert [float(cell) for cell in found["AVIF s6"]] == pytest.approx(
        [60.0] * len(found["AVIF s6"]), abs=0.5
    )


def test_it_says_how_to_measure_it_again(pages):
    text, folder = pages
    assert f"-o {folder.name}/ --codec farlook:block8:neural,jpeg2000,avif:s6 --rates " in text
    assert text.startswith("# Codecs\n")
    assert "\n\none.png, " in text
    assert text.endswith("\n")


def test_quality_and_speed_are_of_every_codec(pages):
    for first in ("PSNR of RGB, dB", "megapixels a second, one core"):
        found = rows(pages[0], first)
        assert {"block8, neural decoder", "JPEG 2000", "AVIF s6"} <= found.keys()
        assert all(float(cells[0]) > 0 for cells in found.values())


def test_the_verb_writes_them(make_results, tmp_path, capsys):
    page = tmp_path / "tables.md"
    assert run(["report", str(make_results()), "--markdown", str(page), "--title", "Two"]) == 0
    assert f"wrote {page}" in capsys.readouterr().out
    assert (tmp_path / "tables.md").read_text().startswith("# Two\n")
