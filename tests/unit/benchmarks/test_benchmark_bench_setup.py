"""What results depend on, and what of it may change."""

import numpy as np
import pytest
from PIL import Image

from farlook.benchmarks.bench_setup import (
    CROP,
    Plan,
    check_rates,
    crop_file,
    describe,
    detailed_window,
    differences,
    merge,
    slug,
)
from farlook.runtime.errors import UsageError


@pytest.fixture
def plan(tmp_path, kodim):
    for name in ("a", "b", "c"):
        Image.fromarray(kodim[:40, :60]).save(tmp_path / f"{name}.png")
    return Plan(tmp_path, sorted(tmp_path.iterdir()), ["jpeg2000"], [0.1, 0.5], crops=1)


def test_a_setup_names_pictures_codecs_and_versions(plan):
    setup = describe(plan)
    assert list(setup["pictures"]) == ["a.png", "b.png", "c.png"]
    assert setup["pictures"]["a.png"]["width"] == 60
    assert [name for name, file in setup["pictures"].items() if "crop" in file] == ["b.png"]
    assert setup["codecs"]["jpeg2000"]["description"].startswith("OpenJPEG")
    assert (setup["reach"], setup["mode"]) == (1.0, "rgb")
    assert {"farlook", "farlook's C core", "numpy", "pillow"} <= setup["versions"].keys()


def test_a_setup_that_is_the_same_may_go_on(plan):
    setup = describe(plan)
    assert merge(setup, describe(plan)) == setup


def test_codecs_may_be_added(plan):
    more = describe(Plan(plan.folder, plan.pictures, ["webp:m6"], plan.rates, crops=1))
    assert list(merge(describe(plan), more)["codecs"]) == ["jpeg2000", "webp:m6"]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda s: s.update(rates=[0.1]), r"rates: \[0.1, 0.5\] before, \[0.1\] now"),
        (lambda s: s["versions"].update(pillow="0"), "versions, pillow: .* before, 0 now"),
        (lambda s: s["pictures"]["a.png"].update(sha256="0"), "pictures, a.png, sha256"),
        (lambda s: s["pictures"].pop("c.png"), "pictures, c.png: .* before, nothing now"),
        (lambda s: s["codecs"]["jpeg2000"].update(description="other"), "codecs, jpeg2000, description"),
    ],
)
def test_any_other_change_is_refused_and_named(plan, change, message):
    now = describe(plan)
    change(now)
    with pytest.raises(UsageError, match=message):
        merge(describe(plan), now)


def test_long_differences_are_shortened():
    [line] = differences({"a": "x" * 100}, {"a": "y"})
    assert len(line) < 80


@pytest.mark.parametrize("rates", [[], [0], [-1.0], [float("nan")], [100.0]])
def test_rates_must_make_sense(rates):
    with pytest.raises(UsageError, match="rates"):
        check_rates(rates)


def test_rates_are_sorted():
    assert check_rates([0.5, 0.1, 0.5]) == [0.1, 0.5]


def test_the_window_is_where_the_detail_is():
    image = np.full((600, 900), 128, np.uint8)
    image[320:480, 512:768] = np.random.default_rng(0).integers(0, 255, (160, 256))
    left, top, width, height = detailed_window(image)
    assert (width, height) == CROP
    assert left <= 512 < 768 <= left + width
    assert top <= 320 < 480 <= top + height
    assert detailed_window(image[:50, :70]) == (0, 0, 70, 50)


def test_crops_are_spread_evenly(tmp_path):
    paths = [tmp_path / str(index) for index in range(24)]
    chosen = Plan(tmp_path, paths, [], [0.1], crops=4).cropped()
    assert [path.name for path in chosen] == ["3", "9", "15", "21"]
    assert Plan(tmp_path, paths, [], [0.1], crops=0).cropped() == []


def test_names_of_files_hold_no_paths():
    assert slug("farlook:../runs/mine.bundle") == "farlook-..-runs-mine.bundle"
    assert "/" not in crop_file(3, "farlook:../../mine.bundle", 0.1)
    assert crop_file(3, "") == "003-original.webp"
