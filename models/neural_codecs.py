"""The four neural codecs by name."""

from __future__ import annotations

from dataclasses import fields
from typing import TYPE_CHECKING, Any

from farlook.models.aara import Aara, AaraConfig
from farlook.models.fera import Fera, FeraConfig
from farlook.models.mfca import Mfca, MfcaConfig
from farlook.models.mrdcae import Mrdcae, MrdcaeConfig
from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
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
