"""info, compare and doctor."""

from __future__ import annotations

import json
from dataclasses import asdict
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import farlook
from farlook.runtime.codec import Codec
from farlook.runtime.doctor import Finding, examine


def pairs(text):
    """The rows of a table of names and values."""
    return dict(line.rstrip().split("  ", 1) for line in text.splitlines())


def test_info_of_a_stream(cli, tmp_path, stream):
    (tmp_path / "a.flk").write_bytes(stream)
    told = {name: value for name, value in asdict(farlook.info(stream)).items() if value is not None}
    expected = told | {"bpp": round(8 * len(stream) / 9600, 4)}
    as_json = cli("info", tmp_path / "a.flk", "--json")
    assert (as_json.code, as_json.err) == (0, "")
    assert json.loads(as_json.out) == expected
    plain = cli("info", tmp_path / "a.flk")
    assert (plain.code, plain.err) == (0, "")
    shown = {name.replace(" ", "_"): value.strip() for name, value in pairs(plain.out).items()}
    assert shown == {name: str(value) for name, value in expected.items()}


@pytest.mark.parametrize("folder", [False, True], ids=["file", "folder"])
def test_info_of_a_bundle(cli, tmp_path, shipped, members, folder):
    path = shipped
    if folder:
        path = tmp_path / "mine.bundle"
        path.mkdir()
        for name, data in members.items():
            (path / name).write_bytes(data)
    result = cli("info", path, "--json")
    assert (result.code, result.err) == (0, "")
    fields = json.loads(result.out)
    assert fields["codec"] == "block8-paper"
    assert fields["digest"] == json.loads(members["bundle.json"])["coding_digest"]
    assert fields["graphs"] == {"analysis": ["fp32"], "synthesis": ["fp32"]}
    plain = cli("info", path)
    assert plain.code == 0
    assert fields["digest"] in plain.out


def test_info_of_a_bundle_without_notes(cli, make_bundle):
    def strip(manifest):
        manifest.pop("training", None)
        manifest.pop("farlook", None)

    bundle = make_bundle(strip)
    result = cli("info", bundle, "--json")
    assert result.code == 0
    assert json.loads(result.out)["training"] == {}
    assert cli("info", bundle).code == 0


def test_info_prints_what_a_bundle_says_without_obeying_it(cli, make_bundle):
    text = "[/b] :smile: [red]\x1b[2J"
    result = cli("info", make_bundle(lambda manifest: manifest.update(farlook=text)))
    assert result.code == 0
    assert "[/b] :smile: [red]\\x1b[2J" in result.out


def test_info_reads_a_pipe(start, finish, tmp_path, stream):
    (tmp_path / "a.flk").write_bytes(stream)
    with (tmp_path / "a.flk").open("rb") as file:
        result = finish(start("info", "/dev/stdin", "--json", stdin=file))
    assert result.code == 0
    assert json.loads(result.out)["size"] == len(stream)


def test_compare_draws_and_tells_both(cli, photo, tmp_path):
    result = cli("compare", photo, "--bpp", 1, "-o", tmp_path / "sheet.png")
    assert (result.code, result.err) == (0, "")
    title, heading, jpeg, ours, *neural, written = result.out.splitlines()
    assert title == "photo.png, 120x80"
    assert heading.split() == ["codec", "bytes", "bpp", "PSNR", "dB", "encode", "ms", "decode", "ms"]
    assert written == f"wrote {tmp_path / 'sheet.png'}"
    assert len(neural) == (Codec.load("block8").choose_decoder("auto")[0] is not None)
    for row, name in ((jpeg, "JPEG"), (ours, "block8"), *((row, "block8, neural decoder") for row in neural)):
        assert row.startswith(name)
        cells = [name, *row.removeprefix(name).split()]
        assert 300 < int(cells[1]) <= 1200
        assert float(cells[2]) == pytest.approx(int(cells[1]) * 8 / 9600, abs=5e-4)
        assert 20 < float(cells[3]) < 60
        assert min(float(cells[4]), float(cells[5])) >= 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.mode == "RGB"
        assert sheet.width >= 3 * 120
        assert sheet.height > 80
        width = sheet.width
    assert cli("compare", photo, "--bpp", 0.15, "-o", tmp_path / "sheet.png").code == 0
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.width < width  # no JPEG is so small


def test_compare_says_when_jpeg_has_nothing_so_small(cli, photo, tmp_path):
    result = cli("compare", photo, "--bpp", 0.15, "-o", tmp_path / "sheet.png")
    assert (result.code, result.err) == (0, "")
    assert "JPEG cannot make a file as small as 0.15 bpp of this picture." in result.out.splitlines()


def test_compare_draws_grey_pictures_in_any_format(cli, tmp_path, crop):
    Image.fromarray(crop).convert("L").save(tmp_path / "grey.png")
    result = cli("compare", tmp_path / "grey.png", "--bpp", 2, "-o", tmp_path / "sheet.jpg")
    assert result.code == 0
    with Image.open(tmp_path / "sheet.jpg") as sheet:
        assert sheet.format == "JPEG"


def test_compare_has_a_picture_of_its_own(cli, kodim, tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    result = cli("compare")
    assert result.code == 0
    assert result.out.startswith("kodim23.png, 768x512\n")
    with Image.open(tmp_path / "preview.png") as sheet:
        pixels = np.asarray(sheet)
    assert (pixels.shape[1] + 8) % (512 + 8) == 0
    assert pixels.shape[1] > 2 * 512
    assert (pixels[-512:, :512] == kodim[:, 128:640]).all()


def test_doctor_tells_all_it_found(cli):
    result = cli("doctor")
    assert (result.code, result.err) == (0, "")
    for finding in examine():
        mark = "ok" if finding.works else "--"
        assert any(
            line.startswith(f"{mark}  {finding.group} {finding.name}") for line in result.out.splitlines()
        )
        if finding.remedy.startswith("pip "):  # whole, on a line of its own, to be copied
            assert finding.remedy in [line.strip() for line in result.out.splitlines()]


def test_doctor_as_json(cli):
    result = cli("doctor", "--json")
    assert (result.code, result.err) == (0, "")
    assert json.loads(result.out) == [asdict(finding) for finding in examine()]


@pytest.mark.parametrize("options", [(), ("--json",)], ids=["table", "json"])
def test_doctor_fails_where_nothing_can_be_coded(cli, monkeypatch, options):
    broken = [
        Finding("core", "C core", True, "fine"),
        Finding("backend", "ort", False, "[/b] gone", "pip install 'farlook[cpu]'"),
    ]
    monkeypatch.setattr("farlook.cli.doctor.examine", lambda: broken)
    result = cli("doctor", *options)
    assert result.code == 6
    assert result.err == "farlook: pictures cannot be coded here: see what is missing above\n"
    assert "[/b] gone" in result.out
    assert "pip install 'farlook[cpu]'" in result.out


STANDIN = Path(__file__).parents[2] / "vectors" / "neural" / "standin.bundle"


def test_compare_draws_several_codecs_with_errors_and_maps(cli, photo, tmp_path):
    pytest.importorskip("onnxruntime")
    codecs = f"block8,{STANDIN},jpeg2000"
    result = cli("compare", photo, "--codecs", codecs, "--bpp", 1, "-o", tmp_path / "sheet.png")
    assert (result.code, result.err) == (0, "")
    title, heading, *rows, written = result.out.splitlines()
    assert title == "photo.png, 120x80"
    assert heading.split()[:7] == ["codec", "bytes", "bpp", "PSNR", "dB", "SSIM", "encode"]
    assert [row.split()[0] for row in rows] == ["block8", "standin", "jpeg2000"]
    assert all(int(row.split()[1]) <= 1200 for row in rows)
    assert written == f"wrote {tmp_path / 'sheet.png'}"
    with Image.open(tmp_path / "sheet.png") as sheet:
        assert sheet.height == 56 + 3 * 88 - 8


def test_compare_names_codecs_that_cannot_be_so_small(cli, photo, tmp_path):
    result = cli("compare", photo, "--codecs", "jpeg,block8", "--bpp", 0.15, "-o", tmp_path / "sheet.png")
    assert (result.code, result.err) == (0, "")
    assert "jpeg cannot make a file as small as 0.15 bpp of this picture." in result.out.splitlines()


@pytest.mark.parametrize("codecs", ["nonesuch", ",", "jpeg,nonesuch"])
def test_compare_refuses_codecs_that_there_are_not(cli, photo, tmp_path, codecs):
    result = cli("compare", photo, "--codecs", codecs, "-o", tmp_path / "sheet.png")
    assert result.code in (2, 5)
    assert result.complaint
    assert not (tmp_path / "sheet.png").exists()


def test_info_of_a_codec_by_its_name(cli, shipped):
    by_name, by_path = cli("info", "block8-paper", "--json"), cli("info", shipped, "--json")
    assert by_name.code == 0
    assert by_name.out == by_path.out


def test_info_tells_what_a_network_weighs(cli, make_bundle):
    def count(manifest):
        manifest["training"]["figures"] = {"parameters": 12, "encoder_kmac": 3.5, "decoder_kmac": 1.25}

    fields = json.loads(cli("info", make_bundle(count), "--json").out)
    assert (fields["parameters"], fields["encoder_kMAC_per_pixel"], fields["decoder_kMAC_per_pixel"]) == (
        12,
        3.5,
        1.25,
    )
