"""One codec on one picture."""

from datetime import datetime

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.bench_codecs import digest, open_spec
from farlook.benchmarks.bench_measure import Job, TimingJob, measure, qualities, time_codec
from farlook.benchmarks.metrics import ms_ssim, psnr, ssim
from farlook.benchmarks.pictures import load, luma
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
    files = [(point["rate"], point["setting"], point["sha256"]) for point in points]
    record = time_codec(TimingJob(path, "rgb", "farlook:block8", 3, files))
    assert [point["rate"] for point in record["points"]] == [0.1, 0.3]
    for point in record["points"]:
        assert len(point["encode_s"]) == len(point["decode_s"]) == 3
        assert all(seconds > 0 for seconds in point["encode_s"] + point["decode_s"])
    assert datetime.strptime(record["date"], "%Y-%m-%dT%H:%M:%SZ").year >= 2025
    assert len(record["load"]) == 2


@pytest.mark.parametrize("spec", ["farlook:block8", "jpeg2000"])
def test_another_file_than_before_cannot_be_timed(path, spec):
    with pytest.raises(FarlookError, match=rf"{spec} makes another file of one.png at 0.1 bits a pixel"):
        time_codec(TimingJob(path, "rgb", spec, 1, [(0.1, 20.0, digest(b"another"))]))


@pytest.fixture
def hard(tmp_path, kodim):
    """Names of two pieces of 128 x 96 pixels whose streams no quality gives: the first has two steps (at 0.489 bits a
    pixel), the second a step coarser than quality 1 (at 0.05 and 0.06)."""
    for name, top, left in (("gap", 320, 0), ("coarse", 192, 96)):
        Image.fromarray(np.ascontiguousarray(kodim[top : top + 96, left : left + 128])).save(
            tmp_path / f"{name}.png"
        )
    return tmp_path


@pytest.mark.parametrize(("name", "rates"), [("gap", (0.31, 0.489)), ("coarse", (0.05, 0.06))])
def test_files_that_no_quality_gives_are_timed_as_they_are(hard, name, rates):
    path = hard / f"{name}.png"
    record = measure(Job(path, "rgb", "farlook:block8", rates, 1.0))
    points = [point for point in record["points"] if point["rate"] in rates]
    codec, image = open_spec("farlook:block8"), load(path, "rgb")
    assert any(digest(codec.encode(image, p["setting"])) != p["sha256"] for p in points), (
        "the case of this test"
    )
    files = [(point["rate"], point["setting"], point["sha256"]) for point in points]
    timed = time_codec(TimingJob(path, "rgb", "farlook:block8", 1, files))
    assert [point["rate"] for point in timed["points"]] == list(rates)


def test_files_of_one_quality_are_measured_each(hard):
    record = measure(Job(hard / "coarse.png", "rgb", "farlook:block8", (0.05, 0.06), 0.07))
    points = record["points"]
    assert len({point["setting"] for point in points}) < len({point["sha256"] for point in points})
    assert len({point["psnr-rgb"] for point in points}) == len({point["sha256"] for point in points})


def test_containers_are_counted_apart(path):
    webp, ours = (
        measure(Job(path, "rgb", spec, (1.0,), 2.0))["points"][0] for spec in ("webp:m4", "farlook:block8")
    )
    assert webp["bytes"] - webp["payload_bytes"] in (20, 21), "with the byte that evens a chunk"
    assert ours["bytes"] == ours["payload_bytes"]


def test_a_codec_that_fails_names_itself_and_the_picture(path, monkeypatch):
    def fail(*_):
        raise FarlookError("no")

    monkeypatch.setattr("farlook.benchmarks.bench_codecs.BenchCodec.within", fail)
    with pytest.raises(FarlookError, match=r"jpeg2000 on one\.png: no"):
        measure(Job(path, "rgb", "jpeg2000", (0.5,), 1.0))
