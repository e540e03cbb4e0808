"""One line of what `farlook doctor` reports."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True)
class Finding:
    """One line of the report.

    Attributes:
        group: "core", "machine", "backend", "codec" or "extra".
        name: What was looked at.
        works: Whether it can be used.
        detail: Versions, or what is wrong.
        remedy: The command that installs what is missing; empty where nothing is.
    """

    group: str
    name: str
    works: bool
    detail: str
    remedy: str = ""
