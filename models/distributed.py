"""Several processes that train together under `torchrun`; one process alone is a team of one."""

from __future__ import annotations

import os
from contextlib import contextmanager
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
import torch.distributed as dist
from torch.nn.parallel import DistributedDataParallel

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Iterator

    from torch import Tensor


@dataclass(frozen=True)
class Team:
    """The processes of a run, as one of them sees it.

    Args:
        device: Of this process.
        rank: Its number.
        size: How many there are.
    """

    device: torch.device
    rank: int = 0
    size: int = 1

    @property
    def leads(self) -> bool:
        """Whether this process writes files and shows progress."""
        return self.rank == 0

    def share(self, batch: Tensor) -> Tensor:
        """This process's part of a batch that all have drawn alike, on its device.

        Raises:
            UsageError: The batch has fewer entries than the team.
        """
        if len(batch) < self.size:
            raise UsageError(f"a batch of {len(batch)} cannot be shared by {self.size} processes")
        return batch[self.rank :: self.size].to(self.device)

    def wrap(self, network: Any) -> Any:
        """The network, or one whose gradients are averaged over the team."""
        if self.size == 1:
            return network
        devices = [self.device] if self.device.type == "cuda" else None
        return DistributedDataParallel(network, device_ids=devices, find_unused_parameters=True)

    def wait(self) -> None:
        """Wait until all are here."""
        if self.size > 1:
            dist.barrier()


@contextmanager
def team(device: torch.device) -> Iterator[Team]:
    """Join the team that `torchrun` has started this process for, if it has."""
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield Team(device)
        return
    cuda = device.type == "cuda"
    if cuda:
        device = torch.device("cuda", int(os.environ["LOCAL_RANK"]))
        torch.cuda.set_device(device)
    dist.init_process_group("nccl" if cuda else "gloo")
    try:
        yield Team(device, dist.get_rank(), size)
    finally:
        dist.destroy_process_group()
