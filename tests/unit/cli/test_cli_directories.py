"""encode and decode of directories."""

from __future__ import annotations

import pytest
from PIL import Image

from farlook.runtime.images import read_image


@pytest.fixture
def pictures(tmp_path, crop):
    """A maker of a folder of pictures: pictures("a.png", "sub/b.jpg") -> folder."""

    def make(*names):
        for name in names:
            path = tmp_path / "pictures" / name
            path.parent.mkdir(parents=True, exist_ok=True)
            Image.fromarray(crop).save(path)
        return tmp_path / "pictures"

    return make


def test_nested_folders_go_there_and_back(cli, pictures, tmp_path, tree, block8, crop):
    source = pictures("a.png", "sub/b.bmp", "sub/deep er/c.TIF")
    (source / "notes.txt").write_text("no picture")
    there = cli("encode", source, tmp_path / "streams")
    assert (there.code, there.out, len(there.err.splitlines())) == (0, "", 3)
    assert tree(tmp_path / "streams") == ["a.flk", "sub/b.flk", "sub/deep er/c.flk"]
    back = cli("decode", tmp_path / "streams", tmp_path / "back", "--decoder", "linear")
    assert (back.code, back.out, len(back.err.splitlines())) == (0, "", 3)
    assert tree(tmp_path / "back") == ["a.png", "sub/b.png", "sub/deep er/c.png"]
    expected = block8.decode(block8.encode(crop))
    for name in tree(tmp_path / "back"):
        assert (read_image(tmp_path / "back" / name) == expected).all()


def test_good_pictures_are_done_beside_bad_ones(cli, pictures, tmp_path, tree):
    source = pictures("a.png", "sub/z.png")
    (source / "broken.png").write_bytes((source / "a.png").read_bytes()[:300])
    (source / "text.jpg").write_text("hello")
    result = cli("encode", source, tmp_path / "streams")
    assert result.code == 3
    assert tree(tmp_path / "streams") == ["a.flk", "sub/z.flk"]
    lines = result.err.splitlines()
    assert len(lines) == 5
    assert [line.partition(" ")[0] for line in lines].count("failed") == 2
    assert lines[-1].startswith(
        f"farlook: 2 of 4 files failed; the first: cannot read {source / 'broken.png'}"
    )
    assert all(line.count("broken.png") <= 1 for line in lines)


def test_good_streams_are_done_beside_bad_ones(cli, tmp_path, tree, stream):
    source = tmp_path / "streams"
    (source / "sub").mkdir(parents=True)
    (source / "a.flk").write_bytes(stream)
    (source / "bad.flk").write_bytes(b"")
    (source / "sub" / "z.flk").write_bytes(stream)
    result = cli("decode", source, tmp_path / "pictures")
    assert result.code == 4
    assert tree(tmp_path / "pictures") == ["a.png", "sub/z.png"]
    assert f"failed {source / 'bad.flk'}: the stream is empty" in result.err.splitlines()
    assert result.err.splitlines()[-1].startswith("farlook: 1 of 3 files failed; the first: ")


def test_the_exit_code_is_that_of_the_first_failure(cli, pictures, tmp_path):
    source = pictures("b.png")
    (source / "a.png").write_text("no picture")
    assert cli("encode", source, tmp_path / "streams", "--budget", 5).code == 3
    (source / "a.png").unlink()
    result = cli("encode", source, tmp_path / "streams", "--budget", 5)
    assert result.code == 8
    assert f"{source / 'b.png'}: this picture takes" in result.err.splitlines()[-1]


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["a.jpg", "a.png", "b.png"], ["a.jpg.flk", "a.png.flk", "b.flk"]),
        (["a.png", "sub/a.png"], ["a.flk", "sub/a.flk"]),
        (["a.b.png", "a.png"], ["a.b.flk", "a.flk"]),
        # a.png.png would take the name that a.png gets to stay apart from a.jpg
        (["a.jpg", "a.png", "a.png.png"], ["a.jpg.flk", "a.png.flk", "a.png.png.flk"]),
        ([".hidden.png", ".git/a.png", "UP.PNG"], ["UP.flk"]),
    ],
)
def test_no_two_pictures_share_a_stream(cli, pictures, tmp_path, tree, names, expected):
    result = cli("encode", pictures(*names), tmp_path / "streams")
    assert result.code == 0
    assert tree(tmp_path / "streams") == expected


@pytest.mark.parametrize(
    ("verb", "code", "suffix"), [("encode", 3, ".webp"), ("decode", 4, ".flk")], ids=["encode", "decode"]
)
def test_a_folder_without_work_is_an_error(cli, tmp_path, verb, code, suffix):
    (tmp_path / "in").mkdir()
    (tmp_path / "in" / "notes.txt").write_text("nothing to code")
    result = cli(verb, tmp_path / "in", tmp_path / "out")
    assert result.code == code
    assert suffix in result.complaint
    assert not (tmp_path / "out").exists()


def test_a_folder_does_not_go_into_a_file(cli, pictures, tmp_path, tree):
    source = pictures("a.png")
    (tmp_path / "file").write_text("mine")
    for target, reason in (
        (tmp_path / "file", "but it is a file"),
        (tmp_path / "file" / "x", "Not a directory"),
    ):
        result = cli("encode", source, target)
        assert result.code == 7
        assert reason in result.complaint
    assert (tmp_path / "file").read_text() == "mine"
    assert tree(tmp_path) == ["file", "pictures/a.png"]


def test_a_file_where_a_folder_must_be_costs_only_its_files(cli, pictures, tmp_path, tree):
    source = pictures("a.png", "sub/b.png")
    (tmp_path / "streams").mkdir()
    (tmp_path / "streams" / "sub").write_text("mine")
    result = cli("encode", source, tmp_path / "streams")
    assert result.code == 7
    assert result.err.splitlines()[-1].startswith("farlook: 1 of 2 files failed")
    assert tree(tmp_path / "streams") == ["a.flk", "sub"]


def test_wrong_options_are_said_once_not_for_every_file(cli, pictures, tmp_path, tree):
    source = pictures("a.png", "b.png", "c.png")
    for options in (("--bpp", -3), ("--bpp", 1, "--budget", 10), ("--backend", "abacus")):
        result = cli("encode", source, tmp_path / "streams", *options)
        assert result.code == 2
        assert "files failed" not in result.complaint
    cli("encode", source, tmp_path / "good")
    for options, code in ((("--codec", "nope"), 5), (("--backend", "abacus"), 2)):
        result = cli("decode", tmp_path / "good", tmp_path / "back", *options)
        assert result.code == code
        assert "files failed" not in result.complaint
    assert tree(tmp_path / "streams") == []


def test_a_folder_can_be_worked_on_in_place(cli, pictures, tree):
    source = pictures("a.png", "sub/b.png")
    before = (source / "a.png").read_bytes()
    assert cli("encode", source, source).code == 0
    assert tree(source) == ["a.flk", "a.png", "sub/b.flk", "sub/b.png"]
    assert (source / "a.png").read_bytes() == before


def test_links_to_nothing_are_left_alone(cli, pictures, tmp_path, tree):
    source = pictures("a.png")
    (source / "gone.png").symlink_to(tmp_path / "nowhere.png")
    assert cli("encode", source, tmp_path / "streams").code == 0
    assert tree(tmp_path / "streams") == ["a.flk"]
