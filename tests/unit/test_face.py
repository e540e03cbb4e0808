"""`farlook.encode` and `farlook.decode`, as the first page of the documentation uses them."""

from __future__ import annotations

from importlib import metadata

import numpy as np
import pytest

import farlook
from farlook.runtime.errors import BundleError, ImageError, StreamError, UnknownCodecError


def test_a_photograph_goes_there_and_back(kodim):
    stream = farlook.encode(kodim, bpp=0.2)
    assert isinstance(stream, bytes)
    assert 8 * len(stream) <= 0.2 * 768 * 512
    image = farlook.decode(stream)
    assert image.shape == kodim.shape
    assert 10 * np.log10(255**2 / np.mean((image.astype(float) - kodim) ** 2)) > 26


def test_it_is_the_default_codec(block8, grey):
    crop = grey[:50, :70]
    assert farlook.encode(crop) == farlook.encode(crop, "block8", quality=50) == block8.encode(crop)


@pytest.mark.parametrize("name", ["block8", "block8-paper"])
def test_a_stream_names_its_codec(name, grey):
    crop, codec = grey[:50, :70], farlook.Codec.load(name)
    stream = farlook.encode(crop, name)
    assert stream == codec.encode(crop)
    np.testing.assert_array_equal(farlook.decode(stream), codec.decode(stream))


def test_options_of_the_codec_go_through(block8, grey):
    crop = grey[:64, :64]
    assert farlook.encode(crop, mtu=100, threads=1) == block8.encode(crop, mtu=100)
    with pytest.raises(farlook.UsageError, match="block8-paper has no option mtu, roi"):
        farlook.encode(crop, "block8-paper", mtu=100, roi=[(0, 0, 8, 8)])
    with pytest.raises(farlook.UsageError, match="block8 has no option speed: it has mtu, layout"):
        farlook.encode(crop, speed=3)


def test_a_codec_can_be_the_path_of_a_bundle(shipped, grey):
    crop = grey[:20, :20]
    by_name = farlook.encode(crop, "block8-paper")
    assert farlook.encode(crop, shipped) == farlook.encode(crop, str(shipped)) == by_name


def test_a_budget_in_bytes_is_kept(grey):
    assert len(farlook.encode(grey[:64, :64], budget=200)) <= 200


def test_errors_are_farlooks_own(grey):
    with pytest.raises(ImageError):
        farlook.encode(grey.astype(np.float32))
    with pytest.raises(UnknownCodecError):
        farlook.encode(grey[:8, :8], "block99")
    with pytest.raises(StreamError):
        farlook.decode(b"hello")
    with pytest.raises(farlook.FarlookError):
        farlook.encode(grey[:8, :8], quality=101)


def test_a_stream_of_a_bundle_of_ones_own_takes_that_bundle(make_bundle, grey):
    def other(manifest):
        manifest["coding"]["quantiser"]["chroma_ratio"] = 0.75

    path = make_bundle(other)
    stream = farlook.encode(grey[:16, :16], str(path))
    with pytest.raises(BundleError, match="decode it with the bundle it was made with"):
        farlook.decode(stream)
    assert farlook.Codec.load(path).decode(stream).shape == (16, 16)


def test_the_public_names_are_all_there():
    assert sorted(farlook.__all__) == dir(farlook)
    for name in farlook.__all__:
        assert getattr(farlook, name) is not None


def test_a_name_that_is_not_there_is_an_attribute_error():
    with pytest.raises(AttributeError, match="no attribute 'compress'"):
        farlook.compress  # noqa: B018  # the access is the test


def test_the_version_is_that_of_the_package():
    assert farlook.__version__ == metadata.version("farlook")


def test_a_bundle_that_changes_on_the_disk_is_opened_again(tmp_path, grey, make_bundle):
    path = make_bundle(name="mine.bundle")
    before = farlook.info(farlook.encode(grey[:16, :16], codec=path)).digest

    def change(manifest):
        manifest["coding"]["quantiser"]["detail"] = 0.07

    assert make_bundle(change, name="mine.bundle") == path
    assert farlook.info(farlook.encode(grey[:16, :16], codec=path)).digest != before


def test_every_error_can_be_caught_by_its_name():
    names = [name for name in farlook.__all__ if name.endswith("Error")]
    assert len(names) == 16
    assert all(issubclass(getattr(farlook, name), farlook.FarlookError) for name in names)


@pytest.mark.parametrize("data", [None, "text", np.zeros(3)])
def test_what_is_not_bytes_is_a_usage_error(data):
    with pytest.raises(farlook.UsageError, match="bytes"):
        farlook.decode(data)
