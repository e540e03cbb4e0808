from __future__ import annotations

import signal
import threading

import pytest
import torch
from torch import nn

from farlook.models import checkpoint
from farlook.models.loop import CHECKPOINT, LOG, Stage, Trainer, TrainingState, cosine, open_run, stage_seed
from farlook.runtime.errors import OutputError, TrainingError, UsageError

IDENTITY = {"codec": "toy", "config": {"steps": 30}}


def toy_stage(name, *, steps=30, before_step=lambda step: None) -> Stage:
    """Fit two weights to noisy targets; `before_step` is told the number of each step."""

    def run(trainer: Trainer, state: TrainingState) -> TrainingState:
        module = nn.Linear(2, 1, bias=False)
        nn.init.constant_(module.weight, 0.5)

        def loss(generator: torch.Generator) -> torch.Tensor:
            before_step(count["steps"])
            count["steps"] += 1
            inputs = torch.randn(8, 2, generator=generator)
            return (module(inputs) - inputs @ torch.tensor([[3.0], [-1.0]])).square().mean()

        count = {"steps": 0}
        trainer.optimise(module, loss, steps=steps, lr=0.1, seed=stage_seed(0, name))
        return state.plus(
            {f"{name}.weight": module.weight.detach()}, {f"{name}.steps": steps}, {name: [1, 2]}
        )

    return Stage(name, run)


def plain_stage(name) -> Stage:
    return Stage(name, lambda _, state: state.plus({name: torch.ones(1) * len(state.tensors)}))


def interrupt_at(step):
    def before_step(now):
        if now == step:
            signal.raise_signal(signal.SIGINT)

    return before_step


def test_stages_hand_on_what_they_make(tmp_path):
    state = Trainer(tmp_path, IDENTITY).run([toy_stage("a"), plain_stage("b"), toy_stage("c")])
    assert set(state.tensors) == {"a.weight", "b", "c.weight"}
    assert state.figures == {"a.steps": 30, "c.steps": 30}
    assert state.notes == {"a": [1, 2], "c": [1, 2]}


@pytest.mark.parametrize("stage", ["a", "c"])
def test_ctrl_c_leaves_a_checkpoint_that_resumes_exactly(tmp_path, stage):
    names = ("a", "b", "c")
    whole = Trainer(tmp_path / "whole", IDENTITY, log_every=7).run(
        [plain_stage(name) if name == "b" else toy_stage(name) for name in names]
    )
    stages = [
        plain_stage(name)
        if name == "b"
        else toy_stage(name, before_step=interrupt_at(10) if name == stage else lambda step: None)
        for name in names
    ]
    with pytest.raises(KeyboardInterrupt):
        Trainer(tmp_path / "cut", IDENTITY, log_every=7).run(stages)
    work = checkpoint.load(tmp_path / "cut" / CHECKPOINT).meta["work"]
    assert (work["stage"], work["step"]) == (stage, 11)

    resumed = Trainer(tmp_path / "cut", IDENTITY, resume=True, log_every=7).run(
        [plain_stage(name) if name == "b" else toy_stage(name) for name in names]
    )
    assert all(torch.equal(resumed.tensors[name], whole.tensors[name]) for name in whole.tensors)
    assert (resumed.figures, resumed.notes) == (whole.figures, whole.notes)
    assert (tmp_path / "cut" / LOG).read_bytes() == (tmp_path / "whole" / LOG).read_bytes()


def test_ctrl_c_is_itself_again_afterwards(tmp_path):
    before = signal.getsignal(signal.SIGINT)
    Trainer(tmp_path, IDENTITY).run([toy_stage("a")])
    assert signal.getsignal(signal.SIGINT) is before


def test_a_second_ctrl_c_does_not_wait(tmp_path):
    def twice(step):
        if step == 10:
            signal.raise_signal(signal.SIGINT)
            signal.raise_signal(signal.SIGINT)

    with pytest.raises(KeyboardInterrupt):
        Trainer(tmp_path, IDENTITY).run([toy_stage("a", before_step=twice)])
    assert not (tmp_path / CHECKPOINT).exists()


def test_trains_outside_the_main_thread(tmp_path):
    states: list[TrainingState] = []
    thread = threading.Thread(
        target=lambda: states.append(Trainer(tmp_path, IDENTITY).run([toy_stage("a")])), daemon=True
    )
    thread.start()
    thread.join(timeout=30)
    assert "a.weight" in states[0].tensors


def test_log_has_the_mean_loss_of_every_interval(tmp_path):
    seen: list[tuple[str, int, int, float | None]] = []
    trainer = Trainer(tmp_path, IDENTITY, log_every=20, report=lambda *news: seen.append(news))
    trainer.run([toy_stage("a")])
    header, *rows = (tmp_path / LOG).read_text().splitlines()
    assert header == "step,stage,loss"
    assert [row.split(",")[:2] for row in rows] == [["20", "a"], ["30", "a"]]
    losses = [loss for _, _, _, loss in seen]
    assert float(rows[0].split(",")[2]) == pytest.approx(sum(losses[:20]) / 20)
    assert float(rows[1].split(",")[2]) == pytest.approx(sum(losses[20:]) / 10)
    assert seen[0][:3] == ("a", 1, 30)
    assert losses[-1] < losses[0]


def test_a_finished_run_resumes_to_its_result(tmp_path):
    first = Trainer(tmp_path, IDENTITY).run([toy_stage("a")])

    def fail(_step):
        raise AssertionError("trained again")

    again = Trainer(tmp_path, IDENTITY, resume=True).run([toy_stage("a", before_step=fail), plain_stage("b")])
    assert torch.equal(first.tensors["a.weight"], again.tensors["a.weight"])
    assert "b" in again.tensors


def test_other_stages_than_the_checkpoints_are_refused(tmp_path):
    Trainer(tmp_path, IDENTITY).run([plain_stage("a")])
    with pytest.raises(TrainingError, match="finished"):
        Trainer(tmp_path, IDENTITY, resume=True).run([plain_stage("b"), plain_stage("a")])


def test_another_runs_checkpoint_is_refused(tmp_path):
    Trainer(tmp_path, IDENTITY).run([plain_stage("a")])
    with pytest.raises(TrainingError, match=r"identity\.config\.steps is 30 there, 40 here"):
        Trainer(tmp_path, {"codec": "toy", "config": {"steps": 40}}, resume=True)


def test_folders_are_checked_before_work_begins(tmp_path):
    with pytest.raises(TrainingError, match="nothing to resume"):
        open_run(tmp_path, resume=True)
    Trainer(tmp_path / "new" / "run", IDENTITY).run([plain_stage("a")])
    with pytest.raises(TrainingError, match="holds a training run already"):
        open_run(tmp_path / "new" / "run", resume=False)
    (tmp_path / "file").write_text("")
    with pytest.raises(OutputError, match="cannot make the folder"):
        open_run(tmp_path / "file", resume=False)
    with pytest.raises(UsageError, match="checkpoint_every"):
        Trainer(tmp_path, IDENTITY, checkpoint_every=0)


def test_divergence_is_an_error_that_says_when(tmp_path):
    def run(trainer: Trainer, state: TrainingState) -> TrainingState:
        weight = nn.Linear(1, 1)
        trainer.optimise(weight, lambda _: weight.weight.sum() * float("nan"), steps=5, lr=0.1, seed=0)
        return state

    with pytest.raises(TrainingError, match="a: the loss is nan at step 0"):
        Trainer(tmp_path, IDENTITY).run([Stage("a", run)])


def test_a_stage_optimises_once(tmp_path):
    def run(trainer: Trainer, state: TrainingState) -> TrainingState:
        module = nn.Linear(1, 1)
        for _ in range(2):
            trainer.optimise(module, lambda _: module.weight.sum(), steps=1, lr=0.1, seed=0)
        return state

    with pytest.raises(RuntimeError, match="optimises twice"):
        Trainer(tmp_path, IDENTITY).run([Stage("a", run)])


def test_seeds_depend_on_seed_and_name():
    assert stage_seed(0, "g1") == stage_seed(0, "g1")
    assert len({stage_seed(0, "g1"), stage_seed(0, "g2"), stage_seed(1, "g1")}) == 3


def test_cosine():
    assert [cosine(done) for done in (0, 0.5, 1)] == pytest.approx([1, 0.5, 0])
