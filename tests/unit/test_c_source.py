"""block8's encoder as C: it compiles anywhere, writes what farlook writes, and lands where it should."""

from __future__ import annotations

import importlib.util
import re
import shutil
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

import farlook
from farlook.export import export_c
from farlook.export.c_source import CODER, HEADER, TABLES
from farlook.kernels.block8 import MAX_MTU, MAX_SIDE, Core, Geometry, encoder_bytes
from farlook.kernels.block8_tables import Tables
from farlook.runtime.bundle import find_bundle
from farlook.runtime.errors import BundleError, OutputError, UsageError

FLIGHT = Path(__file__).parents[1] / "flight"
STRICT = ("-std=c99", "-Wall", "-Wextra", "-Werror", "-pedantic")
COMPILER = shutil.which("cc")
FILES = {HEADER, CODER, TABLES, "main.c", "Makefile", "README.md"}

needs_compiler = pytest.mark.skipif(COMPILER is None, reason="no C compiler: there is no command cc")


def compile_c(output, *arguments):
    subprocess.run([COMPILER, *STRICT, "-O1", *map(str, arguments), "-o", output], check=True)
    return output


@pytest.fixture(scope="module")
def exported(tmp_path_factory):
    """A folder with the encoder for pictures of all kinds."""
    return export_c(tmp_path_factory.mktemp("c") / "flight", max_width=1024, max_mtu=MAX_MTU).folder


@pytest.fixture(scope="module")
def example(exported):
    """The example, compiled."""
    return compile_c(exported / "example", *(exported / name for name in ("main.c", CODER, TABLES)))


@pytest.fixture(scope="module")
def block8():
    """farlook's own encoder."""
    return farlook.Codec.load("block8", threads=1)


@pytest.fixture(scope="module")
def pictures():
    """The module that makes pictures for all kinds of processors."""
    spec = importlib.util.spec_from_file_location("flight_pictures", FLIGHT / "pictures.py")
    module = importlib.util.module_from_spec(spec)
    sys.modules[spec.name] = module  # where dataclasses look for the module of their annotations
    spec.loader.exec_module(module)
    return module


def pnm(image):
    """A picture as PGM or PPM."""
    kind, most = ("P5" if image.ndim == 2 else "P6"), np.iinfo(image.dtype).max
    head = f"{kind}\n# a comment\n{image.shape[1]} {image.shape[0]}\n{most}\n"
    return head.encode() + image.astype(image.dtype.newbyteorder(">")).tobytes()


def run(example, image, *options):
    return subprocess.run([example, *map(str, options)], check=False, input=pnm(image), capture_output=True)


@needs_compiler
@pytest.mark.parametrize(("quality", "mtu"), [(1, 1024), (35, 64), (50, 1024), (80, 300), (100, MAX_MTU)])
@pytest.mark.parametrize("size", [(1, 1), (33, 7), (161, 243)])
@pytest.mark.parametrize("bands", [1, 3])
def test_the_example_writes_what_farlook_writes(example, block8, kodim, grey, size, bands, quality, mtu):
    image = (grey if bands == 1 else kodim)[: size[0], : size[1]]
    result = run(example, image, "-q", quality, "-m", mtu)
    assert result.returncode == 0, result.stderr
    assert result.stdout == block8.encode(image, quality=quality, mtu=mtu)


@needs_compiler
def test_samples_of_16_bits_and_several_slices(example, block8, grey, kodim):
    deep = grey[:50, :99].astype(np.uint16) * 257
    assert run(example, deep, "-q", 70).stdout == block8.encode(deep, quality=70)
    large = np.tile(kodim, (2, 2, 1))[:801, :901]
    assert run(example, large, "-q", 20).stdout == block8.encode(large, quality=20)


@needs_compiler
def test_the_example_says_what_memory_it_takes(example, exported, grey):
    text = run(example, grey[:40, :40]).stderr.decode()
    size = export_c(exported, max_width=1024, max_mtu=MAX_MTU).encoder_bytes
    assert text.endswith(f"working memory {size} bytes\n")


@needs_compiler
@pytest.mark.parametrize(
    ("data", "options", "complaint"),
    [
        (b"P5 9 9 255\n" + bytes(80), (), "cut short"),
        (b"P5 2000 1 255\n" + bytes(2000), (), "wider than FARLOOK_MAX_WIDTH"),
        (b"P5 0 9 255\n", (), "out of its range"),
        (b"P5 9 0 255\n", (), "out of its range"),
        (b"P5 9 9 300\n", (), "not a PGM"),
        (b"P4 9 9\n", (), "not a PGM"),
        (b"", (), "not a PGM"),
        (b"P5 9 9 255\n", ("-m", "63"), "out of its range"),
        (b"P5 9 9 255\n", ("-q", "101"), "quality"),
        (b"", ("-z",), "usage"),
        (b"", ("absent.pgm",), "cannot open"),
    ],
)
def test_the_example_complains(example, tmp_path, data, options, complaint):
    result = subprocess.run([example, *options], check=False, input=data, capture_output=True, cwd=tmp_path)
    assert result.returncode == 1
    assert complaint in result.stderr.decode()


@needs_compiler
def test_steps_of_units_and_steps_that_change_on_the_way(exported, pictures, tmp_path):
    batch = compile_c(
        tmp_path / "batch", f"-I{exported}", FLIGHT / "batch.c", exported / CODER, exported / TABLES
    )
    bundle = find_bundle("block8")
    core, digest = Core(Tables.unpack(bundle.tables())), bundle.digest[:2]
    drawn = pictures.random_pictures(seed=1, count=40)
    assert any(picture.finer is not None for picture in drawn)
    assert any(picture.later[0] for picture in drawn)
    streams = [pictures.stream_of(core, picture, digest) for picture in drawn]
    (tmp_path / "in").write_bytes(b"".join(picture.pack() for picture in drawn))
    subprocess.run([batch, "in", "out"], check=True, cwd=tmp_path)
    assert (tmp_path / "out").read_bytes() == b"".join(struct.pack("<I", len(s)) + s for s in streams)


@needs_compiler
def test_grey_alone_takes_less_and_refuses_colour(tmp_path, block8, grey, kodim):
    folder = tmp_path / "grey"
    rgb = export_c(tmp_path / "rgb", max_width=800)
    written = export_c(folder, max_width=800, bands=1)
    assert written.encoder_bytes < 0.7 * rgb.encoder_bytes
    assert written.table_bytes < 0.7 * rgb.table_bytes
    example = compile_c(folder / "example", *(folder / name for name in ("main.c", CODER, TABLES)))
    assert run(example, grey[:70, :90]).stdout == block8.encode(grey[:70, :90])
    assert run(example, kodim[:70, :90]).returncode == 1


@needs_compiler
@pytest.mark.skipif(shutil.which("nm") is None, reason="there is no command nm")
def test_the_coder_needs_memcpy_and_memset_and_no_other_library(exported, tmp_path):
    compile_c(tmp_path / "coder.o", "-c", "-fno-stack-protector", exported / CODER)
    listing = subprocess.run(
        ["nm", "-u", tmp_path / "coder.o"], check=True, capture_output=True, text=True
    ).stdout
    needed = {name for name in re.findall(r"\bU (\w+)", listing) if not name.startswith("farlook_block8_")}
    assert {"farlook_send"} <= needed <= {"farlook_send", "memcpy", "memset", "_GLOBAL_OFFSET_TABLE_"}


def test_the_coder_has_no_floating_point_and_no_function_pointers(exported):
    code = re.sub(r"/\*.*?\*/", "", (exported / CODER).read_text(), flags=re.DOTALL)
    assert not re.search(r"\b(float|double)\b|\(\*\w+\)\s*\(", code)


def test_no_field_of_a_template_is_left(exported):
    for name in FILES:
        assert not re.search(r"@[A-Z_]+@", (exported / name).read_text())


@pytest.mark.parametrize("bands", [1, 3])
@pytest.mark.parametrize("width", [1, 64, 65, 1000, 4096, MAX_SIDE])
def test_the_memory_is_enough_and_not_much_more(tmp_path, width, bands):
    given = export_c(tmp_path, max_width=width, max_mtu=1024, bands=bands).encoder_bytes
    taken = encoder_bytes(Geometry(width, 9, bands, 16), 1024) + 1024
    assert taken <= given <= taken + 1024
    assert str(given) in (tmp_path / "README.md").read_text().replace(",", "")


@pytest.mark.parametrize("sizes", [{"max_width": 0}, {"max_width": 16385}, {"max_mtu": 63}, {"bands": 2}])
def test_sizes_that_do_not_exist(tmp_path, sizes):
    with pytest.raises(UsageError, match=r"\d"):
        export_c(tmp_path / "c", **sizes)
    assert not list(tmp_path.iterdir())


def test_a_bundle_of_another_codec(tmp_path):
    with pytest.raises(BundleError):
        export_c(tmp_path / "c", "block8-paper")
    assert not list(tmp_path.iterdir())


def test_a_directory_that_is_new_empty_or_an_earlier_export(tmp_path):
    folder = tmp_path / "a" / "b"
    assert export_c(folder).folder == folder
    assert {path.name for path in folder.iterdir()} == FILES
    (folder / "mine.c").write_text("int mine;\n")
    export_c(folder, max_width=99)
    assert {path.name for path in folder.iterdir()} == FILES | {"mine.c"}
    assert "FARLOOK_MAX_WIDTH 99u" in (folder / HEADER).read_text()
    (tmp_path / "empty").mkdir()
    (tmp_path / "link").symlink_to("empty")
    export_c(tmp_path / "link")
    assert {path.name for path in (tmp_path / "empty").iterdir()} == FILES
    assert {path.name for path in tmp_path.iterdir()} == {"a", "empty", "link"}


def test_a_directory_of_something_else_stays_as_it_is(tmp_path):
    folder = tmp_path / "mine"
    folder.mkdir()
    (folder / "main.c").write_text("int main(void) { return 0; }\n")
    with pytest.raises(OutputError, match="it holds other files"):
        export_c(folder)
    assert [path.name for path in folder.iterdir()] == ["main.c"]
    with pytest.raises(OutputError, match="it is a file"):
        export_c(folder / "main.c")
    with pytest.raises(OutputError):
        export_c("a\0b")
    with pytest.raises(OutputError):
        export_c(tmp_path / ("x" * 300))
    assert [path.name for path in tmp_path.iterdir()] == ["mine"]
