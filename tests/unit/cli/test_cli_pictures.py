"""encode and decode of one picture."""

from __future__ import annotations

import os

import numpy as np
import pytest
from PIL import Image

from farlook.runtime.info import info

LOSSLESS = ("png", "tif", "tiff", "webp", "bmp")
LOSSY = ("jpg", "jpeg")


@pytest.mark.parametrize("bands", ["L", "RGB"])
@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY, "PNG"])
def test_every_input_format_is_encoded(cli, tmp_path, crop, suffix, bands):
    source, target = tmp_path / f"in.{suffix}", tmp_path / "out.flk"
    Image.fromarray(crop).convert(bands).save(source)
    expected = 3 if bands == "RGB" or suffix == "webp" else 1  # WebP has no grey
    result = cli("encode", source, target)
    assert (result.code, result.out) == (0, "")
    stream = info(target.read_bytes())
    assert (stream.width, stream.height, stream.bands) == (120, 80, expected)
    assert f"{source} -> {target}: 120x80, {stream.size} bytes, {stream.bpp:.3f} bpp" in result.err
    assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("grey", [False, True], ids=["rgb", "grey"])
@pytest.mark.parametrize("suffix", [*LOSSLESS, *LOSSY, "PNG", "JPG"])
def test_every_output_format_is_decoded_to(cli, codec, tmp_path, crop, suffix, grey):
    data = codec.encode(np.ascontiguousarray(crop[..., 0]) if grey else crop)
    (tmp_path / "in.flk").write_bytes(data)
    target = tmp_path / f"out.{suffix}"
    result = cli("decode", tmp_path / "in.flk", target)
    assert (result.code, result.out) == (0, "")
    assert result.err.startswith(f"{tmp_path / 'in.flk'} -> {target}: 120x80, ")
    expected = codec.decode(data)
    with Image.open(target) as image:
        decoded = np.asarray(image.convert("L" if grey else "RGB"))
    limit = 12 if suffix.lower() in LOSSY else 0
    assert np.abs(decoded.astype(int) - expected).max() <= limit


def test_the_command_makes_the_bytes_of_the_library(cli, block8, crop, photo, tmp_path):
    for option, value in (("quality", 40), ("bpp", 0.5), ("budget", 400)):
        assert cli("encode", photo, tmp_path / "a.flk", f"--{option}", value).code == 0
        assert (tmp_path / "a.flk").read_bytes() == block8.encode(crop, **{option: value})
    assert cli("encode", photo, tmp_path / "a.flk").code == 0
    assert (tmp_path / "a.flk").read_bytes() == block8.encode(crop, quality=50)


@pytest.mark.parametrize(
    ("option", "value", "limit"), [("--bpp", 0.3, 360), ("--bpp", 64, 76800), ("-b", 300, 300)]
)
def test_a_target_is_never_exceeded(cli, photo, tmp_path, option, value, limit):
    assert cli("encode", photo, tmp_path / "a.flk", option, value).code == 0
    assert 0.5 * min(limit, 400) < (tmp_path / "a.flk").stat().st_size <= limit


def test_quality_orders_sizes(cli, photo, tmp_path):
    sizes = []
    for quality in (1, 30, 60, 100):
        assert cli("encode", photo, tmp_path / "a.flk", "-q", quality).code == 0
        sizes.append((tmp_path / "a.flk").stat().st_size)
    assert sizes == sorted(sizes)
    assert sizes[-1] > 2 * sizes[0]


def test_backend_threads_and_codec_can_be_named(cli, photo, tmp_path):
    options = ("--backend", "ort", "--threads", 1, "--codec", "block8-paper")
    assert cli("encode", photo, tmp_path / "a.flk", *options).code == 0
    assert cli("decode", tmp_path / "a.flk", tmp_path / "a.png", *options).code == 0


def test_a_bundle_can_be_named(cli, photo, tmp_path, make_bundle):
    mine = make_bundle(lambda manifest: manifest["coding"].update(mine=1))
    assert cli("encode", photo, tmp_path / "a.flk", "-c", mine).code == 0
    assert cli("decode", tmp_path / "a.flk", tmp_path / "a.png", "-c", mine).code == 0
    refused = cli("decode", tmp_path / "a.flk", tmp_path / "b.png")
    assert refused.code == 5
    assert "with the bundle it was made with" in refused.complaint
    assert not (tmp_path / "b.png").exists()


def test_an_older_output_is_replaced(cli, photo, tmp_path, block8, crop):
    (tmp_path / "a.flk").write_bytes(b"older" * 1000)
    assert cli("encode", photo, tmp_path / "a.flk").code == 0
    assert (tmp_path / "a.flk").read_bytes() == block8.encode(crop)


def test_an_output_has_the_permissions_of_any_new_file(cli, photo, tmp_path):
    held = os.umask(0o027)
    try:
        assert cli("encode", photo, tmp_path / "a.flk").code == 0
    finally:
        os.umask(held)
    assert (tmp_path / "a.flk").stat().st_mode & 0o777 == 0o640


def test_the_smallest_picture_survives(cli, tmp_path):
    Image.new("RGB", (1, 1), (10, 200, 30)).save(tmp_path / "dot.png")
    assert cli("encode", tmp_path / "dot.png", tmp_path / "dot.flk", "-q", 100).code == 0
    assert cli("decode", tmp_path / "dot.flk", tmp_path / "back.png").code == 0
    with Image.open(tmp_path / "back.png") as image:
        assert (image.size, image.mode) == ((1, 1), "RGB")
