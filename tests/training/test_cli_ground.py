"""`farlook train block8-ground`, as a user types it."""

from __future__ import annotations

from farlook.cli import run as cli_run

SMALL = ("--steps", 1, "--batch", 1, "--crop", 64, "--device", "cpu", "--threads", 1)


def run(capsys, *arguments):
    capsys.readouterr()
    code = cli_run.run(["train", "block8-ground", *(str(argument) for argument in arguments)])
    return code, capsys.readouterr().err


def test_trains_resumes_and_says_what_it_wrote(capsys, pictures, tmp_path):
    arguments = ("--data", pictures, "-o", tmp_path / "run", *SMALL)
    code, said = run(capsys, *arguments)
    assert code == 0
    assert "model.safetensors" in said.replace("\n", "")
    assert (tmp_path / "run" / "model.safetensors").exists()
    code, said = run(capsys, *arguments)
    assert code == 10
    assert "holds a training run already" in said
    assert run(capsys, *arguments, "--resume")[0] == 0


def test_wrong_settings_are_said_before_the_work(capsys, pictures, tmp_path):
    code, said = run(capsys, "--data", pictures, "-o", tmp_path, *SMALL, "--size", "huge")
    assert code == 2
    assert "fast" in said
    assert run(capsys, "--data", pictures, "-o", tmp_path, *SMALL, "--bundle", "none.bundle")[0] == 5
