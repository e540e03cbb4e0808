"""From windows in pixels to the shapes of an engine's inputs."""

from __future__ import annotations

import pytest

from farlook.export.engine_shapes import (
    Sizes,
    default_sizes,
    describe,
    input_shapes,
    parse_sizes,
    stride_of,
)
from farlook.runtime.block8.neural import WINDOW
from farlook.runtime.bundle import Bundle, shipped_bundles, shipped_decoders
from farlook.runtime.errors import BundleError, UsageError
from farlook.runtime.neural.description import LAYOUT, Coding, Graph
from farlook.runtime.neural.windows import cut

SIZES = Sizes((32, 64), (512, 256), (1280, 1024))
NEURAL = [path for path in shipped_bundles().values() if Bundle.open(path).layout == LAYOUT]


def test_sizes_are_read_and_rounded_up():
    assert parse_sizes("1x1, 500X300,1024x768", 32) == Sizes((32, 32), (512, 320), (1024, 768))


@pytest.mark.parametrize(
    "text",
    [
        "",
        "64x64",
        "64x64,64x64",
        "1x1,2x2,3x3,4x4",
        "ax1,2x2,3x3",
        "64,64,64",
        "1x1,2x2,3x-3",
        "1x1,2x2,3x3x3",
    ],
)
def test_sizes_of_another_form_are_refused(text):
    with pytest.raises(UsageError, match="--shapes takes MIN,OPT,MAX, each as WxH in pixels"):
        parse_sizes(text, 8)


@pytest.mark.parametrize(
    "text", ["64x64,32x64,128x128", "64x64,64x128,64x64", "0x8,8x8,8x8", "8x8,8x8,16385x8"]
)
def test_sizes_that_do_not_grow_are_refused(text):
    with pytest.raises(UsageError, match="the sizes must grow from MIN to MAX, within 1 to 16384"):
        parse_sizes(text, 8)


@pytest.mark.parametrize(
    ("shape", "names", "expected"),
    [
        (
            [-1, 3, -1, -1],
            ["batch", None, "32*rows", "32*cols"],
            [[1, 3, 64, 32], [1, 3, 256, 512], [1, 3, 1024, 1280]],
        ),
        (
            [-1, 192, -1, -1],
            ["batch", None, "2*rows", "2*cols"],
            [[1, 192, 4, 2], [1, 192, 16, 32], [1, 192, 64, 80]],
        ),
        ([-1, 8, -1, -1], ["batch", None, "rows", "columns"], [[1, 8, 2, 1], [1, 8, 8, 16], [1, 8, 32, 40]]),
        ([1, 1, 1, 1], [None] * 4, [[1, 1, 1, 1]] * 3),
    ],
)
def test_shapes_follow_the_names_of_dimensions(shape, names, expected):
    assert input_shapes("x", shape, names, SIZES, 32) == expected


@pytest.mark.parametrize("name", ["height", "32*height", "", None, "rows*32", "rows+1"])
def test_a_dimension_of_another_name_is_refused(name):
    with pytest.raises(BundleError, match="of the input latents is none of batch, rows and columns"):
        input_shapes("latents", [-1], [name], SIZES, 32)


def test_block8_papers_windows():
    bundle = Bundle.open(shipped_bundles()["block8-paper"])
    assert stride_of(bundle) == 8
    assert default_sizes(bundle).smallest == (8, 8)


@pytest.mark.parametrize("path", NEURAL, ids=lambda path: path.stem)
@pytest.mark.parametrize("side", [32, 992, 1280, 4096, 16384])
def test_the_largest_window_of_a_codec_fits(path, side):
    bundle = Bundle.open(path)
    coding, sizes = Coding.read(bundle.coding), default_sizes(bundle)
    assert stride_of(bundle) == coding.stride
    for graph in (coding.analysis, coding.synthesis):
        for window in cut(side, graph, coding.stride):
            assert sizes.smallest[0] <= window.stop - window.start <= sizes.largest[0]


@pytest.mark.parametrize("path", shipped_decoders().values(), ids=lambda path: path.stem)
def test_the_largest_window_of_a_decoder_for_the_ground_fits(path):
    bundle = Bundle.open(path)
    graph = Graph((), int(bundle.coding["halo"]), 0)
    sizes = default_sizes(bundle)
    for window in cut(16384, graph, stride_of(bundle), WINDOW):
        assert sizes.smallest[0] <= window.stop - window.start <= sizes.largest[0]


def test_a_damaged_description_is_named(make_bundle):
    def change(manifest):
        manifest["coding"].update(layout="neural", stride=32)

    with pytest.raises(BundleError, match="the description of its networks is damaged"):
        default_sizes(Bundle.open(make_bundle(change)))


def test_sizes_are_described_for_people():
    assert describe(SIZES) == {"smallest": "32x64", "best": "512x256", "largest": "1280x1024"}
