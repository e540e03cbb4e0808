"""Makes the neural vectors anew: only when the stream format changes, never to mend a failing test.

    python tests/vectors/make_neural.py ../shared/data/train/natural

They come from a stand-in for a trained codec: a lapped DCT of 8x8 pixels whose latent `y` is gated by a map `m` of
local contrast. It is exported as any codec is, and its tables are fitted to the pictures of the given folder.
Written are its bundle, streams, and the digests of the symbols that these decode to, on every machine.
"""

from __future__ import annotations

import hashlib
import json
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torch import Tensor, nn
from torch.nn import functional

import farlook
from farlook.calibration import neural_entropy, neural_weights
from farlook.export import export_graph, verify_graph
from farlook.export.bundle import write_bundle
from farlook.export.reach import measure_reach
from farlook.export.spec import GraphSpec
from farlook.kernels.dct import dct_matrix
from farlook.runtime.images import read_image
from farlook.runtime.neural.codec import NeuralCodec  # noqa: TC001
from farlook.runtime.neural.description import Coding
from farlook.runtime.neural.symbols import quantise

HERE = Path(__file__).parent / "neural"
BUNDLE = HERE / "standin.bundle"
CHANNELS, BLOCK, STRIDE = 24, 8, 16
STEPS = np.geomspace(1.2, 0.06, 4)
TABLE = (3, 8, 16, 24)
IMAGE = ("batch", "3", "16*rows", "16*cols")
LATENTS = {"m": ("batch", "1", "rows", "cols"), "y": ("batch", str(CHANNELS), "2*rows", "2*cols")}


def blur(strength: float) -> Tensor:
    """A 3x3 kernel for each of three bands; negative strengths sharpen."""
    side = torch.tensor([strength, 1 - 2 * strength, strength])
    return torch.outer(side, side).expand(3, 1, 3, 3).clone()


def basis() -> Tensor:
    """Rows of a DCT of 8x8 pixels in three opponent colours: 16 of luma, 4 of each chroma."""
    rows = torch.tensor(dct_matrix(BLOCK), dtype=torch.float64)
    order = sorted(((u, v) for u in range(BLOCK) for v in range(BLOCK)), key=lambda at: (sum(at), at))
    colours = torch.tensor([[1.0, 1.0, 1.0], [1.0, 0.0, -1.0], [1.0, -2.0, 1.0]], dtype=torch.float64)
    colours = colours / colours.norm(dim=1, keepdim=True)
    chosen = [(k, *at) for k, kept in enumerate((16, 4, 4)) for at in order[:kept]]
    chosen.sort(key=lambda each: (each[1] + each[2], each[0]))
    return torch.stack(
        [torch.einsum("c,y,x->cyx", colours[k], rows[u], rows[v]) for k, u, v in chosen]
    ).float()


class Analysis(nn.Module):
    """[n, 3, H, W] to m [n, 1, H/16, W/16] and y [n, 24, H/8, W/8]."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("sharp", blur(-0.06))
        self.register_buffer("rows", basis())

    def forward(self, image: Tensor) -> tuple[Tensor, Tensor]:
        """Contrast, and frequencies."""
        centred = image - 0.5
        y = functional.conv2d(
            functional.conv2d(centred, self.sharp, padding=1, groups=3), self.rows, stride=BLOCK
        )
        contrast = functional.avg_pool2d(y[:, 3:].abs().mean(1, keepdim=True), 2)
        return torch.clamp(contrast * 16, 0, len(TABLE) - 1), y


class Synthesis(nn.Module):
    """m and y to [n, 3, H, W]; m is only looked at."""

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("soft", blur(0.06))
        self.register_buffer("columns", basis().reshape(CHANNELS, -1).T[:, :, None, None].clone())

    def forward(self, m: Tensor, y: Tensor) -> Tensor:
        """Pixels."""
        pixels = functional.pixel_shuffle(functional.conv2d(y, self.columns), BLOCK)
        lift = functional.interpolate(m, scale_factor=16.0, mode="nearest") * 1e-4
        return functional.conv2d(pixels + lift, self.soft, padding=1, groups=3) + 0.5


def noise(shape: tuple[int, ...], seed: int = 1) -> Tensor:
    """Uniform noise of 0 to 1."""
    return torch.rand(*shape, generator=torch.Generator().manual_seed(seed))


def specs() -> tuple[GraphSpec, GraphSpec]:
    """The stand-in's two networks."""

    def up(side: int) -> int:
        return -(-side // STRIDE)

    return (
        GraphSpec(
            "analysis", Analysis().eval(), {"image": IMAGE}, ("m", "y"),
            lambda n, h, w: (noise((n, 3, STRIDE * up(h), STRIDE * up(w))),),
        ),
        GraphSpec(
            "synthesis", Synthesis().eval(), LATENTS, ("image",),
            lambda n, h, w: (noise((n, 1, up(h), up(w))), noise((n, CHANNELS, 2 * up(h), 2 * up(w)))),
        ),
    )  # fmt: skip


def coding() -> dict:
    """The manifest's object, but for the graphs."""
    gains = {
        "forward": [[round(1 / step, 5)] * CHANNELS for step in STEPS],
        "inverse": [[round(float(step), 5)] * CHANNELS for step in STEPS],
    }
    return {
        "codec": "mfca",
        "layout": "neural",
        "levels": 25,
        "tile_log2": 8,
        "stride": STRIDE,
        "latents": [
            {"name": "m", "channels": 1, "stride": 16},
            {
                "name": "y",
                "channels": CHANNELS,
                "stride": BLOCK,
                "gains": gains,
                "gate": {"by": "m", "table": list(TABLE)},
            },
        ],
        "weights_sha256": hashlib.sha256(basis().numpy().tobytes()).hexdigest(),
    }


def fit(folder: Path, described: dict) -> dict:
    """Tables of the pictures in a folder, each at three levels."""
    analysis, read = Analysis().eval(), Coding.read(described)
    samples: dict[str, list] = {"m": [], "y": []}
    for index, path in enumerate(sorted(folder.glob("*.jpg"))[::10]):
        with Image.open(path) as image:
            pixels = np.array(image.convert("RGB"))
        height, width = (side // STRIDE * STRIDE for side in pixels.shape[:2])
        batch = torch.from_numpy(pixels[:height, :width]).permute(2, 0, 1)[None].float() / 255
        m, y = (latent[0].numpy() for latent in analysis(batch))
        for level in range(index % 5, 25, 8):
            for name, symbols in quantise(read, {"m": m, "y": y}, level).items():
                samples[name].append((level, symbols.astype(np.int32)))
    neural_weights.ITERATIONS = 150
    return neural_entropy.fit_entropy(samples, described)


def write(folder: Path) -> None:
    """Write the bundle."""
    described, graphs = coding(), {}
    for spec in specs():
        model = export_graph(spec)
        verify_graph(spec, model)
        graphs[spec.name] = model.SerializeToString()
        first = spec.example(1, 13 * STRIDE, 13 * STRIDE)
        reach = measure_reach(spec.module, first, tuple(tensor.flip(-1) + 1 for tensor in first), STRIDE)
        described[spec.name] = {"inputs": list(spec.inputs), "halo": reach}
    training = {"licence": "Apache-2.0", "data": str(folder.name)}
    write_bundle(BUNDLE, coding=described, entropy=fit(folder, described), graphs=graphs, training=training)


def pictures() -> dict[str, tuple[np.ndarray, int]]:
    """Pictures and qualities: small, odd, of several tiles, grey and RGB, textured and flat."""
    photograph = read_image(Path(farlook.__file__).parent / "samples" / "kodim23.png")
    return {
        "grey": (np.ascontiguousarray(photograph[100:219, 300:471, 1]), 60),
        "colour": (np.ascontiguousarray(photograph[180:480, 60:340]), 45),
        "narrow": (np.ascontiguousarray(photograph[:9, :513]), 80),
        "pixel": (np.full((1, 1, 3), 200, dtype=np.uint8), 50),
        "flat": (np.full((64, 48), 77, dtype=np.uint8), 1),
        "noise": (np.random.default_rng(1).integers(0, 256, (33, 47, 3), dtype=np.uint8), 100),
    }


def digest(codec: NeuralCodec, stream: bytes) -> str:
    """SHA-256 of a stream's symbols."""
    symbols = codec.symbols(stream)[1]
    parts = (symbols[latent.name].astype("<i2").tobytes() for latent in codec.coding.latents)
    return hashlib.sha256(b"".join(parts)).hexdigest()


def write_streams() -> None:
    """Write streams and digests."""
    codec = farlook.Codec.load(BUNDLE, threads=1)
    digests = {}
    for name, (image, quality) in pictures().items():
        stream = codec.encode(image, quality=quality)
        (HERE / f"{name}.flk").write_bytes(stream)
        digests[name] = digest(codec, stream)
    (HERE / "symbols.json").write_text(json.dumps(digests, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    write(Path(sys.argv[1]))
    write_streams()
