"""Bundles whose graphs no codec runs by itself: decoders for the ground, block8's transform."""

from __future__ import annotations

import numpy as np
import pytest

from farlook.calibration.calibrate import Settings, calibrate
from farlook.calibration.pictures import PictureSet
from farlook.calibration.subjects import fitter, open_subject
from farlook.calibration.verify import verify
from farlook.export.block8_onnx import export_block8_onnx
from farlook.runtime.bundle import Bundle, find_bundle, shipped_decoders
from farlook.runtime.codec import Codec
from farlook.runtime.errors import UsageError


@pytest.fixture(scope="module")
def crop(kodim):
    return np.ascontiguousarray(kodim[200:290, 300:400])


@pytest.fixture(scope="module")
def transform(tmp_path_factory):
    """block8 with its transform as graphs."""
    path = tmp_path_factory.mktemp("transform") / "block8.bundle"
    export_block8_onnx(path)
    return path


def checked(path, out, crop):
    """The rows of a verification after calibration on one picture, and whether decoders agree on symbols."""
    calibrate(Bundle.open(path), out, PictureSet(None, 1, 96), Settings(threads=1))
    found = verify(Bundle.open(out), [crop], threads=1, qualities=(20, 50, 80))
    assert not found.failures(None)
    return {row.precision: row for row in found.rows}, {cross.identical for cross in found.crosses}


def test_the_transform_costs_nothing_in_fp16_and_much_in_int8(transform, tmp_path, crop):
    rows, identical = checked(transform, tmp_path / "made.bundle", crop)
    assert identical == {True}
    assert abs(rows["fp16"].change.bd_rate) < 0.5
    assert rows["int8"].change.psnr < -0.2
    assert rows["int8"].flipped > rows["fp16"].flipped > 0


@pytest.mark.parametrize("name", shipped_decoders())
def test_decoders_for_the_ground_leave_streams_alone(name, tmp_path, crop):
    rows, identical = checked(find_bundle(name).path, tmp_path / "made.bundle", crop)
    assert identical == {None}  # block8 reads the streams: there is nothing to compare
    for row in rows.values():
        assert row.flipped is None
        assert row.change.rate == 0
        assert abs(row.change.psnr) < 0.3


def test_pictures_are_fitted_to_the_graphs(transform, crop):
    fit = fitter(Bundle.open(transform))
    assert fit(crop).shape == (80, 96, 3)
    assert fit(crop[..., 0]).shape == (80, 96, 3)
    assert fit(crop[:8, :20]).shape == (16, 16, 3)


def test_the_codec_itself_stays_an_integer_one(transform, crop):
    stream = Codec.load(transform).encode(crop, quality=50)
    assert stream == Codec.load("block8").encode(crop, quality=50)
    with pytest.raises(UsageError, match="runs no networks"):
        Codec.load(transform, precision="fp16")
    with pytest.raises(UsageError, match="no networks"):
        open_subject(find_bundle("block8"))
