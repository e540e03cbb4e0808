"""What cannot be done: one line, the right exit code, nothing written."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import zipfile

import numpy as np
import pytest
from PIL import Image

from farlook.cli.run import run
from farlook.runtime.errors import BackendError, FarlookError, OutputError

LONG = "a" * 300


@pytest.fixture
def place(tmp_path, photo, stream, monkeypatch):
    """The working directory, with a few things to go wrong on."""
    monkeypatch.chdir(tmp_path)
    (tmp_path / "photo.flk").write_bytes(stream)
    (tmp_path / "empty").write_bytes(b"")
    (tmp_path / "text.png").write_text("hello\n")
    (tmp_path / "folder").mkdir()
    (tmp_path / "folder" / "keep").write_bytes(b"")
    return tmp_path


@pytest.mark.parametrize(
    ("arguments", "code", "reason"),
    [
        ("encode nope.png x.flk", 3, "cannot read nope.png: No such file"),
        ("encode empty x.flk", 3, "empty is not a picture that farlook reads"),
        ("encode text.png x.flk", 3, "text.png is not a picture that farlook reads"),
        ("encode photo.flk x.flk", 3, "not a picture"),
        ("encode photo.png/a x.flk", 3, "Not a directory"),
        (f"encode {LONG} x.flk", 3, "File name too long"),
        ("compare nope.png -o x.png", 3, "No such file"),
        ("compare folder -o x.png", 3, "folder is a directory, not a picture"),
        ("decode nope.flk x.png", 4, "cannot read nope.flk: No such file"),
        ("decode empty x.png", 4, "the stream is empty"),
        ("decode photo.png x.png", 4, "not a farlook stream"),
        (f"decode {LONG} x.png", 4, "File name too long"),
        ("info nope", 4, "cannot read nope: No such file"),
        ("info empty", 4, "the stream is empty"),
        ("info text.png", 4, "not a farlook stream"),
        ("info folder", 5, "folder has no bundle.json"),
        (f"info {LONG}", 4, "File name too long"),
        ("encode photo.png nope/x.flk", 7, "No such file or directory"),
        ("encode photo.png folder", 7, "it is a directory; name a file in it"),
        ("encode photo.png photo.flk/x.flk", 7, "Not a directory"),
        (f"encode photo.png {LONG}", 7, "File name too long"),
        ("encode photo.png photo.png", 7, "it is the input"),
        ("encode photo.png ./folder/../photo.png", 7, "it is the input"),
        (f"encode folder {LONG}", 3, "no files with the suffix"),
        ("decode photo.flk photo.flk", 7, "it is the input"),
        ("decode photo.flk nope/x.png", 7, "No such file or directory"),
        ("decode photo.flk x.gif", 7, "its suffix is none of .bmp, .jpeg"),
        ("decode photo.flk x", 7, "its suffix is none of"),
        ("decode photo.flk folder", 7, "folder"),
        ("compare photo.png -o x.gif", 7, "its suffix is none of"),
        ("compare photo.png -o nope/x.png", 7, "No such file or directory"),
        ("encode photo.png x.flk --quality 5 --bpp 1", 2, "give one of quality, bpp and budget"),
        ("encode photo.png x.flk --quality 5 --budget 100", 2, "give one of"),
        ("encode photo.png x.flk --bpp 1 --budget 100", 2, "give one of"),
        ("encode photo.png x.flk -q 5 --bpp 1 -b 100", 2, "give one of"),
        ("encode photo.png x.flk --bpp 0", 2, "bpp must"),
        ("encode photo.png x.flk --bpp -1", 2, "bpp must"),
        ("encode photo.png x.flk --bpp 64.1", 2, "bpp must"),
        ("encode photo.png x.flk --bpp nan", 2, "bpp must"),
        ("encode photo.png x.flk --bpp inf", 2, "bpp must"),
        ("compare photo.png -o x.png --bpp 0", 2, "bpp must"),
        (
            "encode photo.png x.flk --backend abacus",
            2,
            "there is no backend 'abacus' for block8: choose one of: auto, native",
        ),
        (
            "encode photo.png x.flk -c block8-paper --backend abacus",
            2,
            "there is no backend 'abacus'; choose one of: auto, tensorrt, rtx",
        ),
        ("decode photo.flk x.png --backend abacus", 2, "there is no backend"),
        (
            "encode photo.png x.flk --mtu 63",
            2,
            "mtu must be a whole number of bytes from 64 to 16384, not 63",
        ),
        (
            "encode photo.png x.flk --layout heap",
            2,
            "there is no layout 'heap'; choose one of: tiles, progressive",
        ),
        ("encode photo.png x.flk --roi 1,2,3", 2, "a region is x, y, width, height and perhaps a weight"),
        ("encode photo.png x.flk --roi left", 2, "--roi takes x,y,width,height or x,y,width,height,weight"),
        ("encode photo.png x.flk --roi 200,0,9,9", 2, "lies outside the picture of 120x80 pixels"),
        ("encode photo.png x.flk --depth 12", 2, "depth 12 is for uint16 samples"),
        ("encode photo.png x.flk -c block8-paper --mtu 500", 2, "block8-paper has no option mtu"),
        ("encode photo.png x.flk -c block8-paper --roi 1,2,3,4", 2, "block8-paper has no option roi"),
        ("encode photo.png folder --packets", 7, "folder is not empty"),
        ("encode photo.png x -c block8-paper --packets", 2, "has no --packets"),
        ("decode photo.flk x.png --mask y.png", 2, "--mask shows what --lossy filled in"),
        ("decode photo.flk x.png --lossy -c block8-paper", 2, "block8-paper has no --lossy"),
        ("decode photo.flk x.png --lossy", 4, "no packet with the stream's header is whole"),
        ("decode nope x.png --lossy", 4, "cannot read nope: No such file"),
        ("decode empty x.png --lossy", 4, "there is nothing in empty"),
        ("encode photo.png x.flk --budget 5", 8, "bytes at least, more than the 5 asked for"),
        ("encode photo.png x.flk --bpp 0.001", 8, "bytes at least"),
        ("compare photo.png -o x.png --bpp 0.001", 8, "bytes at least"),
        (
            "encode photo.png x.flk --codec nope",
            5,
            "there is no codec or bundle 'nope'; farlook ships: aara, block8, block8-paper",
        ),
        ("decode photo.flk x.png --codec nope", 5, "there is no codec or bundle"),
        ("compare photo.png -o x.png --codec nope", 5, "there is no codec or bundle"),
        ("encode photo.png x.flk --codec text.png", 5, "cannot read bundle.json of text.png"),
        ("encode photo.png x.flk --codec folder", 5, "folder has no bundle.json"),
        ("decode photo.flk x.png --codec empty", 5, "empty"),
    ],
    ids=lambda value: value[:60] if isinstance(value, str) else None,
)
def test_one_line_one_code_and_no_output(cli, place, tree, arguments, code, reason):
    before = {name: (place / name).read_bytes() for name in tree(place)}
    result = cli(*arguments.split())
    assert result.code == code
    assert reason in result.complaint
    assert {name: (place / name).read_bytes() for name in tree(place)} == before


@pytest.mark.parametrize(
    "arguments",
    [
        "nope",
        "--nope",
        "encode",
        "encode photo.png",
        "encode photo.png x.flk surplus",
        "encode photo.png x.flk --quality 0",
        "encode photo.png x.flk --quality 101",
        "encode photo.png x.flk --quality 5.5",
        "encode photo.png x.flk --budget 0",
        "encode photo.png x.flk --budget -4",
        "encode photo.png x.flk --bpp much",
        "encode photo.png x.flk --threads -1",
        "decode photo.flk x.png --quality 5",
        "decode photo.flk x.png --threads many",
        "info",
        "doctor photo.flk",
        "compare photo.png --output",
    ],
)
def test_wrong_usage_exits_with_2(cli, place, tree, arguments):
    before = tree(place)
    result = cli(*arguments.split())
    assert result.code == 2
    assert "Traceback" not in result.err
    assert "Error" in result.err
    assert tree(place) == before


UNSUPPORTED = {
    "alpha.png": lambda path, rgb: rgb.convert("RGBA").save(path),
    "frames.tif": lambda path, rgb: rgb.save(path, save_all=True, append_images=[rgb]),
    "frames.webp": lambda path, rgb: rgb.save(path, save_all=True, append_images=[rgb.transpose(0)]),
    "wide.png": lambda path, rgb: rgb.resize((16385, 1)).save(path),
    "gif-inside.png": lambda path, rgb: rgb.save(path, "GIF"),
}


@pytest.mark.parametrize("name", UNSUPPORTED)
def test_pictures_of_unsupported_kinds_are_refused(cli, tmp_path, tree, crop, name):
    UNSUPPORTED[name](tmp_path / name, Image.fromarray(crop))
    result = cli("encode", tmp_path / name, tmp_path / "x.flk")
    assert result.code == 3
    assert str(tmp_path / name) in result.complaint
    assert tree(tmp_path) == [name]


@pytest.mark.parametrize("name", ["deep.png", "deep.tif"])
def test_block8_paper_refuses_samples_of_16_bits(cli, tmp_path, tree, crop, name):
    Image.fromarray(crop[..., 0].astype(np.uint16) * 257).save(tmp_path / name)
    result = cli("encode", tmp_path / name, tmp_path / "x.flk", "-c", "block8-paper")
    assert result.code == 3
    assert "more than 8 bits" in result.complaint
    assert tree(tmp_path) == [name]


@pytest.mark.parametrize("suffix", ["png", "jpg", "tif", "webp", "bmp"])
def test_pictures_cut_short_are_refused(cli, tmp_path, tree, crop, suffix):
    path = tmp_path / f"cut.{suffix}"
    Image.fromarray(crop).save(path)
    whole = path.read_bytes()
    for part in (0.02, 0.3, 0.7):
        path.write_bytes(whole[: int(part * len(whole))])
        result = cli("encode", path, tmp_path / "x.flk")
        assert result.code == 3
        assert str(path) in result.complaint
        assert tree(tmp_path) == [path.name]


def test_a_picture_that_its_format_cannot_hold_leaves_nothing(cli, codec, tmp_path, tree):
    wide = codec.encode(np.zeros((8, 16384), np.uint8))
    (tmp_path / "wide.flk").write_bytes(wide)
    result = cli("decode", tmp_path / "wide.flk", tmp_path / "wide.webp")
    assert result.code == 7
    assert "as WEBP" in result.complaint
    assert tree(tmp_path) == ["wide.flk"]


def test_a_disk_that_fills_up_leaves_the_older_output(cli, photo, tmp_path, tree, stream, monkeypatch):
    def fail(_):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    (tmp_path / "a.flk").write_bytes(b"older")
    (tmp_path / "b.flk").write_bytes(stream)
    monkeypatch.setattr("os.fsync", fail)
    for command in (
        ("encode", photo, tmp_path / "a.flk"),
        ("decode", tmp_path / "b.flk", tmp_path / "b.png"),
    ):
        result = cli(*command)
        assert result.code == 7
        assert "No space left on device" in result.complaint
    assert (tmp_path / "a.flk").read_bytes() == b"older"
    assert tree(tmp_path) == ["a.flk", "b.flk", "photo.png"]


BAD_BUNDLES = {
    "no zip at all": b"PK but no zip",
    "graph damaged": {"analysis.onnx": b"not the graph that the manifest names"},
    "tables damaged": {"entropy.json": b"{}"},
    "no manifest": {"bundle.json": None},
    "no graph": {"synthesis.onnx": None},
    "manifest not JSON": {"bundle.json": b"{"},
    "manifest a list": {"bundle.json": b"[]"},
    "manifest empty": {"bundle.json": b"{}"},
    "newer schema": {"bundle.json": b'{"schema": 99}'},
}


@pytest.fixture
def bad_bundle(tmp_path, members):
    """A maker of damaged bundles."""

    def make(damage):
        path = tmp_path / "bad.bundle"
        if isinstance(damage, bytes):
            path.write_bytes(damage)
            return path
        with zipfile.ZipFile(path, "w") as archive:
            for name, data in (members | damage).items():
                if data is not None:
                    archive.writestr(name, data)
        return path

    return make


@pytest.mark.parametrize("damage", BAD_BUNDLES.values(), ids=BAD_BUNDLES)
def test_damaged_bundles_are_refused(cli, bad_bundle, photo, tmp_path, tree, stream, damage):
    (tmp_path / "a.flk").write_bytes(stream)
    bundle = bad_bundle(damage)
    before = tree(tmp_path)
    commands = [("encode", photo, tmp_path / "x.flk"), ("decode", tmp_path / "a.flk", tmp_path / "x.png")]
    for command in [*commands, ("compare", photo, "-o", tmp_path / "x.png")]:
        result = cli(*command, "--codec", bundle)
        assert result.code == 5
        assert str(bundle) in result.complaint
    assert tree(tmp_path) == before


def test_a_bundle_cut_short_is_refused(cli, tmp_path, photo, shipped, tree):
    whole, path = shipped.read_bytes(), tmp_path / "cut.bundle"
    for size in (2, 100, len(whole) // 2, len(whole) - 1):
        path.write_bytes(whole[:size])
        result = cli("info", path)
        assert (result.code, result.complaint[:9]) == (5, "farlook: ")
        assert cli("encode", photo, tmp_path / "x.flk", "-c", path).code == 5
    assert tree(tmp_path) == ["cut.bundle", "photo.png"]


def test_a_bundle_of_an_unknown_codec_is_refused(cli, make_bundle, photo, tmp_path):
    bundle = make_bundle(lambda manifest: manifest["coding"].update(codec="tomorrow"))
    result = cli("encode", photo, tmp_path / "x.flk", "-c", bundle)
    assert result.code == 5
    assert "'tomorrow'" in result.complaint


def test_a_graph_that_no_backend_loads_is_a_backend_error(cli, members, photo, tmp_path):
    folder = tmp_path / "mine.bundle"
    folder.mkdir()
    manifest = json.loads(members["bundle.json"])
    entry = manifest["graphs"]["analysis"]["fp32"]
    members[entry["file"]] = b"no graph"
    entry["sha256"] = hashlib.sha256(b"no graph").hexdigest()
    for name, data in (members | {"bundle.json": json.dumps(manifest).encode()}).items():
        (folder / name).write_bytes(data)
    result = cli("encode", photo, tmp_path / "x.flk", "-c", folder)
    assert result.code == 6
    assert "cannot load the analysis graph" in result.complaint


def every_error(base=FarlookError):
    return [base, *(error for child in base.__subclasses__() for error in every_error(child))]


@pytest.mark.parametrize("error", every_error(), ids=lambda error: error.__name__)
def test_every_error_of_the_tree_becomes_a_line_and_its_code(cli, photo, tmp_path, monkeypatch, error):
    made = (
        error("onnxruntime", "cpu", "for\na test")
        if error.__init__ is not Exception.__init__
        else error("x\ny")
    )

    def fail(*_, **__):
        raise made

    monkeypatch.setattr("farlook.cli.encode.read_image", fail)
    result = cli("encode", photo, tmp_path / "x.flk")
    assert result.code == error.exit_code
    assert result.complaint == "farlook: " + str(made).replace("\n", " ")


@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (MemoryError(), 1, "farlook: out of memory"),
        (KeyboardInterrupt(), 130, "farlook: interrupted; nothing half-written was left behind"),
        (OutputError("a\x1b[31m\tb\r\nc"), 7, "farlook: a\\x1b[31m\\tb c"),
        (BackendError("  two  spaces "), 6, "farlook: two  spaces"),
    ],
    ids=["memory", "ctrl-c", "control characters", "spaces"],
)
def test_other_ends_are_one_line_too(cli, photo, tmp_path, monkeypatch, error, code, line):
    def fail(*_, **__):
        raise error

    monkeypatch.setattr("farlook.cli.encode.read_image", fail)
    result = cli("encode", photo, tmp_path / "x.flk")
    assert (result.code, result.complaint) == (code, line)


def test_a_bug_is_not_hidden(photo, tmp_path, monkeypatch):
    def fail(*_, **__):
        raise ZeroDivisionError

    monkeypatch.setattr("farlook.cli.encode.read_image", fail)
    with pytest.raises(ZeroDivisionError):
        run(["encode", str(photo), str(tmp_path / "x.flk")])
