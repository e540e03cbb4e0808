"""What a neural codec's manifest says of its networks and latents: the `coding` object, read and checked.

    picture --analysis--> latents (float) --gain, round--> symbols (int) --coder--> payloads
    payloads --coder--> symbols --inverse gain--> latents (float) --synthesis--> picture

`docs/format.md` has the object's fields in full; `docs/decisions/007-one-network-all-rates.md` the reasons.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from numpy.typing import NDArray

LAYOUT = "neural"
TILE_LOG2 = 9
"""What tiles are unless there is a reason: 512 pixels; contexts end at their rims."""
MAX_SYMBOL = (1 << 15) - 1
"""Symbols lie from -MAX_SYMBOL to MAX_SYMBOL."""

_LEVELS = range(2, 101)
_CHANNELS = range(1, 1025)
_STRIDES = (1, 2, 4, 8, 16, 32, 64)
_LATENTS = range(1, 9)
_MARGINS = range(1025)
_GAINS = (1e-6, 1e6)


@dataclass(frozen=True)
class Gate:
    """How one latent says which channels of another are coded.

    Where the latent `by` is v, the first `table[v]` channels are coded and all others are zero. `by` is coded
    before the latent that it gates; its stride is a multiple of that one's, and it has one channel.
    """

    by: str
    table: tuple[int, ...]


@dataclass(frozen=True, eq=False)
class Latent:
    """One tensor between analysis and synthesis.

    Attributes:
        name: An output of the analysis; an input of the synthesis if that names it.
        channels: Its channels.
        stride: Pixels along a position's side.
        forward: What the analysis' output is multiplied by before it is rounded, float32 [anchors, channels];
            None where the output is rounded as it is.
        inverse: What symbols are multiplied by before the synthesis, float32 [anchors, channels]; or None.
        gate: Which channels are coded where; None for all.
    """

    name: str
    channels: int
    stride: int
    forward: NDArray[np.float32] | None
    inverse: NDArray[np.float32] | None
    gate: Gate | None

    def gain(self, position: float) -> NDArray[np.float32] | None:
        """The forward gain at a position of 0 to anchors - 1, float32 [channels]."""
        return None if self.forward is None else _interpolated(self.forward, position)

    def inverse_gain(self, position: float) -> NDArray[np.float32] | None:
        """The inverse gain at a position of 0 to anchors - 1, float32 [channels]."""
        return None if self.inverse is None else _interpolated(self.inverse, position)


@dataclass(frozen=True)
class Graph:
    """One network.

    Attributes:
        inputs: Names of its inputs. The analysis takes `image` and the synthesis latents by their names; both
            may take `level`, and the analysis `gain_NAME` for each latent whose gain it applies itself.
        halo: Pixels that a window brings along on each side, so that its middle comes out as of the whole
            picture: the reach of the network's convolutions and patches; a multiple of the stride.
        blend: Pixels over which neighbouring windows are faded into each other, 0 where `halo` is all it needs.
    """

    inputs: tuple[str, ...]
    halo: int
    blend: int


@dataclass(frozen=True)
class Coding:
    """A manifest's `coding` object.

    Attributes:
        levels: Number of rates; level 0 has the fewest bits.
        anchors: Rows of every table of gains. Level l lies at position l (anchors - 1) / (levels - 1).
        stride: Pictures are padded to a multiple of it, and windows begin and end at multiples.
        tile: Side of a tile in pixels.
        analysis: See `Graph`.
        synthesis: See `Graph`.
        latents: In the order in which they are coded.
    """

    levels: int
    anchors: int
    stride: int
    tile: int
    analysis: Graph
    synthesis: Graph
    latents: tuple[Latent, ...]

    @classmethod
    def read(cls, coding: Mapping[str, Any]) -> Coding:
        """Read and check it.

        Raises:
            KeyError, TypeError, ValueError, OverflowError: A field is missing, of another type, out of its
                range, or contradicts another.
        """
        latents = tuple(_latent(fields) for fields in coding["latents"])
        anchors = {
            len(table) for each in latents for table in (each.forward, each.inverse) if table is not None
        }
        read = cls(
            levels=_one_of(coding["levels"], _LEVELS, "levels"),
            anchors=max(anchors, default=1),
            stride=_one_of(coding["stride"], [n * 8 for n in range(1, 33)], "stride"),
            tile=1 << int(coding["tile_log2"]),
            analysis=_graph(coding["analysis"]),
            synthesis=_graph(coding["synthesis"]),
            latents=latents,
        )
        if len(anchors) > 1:
            raise ValueError(f"the tables of gains have different numbers of rows: {sorted(anchors)}")
        _check_latents(read)
        _check_graphs(read)
        return read

    def level(self, quality: int) -> int:
        """The level of a quality of 1 to 100: qualities are spread evenly over the levels."""
        return (2 * (quality - 1) * (self.levels - 1) + 99) // 198

    def position(self, level: int) -> float:
        """Where a level lies between the anchors."""
        return level * (self.anchors - 1) / (self.levels - 1)

    @property
    def shares_analysis(self) -> bool:
        """Whether the analysis is the same at all levels."""
        return self.analysis.inputs == ("image",)

    def latent(self, name: str) -> Latent:
        """The latent of a name."""
        return next(latent for latent in self.latents if latent.name == name)

    def earlier(self, latent: Latent) -> list[Latent]:
        """The latents coded before one, on the same grid or a coarser one that it divides: its contexts see them."""
        before = self.latents[: self.latents.index(latent)]
        return [each for each in before if each.stride % latent.stride == 0]

    def gates(self) -> dict[str, tuple[int, ...]]:
        """For each latent that gates others, the lengths of their tables."""
        found: dict[str, tuple[int, ...]] = {}
        for latent in self.latents:
            if latent.gate is not None:
                found[latent.gate.by] = (*found.get(latent.gate.by, ()), len(latent.gate.table))
        return found


def _interpolated(table: NDArray[np.float32], position: float) -> NDArray[np.float32]:
    """Geometrically, between the rows on both sides of `position`."""
    low = min(int(position), max(len(table) - 2, 0))
    high = min(low + 1, len(table) - 1)
    share = position - low
    logs = np.log(table[[low, high]].astype(np.float64))
    gain: NDArray[np.float32] = np.exp((1 - share) * logs[0] + share * logs[1]).astype(np.float32)
    return gain


def _latent(fields: Mapping[str, Any]) -> Latent:
    channels = _one_of(fields["channels"], _CHANNELS, "channels")
    gains, gate = fields.get("gains"), fields.get("gate")
    return Latent(
        name=_name(fields["name"]),
        channels=channels,
        stride=_one_of(fields["stride"], _STRIDES, "a latent's stride"),
        forward=None if gains is None else _gains(gains["forward"], channels),
        inverse=None if gains is None else _gains(gains["inverse"], channels),
        gate=None if gate is None else Gate(_name(gate["by"]), tuple(map(int, gate["table"]))),
    )


def _graph(fields: Mapping[str, Any]) -> Graph:
    return Graph(
        inputs=tuple(map(_name, fields["inputs"])),
        halo=_one_of(fields["halo"], _MARGINS, "halo"),
        blend=_one_of(fields.get("blend", 0), _MARGINS, "blend"),
    )


def _gains(rows: Sequence[Sequence[float]], channels: int) -> NDArray[np.float32]:
    table = np.array(rows, dtype=np.float32)
    if table.ndim != 2 or table.shape[1] != channels or not len(table):
        raise ValueError(f"a table of gains has the shape {table.shape}, not [anchors, {channels}]")
    if not np.all((table >= _GAINS[0]) & (table <= _GAINS[1])):  # also where one is not a number
        raise ValueError(f"a gain lies outside {_GAINS[0]} to {_GAINS[1]}")
    return table


def _check_latents(coding: Coding) -> None:
    if len(coding.latents) not in _LATENTS or len({each.name for each in coding.latents}) < len(
        coding.latents
    ):
        raise ValueError("the latents are too many, none, or two of one name")
    known: dict[str, Latent] = {}
    for latent in coding.latents:
        if coding.stride % latent.stride or coding.tile % latent.stride:
            raise ValueError(f"the stride of {latent.name} divides neither the picture's nor the tile's")
        if latent.gate is not None:
            _check_gate(latent, latent.gate, known)
        known[latent.name] = latent


def _check_gate(latent: Latent, gate: Gate, known: Mapping[str, Latent]) -> None:
    if gate.by not in known:
        raise ValueError(f"{latent.name} is gated by {gate.by!r}, which is not coded before it")
    by = known[gate.by]
    if by.channels != 1 or by.stride % latent.stride:
        raise ValueError(f"{gate.by} cannot gate {latent.name}: it has several channels or another grid")
    if not gate.table or not all(0 <= kept <= latent.channels for kept in gate.table):
        raise ValueError(f"the gate of {latent.name} keeps fewer channels than none, or more than all")


def _check_graphs(coding: Coding) -> None:
    gained = {f"gain_{latent.name}" for latent in coding.latents if latent.forward is not None}
    allowed = {
        "analysis": {"image", "level", *gained},
        "synthesis": {"level"} | {e.name for e in coding.latents},
    }
    for name, graph in (("analysis", coding.analysis), ("synthesis", coding.synthesis)):
        if not graph.inputs or not set(graph.inputs) <= allowed[name]:
            raise ValueError(f"the {name} cannot take {', '.join(graph.inputs)}")
        if graph.halo % coding.stride or graph.blend % coding.stride:
            raise ValueError(f"the halo or blend of the {name} is no multiple of the stride {coding.stride}")


def _one_of(value: Any, allowed: Sequence[int], what: str) -> int:
    if type(value) is not int or value not in allowed:
        raise ValueError(f"{what} cannot be {value!r}")
    return value


def _name(value: Any) -> str:
    if not isinstance(value, str) or not value.isidentifier():
        raise ValueError(f"{value!r} cannot be the name of a tensor")
    return value


def level_input(level: int, levels: int) -> NDArray[np.float32]:
    """The input `level` of a graph: from 0 to 1, float32 [1, 1, 1, 1]."""
    return np.full((1, 1, 1, 1), level / (levels - 1), dtype=np.float32)
