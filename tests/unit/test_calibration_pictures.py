"""Pictures to calibrate on."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

from farlook.calibration.pictures import PictureSet, synthetic
from farlook.runtime.errors import CalibrationError, ImageError, UsageError


@pytest.fixture
def folder(tmp_path):
    """Three pictures, one of them in a folder, one grey and large."""
    (tmp_path / "inner").mkdir()
    rng = np.random.default_rng(0)
    Image.fromarray(rng.integers(0, 256, (40, 50, 3), np.uint8)).save(tmp_path / "a.png")
    Image.fromarray(rng.integers(0, 256, (600, 700), np.uint8)).save(tmp_path / "b.png")
    Image.fromarray(rng.integers(0, 256, (16, 16, 3), np.uint8)).save(tmp_path / "inner" / "c.png")
    return tmp_path


def test_large_pictures_are_cut_to_their_middle(folder):
    assert [picture.shape for picture in PictureSet(folder)] == [(40, 50, 3), (512, 512), (16, 16, 3)]


def test_a_limit_spreads_over_the_names(folder):
    assert [picture.shape for picture in PictureSet(folder, 2, 32)] == [(32, 32, 3), (32, 32)]


def test_bad_files_are_skipped_counted_and_told(folder):
    (folder / "broken.png").write_bytes(b"no picture")
    Image.new("RGB", (3, 90)).save(folder / "tiny.png")
    told = []
    pictures = PictureSet(folder, warn=told.append)
    assert len(list(pictures)) == 3
    assert (pictures.used, len(pictures.skipped), len(told)) == (3, 2, 2)
    assert any("broken.png" in text for text in told)
    assert pictures.describe()["skipped"] == 2


def test_none_usable_is_an_error(tmp_path):
    (tmp_path / "broken.png").write_bytes(b"no picture")
    with pytest.raises(CalibrationError, match=r"broken\.png"):
        list(PictureSet(tmp_path))


def test_folders_without_pictures_are_refused(tmp_path):
    with pytest.raises(ImageError, match="no picture"):
        PictureSet(tmp_path)
    with pytest.raises(ImageError, match="--synthetic"):
        PictureSet(tmp_path / "nowhere")


def test_limits_and_sides_have_a_least(folder):
    for arguments in ((0, 512), (None, 4)):
        with pytest.raises(UsageError):
            PictureSet(folder, *arguments)


def test_the_digest_tells_pictures_apart(folder):
    whole = PictureSet(folder)
    list(whole)
    again = PictureSet(folder)
    list(again)
    part = PictureSet(folder, 2)
    list(part)
    assert whole.describe()["sha256"] == again.describe()["sha256"] != part.describe()["sha256"]


def test_few_takes_usable_ones_and_cuts_them(folder):
    (folder / "aa.png").write_bytes(b"no picture")
    pictures = PictureSet(folder)
    list(pictures)
    assert [picture.shape for picture in pictures.few(3, 24)] == [(24, 24, 3), (24, 24), (16, 16, 3)]


@pytest.fixture
def dozen(tmp_path):
    """Twelve pictures of a colour each, and a file that is none."""
    for index in range(12):
        Image.new("L", (40, 40), index).save(tmp_path / f"{index:02}.png")
    (tmp_path / "00_broken.png").write_bytes(b"no picture")
    return tmp_path


def colours(pictures):
    return {int(picture[0, 0]) for picture in pictures}


def test_pictures_that_are_held_out_are_walked_through_no_more(dozen):
    pictures = PictureSet(dozen)
    held = pictures.hold_out(4, 16, leave=4)
    assert {picture.shape for picture in held.values()} == {(16, 16)}
    assert {f"{colour:02}.png" for colour in colours(held.values())} == set(held)
    assert max(colours(held.values())) > 6  # from all over the set
    rest = colours(pictures)
    assert (len(held), len(rest), rest | colours(held.values())) == (4, 8, set(range(12)))
    assert not colours(pictures.few(8, 16)) & colours(held.values())
    assert len(pictures.skipped) == 1


@pytest.mark.parametrize(("count", "leave"), [(4, 9), (13, 0), (12, 1)])
def test_too_few_for_both_are_all_left(dozen, count, leave):
    pictures = PictureSet(dozen)
    assert pictures.hold_out(count, 16, leave) == {}
    assert colours(pictures) == set(range(12))


def test_usable_pictures_are_counted_up_to_a_number(dozen, monkeypatch):
    for index in range(20):
        (dozen / f"0 broken {index}.png").write_bytes(b"no picture")
    pictures = PictureSet(dozen)
    assert len(pictures) > 20
    assert pictures.usable(36) == len(list(pictures))
    read = []
    load = PictureSet._load
    monkeypatch.setattr(PictureSet, "_load", lambda self, path: (read.append(path), load(self, path))[1])
    assert pictures.usable(2) == 2
    assert len(read) < len(pictures)
    assert [PictureSet(None, 5).usable(most) for most in (3, 36)] == [3, 5]


def test_synthetic_pictures_are_made_anew_to_be_held_out():
    pictures = PictureSet(None, 3, 64)
    held = pictures.hold_out(2, 64, leave=3)
    walked = list(pictures)
    assert (len(held), len(walked)) == (2, 3)
    assert not any(np.array_equal(a, b) for a in held.values() for b in walked)


def test_synthetic_pictures_are_the_same_each_time_and_differ_from_each_other():
    first, again = list(PictureSet(None, 3, 64)), list(PictureSet(None, 3, 64))
    assert all(np.array_equal(a, b) for a, b in zip(first, again, strict=True))
    assert not np.array_equal(first[0], first[1])
    assert first[0].shape == (64, 64, 3)
    assert synthetic(0, 64).std() > 5
