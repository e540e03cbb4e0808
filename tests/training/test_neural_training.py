from __future__ import annotations

import csv
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch

from farlook.models import checkpoint, neural_training
from farlook.models.distributed import Team
from farlook.models.loop import CHECKPOINT
from farlook.models.neural_codecs import CODECS, build
from farlook.models.neural_finish import as_halves
from farlook.models.neural_training import MODEL, Machine, NeuralConfig, load_codec, train_neural
from farlook.runtime.errors import TrainingError, UsageError

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"steps": 4, "batch": 2, "crop": 32}

RUN = """
import os, signal, sys
import torch
from farlook.models import neural_training
from farlook.models.neural_training import Machine, NeuralConfig, train_neural

torch.set_num_threads(1)
pictures, out, resume, fatal_step, batch = sys.argv[1:]
steps = 0
step = torch.optim.Adam.step

def fatal(self, *args, **kwargs):
    global steps
    steps += 1
    if steps == int(fatal_step):
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)

torch.optim.Adam.step = fatal
neural_training.entropy_tables = lambda *_: {}
config = NeuralConfig("mfca", steps=4, batch=int(batch), crop=32)
machine, resume = Machine("cpu"), resume == "resume"
train_neural(config, pictures, out, resume=resume, progress=False, checkpoint_every=2, machine=machine)
"""


@pytest.fixture(autouse=True)
def no_tables(monkeypatch):
    """Counting symbols has its own tests, and takes longer than these."""
    monkeypatch.setattr(neural_training, "entropy_tables", lambda *_: {"counted": True})


def train(pictures: Path, out: Path, codec: str = "mfca", *, resume=False, start=None, **settings: object):
    config = NeuralConfig(codec, **{**SMALL, **settings})
    return train_neural(
        config, pictures, out, resume=resume, start=start, progress=False, machine=Machine("cpu"), checkpoint_every=2
    )  # fmt: skip


@pytest.fixture(scope="module")
def trained(pictures, tmp_path_factory):
    out = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(neural_training, "entropy_tables", lambda *_: {})
        return train(pictures, out)


def test_a_killed_run_resumes_to_the_same_bits(pictures, trained, tmp_path):
    command = [sys.executable, "-c", RUN, str(pictures), str(tmp_path), "new", "4", "2"]
    killed = subprocess.run(command, cwd=tmp_path, timeout=300, check=False)
    assert killed.returncode == -signal.SIGKILL
    assert checkpoint.load(tmp_path / CHECKPOINT).meta["work"]["step"] == 2
    train(pictures, tmp_path, resume=True)
    resumed, whole = (checkpoint.load(folder / MODEL) for folder in (tmp_path, trained.parent))
    assert resumed.digest() == whole.digest()
    assert (tmp_path / "log.csv").read_bytes() == (trained.parent / "log.csv").read_bytes()


def test_weights_fit_float16(trained):
    weights = checkpoint.load(trained).tensors.values()
    assert all(torch.equal(weight, weight.half().to(weight.dtype)) for weight in weights)


def test_weights_that_diverged_are_refused():
    with pytest.raises(TrainingError, match=r"a\.b holds weights beyond 65504"):
        as_halves({"a.b": torch.tensor([1.0, 1e6])})


def test_the_model_file_rebuilds_the_network(trained, pictures):
    codec = load_codec(trained, "mfca")
    assert not codec.training
    saved = checkpoint.load(trained)
    assert saved.meta["config"]["options"] == {"mfca": True, "pmcn": True, "importance": True, "pqf": True}
    assert saved.meta["data"]["used"] == 4
    assert saved.meta["figures"]["parameters"] == sum(weight.numel() for weight in codec.parameters())
    assert saved.meta["figures"]["encoder_kmac"] > saved.meta["figures"]["decoder_kmac"]
    assert str(pictures).encode() not in trained.read_bytes()
    with (trained.parent / "log.csv").open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert rows[-1]["step"] == "4"
    assert float(rows[-1]["psnr"]) > 15
    assert float(rows[-1]["bpp"]) > 0


@pytest.mark.parametrize("codec", CODECS)
def test_papers_losses_and_optimisers_run(codec, pictures, tmp_path):
    path = train(pictures, tmp_path, codec, preset="paper", steps=1, batch=1)
    assert checkpoint.load(path).meta["config"]["preset"] == "paper"


def test_a_run_can_begin_with_the_weights_of_another(pictures, trained, tmp_path):
    path = train(pictures, tmp_path / "on", start=trained, steps=1, lr=1e-9)
    before, after = checkpoint.load(trained).tensors, checkpoint.load(path).tensors
    assert all(torch.allclose(before[name], after[name], atol=1e-6) for name in before)
    with pytest.raises(TrainingError, match="weights of mfca, not of fera"):
        train(pictures, tmp_path / "other", "fera", start=trained)


def test_no_steps_keep_the_weights_and_count_again(pictures, trained, tmp_path):
    path = train(pictures, tmp_path, start=trained, steps=0)
    assert checkpoint.load(path).digest() == checkpoint.load(trained).digest()
    assert checkpoint.load(path).meta["entropy"] == {"counted": True}


def test_mechanisms_are_part_of_a_run(pictures, trained, tmp_path):
    path = train(pictures, tmp_path / "run", options={"pqf": False}, steps=1)
    assert not any(name.startswith("pqf") for name in checkpoint.load(path).tensors)
    assert load_codec(path).config.pqf is False
    with pytest.raises(TrainingError, match=r"options\.pqf is true there, false here"):
        train(pictures, trained.parent, resume=True, options={"pqf": False})


def test_other_runs_are_refused(pictures, trained, tmp_path):
    with pytest.raises(TrainingError, match='codec is "mfca" there, "aara" here'):
        train(pictures, trained.parent, "aara", resume=True)
    with pytest.raises(TrainingError, match="holds a training run already"):
        train(pictures, trained.parent)
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(pictures, tmp_path, resume=True)


def test_weights_that_are_no_neural_codecs_are_refused(trained, tmp_path):
    with pytest.raises(TrainingError, match="no checkpoint at"):
        load_codec(tmp_path / "nothing")
    checkpoint.save(tmp_path / "other", {}, {"codec": "block8-paper"})
    with pytest.raises(TrainingError, match="of block8-paper, not of fera or aara or mrdcae or mfca"):
        load_codec(tmp_path / "other")
    saved = checkpoint.load(trained)
    checkpoint.save(tmp_path / "part", dict(list(saved.tensors.items())[1:]), saved.meta)
    with pytest.raises(TrainingError, match="damaged, or of another version"):
        load_codec(tmp_path / "part")


@pytest.mark.parametrize(
    "wrong",
    [
        {"codec": "jpeg"},
        {"preset": "best"},
        {"steps": -1},
        {"batch": 0},
        {"crop": 40},
        {"crop": 0},
        {"seed": -1},
        {"lr": 0.0},
        {"lr": float("nan")},
    ],
)
def test_settings_out_of_range(wrong):
    with pytest.raises(UsageError):
        NeuralConfig(**{"codec": "mfca", **wrong})


def test_devices():
    assert Machine("cpu").resolve() == torch.device("cpu")
    assert Machine().resolve().type in ("cpu", "cuda")
    with pytest.raises(UsageError, match="cannot compute on"):
        Machine("abacus").resolve()


def test_processes_share_a_batch():
    batch = torch.arange(5)
    parts = [Team(torch.device("cpu"), rank, 2).share(batch).tolist() for rank in (0, 1)]
    assert parts == [[0, 2, 4], [1, 3]]
    with pytest.raises(UsageError, match="a batch of 5 cannot be shared by 6"):
        Team(torch.device("cpu"), 0, 6).share(batch)


def test_two_processes_train_one_network(pictures, tmp_path):
    (tmp_path / "run.py").write_text(RUN)
    command = [
        sys.executable, "-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2",
        str(tmp_path / "run.py"), str(pictures), str(tmp_path / "out"), "new", "-1", "4",
    ]  # fmt: skip
    ended = subprocess.run(command, cwd=tmp_path, timeout=300, check=False, capture_output=True, text=True)
    assert ended.returncode == 0, ended.stderr
    codec, fresh = load_codec(tmp_path / "out" / MODEL), build("mfca")
    assert codec.state_dict().keys() == fresh.state_dict().keys()
    with (tmp_path / "out" / "log.csv").open(newline="") as file:
        assert [row["step"] for row in csv.DictReader(file)] == ["4"]
