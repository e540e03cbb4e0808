"""The four neural codecs by name, fresh or from a file of weights."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from farlook.models import checkpoint
from farlook.models.aara import Aara, AaraConfig
from farlook.models.fera import Fera, FeraConfig
from farlook.models.mfca import Mfca, MfcaConfig
from farlook.models.mrdcae import Mrdcae, MrdcaeConfig
from farlook.runtime.errors import TrainingError, UsageError

if TYPE_CHECKING:
    import os
    from collections.abc import Mapping

    from farlook.models.neural import NeuralCodec

CODECS: dict[str, tuple[type[Any], type[Any]]] = {
    "fera": (Fera, FeraConfig),
    "aara": (Aara, AaraConfig),
    "mrdcae": (Mrdcae, MrdcaeConfig),
    "mfca": (Mfca, MfcaConfig),
}
"""Class and configuration of each."""


def build(codec: str, options: Mapping[str, bool] | None = None) -> NeuralCodec:
    """Make a codec's network with fresh weights.

    Args:
        codec: A key of `CODECS`.
        options: Mechanisms to switch, by their names in the configuration.

    Raises:
        UsageError: There is no codec, or no mechanism, of that name.
    """
    if codec not in CODECS:
        raise UsageError(f"there is no neural codec {codec!r}; there are {', '.join(CODECS)}")
    network, config = CODECS[codec]
    known = [each.name for each in fields(config)]
    unknown = sorted(set(options or {}) - set(known))
    if unknown:
        raise UsageError(f"{codec} has no {', '.join(unknown)} to switch; it has {', '.join(known)}")
    made: NeuralCodec = network(config(**(options or {})))
    return made


def load_codec(path: str | os.PathLike[str], codec: str | None = None) -> NeuralCodec:
    """Rebuild the network of a `model.safetensors`, in eval mode.

    Args:
        path: The file.
        codec: Which one it must be of; None for any of the four.

    Raises:
        TrainingError: The file is missing, damaged, or of another codec.
    """
    saved = checkpoint.load(path)
    found = saved.meta.get("codec")
    if found not in CODECS or codec not in (None, found):
        raise TrainingError(f"{path} holds weights of {found}, not of {codec or ' or '.join(CODECS)}")
    network = build(found, saved.meta.get("config", {}).get("options", {}))
    try:
        network.load_state_dict(saved.tensors)
    except RuntimeError as error:
        raise TrainingError(f"{path} is damaged, or of another version: {error}") from error
    return network.eval()
