"""File names that a terminal, rich or a line might mangle are printed as they are."""

from __future__ import annotations

import os
import sys

import pytest
from PIL import Image

NAMES = [
    "two words.png",
    " lead and trail .png",
    "two  spaces.png",
    "ünïcödé 写真 🛰.png",
    "[red]x.png",
    "[red]x[/red].png",  # a folder "[red]x[" with a file "red].png"
    "a[/b].png",  # a closing tag without an opening one
    "[link=x]y.png",
    ":smile:.png",
    "{0}%s.png",
    "\\[b].png",
    f"{'long' * 40}.png",
]


@pytest.mark.parametrize("name", NAMES)
def test_names_are_printed_as_they_are(cli, tmp_path, crop, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    for folder in ("in", "streams", "back"):
        (tmp_path / folder / name).parent.mkdir(parents=True)
    Image.fromarray(crop).save(tmp_path / "in" / name)
    stream = name.removesuffix(".png") + ".flk"

    one = cli("encode", f"in/{name}", f"streams/{stream}")
    assert one.code == 0
    assert one.err.startswith(f"in/{name} -> streams/{stream}: 120x80, ")
    folder = cli("encode", "in", "streams2")
    assert folder.code == 0
    assert folder.err.startswith(f"in/{name} -> streams2/{stream}: ")
    back = cli("decode", "streams", "back")
    assert back.code == 0
    assert back.err.startswith(f"streams/{stream} -> back/{name}: 120x80, ")
    compared = cli("compare", f"in/{name}", "-o", f"back/{name}", "--bpp", 1)
    assert compared.code == 0
    assert compared.out.splitlines()[0] == f"{os.path.basename(name)}, 120x80".strip()  # noqa: PTH119
    assert compared.out.splitlines()[-1] == f"wrote back/{name}"
    for result in (one, folder, back):
        assert len(result.err.splitlines()) == 1


@pytest.mark.parametrize("name", NAMES)
def test_names_in_errors_are_printed_as_they_are(cli, tmp_path, monkeypatch, name):
    monkeypatch.chdir(tmp_path)
    (tmp_path / "in" / name).parent.mkdir(parents=True)
    (tmp_path / "in" / name).write_text("no picture")
    assert f"in/{name} is not a picture" in cli("encode", f"in/{name}", "x.flk").complaint
    lines = cli("encode", "in", "out").err.splitlines()
    assert [line.partition(f"in/{name}")[0] for line in lines] == [
        "failed ",
        "farlook: 1 of 1 files failed; the first: ",
    ]


def test_control_characters_do_not_reach_the_terminal(cli, tmp_path, crop):
    name = "clear\x1b[2J\nline\rtab\t.png"
    Image.fromarray(crop).save(tmp_path / name)
    results = [
        cli("encode", tmp_path / name, tmp_path / "a.flk"),
        cli("encode", tmp_path / f"{name}.gone", tmp_path / "a.flk"),
        cli("compare", tmp_path / name, "-o", tmp_path / f"{name}.png", "--bpp", 1),
    ]
    assert [result.code for result in results] == [0, 3, 0]
    for result in results:
        assert all(line.isprintable() for line in (result.out + result.err).splitlines())
    assert len(results[0].err.splitlines()) == 1
    assert "clear\\x1b[2J line tab\\t.png" in results[0].err


@pytest.mark.skipif(sys.platform != "linux", reason="other systems want names in UTF-8")
def test_a_name_that_is_no_utf8_works(start, finish, tmp_path, photo):
    (tmp_path / "in").mkdir()
    os.rename(os.fsencode(photo), os.fsencode(tmp_path / "in") + b"/\xff.png")  # noqa: PTH104
    encoded = start("encode", tmp_path / "in", tmp_path / "out")
    compared = start(
        "compare", os.fsdecode(os.fsencode(tmp_path / "in") + b"/\xff.png"), "-o", tmp_path / "c.png"
    )
    for result in (finish(encoded), finish(compared)):
        assert result.code == 0
        assert "\\udcff.png" in result.out + result.err
    assert [os.fsencode(path.name) for path in (tmp_path / "out").iterdir()] == [b"\xff.flk"]


def test_an_output_that_cannot_print_a_name_escapes_it(start, finish, tmp_path, photo):
    path = photo.rename(tmp_path / "ü.png")
    ascii_only = {"PYTHONIOENCODING": "ascii"}
    result = finish(start("compare", path, "-o", tmp_path / "c.png", environment=ascii_only))
    assert result.code == 0
    assert result.out.startswith("\\xfc.png, 120x80\n")
