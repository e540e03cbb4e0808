"""Layouts: what a codec's latents are, how they are quantised, and in which order they are coded."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from farlook.runtime.errors import BundleError
from farlook.runtime.layouts.block8_paper import Block8PaperLayout

if TYPE_CHECKING:
    from farlook.runtime.bundle import Bundle
    from farlook.runtime.layouts.base import Layout

_LAYOUTS: dict[str, type[Layout[Any, Any]]] = {"block8-paper": Block8PaperLayout}


def open_layout(bundle: Bundle) -> Layout[Any, Any]:
    """The layout that a bundle asks for.

    Raises:
        BundleError: This farlook has no such layout, or the bundle's tables are damaged.
    """
    name = bundle.coding.get("layout")
    if name not in _LAYOUTS:
        raise BundleError(
            f"{bundle.path} needs the layout {name!r}, which this farlook does not have: update it"
        )
    return _LAYOUTS[name](bundle)
