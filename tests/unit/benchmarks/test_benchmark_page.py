"""The report's page as text; `test_benchmark_page_browser.py` opens it."""

import json
import re
from html.parser import HTMLParser

import pytest

pytest.importorskip("scipy")

from farlook.benchmarks.page import render
from farlook.benchmarks.page_data import Extras
from farlook.benchmarks.results import METRICS, read_results
from farlook.cli.run import run


class Elements(HTMLParser):
    """Every element's name and attributes, in order."""

    def __init__(self, text):
        super().__init__()
        self.found = []
        self.feed(text)

    def handle_starttag(self, tag, attrs):
        self.found.append((tag, dict(attrs)))


@pytest.fixture
def page(make_results):
    folder = make_results()
    return render("A <title> & {{js}}", [read_results(folder)], [folder], Extras())


def test_nothing_is_loaded_from_elsewhere(page):
    for tag, attributes in Elements(page).found:
        for name in ("src", "href", "data", "action", "srcset"):
            assert attributes.get(name, "data:").startswith(("data:", "#")), (tag, attributes)
    assert not re.search(r"@import|url\(\s*['\"]?http|fetch\(|XMLHttpRequest|innerHTML|\beval\(", page)
    assert "default-src 'none'" in page


def test_names_stay_text(page):
    tags = [tag for tag, _ in Elements(page).found]
    assert tags.count("img") == 2, "those of the slider"
    assert tags.count("script") == 2
    assert "onerror" not in {name for _, attributes in Elements(page).found for name in attributes}
    assert "A &lt;title&gt; &amp; {{js}}" in page, "what is put in is not looked through for more"
    assert "jpeg2000 &lt;1&gt;" in page


def test_the_data_is_json_that_ends_no_script(page):
    data = re.search(r'<script type="application/json" id="data">(.*?)</script>', page, re.DOTALL)[1]
    assert "<" not in data
    assert json.loads(data)["sets"][0]["name"] == "kodak, RGB"


def test_the_tables_hold_the_figures(page):
    assert "&minus;50.0" in page
    assert "block8 beside the others" in page
    assert "1 times as fast" in page


def test_the_first_codec_is_compared_by_every_figure(page):
    summary = page.split('<section id="summary"')[1].split("</section>")[0]
    assert summary.count('<th scope="col">') >= 1 + 5
    for metric in METRICS[:5]:
        assert f">{metric.label}</th>" in summary
    assert "count as decibels" in summary


def test_containers_are_told_and_left_out(page):
    whole, bare = (
        float(re.search(rf">WebP m6, half size{more}</th><td[^>]*>&minus;([\d.]+)</td>", page)[1])
        for more in ("", ", no container")
    )
    assert whole > bare
    assert "bytes of container a file are WebP m6, half size 25; the other codecs have none" in page
    assert "JPEG 2000, no container" not in page


def test_the_summary_has_a_table_for_every_set(make_results):
    folders = [make_results("colour"), make_results("grey", mode="luma")]
    page = render("t", [read_results(f) for f in folders], folders, Extras())
    for name in ("kodak, RGB", "kodak, luma"):
        assert f"By every figure of merit: {name}</h3>" in page


def test_two_decoders_of_a_codec_have_the_same_encoder(make_results):
    folder = make_results(bytes_needed={"farlook:block8:neural": 0.4, "farlook:block8": 0.5, "jpeg2000": 1.0})
    page = render("t", [read_results(folder)], [folder], Extras())
    assert page.count("the same encoder") == 1


def test_options_make_another_encoder(make_results):
    tuned = "farlook:block8:tune=ms-ssim"
    needed = {f"{tuned}:neural:ms-ssim": 0.4, tuned: 0.5, "farlook:block8:neural": 0.6}
    folder = make_results(bytes_needed=needed)
    page = render("t", [read_results(folder)], [folder], Extras())
    assert page.count("the same encoder") == 1
    assert "block8 tune=ms-ssim, neural beside the others" in page


def test_a_busy_machine_is_told(make_results, page):
    assert "The machine was busy" not in page
    folder = make_results("busy")
    text = (folder / "timings.jsonl").read_text()
    (folder / "timings.jsonl").write_text(text.replace('"load": [0.9', '"load": [4.9'))
    assert "The machine was busy with something else" in render(
        "t", [read_results(folder)], [folder], Extras()
    )


def test_it_says_when_times_were_measured_and_how_busy_the_machine_was(page):
    assert (
        "kodak, RGB: timed 2026-01-31 23:00 to 23:05 UTC; load average 0.90 to 1.50, median 0.95, of which the "
        "measurement itself is 1."
    ) in page


def test_what_was_not_measured_is_not_shown(make_results):
    folder = make_results()
    results = read_results(folder)
    results.timings.clear()
    for file in results.setup["pictures"].values():
        del file["crop"]
    page = render("t", [results], [folder], Extras())
    for section in ("speed", "pictures", "latency", "loss"):
        assert f'<section id="{section}"' not in page
    assert '<section id="rate"' in page


def test_the_verb_writes_a_page_and_plots(make_results, tmp_path, capsys, monkeypatch):
    pytest.importorskip("matplotlib")
    monkeypatch.setattr("farlook.benchmarks.results.METRICS", METRICS[1:2])  # plots take their time
    colour, grey = make_results("colour"), make_results("grey", mode="luma")
    out = tmp_path / "report.html"
    assert run(["report", str(colour), str(grey), "-o", str(out), "--plots", str(tmp_path / "plots")]) == 0
    assert "kodak, luma" in out.read_text(encoding="utf-8")
    assert out.stat().st_size < 5e6
    assert len(list((tmp_path / "plots").glob("*.png"))) == 2 * 2
    assert f"wrote {out}" in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((), "nothing to write"),
        (("-o", "x.html", "--reference", "none.json"), "cannot read none.json"),
        (("-o", "x.html", "--latency", "none.json"), "cannot read none.json"),
    ],
)
def test_what_makes_no_sense_is_an_error(make_results, capsys, arguments, message):
    assert run(["report", str(make_results()), *arguments]) == 2
    assert message in capsys.readouterr().err


def test_a_folder_without_results_is_an_error(tmp_path, capsys):
    assert run(["report", str(tmp_path), "-o", str(tmp_path / "x.html")]) == 2
    assert "holds no results" in capsys.readouterr().err
