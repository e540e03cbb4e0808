from __future__ import annotations

import csv
import signal
import subprocess
import sys
from typing import TYPE_CHECKING

import pytest
import torch
from PIL import Image

from farlook.models import checkpoint
from farlook.models.block8_paper import Block8PaperConfig
from farlook.models.loop import CHECKPOINT, LOG
from farlook.models.training import MODEL, train_block8_paper
from farlook.runtime.errors import TrainingError

if TYPE_CHECKING:
    from pathlib import Path

SMALL = {"latents": 4, "steps": 60, "batch": 64, "per_image": 150, "g2_threshold": 60.0}

KILLED = """
import os, signal, sys
import torch
from farlook.models.block8_paper import Block8PaperConfig
from farlook.models.training import train_block8_paper

pictures, out, resume, fatal_step = sys.argv[1], sys.argv[2], sys.argv[3] == "resume", int(sys.argv[4])
steps = 0
step = torch.optim.Adam.step

def fatal(self, *args, **kwargs):
    global steps
    steps += 1
    if steps == fatal_step:
        os.kill(os.getpid(), signal.SIGKILL)
    return step(self, *args, **kwargs)

torch.optim.Adam.step = fatal
config = Block8PaperConfig(latents=4, steps=60, batch=64, per_image=150, g2_threshold=60.0)
train_block8_paper(config, pictures, out, resume=resume, progress=False, checkpoint_every=20)
"""


def train(pictures: Path, out: Path, *, resume: bool = False, **settings: object):
    config = Block8PaperConfig(**{**SMALL, **settings})
    return train_block8_paper(config, pictures, out, resume=resume, progress=False, checkpoint_every=20)


def test_a_killed_run_resumes_to_the_same_bits(pictures, tmp_path):
    def killed(mode: str, fatal_step: int) -> int:
        command = [sys.executable, "-c", KILLED, str(pictures), str(tmp_path / "cut"), mode, str(fatal_step)]
        return subprocess.run(command, cwd=tmp_path, timeout=120, check=False).returncode

    assert killed("new", 51) == -signal.SIGKILL
    work = checkpoint.load(tmp_path / "cut" / CHECKPOINT).meta["work"]
    assert (work["stage"], work["step"]) == ("g1", 40)
    assert killed("resume", 20 + 33) == -signal.SIGKILL
    work = checkpoint.load(tmp_path / "cut" / CHECKPOINT).meta["work"]
    assert (work["stage"], work["step"]) == ("g2", 20)

    train(pictures, tmp_path / "cut", resume=True)
    train(pictures, tmp_path / "whole")
    for name in (MODEL, CHECKPOINT, LOG):
        assert (tmp_path / "cut" / name).read_bytes() == (tmp_path / "whole" / name).read_bytes(), name
    assert not list((tmp_path / "whole").glob(".*"))


def test_same_seed_same_bits_other_seed_others(pictures, tmp_path):
    first, again, other = (
        train(pictures, tmp_path / str(index), seed=seed) for index, seed in enumerate((1, 1, 2))
    )
    assert first.path.read_bytes() == again.path.read_bytes()
    assert not torch.equal(first.tensors["g2.encoder"], other.tensors["g2.encoder"])


def test_training_reaches_the_pca_optimum(pictures, tmp_path):
    result = train(pictures, tmp_path, latents=8, steps=1200, batch=256)
    for name in ("g1", "g2"):
        excess = result.figures[f"{name}.mse"] / result.figures[f"{name}.pca_mse"] - 1
        assert 0 <= excess < 5e-3, name
    assert 0 < result.figures["g2.share"] < 1
    shapes = {name: tuple(tensor.shape) for name, tensor in result.tensors.items()}
    assert shapes == {
        "g1.encoder": (1, 64),
        "g1.decoder": (64, 1),
        "g2.encoder": (8, 64),
        "g2.decoder": (64, 8),
        "synthesis.weight": (128, 9, 3, 3),
    }
    assert torch.allclose(
        result.tensors["g2.decoder"].T @ result.tensors["g2.decoder"], torch.eye(8), atol=1e-6
    )


def test_the_model_file_says_how_it_was_made_but_not_where(pictures, tmp_path):
    result = train(pictures, tmp_path)
    model = checkpoint.load(tmp_path / MODEL, expect={"codec": "block8-paper"})
    assert model.meta["config"]["latents"] == 4
    assert model.meta["data"]["images"] == 4
    assert model.meta["data"]["blocks"] == 600
    assert model.meta["figures"] == result.figures
    assert model.meta["torch"] == torch.__version__
    assert str(pictures).encode() not in result.path.read_bytes()
    assert all(torch.equal(model.tensors[name], tensor) for name, tensor in result.tensors.items())
    with (tmp_path / LOG).open(newline="") as file:
        rows = list(csv.DictReader(file))
    assert [(row["stage"], row["step"]) for row in rows] == [
        ("g1", "50"),
        ("g1", "60"),
        ("g2", "50"),
        ("g2", "60"),
    ]


def test_a_network_with_an_activation_keeps_its_layers(pictures, tmp_path):
    result = train(pictures, tmp_path, depth=4, activation="elu", steps=20)
    assert set(result.tensors) == {
        f"{group}.{name}"
        for group in ("g1", "g2")
        for name in ("gains", "encoder.0.weight", "encoder.1.weight", "decoder.0.weight", "decoder.1.weight")
    }
    assert result.tensors["g1.gains"].shape == (1,)
    assert result.tensors["g2.gains"].shape == (4,)


def test_too_few_detailed_blocks(pictures, tmp_path):
    with pytest.raises(TrainingError, match=r"g2 has 0 blocks.*lower g2_threshold"):
        train(pictures, tmp_path, g2_threshold=1e6, steps=2)


def test_too_few_blocks(pictures, tmp_path):
    with pytest.raises(TrainingError, match=r"g1 has 4 blocks.*give more images"):
        train(pictures, tmp_path, per_image=1)


def test_resuming_with_other_settings_or_images_is_refused(pictures, tmp_path):
    train(pictures, tmp_path / "run", steps=2)
    with pytest.raises(TrainingError, match=r"config\.steps is 2 there, 3 here"):
        train(pictures, tmp_path / "run", steps=3, resume=True)
    (tmp_path / "other").mkdir()
    Image.new("L", (160, 160)).save(tmp_path / "other" / "a.png")
    with pytest.raises(TrainingError, match=r"data\.images is 4 there, 1 here"):
        train(tmp_path / "other", tmp_path / "run", steps=2, resume=True)


def test_folders_are_checked_before_images_are_read(tmp_path):
    with pytest.raises(TrainingError, match="nothing to resume"):
        train(tmp_path / "no pictures", tmp_path, resume=True)


def test_models_imports_no_torch(tmp_path):
    code = "import sys, farlook.models, farlook.models.data; assert 'torch' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)


@pytest.mark.parametrize("package", ["torch", "safetensors", "rich"])
def test_a_missing_package_names_the_extra(package, tmp_path):
    code = f"""
import sys

class Hide:
    def find_spec(self, name, path=None, target=None):
        if name == {package!r}:
            raise ModuleNotFoundError("hidden", name=name)

sys.meta_path.insert(0, Hide())
from farlook.runtime.errors import MissingExtraError
try:
    import farlook.models.training
except MissingExtraError as error:
    assert "{package} is needed" in str(error), error
    assert "farlook[train]" in str(error), error
else:
    sys.exit("imported")
"""
    subprocess.run([sys.executable, "-c", code], cwd=tmp_path, check=True, timeout=60)
