"""Names and looks of codecs."""

import pytest

from farlook.benchmarks.page_styles import COLOURS, label, reference_key, styles

ALL = [
    "farlook:block8",
    "farlook:block8:neural",
    "farlook:block8:tune=ms-ssim",
    "farlook:block8:tune=ms-ssim:neural:ms-ssim",
    "farlook:fera",
    "farlook:mfca",
    "jpeg",
    "mozjpeg",
    "jpeg2000",
    "htj2k",
    "webp:m6",
    "webp:m6:half",
    "avif:s6",
    "jxl:e7",
]


@pytest.mark.parametrize(
    ("spec", "text"),
    [
        ("farlook:block8", "block8"),
        ("farlook:block8:neural", "block8, neural decoder"),
        ("farlook:block8:neural:runs/a.bundle", "block8, neural a decoder"),
        ("farlook:/secret/place/mine.bundle", "mine"),
        ("farlook:block8:tune=ms-ssim", "block8 tune=ms-ssim"),
        ("farlook:block8:tune=ms-ssim:mtu=99:neural", "block8 tune=ms-ssim mtu=99, neural"),
        ("jpeg:half", "JPEG, half size"),
        ("avif:s6", "AVIF s6"),
        ("other", "other"),
    ],
)
def test_labels(spec, text):
    assert label(spec) == text


def test_no_two_codecs_look_alike():
    looks = [(style.colour, style.mark, style.dash) for style in styles(ALL, []).values()]
    assert len(set(looks)) == len(ALL)
    assert all(colour < len(COLOURS) for colour, _, _ in looks)


def test_a_codec_looks_the_same_in_every_report():
    assert styles(ALL, [])["avif:s6"] == styles(["avif:s6"], [])["avif:s6"]


def test_a_published_curve_is_not_taken_for_a_codec_of_its_name():
    found = styles(["jpeg"], ["jpeg"])
    assert not found["jpeg"].reference
    assert found[reference_key("jpeg")].reference
