"""Which graph a precision means."""

from __future__ import annotations

import pytest

from farlook.calibration.precision import graph_at
from farlook.runtime.bundle import Bundle
from farlook.runtime.errors import BundleError, UsageError


def test_fp32_is_what_the_bundle_holds(shipped):
    bundle = Bundle.open(shipped)
    assert graph_at(bundle, "analysis", "fp32") == bundle.graph("analysis")


def test_int8_needs_a_calibration(shipped):
    with pytest.raises(BundleError, match="farlook calibrate"):
        graph_at(Bundle.open(shipped), "synthesis", "int8")


def test_unknown_names_are_refused(shipped):
    with pytest.raises(UsageError, match="fp32, fp16, int8"):
        graph_at(Bundle.open(shipped), "analysis", "bf16")
    with pytest.raises(BundleError, match="it holds"):
        graph_at(Bundle.open(shipped), "nothing", "fp16")
