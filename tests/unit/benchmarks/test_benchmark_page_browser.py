"""The report's page in a browser: Debian's chromium and chromium-driver, without a screen."""

import shutil

import pytest

pytest.importorskip("scipy")
pytest.importorskip("selenium")

from selenium import webdriver
from selenium.webdriver.common.by import By
from selenium.webdriver.common.keys import Keys
from selenium.webdriver.support.ui import Select

from farlook.benchmarks.page import render
from farlook.benchmarks.page_data import Extras
from farlook.benchmarks.results import read_results

CHROMIUM = shutil.which("chromium") or shutil.which("chromium-browser") or shutil.which("google-chrome")
DRIVER = shutil.which("chromedriver")
pytestmark = pytest.mark.skipif(
    not (CHROMIUM and DRIVER),
    reason="chromium and chromedriver are not installed: apt install chromium-driver",
)

REFERENCES = {"jpeg2000": {"bpp": [0.1, 0.3], "psnr-rgb": [20.0, 30.0]}}
ROW = {"mean": 5.0, "p50": 4.0, "p99": 9.0}
PROFILE = {
    "settings": {"codec": "runs/<b>.bundle"},
    "picture": {"width": 768, "height": 512, "bands": 3},
    "backend": "native",
    "machine": {"cpu": "a processor", "gpu": None},
    "phases": [{"direction": "encode", "frames": 9, "ms": {"end to end": ROW, "coding": ROW}}],
}
LOSS = {
    "axes": ["packets lost, %", "mean PSNR, dB"],
    "panels": {"RGB <1>": {"block8": [[0, 30], [10, 28]], "block8, bursts": [[0, 30], [10, 27]]}},
}


@pytest.fixture(scope="module")
def browser():
    options = webdriver.ChromeOptions()
    options.binary_location = CHROMIUM
    for argument in ("--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage"):
        options.add_argument(argument)
    options.add_argument(
        "--force-prefers-reduced-motion"
    )  # or a click comes before its button, scrolled to smoothly
    options.set_capability("goog:loggingPrefs", {"browser": "ALL"})
    opened = webdriver.Chrome(options=options, service=webdriver.ChromeService(DRIVER))
    yield opened
    opened.quit()


@pytest.fixture
def page(browser, make_results, tmp_path):
    """The page of two sets of results with everything that can be shown, open; its console stays silent."""
    folders = [make_results("colour"), make_results("grey", mode="luma")]
    extras = Extras(REFERENCES, [PROFILE], [LOSS])
    path = tmp_path / "report.html"
    path.write_text(render("Report", [read_results(f) for f in folders], folders, extras), encoding="utf-8")
    size(browser, 1200)
    browser.get(path.as_uri())
    yield browser
    assert browser.get_log("browser") == []
    assert browser.title == "Report", "no name of a file was run as a script"


def size(browser, width):
    metrics = {"width": width, "height": 800, "deviceScaleFactor": 1, "mobile": width < 600}
    browser.execute_cdp_cmd("Emulation.setDeviceMetricsOverride", metrics)


def find(page, selector):
    return page.find_element(By.CSS_SELECTOR, selector)


def lines(page, plot='.panel:not([hidden]) .plot[data-kind="rate"]'):
    """The codecs that a plot shows."""
    return [g.get_attribute("data-name") for g in page.find_elements(By.CSS_SELECTOR, f"{plot} g.series")]


def test_every_plot_is_drawn(page):
    plots = page.find_elements(By.CSS_SELECTOR, ".plot")
    kinds = [plot.get_attribute("data-kind") for plot in plots]
    assert {kind: kinds.count(kind) for kind in kinds} == {"rate": 8, "speed": 16, "latency": 1, "loss": 1}
    for plot in plots:
        assert plot.find_elements(By.CSS_SELECTOR, "svg .series")
        assert "NaN" not in plot.get_attribute("innerHTML")
    assert find(page, "#pictures .before").get_property("naturalWidth") == 32


def test_the_legend_switches_codecs(page):
    everything = ["farlook:block8", "jpeg2000", "webp:m6:half", "published:jpeg2000"]
    assert lines(page) == everything
    button = find(page, '.legend button[data-name="jpeg2000"]')
    assert button.get_attribute("aria-pressed") == "true"
    button.click()
    assert button.get_attribute("aria-pressed") == "false"
    assert lines(page) == [name for name in everything if name != "jpeg2000"]
    assert "jpeg2000" not in lines(page, '.panel:not([hidden]) .plot[data-what="encode"]')
    button.send_keys(Keys.SPACE)
    assert lines(page) == everything
    for each in page.find_elements(By.CSS_SELECTOR, ".legend button"):
        each.click()
    assert lines(page) == []
    assert "every codec is switched off" in find(page, ".panel:not([hidden]) .plot").text


def test_the_figure_of_merit_and_the_pictures_can_be_chosen(page):
    def shown():
        panels = page.find_elements(By.CSS_SELECTOR, "#bd .panel:not([hidden])")
        return [(p.get_attribute("data-set"), p.get_attribute("data-metric")) for p in panels]

    assert shown() == [("kodak, RGB", "psnr-rgb")]
    find(page, 'input[name="metric"][value="ms-ssim-luma"]').click()
    assert shown() == [("kodak, RGB", "ms-ssim-luma")]
    find(page, 'input[name="set"][value="kodak, luma"]').click()
    assert shown() == [("kodak, luma", "ms-ssim-luma")]
    assert len(page.find_elements(By.CSS_SELECTOR, 'input[name="metric"]')) == 3
    find(page, 'input[name="set"][value="kodak, RGB"]').click()
    find(page, 'input[name="metric"][value="psnr-rgb"]').click()
    find(page, 'input[name="set"][value="kodak, luma"]').click()
    assert shown() == [("kodak, luma", "psnr-luma")], "grey pictures have no PSNR of RGB"
    assert lines(page) == ["farlook:block8", "jpeg2000", "webp:m6:half"], "published curves are of RGB"


def test_the_slider_moves_by_keys_and_by_pointer(page):
    def share():
        return page.execute_script("return document.getElementById('stage').style.getPropertyValue('--at')")

    slider = find(page, "#stage input")
    assert share() == "50%"
    slider.send_keys(Keys.ARROW_RIGHT * 5)
    assert share() == "55%"
    slider.send_keys(Keys.HOME)
    assert share() == "0%"
    assert slider.get_attribute("aria-valuetext") == "0 % JPEG 2000, the rest block8"
    box = slider.rect
    webdriver.ActionChains(page).move_to_element_with_offset(slider, 0, 0).click().perform()
    assert share() == "50%"
    webdriver.ActionChains(page).move_to_element_with_offset(slider, box["width"] / 4, 0).click().perform()
    assert abs(float(share().rstrip("%")) - 75) <= 1
    clip = find(page, "#stage .after").value_of_css_property("clip-path")
    assert clip.startswith("inset(0px 0px 0px 7")


def test_codecs_and_pictures_of_the_slider_can_be_chosen(page):
    assert find(page, "#left-caption").text.startswith("JPEG 2000:")
    Select(find(page, "#left")).select_by_value("original")
    assert find(page, "#left-caption").text == "original"
    picture = Select(find(page, "#picture"))
    assert "<img src=x" in picture.options[1].text
    picture.select_by_index(1)
    assert find(page, "#left-caption").text == "original", "the choice of codecs stays"
    assert find(page, "#right-caption").text.startswith("block8:")


def test_bytes_can_be_compared_with_another_codec(page):
    anchor = Select(find(page, "#anchor"))
    assert anchor.first_selected_option.text == "JPEG 2000"
    anchor.select_by_value("farlook:block8")
    assert "% against block8" in find(page, '.panel:not([hidden]) .plot[data-what="decode"]').text


def test_nothing_is_wider_than_a_phone(page):
    size(page, 360)
    assert page.execute_script("return document.documentElement.scrollWidth") == 360
    for svg in page.find_elements(By.CSS_SELECTOR, ".panel:not([hidden]) .plot svg"):
        assert svg.rect["width"] <= 360
    least = page.execute_script(
        "return Math.min(...[...document.querySelectorAll('.panel:not([hidden]) .plot text')].map("
        "t => parseFloat(getComputedStyle(t).fontSize) * t.ownerSVGElement.getBoundingClientRect().width"
        " / t.ownerSVGElement.viewBox.baseVal.width))"
    )
    assert least >= 11.5, "plots are drawn anew for the width, not shrunk"


def test_paper_shows_every_plot_and_no_controls(page):
    page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": "print"})
    try:
        assert all(plot.is_displayed() for plot in page.find_elements(By.CSS_SELECTOR, ".plot"))
        for selector in ("#metric-choice", "#stage input", "#anchor", "#picture"):
            assert not find(page, selector).is_displayed()
        assert all(image.is_displayed() for image in page.find_elements(By.CSS_SELECTOR, "#stage img"))
    finally:
        page.execute_cdp_cmd("Emulation.setEmulatedMedia", {"media": ""})
