"""What every backend offers: a way to look whether it works here, and sessions that run one graph."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Mapping

    import numpy as np
    from numpy.typing import NDArray


class Session(Protocol):
    """A loaded graph. Sessions may be shared between threads."""

    def run(self, inputs: Mapping[str, NDArray[np.generic]]) -> dict[str, NDArray[np.generic]]:
        """Run the graph once.

        Args:
            inputs: One array for each of the graph's inputs, by name.

        Returns:
            The graph's outputs, by name.

        Raises:
            BackendError: An input is missing or of a wrong shape, or the run failed.
        """


@dataclass(frozen=True)
class Probe:
    """What a look at one backend found.

    Attributes:
        name: The backend's name, as in `backend="ort"`.
        works: Whether a small graph ran and gave the right numbers.
        detail: Version and device, or what went wrong.
        remedy: The command that installs what is missing; empty where nothing is.
    """

    name: str
    works: bool
    detail: str
    remedy: str = ""
