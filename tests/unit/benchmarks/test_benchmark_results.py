"""Means, delta rates and files of results."""

import csv
import json

import pytest

pytest.importorskip("scipy")

from farlook.benchmarks.results import METRICS, Spread, Timed, codec_json, read_results, write_results
from farlook.runtime.errors import UsageError

PSNR = METRICS[0]


def test_half_the_bytes_at_equal_quality_is_minus_50_per_cent(make_results):
    results = read_results(make_results())
    for metric in results.metrics:
        delta = results.delta("farlook:block8", "jpeg2000", metric)
        assert delta.rate == pytest.approx(-50, abs=0.5), metric.key
        assert delta.pictures == 2
    assert results.delta("jpeg2000", "farlook:block8", PSNR).rate == pytest.approx(100, abs=1)


def test_what_is_compared_is_what_both_have(make_results):
    results = read_results(make_results())
    delta = results.delta("farlook:block8", "jpeg2000", PSNR)
    assert (delta.low, delta.high) == pytest.approx((30, 36))  # 0.1 and 0.4 of ours; theirs goes to 0.8
    delta = results.delta("jpeg2000", "farlook:block8", PSNR)
    assert (delta.low, delta.high) == pytest.approx((30, 33))


def test_containers_can_be_left_out(make_results):
    results = read_results(make_results())
    assert results.container("webp:m6:half") == 25
    assert results.container("jpeg2000") == 0
    whole, bare = (results.delta("farlook:block8", "webp:m6:half", PSNR, bare=bare) for bare in (False, True))
    assert whole.rate == pytest.approx(-60, abs=0.5)
    assert -59.9 < bare.rate < -59, "their files are smaller by 25 bytes of 1250 and more"
    assert results.delta("farlook:block8", "jpeg2000", PSNR, bare=True) == results.delta(
        "farlook:block8", "jpeg2000", PSNR
    )


def test_it_is_known_when_times_were_measured_and_how_busy_the_machine_was(make_results):
    results = read_results(make_results())
    assert results.timed == Timed("2026-01-31T23:00:09Z", "2026-01-31T23:05:09Z", 0.9, 0.95, 1.5)
    assert codec_json(results, "jpeg2000")["meta"]["timed"]["high"] == 1.5


def test_results_of_another_format_are_refused(make_results):
    folder = make_results()
    setup = json.loads((folder / "setup.json").read_text())
    (folder / "setup.json").write_text(json.dumps(setup | {"format": 1}))
    with pytest.raises(UsageError, match="another farlook's: measure again"):
        read_results(folder)


def test_nothing_in_common_is_no_delta(make_results):
    results = read_results(make_results(bytes_needed={"farlook:block8": 1, "jpeg2000": 100}))
    assert results.delta("farlook:block8", "jpeg2000", PSNR) is None


def test_means_are_of_rates_that_all_pictures_reach(make_results):
    folder = make_results()
    records = [json.loads(line) for line in (folder / "points.jsonl").read_text().splitlines()]
    records[0]["points"][0]["rate"] = None
    (folder / "points.jsonl").write_text("".join(json.dumps(record) + "\n" for record in records))
    results = read_results(folder)
    assert [point["rate"] for point in results.means("farlook:block8")] == [0.2, 0.4]
    assert [point["rate"] for point in results.means("jpeg2000")] == [0.1, 0.2, 0.4]
    written = codec_json(results, "farlook:block8")
    assert written["meta"]["unreached"] == {"0.1": "1 of 2 pictures"}
    assert len(written["results"]["psnr-rgb"]) == 2


def test_speeds_are_medians_with_quartiles(make_results):
    speed = read_results(make_results()).speed("jpeg2000", "encode")
    assert speed == Spread(
        pytest.approx(0.5), pytest.approx(1.0), pytest.approx(1.0)
    )  # 0.1 MP in 0.1, 0.1, 0.2 s
    assert Spread.of([3.0]) == Spread(3.0, 3.0, 3.0)
    assert Spread.of([]) is None


def test_the_layout_is_compressai_s(make_results):
    written = codec_json(read_results(make_results()), "jpeg2000")
    assert list(written) == ["name", "description", "meta", "results"]
    assert written["results"]["bpp"] == [0.1, 0.2, 0.4]
    assert written["results"]["psnr-rgb"] == pytest.approx([27, 30, 33])
    assert {"psnr-luma", "ms-ssim-rgb", "encoding_time", "decoding_time"} <= written["results"].keys()
    assert len({len(values) for values in written["results"].values()}) == 1
    assert written["meta"]["machine"]["processor"] == "a processor"


def test_grey_results_have_no_figures_of_rgb(make_results):
    results = read_results(make_results(mode="luma"))
    assert [metric.key for metric in results.metrics] == ["psnr-luma", "ms-ssim-luma", "ssim-luma"]


def test_the_tables_hold_every_file_and_every_pair(make_results):
    folder = make_results()
    write_results(folder)
    rows = list(csv.DictReader((folder / "per-image.csv").open()))
    assert len(rows) == 2 * 3 * 4
    assert rows[0]["picture"] == "one.png"
    assert float(rows[0]["encode_mp_s"]) == pytest.approx(1.0)
    assert rows[3]["encode_mp_s"] == "", "beyond the rates nothing is timed"
    pairs = list(csv.DictReader((folder / "bd-rate.csv").open()))
    assert len(pairs) == 5 * 3 * 2
    assert {json.loads(p.read_text())["name"] for p in (folder / "codecs").iterdir()} == set(
        read_results(folder).codecs
    )


def test_unfinished_results_say_how_many_are_missing(make_results):
    folder = make_results()
    lines = (folder / "timings.jsonl").read_text().splitlines(keepends=True)
    (folder / "timings.jsonl").write_text("".join(lines[:-1]))
    with pytest.raises(UsageError, match="1 of 6 measurements are missing"):
        read_results(folder)
    (folder / "points.jsonl").unlink()
    with pytest.raises(UsageError, match="6 of 6"):
        read_results(folder)


def test_a_folder_without_results_is_an_error(tmp_path):
    with pytest.raises(UsageError, match="holds no results"):
        read_results(tmp_path)
