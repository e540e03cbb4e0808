"""Strings of codecs, taken apart."""

import pytest

from farlook.benchmarks.specs import OurSpec, our_spec, read_options
from farlook.runtime.errors import UsageError


@pytest.mark.parametrize(
    ("spec", "parts"),
    [
        ("farlook", ("", (), "")),
        ("farlook:block8", ("block8", (), "")),
        ("farlook:block8:neural:best", ("block8", (), "neural:best")),
        ("farlook:block8:tune=ms-ssim", ("block8", ("tune=ms-ssim",), "")),
        ("farlook:block8:a=1:b=2:neural:c", ("block8", ("a=1", "b=2"), "neural:c")),
        ("farlook:runs/lr=1/a.bundle", ("runs/lr=1/a.bundle", (), "")),
        ("farlook:block8:neural:runs/lr=1/a.bundle", ("block8", (), "neural:runs/lr=1/a.bundle")),
    ],
)
def test_parts(spec, parts):
    assert our_spec(spec) == OurSpec(*parts)


def test_other_peoples_have_none():
    assert our_spec("webp:m6:half") is None


def test_decoders_and_the_order_of_options_do_not_make_another_encoder():
    same = [
        our_spec(f"farlook:block8:{rest}") for rest in ("a=1:b=2", "b=2:a=1:neural", "a=1:b=2:neural:best")
    ]
    assert len({spec.encoder for spec in same}) == 1
    others = [our_spec(spec) for spec in ("farlook:block8", "farlook:block8:a=1", "farlook:mfca:a=1:b=2")]
    assert len({spec.encoder for spec in [same[0], *others]}) == 4


@pytest.mark.parametrize(
    ("text", "value"),
    [("ms-ssim", "ms-ssim"), ("200", 200), ("0.5", 0.5), ("true", True), ("no", False), ("a=b", "a=b")],
)
def test_values(text, value):
    found = read_options("spec", [f"name={text}"])["name"]
    assert (found, type(found)) == (value, type(value))


@pytest.mark.parametrize(
    ("texts", "reason"),
    [(["=1"], "NAME=VALUE"), (["mtu="], "NAME=VALUE"), (["mtu=64", "mtu=65"], "mtu is given twice")],
)
def test_options_that_make_no_sense_are_refused(texts, reason):
    with pytest.raises(UsageError, match=f"^farlook:x: .*{reason}"):
        read_options("farlook:x", texts)
