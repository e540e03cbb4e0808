"""What a codec's string says, `name:parameter:...`, without opening it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from farlook.runtime.errors import UsageError

if TYPE_CHECKING:
    from collections.abc import Sequence

OURS = "farlook"
"""What strings of farlook's codecs begin with."""

_WORDS = {"true": True, "yes": True, "false": False, "no": False}


@dataclass(frozen=True)
class OurSpec:
    """A string of one of farlook's codecs: `farlook:CODEC[:OPTION=VALUE]...[:DECODER]`.

    Attributes:
        codec: By name, or a bundle's path; "" if none is named.
        options: Parameters between the codec and its decoder that contain "=", as they are written.
        decoder: What is left, as in "neural" or "neural:best"; "" if nothing is.
    """

    codec: str
    options: tuple[str, ...]
    decoder: str

    @property
    def encoder(self) -> tuple[str, tuple[str, ...]]:
        """What encodes: strings of which this is equal make the same files, whatever decodes them."""
        return self.codec, tuple(sorted(self.options))


def our_spec(spec: str) -> OurSpec | None:
    """The parts of a string, None if it is not one of farlook's codecs.

    >>> our_spec("farlook:block8:tune=ms-ssim:neural:ms-ssim")
    OurSpec(codec='block8', options=('tune=ms-ssim',), decoder='neural:ms-ssim')
    """
    name, _, rest = spec.partition(":")
    if name != OURS:
        return None
    codec, *parameters = rest.split(":")
    count = next((at for at, text in enumerate(parameters) if "=" not in text), len(parameters))
    return OurSpec(codec, tuple(parameters[:count]), ":".join(parameters[count:]))


def read_options(spec: str, texts: Sequence[str]) -> dict[str, str | float | bool]:
    """Options of `encode` from "name=value": true, false, yes, no and numbers as such, all else as text.

    Args:
        spec: The string they are from, for errors.
        texts: The options.

    Raises:
        UsageError: A name or a value is missing, or an option is given twice.
    """
    found: dict[str, str | float | bool] = {}
    for text in texts:
        name, _, value = text.partition("=")
        if not name or not value:
            raise UsageError(f"{spec}: {text!r} is not an option: write NAME=VALUE, as in tune=ms-ssim")
        if name in found:
            raise UsageError(f"{spec}: the option {name} is given twice")
        found[name] = _value(value)
    return found


def _value(text: str) -> str | float | bool:
    if text in _WORDS:
        return _WORDS[text]
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            continue
    return text
