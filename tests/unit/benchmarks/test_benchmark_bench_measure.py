"""One codec on one picture."""

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.bench_measure import Job, TimingJob, measure, qualities, time_codec
from farlook.benchmarks.metrics import ms_ssim, psnr, ssim
from farlook.benchmarks.pictures import luma
from farlook.runtime.errors import FarlookError


@pytest.fixture
def path(tmp_path, kodim):
    Image.fromarray(np.ascontiguousarray(kodim[180:372, 240:432])).save(tmp_path / "one.png")
    return tmp_path / "one.png"


def test_every_rate_has_a_file_that_keeps_it(path):
    record = measure(Job(path, "rgb", "farlook:block8", (0.1, 0.3), 0.6))
    assert (record["picture"], record["codec"], record["unreached"]) == ("one.png", "farlook:block8", [])
    assert [point["rate"] for point in record["points"]] == [0.1, 0.3, 0.6]
    for point in record["points"]:
        assert 0.8 * point["rate"] < point["bpp"] <= point["rate"]
        assert point["bpp"] == pytest.approx(8 * point["bytes"] / 192**2)
    for key in ("psnr-rgb", "psnr-luma", "ssim-luma", "ms-ssim-luma", "ms-ssim-rgb"):
        values = [point[key] for point in record["points"]]
        assert values == sorted(values)


def test_a_curve_begins_with_the_smallest_file_where_a_rate_is_out_of_reach(path):
    record = measure(Job(path, "luma", "webp:m4", (0.01, 1.0), 2.0))
    assert record["unreached"] == [0.01]
    assert [point["rate"] for point in record["points"]] == [None, 1.0, 2.0]
    assert record["points"][0]["setting"] == 0
    assert "psnr-rgb" not in record["points"][0]


def test_a_piece_is_kept_without_loss(path, tmp_path):
    window = (32, 64, 80, 48)
    measure(Job(path, "rgb", "jpeg2000", (0.5,), 1.0, number=7, crop=window, crops=tmp_path))
    with Image.open(tmp_path / "007-jpeg2000-0.5.webp") as piece:
        assert piece.size == (80, 48)
    assert not list(tmp_path.glob("*-1.webp")), "beyond the rates nothing is shown"


def test_figures_are_as_defined(kodim):
    image = np.ascontiguousarray(kodim[:200, :220])
    decoded = (image // 4 * 4).astype(np.uint8)
    found = qualities(image, decoded)
    assert found["psnr-rgb"] == pytest.approx(psnr(image, decoded), abs=1e-5)
    assert found["psnr-luma"] == pytest.approx(psnr(luma(image), luma(decoded)), abs=1e-5)
    assert found["ssim-luma"] == pytest.approx(ssim(luma(image), luma(decoded)), abs=1e-5)
    bands = [ms_ssim(image[..., band], decoded[..., band]) for band in range(3)]
    assert found["ms-ssim-rgb"] == pytest.approx(sum(bands) / 3, abs=1e-5)
    assert qualities(image, image)["psnr-rgb"] == 100, "JSON has no infinity"
    assert qualities(image[:50], decoded[:50]).keys() == {"psnr-luma", "psnr-rgb"}, "too small for the others"


def test_ssimulacra2_is_100_for_equal_pictures(kodim):
    pytest.importorskip("ssimulacra2")
    piece = np.ascontiguousarray(kodim[:200, :220])
    assert qualities(piece, piece, perceptual=True)["ssimulacra2"] == pytest.approx(100, abs=0.5)


def test_times_are_taken_of_every_file(path):
    points = measure(Job(path, "rgb", "farlook:block8", (0.1, 0.3), 0.6))["points"][:2]
    files = [(point["rate"], point["setting"], point["bytes"]) for point in points]
    record = time_codec(TimingJob(path, "rgb", "farlook:block8", 3, files))
    assert [point["rate"] for point in record["points"]] == [0.1, 0.3]
    for point in record["points"]:
        assert len(point["encode_s"]) == len(point["decode_s"]) == 3
        assert all(seconds > 0 for seconds in point["encode_s"] + point["decode_s"])


def test_another_file_than_before_cannot_be_timed(path):
    with pytest.raises(FarlookError, match=r"made \d+ bytes of one.png, and 17 at the same setting"):
        time_codec(TimingJob(path, "rgb", "farlook:block8", 1, [(0.1, 20.0, 17)]))


def test_a_codec_that_fails_names_itself_and_the_picture(path, monkeypatch):
    def fail(*_):
        raise FarlookError("no")

    monkeypatch.setattr("farlook.benchmarks.bench_codecs.BenchCodec.within", fail)
    with pytest.raises(FarlookError, match=r"jpeg2000 on one\.png: no"):
        measure(Job(path, "rgb", "jpeg2000", (0.5,), 1.0))
