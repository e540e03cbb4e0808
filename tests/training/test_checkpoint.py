from __future__ import annotations

import pytest
import safetensors.torch
import torch

from farlook.models import checkpoint
from farlook.runtime.errors import OutputError, TrainingError

META = {"codec": "block8-paper", "config": {"latents": 8, "lr": 0.01}, "log": [[1, "g1", 2.5]]}


def test_what_is_saved_is_loaded(tmp_path):
    shared = torch.arange(12.0).reshape(3, 4)
    tensors = {"a": shared, "b": shared.T, "rng.state": torch.Generator().get_state(), "n": torch.tensor(3)}
    path = tmp_path / "x.safetensors"
    checkpoint.save(path, tensors, META)
    loaded = checkpoint.load(path, expect={"codec": "block8-paper", "config": {"latents": 8, "lr": 0.01}})
    assert loaded.meta == META
    assert all(torch.equal(loaded.tensors[name], tensor) for name, tensor in tensors.items())
    assert list(loaded.under("rng")) == ["state"]
    assert checkpoint.prefixed("rng", loaded.under("rng")).keys() == {"rng.state"}


def test_equal_contents_are_equal_bytes(tmp_path):
    for name, meta in (("a", META), ("b", dict(reversed(META.items())))):
        checkpoint.save(tmp_path / name, {"x": torch.ones(2), "y": torch.zeros(3)}, meta)
    assert (tmp_path / "a").read_bytes() == (tmp_path / "b").read_bytes()


def test_other_settings_are_named(tmp_path):
    path = tmp_path / "x"
    checkpoint.save(path, {}, META)
    wanted = {"codec": "fera", "config": {"latents": 4, "lr": 0.01, "depth": 2}}
    with pytest.raises(TrainingError) as caught:
        checkpoint.load(path, expect=wanted)
    text = str(caught.value)
    assert 'codec is "block8-paper" there, "fera" here' in text
    assert "config.latents is 8 there, 4 here" in text
    assert "config.depth is absent there, 2 here" in text
    assert "config.lr" not in text


def test_a_tuple_is_expected_as_the_list_it_is_stored_as(tmp_path):
    checkpoint.save(tmp_path / "x", {}, {"betas": (0.5, 0.9)})
    assert checkpoint.load(tmp_path / "x", expect={"betas": (0.5, 0.9)}).meta == {"betas": [0.5, 0.9]}


def test_missing_damaged_and_foreign_files(tmp_path):
    with pytest.raises(TrainingError, match="there is no checkpoint"):
        checkpoint.load(tmp_path / "x")
    with pytest.raises(TrainingError, match="not a checkpoint"):
        checkpoint.load(tmp_path)
    checkpoint.save(tmp_path / "x", {"a": torch.ones(100)}, META)
    whole = (tmp_path / "x").read_bytes()
    for damaged in (b"", b"junk", whole[:60], whole[:-8]):
        (tmp_path / "y").write_bytes(damaged)
        with pytest.raises(TrainingError, match="not a checkpoint, or is damaged"):
            checkpoint.load(tmp_path / "y")
    for metadata in (None, {"format": "pt"}):
        safetensors.torch.save_file({"a": torch.ones(2)}, tmp_path / "z", metadata=metadata)
        with pytest.raises(TrainingError, match="not one that farlook wrote"):
            checkpoint.load(tmp_path / "z")


def test_a_missing_folder_is_an_output_error(tmp_path):
    with pytest.raises(OutputError):
        checkpoint.save(tmp_path / "nowhere" / "x", {}, {})


def test_optimiser_goes_on_as_if_never_stopped(tmp_path):
    def made() -> tuple[torch.nn.Parameter, torch.optim.Adam]:
        weight = torch.nn.Parameter(torch.ones(3))
        return weight, torch.optim.Adam([weight, torch.nn.Parameter(torch.ones(1))], lr=0.1)

    def step(weight: torch.nn.Parameter, optimizer: torch.optim.Adam) -> None:
        optimizer.zero_grad()
        (weight * torch.tensor([1.0, -2.0, 3.0])).square().sum().backward()
        optimizer.step()

    weight, optimizer = made()
    for _ in range(3):
        step(weight, optimizer)
    checkpoint.save(
        tmp_path / "x",
        {"weight": weight, **checkpoint.prefixed("adam", checkpoint.optimizer_tensors(optimizer))},
        {},
    )
    loaded = checkpoint.load(tmp_path / "x")
    other, resumed = made()
    other.data = loaded.tensors["weight"]
    checkpoint.restore_optimizer(resumed, loaded.under("adam"))
    step(weight, optimizer)
    step(other, resumed)
    assert torch.equal(weight, other)


@pytest.mark.parametrize("settings", ["{", "[]", "[" * 100_000])
def test_settings_that_are_no_json_object_are_a_training_error(tmp_path, settings):
    path = tmp_path / "x.safetensors"
    safetensors.torch.save_file({"w": torch.zeros(1)}, path, metadata={"farlook": settings})
    with pytest.raises(TrainingError, match="damaged"):
        checkpoint.load(path)
