"""`farlook train` of the four neural codecs, as a user types it."""

from __future__ import annotations

import pytest
from PIL import Image

from farlook.cli import run as cli_run
from farlook.models import neural_training

SMALL = ("--steps", 1, "--batch", 1, "--crop", 32, "--device", "cpu", "--threads", 1)


@pytest.fixture
def cli(monkeypatch, capsys):
    monkeypatch.setattr(neural_training, "entropy_tables", lambda *_: {})

    def run(*arguments):
        capsys.readouterr()
        code = cli_run.run([str(argument) for argument in arguments])
        return code, capsys.readouterr().err

    return run


def test_trains_resumes_and_says_what_it_wrote(cli, pictures, tmp_path):
    arguments = ("train", "mfca", "--data", pictures, "-o", tmp_path / "run", *SMALL)
    assert cli(*arguments)[0] == 0
    assert (tmp_path / "run" / "model.safetensors").exists()
    code, said = cli(*arguments)
    assert code == 10
    assert "holds a training run already" in said
    assert cli(*arguments, "--resume")[0] == 0
    code, said = cli("train", "fera", "--data", pictures, "-o", tmp_path / "run", *SMALL, "--resume")
    assert code == 10
    assert 'codec is "mfca" there, "fera" here' in said.replace("\n", " ")


def test_mechanisms_are_switched_by_name(cli, pictures, tmp_path):
    arguments = ("train", "mfca", "--data", pictures, "-o", tmp_path, *SMALL, "--without")
    code, said = cli(*arguments, "wings")
    assert code == 2
    assert "mfca has no wings to switch" in said
    assert cli(*arguments, "pqf")[0] == 0


@pytest.mark.parametrize(
    ("arguments", "code", "complaint"),
    [
        (("--preset", "best"), 2, "preset is 'best'"),
        (("--crop", 40), 2, "multiple of 32"),
        (("--device", "abacus"), 2, "abacus"),
        (("--lr", 0), 2, "lr is 0"),
        (("--crop", 512), 10, "none of the 4 images"),
    ],
)
def test_bad_settings_are_one_line(cli, pictures, tmp_path, arguments, code, complaint):
    found, said = cli("train", "aara", "--data", pictures, "-o", tmp_path, *SMALL, *arguments)
    assert found == code
    assert complaint in said
    assert "Traceback" not in said


def test_bad_data_directories(cli, tmp_path):
    assert cli("train", "mrdcae", "--data", tmp_path / "nowhere", "-o", tmp_path / "run", *SMALL)[0] == 10
    (tmp_path / "bad").mkdir()
    code, said = cli("train", "mrdcae", "--data", tmp_path / "bad", "-o", tmp_path / "run", *SMALL)
    assert code == 10
    assert "holds no image" in said
    (tmp_path / "bad" / "broken.jpg").write_bytes(b"\xff\xd8 no")
    Image.new("L", (20, 20)).save(tmp_path / "bad" / "small.png")
    code, said = cli("train", "mrdcae", "--data", tmp_path / "bad", "-o", tmp_path / "run", *SMALL)
    assert code == 10
    assert "none of the 2 images" in said
    assert "broken.jpg" in said
    assert "small.png" in said
