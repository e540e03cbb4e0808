"""What the report reads."""

import json

import pytest

pytest.importorskip("scipy")

from farlook.benchmarks import page_data
from farlook.benchmarks.page_data import Extras, read_latency, read_loss, read_references
from farlook.benchmarks.results import read_results
from farlook.runtime.errors import UsageError


@pytest.fixture
def write(tmp_path):
    def to_file(content):
        path = tmp_path / "file.json"
        path.write_text(content if isinstance(content, str) else json.dumps(content))
        return path

    return to_file


def test_references_in_compressai_s_layouts(write):
    lists = {"bpp": [0.1, 0.2], "psnr": [25.0, 28.0], "ms-ssim": [0.9, 0.95], "encoding_time": [1, 1]}
    expected = {"bpp": [0.1, 0.2], "psnr-rgb": [25.0, 28.0], "ms-ssim-rgb": [0.9, 0.95]}
    one = {"name": "vtm", "description": "x", "results": lists}
    assert read_references(write(one)) == {"vtm": expected}
    assert read_references(write([one, {**one, "name": "hm"}])) == {"vtm": expected, "hm": expected}
    points = [{"bpp": 0.1, "psnr": 25.0, "ms_ssim": 0.9}, {"bpp": 0.2, "psnr": 28.0, "ms_ssim": 0.95}]
    assert read_references(write({"vtm": points})) == {"vtm": expected}


def test_our_own_files_are_references_too(write, make_results):
    from farlook.benchmarks.results import codec_json

    written = codec_json(read_results(make_results()), "jpeg2000")
    assert read_references(write(written))["jpeg2000"]["psnr-luma"] == written["results"]["psnr-luma"]


@pytest.mark.parametrize(
    "content",
    [
        "{",
        [],
        {},
        3,
        {"results": {"bpp": [1]}},
        {"results": {"bpp": [1], "psnr": [1, 2]}},
        {"a": [{"psnr": 1}]},
    ],
)
def test_what_is_no_reference_is_an_error(write, content):
    with pytest.raises(UsageError, match=r"file\.json"):
        read_references(write(content))


def test_other_files_are_refused(write, tmp_path):
    with pytest.raises(UsageError, match="farlook profile --json"):
        read_latency(write({"kind": "packet loss"}))
    with pytest.raises(UsageError, match=r"block8_loss\.py"):
        read_loss(write([]))
    with pytest.raises(UsageError, match="cannot read"):
        read_loss(tmp_path / "none.json")


def test_pieces_stop_where_the_page_would_grow_too_large(make_results, monkeypatch):
    folder = make_results()
    results = read_results(folder)
    data = page_data.page_data([results], [folder], Extras(), 0.15)
    assert [crop["picture"] for crop in data["crops"]] == ["one", results.pictures[1].removesuffix(".png")]
    assert {crop["rate"] for crop in data["crops"]} == {0.1}
    assert [version["codec"] for version in data["crops"][0]["versions"]] == results.codecs
    assert data["crops"][0]["versions"][0]["caption"] == "block8: 1\u202f250 bytes, 30.00 dB"
    monkeypatch.setattr(page_data, "MOST_IMAGE_BYTES", 200)
    assert len(page_data.page_data([results], [folder], Extras(), 0.15)["crops"]) == 1


def test_the_same_pictures_twice_are_an_error(make_results):
    folder = make_results()
    with pytest.raises(UsageError, match="give each set once"):
        page_data.page_data([read_results(folder)] * 2, [folder] * 2, Extras(), 0.1)
