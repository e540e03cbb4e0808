"""Pictures from files and to files: what is read, what is refused, and what damaged files do."""

from __future__ import annotations

import io
import struct
import tracemalloc
import zlib
from contextlib import suppress

import numpy as np
import pytest
from PIL import Image

from farlook.runtime.errors import ImageError, OutputError
from farlook.runtime.images import FORMATS, check_image, read_image, write_image

LOSSLESS = sorted(set(FORMATS) - {".jpg", ".jpeg"})


@pytest.fixture
def crop(kodim):
    return np.ascontiguousarray(kodim[100:165, 200:297])


@pytest.fixture
def saved(tmp_path):
    """A saver of pillow images: returns the path of the file."""

    def save(image, name, **options):
        image.save(tmp_path / name, **options)
        return tmp_path / name

    return save


@pytest.fixture
def written(tmp_path):
    """A writer of raw bytes: returns the path of the file."""

    def write(data, name="picture.png"):
        (tmp_path / name).write_bytes(data)
        return tmp_path / name

    return write


def encoded(image, image_format, **options):
    buffer = io.BytesIO()
    image.save(buffer, image_format, **options)
    return buffer.getvalue()


def png(width, height, depth, colour, rows):
    """A PNG file by hand, for kinds that pillow does not write."""

    def chunk(kind, data):
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    head = struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, 0)
    pixels = zlib.compress(b"".join(b"\0" + row for row in rows))
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", head) + chunk(b"IDAT", pixels) + chunk(b"IEND", b"")


def tiff_of_16_bit_rgb(width, height):
    """A little-endian TIFF file with one strip of three 16-bit samples a pixel."""
    pixels = bytes(width * height * 6)
    entries = [
        (256, 3, 1, width),
        (257, 3, 1, height),
        (258, 3, 3, 8),
        (259, 3, 1, 1),
        (262, 3, 1, 2),
        (273, 4, 1, 14),
        (277, 3, 1, 3),
        (278, 3, 1, height),
        (279, 4, 1, len(pixels)),
    ]
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", *entry) for entry in entries) + bytes(4)
    return b"II*\0" + struct.pack("<IHHH", 14 + len(pixels), 16, 16, 16) + pixels + directory


def bmp_of_16_bits_a_pixel():
    """A 2 x 2 BMP file of 5, 6 and 5 bits: red, green; blue, white."""
    masks = struct.pack("<III", 0xF800, 0x07E0, 0x001F)
    pixels = struct.pack("<HHHH", 0x001F, 0xFFFF, 0xF800, 0x07E0)
    info = struct.pack("<IiiHHIIiiII", 40, 2, 2, 1, 16, 3, len(pixels), 0, 0, 0, 0)
    start = 14 + len(info) + len(masks)
    return b"BM" + struct.pack("<IHHI", start + len(pixels), 0, 0, start) + info + masks + pixels


@pytest.mark.parametrize("suffix", LOSSLESS)
def test_colours_survive_every_lossless_format(tmp_path, crop, suffix):
    write_image(tmp_path / f"a{suffix}", crop)
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), crop)


@pytest.mark.parametrize("suffix", [suffix for suffix in LOSSLESS if suffix != ".webp"])
def test_grey_survives_every_lossless_format(tmp_path, grey, suffix):
    write_image(tmp_path / f"a{suffix}", grey[:33, :50])
    np.testing.assert_array_equal(read_image(tmp_path / f"a{suffix}"), grey[:33, :50])


def test_webp_has_no_grey_but_loses_nothing(tmp_path, grey):
    write_image(tmp_path / "a.webp", grey[:33, :50])
    again = read_image(tmp_path / "a.webp")
    np.testing.assert_array_equal(again, np.repeat(grey[:33, :50, None], 3, axis=2))


@pytest.mark.parametrize("suffix", [".jpg", ".jpeg"])
@pytest.mark.parametrize("channels", ["RGB", "L"])
def test_jpeg_is_close(tmp_path, crop, suffix, channels):
    image = np.asarray(Image.fromarray(crop).convert(channels))
    write_image(tmp_path / f"a{suffix}", image)
    again = read_image(tmp_path / f"a{suffix}")
    assert again.shape == image.shape
    assert np.abs(again.astype(float) - image).mean() < 3


@pytest.mark.parametrize(
    ("suffix", "signature"),
    [(".png", b"\x89PNG"), (".jpg", b"\xff\xd8"), (".tif", b"II*\0"), (".webp", b"RIFF"), (".bmp", b"BM")],
)
def test_the_suffix_chooses_the_format(tmp_path, grey, suffix, signature):
    write_image(tmp_path / f"a{suffix.upper()}", grey[:8, :8])
    assert (tmp_path / f"a{suffix.upper()}").read_bytes().startswith(signature)


def test_the_content_not_the_suffix_says_how_to_read(tmp_path, crop):
    write_image(tmp_path / "a.png", crop)
    (tmp_path / "a.png").rename(tmp_path / "a.jpg")
    np.testing.assert_array_equal(read_image(str(tmp_path / "a.jpg")), crop)


@pytest.mark.parametrize("size", [(1, 1), (1, 7), (7, 1)])
def test_the_smallest_pictures_survive(tmp_path, size):
    image = np.full((*size, 3), 77, dtype=np.uint8)
    write_image(tmp_path / "a.png", image)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), image)


def test_a_jpeg_of_printing_colours_becomes_rgb(saved, crop):
    image = read_image(saved(Image.fromarray(crop).convert("CMYK"), "a.jpg", quality=95))
    assert image.shape == crop.shape
    assert np.abs(image.astype(float) - crop).mean() < 10


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_a_palette_becomes_rgb(saved, crop, name):
    quantised = Image.fromarray(crop).quantize(64)
    np.testing.assert_array_equal(read_image(saved(quantised, name)), np.asarray(quantised.convert("RGB")))


@pytest.mark.parametrize("name", ["a.png", "a.bmp", "a.tif"])
def test_one_bit_becomes_grey(saved, grey, name):
    bits = grey[:20, :30] > 100
    image = read_image(saved(Image.fromarray(bits), name))
    np.testing.assert_array_equal(image, np.where(bits, 255, 0))
    assert image.dtype == np.uint8


def test_a_bmp_of_16_bits_a_pixel_has_no_16_bit_samples(written):
    image = read_image(written(bmp_of_16_bits_a_pixel(), "a.bmp"))
    assert image.tolist() == [[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [255, 255, 255]]]


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_refused(saved, name):
    image = Image.fromarray(np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000)
    with pytest.raises(ImageError, match="more than 8 bits"):
        read_image(saved(image, name))


@pytest.mark.parametrize("name", ["a.png", "a.tif"])
def test_16_bit_grey_is_read_where_it_is_asked_for(saved, name):
    samples = np.arange(64, dtype=np.uint16).reshape(8, 8) * 1000
    again = read_image(saved(Image.fromarray(samples), name), deep=True)
    assert again.dtype == np.uint16
    np.testing.assert_array_equal(again, samples)


def test_a_big_endian_tiff_of_16_bits_is_read(written):
    entries = [(256, 3, 2), (257, 3, 1), (258, 3, 16), (259, 3, 1), (262, 3, 1), (273, 4, 8), (279, 4, 4)]
    directory = struct.pack(">H", len(entries))
    for tag, kind, value in entries:
        directory += struct.pack(
            ">HHIHH" if kind == 3 else ">HHII", tag, kind, 1, value, *([0] if kind == 3 else [])
        )
    data = b"MM\0*" + struct.pack(">I", 12) + struct.pack(">HH", 258, 65535) + directory + bytes(4)
    assert read_image(written(data, "a.tif"), deep=True).tolist() == [[258, 65535]]


def test_8_bits_stay_8_bits_where_16_are_asked_for(tmp_path, crop):
    write_image(tmp_path / "a.png", crop)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png", deep=True), crop)


def test_16_bit_colours_cannot_be_read_and_say_what_to_do(written):
    row = bytes(range(8)) * 3
    for data in (png(4, 2, 16, 2, [row, row]), tiff_of_16_bit_rgb(4, 2)):
        with pytest.raises(
            ImageError, match="colours of 16 bits, which pillow cannot read: give the samples to"
        ):
            read_image(written(data), deep=True)


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.TIFF"])
def test_16_bit_grey_survives(tmp_path, grey, name):
    image = grey[:33, :50].astype(np.uint16) * 257
    write_image(tmp_path / name, image)
    np.testing.assert_array_equal(read_image(tmp_path / name, deep=True), image)


@pytest.mark.parametrize("name", ["a.jpg", "a.webp", "a.bmp"])
def test_formats_of_8_bits_refuse_16(tmp_path, name):
    with pytest.raises(OutputError, match="grey samples of 16 bits; only PNG and TIFF"):
        write_image(tmp_path / name, np.zeros((4, 4), np.uint16))
    with pytest.raises(OutputError, match="RGB samples of 16 bits"):
        write_image(tmp_path / name, np.zeros((4, 4, 3), np.uint16))
    assert list(tmp_path.iterdir()) == []


def test_deep_pictures_pass_the_check_only_where_they_may(grey):
    deep = grey.astype(np.uint16)
    np.testing.assert_array_equal(check_image(deep, deep=True), deep)
    swapped = check_image(deep.astype(">u2"), deep=True)
    assert swapped.dtype == np.dtype("=u2")
    np.testing.assert_array_equal(swapped, deep)
    for wrong in (np.int16, np.uint32, np.float32):
        with pytest.raises(ImageError, match="9- to 16-bit ones"):
            check_image(grey.astype(wrong), deep=True)


@pytest.mark.parametrize("colour", [0, 2], ids=["grey", "rgb"])
def test_a_16_bit_png_is_refused(written, colour):
    row = bytes(range(8)) * (3 if colour == 2 else 1)
    with pytest.raises(ImageError, match="more than 8 bits"):
        read_image(written(png(4, 2, 16, colour, [row, row])))


def test_a_16_bit_rgb_tiff_is_refused(written):
    with pytest.raises(ImageError, match="more than 8 bits"):
        read_image(written(tiff_of_16_bit_rgb(4, 2), "a.tif"))


@pytest.mark.parametrize("dtype", [np.float32, np.int32])
def test_a_tiff_of_wider_samples_is_refused(saved, dtype):
    with pytest.raises(ImageError, match="more than 8 bits"):
        read_image(saved(Image.fromarray(np.ones((4, 4), dtype=dtype)), "a.tif"))


@pytest.mark.parametrize("name", ["a.png", "a.tif", "a.webp"])
def test_an_alpha_channel_is_refused(saved, crop, name):
    image = Image.fromarray(crop).convert("RGBA")
    image.putalpha(100)
    with pytest.raises(ImageError, match="alpha channel"):
        read_image(saved(image, name))


@pytest.mark.parametrize("mode", ["L", "RGB", "P"])
def test_a_transparent_colour_is_refused(saved, crop, mode):
    image = Image.fromarray(crop).convert(mode)
    with pytest.raises(ImageError, match="alpha channel"):
        read_image(saved(image, "a.png", transparency=(1, 2, 3) if mode == "RGB" else 1))


def test_grey_with_alpha_is_refused(saved, crop):
    with pytest.raises(ImageError, match="alpha channel"):
        read_image(saved(Image.fromarray(crop).convert("LA"), "a.png"))


@pytest.mark.parametrize("name", ["a.webp", "a.tif", "a.png"])
def test_several_frames_are_refused(saved, crop, name):
    frames = [Image.fromarray(np.roll(crop, shift, axis=0)) for shift in (0, 9, 18)]
    with pytest.raises(ImageError, match="3 frames"):
        read_image(saved(frames[0], name, save_all=True, append_images=frames[1:]))


@pytest.mark.parametrize("image_format", ["GIF", "PPM", "ICO"])
def test_other_formats_are_refused_in_any_disguise(written, crop, image_format):
    with pytest.raises(ImageError, match="not a picture that farlook reads"):
        read_image(written(encoded(Image.fromarray(crop), image_format)))


@pytest.mark.parametrize("data", [b"", b"hello\n", bytes(100), b"\x89PNG\r\n\x1a\n", b"\xff\xd8\xff"])
def test_what_is_no_picture_is_refused(written, data):
    with pytest.raises(ImageError):
        read_image(written(data))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
@pytest.mark.parametrize("part", [0.01, 0.1, 0.5, 0.9, 0.98])
def test_a_picture_that_was_cut_short_is_refused(written, crop, image_format, part):
    data = encoded(Image.fromarray(crop), image_format)
    with pytest.raises(ImageError):
        read_image(written(data[: int(part * len(data))]))


@pytest.mark.parametrize("image_format", ["PNG", "JPEG", "TIFF", "WEBP", "BMP"])
@pytest.mark.filterwarnings("ignore")  # pillow warns of what it then raises or mends
def test_damaged_pictures_are_read_or_refused(written, crop, image_format):
    data = encoded(Image.fromarray(crop[:24, :24]), image_format)
    rng = np.random.default_rng(5)
    for _ in range(150):
        damaged = np.frombuffer(data, dtype=np.uint8).copy()
        damaged[rng.integers(0, min(len(data), 300), 3)] = rng.integers(0, 256, 3)
        damaged[-1 - rng.integers(0, min(len(data), 200), 2)] = rng.integers(0, 256, 2)
        with suppress(ImageError):
            assert read_image(written(damaged.tobytes())).dtype == np.uint8


def test_a_tiff_without_dimensions_is_refused(written):
    data = tiff_of_16_bit_rgb(2, 2).replace(struct.pack("<HHI", 256, 3, 1), struct.pack("<HHI", 255, 3, 1))
    with pytest.raises(ImageError):
        read_image(written(data, "a.tif"))


@pytest.mark.parametrize("side", [100_000, 16_385])
def test_claims_of_huge_pictures_are_refused_without_taking_memory(written, side):
    path = written(png(side, side, 8, 2, [b"\0" * 100]))
    tracemalloc.start()
    try:
        with pytest.raises(ImageError, match=f"{side}x{side} pixels; sides of 1 to 16384"):
            read_image(path)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_pillows_own_limit_does_not_stand_in_the_way(monkeypatch, tmp_path, crop):
    """It lies at 179 megapixels, below the largest picture of the format."""
    write_image(tmp_path / "a.png", crop)
    monkeypatch.setattr(Image, "MAX_IMAGE_PIXELS", 100)
    np.testing.assert_array_equal(read_image(tmp_path / "a.png"), crop)
    assert Image.MAX_IMAGE_PIXELS == 100


@pytest.mark.parametrize(
    ("path", "reason"),
    [
        ("", "is a directory"),
        ("missing.png", "No such file"),
        ("file/a.png", "Not a directory"),
        ("n" * 300, "name too long"),
        ("a\0b", "null"),
    ],
)
def test_what_cannot_be_opened_is_an_image_error(tmp_path, path, reason):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(ImageError, match=reason):
        read_image(tmp_path / path)


@pytest.mark.parametrize("name", ["a.gif", "a", "a.flk", ".png", "a.png.gz"])
def test_an_unknown_suffix_is_refused_before_anything_is_written(tmp_path, grey, name):
    with pytest.raises(OutputError, match=r"suffix is none of .*\.png"):
        write_image(tmp_path / name, grey)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", ["missing/a.png", "file/a.png"])
def test_what_cannot_be_written_is_an_output_error(tmp_path, grey, name):
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(OutputError):
        write_image(tmp_path / name, grey)


def test_a_picture_that_a_format_cannot_hold_leaves_the_old_file(tmp_path):
    (tmp_path / "a.webp").write_bytes(b"old")
    with pytest.raises(OutputError, match="as WEBP"):
        write_image(tmp_path / "a.webp", np.zeros((1, 16384, 3), dtype=np.uint8))
    assert [path.name for path in tmp_path.iterdir()] == ["a.webp"]
    assert (tmp_path / "a.webp").read_bytes() == b"old"


def test_pictures_that_can_be_coded_pass_the_check(kodim, grey):
    for image in (kodim, grey, kodim[::2, ::3], grey.T, grey[:1, :1], np.zeros((16384, 1), dtype=np.uint8)):
        checked = check_image(image)
        np.testing.assert_array_equal(checked, image)
        assert checked.flags.c_contiguous


def test_lists_are_no_pictures_of_bytes():
    with pytest.raises(ImageError, match="int64"):
        check_image([[1, 2], [3, 4]])


@pytest.mark.parametrize("dtype", [np.uint16, np.int8, np.float32, np.bool_])
def test_other_sample_types_are_refused(dtype):
    with pytest.raises(ImageError, match=f"type {np.dtype(dtype).name}; only 8-bit"):
        check_image(np.zeros((4, 4), dtype=dtype))


@pytest.mark.parametrize("shape", [(), (4,), (4, 4, 1), (4, 4, 2), (4, 4, 5), (1, 4, 4, 3), (3, 4, 4)])
def test_other_shapes_are_refused(shape):
    with pytest.raises(ImageError, match="has shape" if shape != (3, 4, 4) else "alpha"):
        check_image(np.zeros(shape, dtype=np.uint8))


def test_four_channels_are_taken_for_alpha():
    with pytest.raises(ImageError, match=r"alpha channel.*\[\.\.\., :3\]"):
        check_image(np.zeros((4, 4, 4), dtype=np.uint8))


@pytest.mark.parametrize("shape", [(0, 4), (4, 0), (0, 0, 3), (16385, 1), (1, 16385, 3)])
def test_sides_outside_1_to_16384_are_refused(shape):
    with pytest.raises(ImageError, match=f"{shape[1]}x{shape[0]} pixels"):
        check_image(np.zeros(shape, dtype=np.uint8))


def test_a_photograph_taken_sideways_is_turned_upright(tmp_path):
    pixels = np.zeros((20, 40, 3), dtype=np.uint8)
    pixels[:, :20] = 255
    exif = Image.Exif()
    exif[0x0112] = 6  # orientation: turn a quarter clockwise to see it upright
    Image.fromarray(pixels).save(tmp_path / "photo.png", exif=exif)
    upright = read_image(tmp_path / "photo.png")
    assert upright.shape == (40, 20, 3)
    assert upright[:20].min() == 255
    assert upright[20:].max() == 0
