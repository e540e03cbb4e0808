"""The overhead benchmark on one picture."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

pytest.importorskip("imagecodecs")

from farlook.benchmarks.block8_overhead import (
    BUDGETS,
    FINE,
    Job,
    Thumbnail,
    flat_bytes,
    main,
    squeeze,
    thumbnail_table,
)
from farlook.benchmarks.codecs import CODECS, open_codec


@pytest.fixture
def folder(tmp_path, kodim):
    """One picture of 256 x 200 pixels."""
    made = tmp_path / "kodak"
    made.mkdir()
    Image.fromarray(np.ascontiguousarray(kodim[150:350, 240:496])).save(made / "one.png")
    return made


def test_every_other_codec_has_fine_settings():
    ours = {"block8", "block8-whole", "block8-paper", "fera", "aara", "mrdcae", "mfca"}
    assert set(FINE) == set(CODECS) - ours


def test_a_flat_picture_has_the_sizes_that_are_known():
    assert flat_bytes(open_codec("jpeg"), 128) == 1182
    assert flat_bytes(open_codec("j2k"), 128) < 126


@pytest.mark.parametrize("name", ["jpeg", "j2k"])
def test_more_bytes_are_no_worse(folder, name):
    found = squeeze(Job(folder / "one.png", name))
    reached = [value for value in found.within if value is not None]
    assert reached == sorted(reached)
    assert len(found.within) == len(BUDGETS)
    assert found.smallest > 100
    assert all(value >= found.worst for value in reached)
    assert (found.within[0] is None) == (found.smallest > BUDGETS[0])


def test_farlook_codes_within_the_budget(folder):
    found = squeeze(Job(folder / "one.png", "block8-paper"))
    assert found.within[-1] > found.worst - 1e-9
    assert len([value for value in found.within if value is None]) < len(BUDGETS)


def test_means_say_how_many_fit():
    found = [Thumbnail((None, None, 20.0, 24.0), 250, 19.0), Thumbnail((None, 21.0, 22.0, 26.0), 180, 21.0)]
    row = thumbnail_table({"jpeg": found}).splitlines()[-1]
    assert [cell.strip() for cell in row.split("|")[1:-1]] == [
        "jpeg", "-", "21.00 [1]", "21.00", "25.00", "215", "20.00"
    ]  # fmt: skip


def test_it_writes_a_page(folder, tmp_path, capsys):
    arguments = ["--images", str(folder), "--codecs", "block8-paper,jpeg", "--processes", "1", "--quiet"]
    assert main([*arguments, "--output", str(tmp_path / "page.md")]) == 0
    page = (tmp_path / "page.md").read_text()
    assert f"python benchmarks/block8_overhead.py --images {folder} --codecs" in page
    assert "| block8-paper |" in page
    assert "128 x 128 pixels, grey" in page
    assert "wrote" in capsys.readouterr().out
