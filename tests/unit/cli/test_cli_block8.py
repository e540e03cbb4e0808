"""block8 on the command line: packets, layouts, regions, 16 bits, and decoding what is left."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import Image

import farlook
from farlook.runtime.block8.stream import split_packets
from farlook.runtime.images import read_image


@pytest.fixture
def packets(cli, photo, tmp_path):
    """The photo's packets, each in a file."""
    result = cli("encode", photo, tmp_path / "packets", "--packets", "--mtu", 128, "-q", 60)
    assert result.code == 0, result.err
    return tmp_path / "packets"


def test_options_reach_the_codec(cli, block8, crop, photo, tmp_path):
    out = tmp_path / "a.flk"
    assert cli("encode", photo, out, "--mtu", 200, "--bpp", 1, "--threads", 1).code == 0
    assert out.read_bytes() == block8.encode(crop, mtu=200, bpp=1)
    regions = ("--roi", "0,0,30,30", "--roi", "60,40,10,10,16")
    assert cli("encode", photo, out, "-q", 30, *regions).code == 0
    assert out.read_bytes() == block8.encode(crop, quality=30, roi=[(0, 0, 30, 30), (60, 40, 10, 10, 16)])
    assert cli("encode", photo, out, "--layout", "tiles").code == 0
    assert out.read_bytes() == block8.encode(crop)


def test_tune_reaches_the_codec(cli, block8, crop, photo, tmp_path):
    out = tmp_path / "a.flk"
    assert cli("encode", photo, out, "--tune", "ms-ssim", "--bpp", 1).code == 0
    assert out.read_bytes() == block8.encode(crop, tune="ms-ssim", bpp=1) != block8.encode(crop, bpp=1)
    assert cli("encode", photo, out, "--tune", "psnr").code == 0
    assert out.read_bytes() == block8.encode(crop)


@pytest.mark.parametrize(
    ("options", "complaint"),
    [
        (["--tune", "sharp"], "there is no tune 'sharp'; choose one of: psnr, ms-ssim"),
        (["--tune", "ms-ssim", "--layout", "progressive"], "tune ms-ssim needs the layout tiles"),
        (["--tune", "ms-ssim", "--codec", "block8-paper"], "tune"),
    ],
)
def test_a_tune_that_cannot_be_is_an_error(cli, photo, tmp_path, tree, options, complaint):
    result = cli("encode", photo, tmp_path / "a.flk", *options)
    assert result.code == 2
    assert complaint in result.complaint
    assert tree(tmp_path) == ["photo.png"]


def test_packets_are_files_of_at_most_the_mtu(block8, crop, packets):
    files = sorted(packets.iterdir())
    assert [file.name for file in files] == [f"{number:06}.packet" for number in range(len(files))]
    assert len(files) > 5
    assert max(file.stat().st_size for file in files) <= 128
    assert b"".join(file.read_bytes() for file in files) == block8.encode(crop, mtu=128, quality=60)


def test_pictures_of_a_folder_get_a_folder_of_packets_each(cli, photo, tmp_path, tree):
    (tmp_path / "in").mkdir()
    for name in ("a.png", "b.png"):
        (tmp_path / "in" / name).write_bytes(photo.read_bytes())
    assert cli("encode", tmp_path / "in", tmp_path / "out", "--packets").code == 0
    assert tree(tmp_path / "out") == ["a/000000.packet", "b/000000.packet"]


def test_packets_that_are_there_make_a_picture_and_a_mask(cli, block8, packets, tmp_path):
    for number in (0, 4):
        (packets / f"{number:06}.packet").unlink()
    (packets / ".hidden").write_bytes(b"x")
    target, mask = tmp_path / "a.png", tmp_path / "mask.png"
    result = cli("decode", packets, target, "--lossy", "--mask", mask)
    assert (result.code, result.out) == (0, "")
    picture = block8.decode_lossy([file.read_bytes() for file in packets.glob("*.packet")])
    count = int(picture.concealed.sum())
    assert 0 < count < 150
    assert (
        f"120x80, {picture.packets} packets, {count} of 150 blocks concealed ({count / 1.5:.1f} %)"
        in result.err
    )
    assert len(result.err.splitlines()) == 1
    np.testing.assert_array_equal(read_image(target), picture.image)
    np.testing.assert_array_equal(read_image(mask), picture.mask)


def test_a_damaged_stream_is_decoded_only_when_asked(cli, block8, block8_stream, tmp_path, tree):
    damaged = bytearray(block8_stream)
    damaged[len(split_packets(block8_stream)[0]) + 20] ^= 1
    (tmp_path / "a.flk").write_bytes(damaged)
    assert cli("decode", tmp_path / "a.flk", tmp_path / "a.png").code == 4
    assert tree(tmp_path) == ["a.flk"]
    result = cli("decode", tmp_path / "a.flk", tmp_path / "a.png", "--lossy", "--decoder", "linear")
    assert result.code == 0
    assert " blocks concealed" in result.err
    expected = block8.decode_lossy(bytes(damaged)).image
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), expected)


def test_a_stream_cut_short_points_to_lossy(cli, block8_stream, tmp_path):
    (tmp_path / "a.flk").write_bytes(b"".join(split_packets(block8_stream)[:-1]))
    result = cli("decode", tmp_path / "a.flk", tmp_path / "a.png")
    assert result.code == 4
    assert "--lossy" in result.complaint


@pytest.mark.parametrize("suffix", ["png", "tif"])
@pytest.mark.parametrize("depth", [None, 12])
def test_16_bit_grey_goes_there_and_back(cli, tmp_path, crop, suffix, depth):
    image = crop[..., 0].astype(np.uint16) * (257 if depth is None else 16)
    Image.fromarray(image).save(tmp_path / f"deep.{suffix}")
    options = () if depth is None else ("--depth", depth)
    assert cli("encode", tmp_path / f"deep.{suffix}", tmp_path / "a.flk", "-q", 90, *options).code == 0
    told = farlook.info((tmp_path / "a.flk").read_bytes())
    assert (told.bands, told.bit_depth) == (1, depth or 16)
    assert cli("decode", tmp_path / "a.flk", tmp_path / f"back.{suffix}").code == 0
    again = read_image(tmp_path / f"back.{suffix}", deep=True)
    assert again.dtype == np.uint16
    top = 65535 if depth is None else 4095
    assert np.abs(again.astype(float) - image).mean() < top / 100


def test_a_depth_that_is_too_small_says_so(cli, tmp_path, crop):
    Image.fromarray(crop[..., 0].astype(np.uint16) * 257).save(tmp_path / "deep.png")
    result = cli("encode", tmp_path / "deep.png", tmp_path / "a.flk", "--depth", 12)
    assert result.code == 3
    assert "12 bits end at 4095" in result.complaint


def test_16_bits_have_no_place_in_a_jpeg(cli, block8, tmp_path, tree):
    (tmp_path / "a.flk").write_bytes(block8.encode(np.full((9, 9), 3000, np.uint16)))
    (tmp_path / "rgb.flk").write_bytes(block8.encode(np.full((9, 9, 3), 3000, np.uint16)))
    result = cli("decode", tmp_path / "a.flk", tmp_path / "a.jpg")
    assert result.code == 7
    assert "only PNG and TIFF hold them" in result.complaint
    result = cli("decode", tmp_path / "rgb.flk", tmp_path / "a.png")
    assert result.code == 7
    assert "RGB samples of 16 bits; take them from farlook.decode" in result.complaint
    assert tree(tmp_path) == ["a.flk", "rgb.flk"]


def test_info_tells_what_block8_adds(cli, block8_stream, tmp_path):
    (tmp_path / "a.flk").write_bytes(block8_stream)
    result = cli("info", tmp_path / "a.flk")
    assert result.code == 0
    told = farlook.info(block8_stream)
    assert told.largest_packet <= 250
    shown = [[part.strip() for part in line.rsplit(maxsplit=1)] for line in result.out.splitlines()]
    for name, value in (("layout", "tiles"), ("largest packet", told.largest_packet), ("step", told.step)):
        assert [name, str(value)] in shown


def test_info_of_a_bundle_of_block8(cli):
    from farlook.runtime.bundle import shipped_bundles

    result = cli("info", shipped_bundles()["block8"])
    assert result.code == 0
    assert "block8" in result.out
