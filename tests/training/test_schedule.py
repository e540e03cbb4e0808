from __future__ import annotations

import json

import pytest
import torch
from torch import nn

from farlook.models.loop import Measured, Stage, Trainer, TrainingState
from farlook.models.schedule import Average, Descent, Rate
from farlook.runtime.errors import UsageError


def test_cosine_with_warmup():
    rate = Rate(Descent(warmup=9))
    assert rate.at(0, 1000) == pytest.approx(0.1)
    assert rate.at(9, 1000) == pytest.approx(1, abs=1e-3)
    assert rate.at(500, 1000) == pytest.approx(0.5)
    assert rate.at(999, 1000) < 1e-5


def test_plateau_halves_where_nothing_improves_and_survives_a_checkpoint():
    descent = Descent(schedule="plateau", patience=3)
    rate = Rate(descent)
    for loss in (5, 5, 5, 4, 4, 4, 4, 4):
        rate.note(loss)
    assert rate.at(0, 10) == 1.0
    again = Rate(descent)
    again.restore(json.loads(json.dumps(rate.state())))
    for one in (rate, again):
        one.note(6)
        assert one.at(0, 10) == 0.5
        for loss in (3, 3, 3):
            one.note(loss)
        assert one.at(0, 10) == 0.5


def test_average_forgets_its_start_and_smooths():
    module = nn.Linear(1, 1, bias=False)
    nn.init.constant_(module.weight, 100.0)
    average = Average(module, 0.99)
    for step in range(1, 400):
        nn.init.constant_(module.weight, 1.0 if step % 2 else -1.0)
        average.follow(module, step)
    assert abs(float(average.tensors["weight"])) < 0.2


@pytest.mark.parametrize("wrong", [{"schedule": "steps"}, {"average": 1.0}, {"clip": 0.0}, {"patience": 0}])
def test_settings_out_of_range(wrong):
    with pytest.raises(UsageError):
        Descent(**wrong)


def falling_stage(out, descent):
    """One weight that falls from 1 by the rate of 0.1 a step, under a gradient of 1000."""

    def run(trainer: Trainer, state: TrainingState) -> TrainingState:
        module = nn.Linear(1, 1, bias=False)
        nn.init.ones_(module.weight)
        seen = iter(range(1, 7))

        def loss(_: torch.Generator) -> Measured:
            return Measured(1000.0 * module.weight.sum(), {"bpp": 0.5, "psnr": 30.0 + next(seen)})

        trainer.optimise(module, loss, steps=6, lr=0.1, seed=0, descent=descent)
        return state.plus({"weight": module.weight.detach()})

    return Trainer(out, {}, log_every=3, plot=True).run([Stage("a", run)])


def test_figures_reach_csv_json_and_plot(tmp_path):
    falling_stage(tmp_path, Descent())
    header, *rows = (tmp_path / "log.csv").read_text().splitlines()
    assert header == "step,stage,loss,bpp,psnr"
    assert [row.split(",")[3:] for row in rows] == [["0.5", "32.0"], ["0.5", "35.0"]]
    assert [row["psnr"] for row in json.loads((tmp_path / "log.json").read_text())] == [32, 35]
    pytest.importorskip("matplotlib")
    assert (tmp_path / "log.png").read_bytes().startswith(b"\x89PNG")


def test_the_averaged_weights_are_kept(tmp_path):
    last, mean = (
        float(falling_stage(tmp_path / str(average), Descent(average=average)).tensors["weight"])
        for average in (0.0, 0.9)
    )
    assert last < mean < 1


def test_gradients_are_clipped(tmp_path, monkeypatch):
    norms = []
    step = torch.optim.Adam.step

    def spy(self, *arguments):
        norms.append(float(self.param_groups[0]["params"][0].grad.norm()))
        return step(self, *arguments)

    monkeypatch.setattr(torch.optim.Adam, "step", spy)
    falling_stage(tmp_path / "free", Descent())
    falling_stage(tmp_path / "clipped", Descent(clip=2.0))
    assert norms == pytest.approx([1000.0] * 6 + [2.0] * 6, rel=1e-4)
