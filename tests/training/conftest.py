from __future__ import annotations

from typing import TYPE_CHECKING

import numpy as np
import pytest
import torch
from PIL import Image

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path


def varied_image(rng: np.random.Generator, height: int, width: int) -> np.ndarray:
    """Noise with the falling spectrum of photographs: flat blocks at the left, rich ones at the right."""
    spectrum = np.fft.rfft2(rng.standard_normal((height, width)))
    frequency = np.hypot(np.fft.fftfreq(height)[:, None], np.fft.rfftfreq(width)[None])
    field = np.fft.irfft2(spectrum / (0.02 + frequency) ** 1.8, (height, width))
    contrast = np.linspace(2, 60, width)
    return np.clip(128 + contrast * field / field.std(), 0, 255).astype(np.uint8)


@pytest.fixture(scope="session")
def pictures(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("pictures")
    (folder / "below").mkdir()
    rng = np.random.default_rng(7)
    for index in range(4):
        name = f"below/{index}.PNG" if index % 2 else f"{index}.png"
        Image.fromarray(varied_image(rng, 96, 128)).save(folder / name)
    return folder


@pytest.fixture(autouse=True, scope="module")
def one_thread() -> Iterator[None]:
    """Networks this small only lose by threads, most of all where tests run side by side."""
    before = torch.get_num_threads()
    torch.set_num_threads(1)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("OMP_NUM_THREADS", "1")  # for the processes that tests start
        yield
    torch.set_num_threads(before)
