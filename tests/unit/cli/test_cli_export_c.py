"""farlook export block8 --format c."""

from __future__ import annotations


def test_the_encoder_is_written(cli, tmp_path):
    result = cli("export", "block8", "--format", "c", "-o", tmp_path / "flight", "--grey", "--max-width", 640)
    assert (result.code, result.out) == (0, "")
    assert "working memory of" in result.err.replace("\n", " ")
    header = (tmp_path / "flight" / "farlook_block8.h").read_text()
    assert "FARLOOK_MAX_WIDTH 640u" in header
    assert "FARLOOK_MAX_BANDS 1u" in header


def test_a_directory_of_something_else_is_refused(cli, tmp_path):
    (tmp_path / "mine.txt").write_text("mine")
    result = cli("export", "block8", "--format", "c", "-o", tmp_path)
    assert result.code == 7
    assert "other files" in result.complaint


def test_options_of_the_other_format_are_refused(cli, tmp_path):
    for options in (["--format", "c", "-w", "model.safetensors"], ["--bundle", "mine.bundle"]):
        result = cli("export", "block8", "-o", tmp_path / "out", *options)
        assert result.code == 2
        assert "bundle" in result.complaint
        assert not list(tmp_path.iterdir())
