"""Bundles: whole ones open, and whatever is damaged, missing or newer says so."""

from __future__ import annotations

import json
import zipfile

import numpy as np
import pytest

from farlook.export.bundle import write_tables_bundle
from farlook.runtime.bundle import SCHEMA, Bundle, coding_digest, find_bundle, shipped_bundles
from farlook.runtime.codec import Codec
from farlook.runtime.errors import BundleError, UnknownCodecError

MEMBERS = ("bundle.json", "entropy.json", "analysis.onnx", "synthesis.onnx")


@pytest.fixture
def zipped(tmp_path):
    """A maker of zip files: members to path."""

    def make(members, method=zipfile.ZIP_DEFLATED):
        with zipfile.ZipFile(tmp_path / "made.bundle", "w", method) as archive:
            for name, data in members.items():
                archive.writestr(name, data)
        return tmp_path / "made.bundle"

    return make


@pytest.fixture
def folder(tmp_path):
    """A maker of bundle directories: members to path."""

    def make(members):
        (tmp_path / "made").mkdir(exist_ok=True)
        for name, data in members.items():
            (tmp_path / "made" / name).write_bytes(data)
        return tmp_path / "made"

    return make


@pytest.fixture(params=["zip", "folder"])
def pack(request, zipped, folder):
    """A maker of bundles of both kinds."""
    return zipped if request.param == "zip" else folder


def contents(bundle):
    """Everything that a codec reads."""
    return bundle.manifest, bundle.entropy(), bundle.graph("analysis"), bundle.graph("synthesis")


def manifest_of(members, **changes):
    return members | {"bundle.json": json.dumps(json.loads(members["bundle.json"]) | changes).encode()}


def test_the_shipped_bundle_is_whole(shipped):
    bundle = Bundle.open(shipped)
    assert bundle.path == shipped
    assert bundle.codec == "block8-paper"
    assert bundle.digest == coding_digest(bundle.coding)
    assert len(bundle.digest) == 32
    assert all(contents(bundle))


def test_a_zip_and_a_folder_hold_the_same(shipped, pack, members):
    assert contents(Bundle.open(pack(members))) == contents(Bundle.open(str(shipped)))


def test_nothing_in_a_bundle_is_code(members):
    assert sorted(members) == sorted(MEMBERS)


@pytest.mark.parametrize("name", MEMBERS)
def test_a_missing_member_is_named(pack, members, name):
    del members[name]
    with pytest.raises(BundleError, match=f"has no {name}"):
        contents(Bundle.open(pack(members)))


@pytest.mark.parametrize("name", MEMBERS)
@pytest.mark.parametrize("damage", ["cut", "longer", "flipped", "empty", "random"])
def test_a_damaged_member_is_noticed(pack, members, name, damage):
    data = members[name]
    flipped = bytearray(data)
    flipped[len(data) // 2] ^= 1
    members[name] = {
        "cut": data[: len(data) // 2],
        "longer": data + b"}",
        "flipped": bytes(flipped),
        "empty": b"",
        "random": np.random.default_rng(1).bytes(500),
    }[damage]
    with pytest.raises(BundleError):
        contents(Bundle.open(pack(members)))


def test_a_member_that_is_a_folder_is_refused(folder, members):
    del members["entropy.json"]
    path = folder(members)
    (path / "entropy.json").mkdir()
    with pytest.raises(BundleError, match=r"cannot read entropy\.json"):
        contents(Bundle.open(path))


def test_every_sampled_flipped_bit_of_the_file_is_noticed_or_harmless(shipped, tmp_path):
    """Heads and the directory of the zip in full, its data in samples."""
    whole, data = contents(Bundle.open(shipped)), shipped.read_bytes()
    with zipfile.ZipFile(shipped) as archive:
        starts = [info.header_offset for info in archive.infolist()]
        directory = archive.start_dir
    positions = {start + i for start in starts for i in range(30)} | set(range(directory, len(data)))
    positions |= set(np.random.default_rng(2).integers(0, len(data), 100).tolist())
    path = tmp_path / "flipped.bundle"
    for position in sorted(positions):
        flipped = bytearray(data)
        flipped[position] ^= 1 << position % 8
        path.write_bytes(flipped)
        try:
            assert contents(Bundle.open(path)) == whole
        except BundleError:
            continue


@pytest.mark.parametrize("part", [0, 1, 10, 0.3, 0.9, 0.999])
def test_a_file_that_was_cut_short_is_refused(shipped, tmp_path, part):
    data = shipped.read_bytes()
    path = tmp_path / "cut.bundle"
    path.write_bytes(data[: part if isinstance(part, int) else int(part * len(data))])
    with pytest.raises(BundleError):
        Bundle.open(path)


@pytest.mark.parametrize("seed", range(5))
def test_random_bytes_are_no_bundle(tmp_path, seed):
    path = tmp_path / "random.bundle"
    path.write_bytes(np.random.default_rng(seed).bytes(2000))
    with pytest.raises(BundleError):
        Bundle.open(path)


@pytest.mark.parametrize("method", [zipfile.ZIP_BZIP2, zipfile.ZIP_LZMA], ids=["bzip2", "lzma"])
def test_only_deflate_is_unpacked(zipped, members, method):
    with pytest.raises(BundleError, match="deflate"):
        Bundle.open(zipped(members, method))


def test_stored_members_are_read(shipped, zipped, members):
    assert contents(Bundle.open(zipped(members, zipfile.ZIP_STORED))) == contents(Bundle.open(shipped))


@pytest.mark.parametrize(
    "text",
    [b"", b"{", b"[]", b"null", b'"schema"', b"{}", b'{"schema": "1"}', b"\xff\xfe", b"[" * 100_000],
    ids=["empty", "open", "list", "null", "text", "bare", "wrong type", "not UTF-8", "deep"],
)
def test_a_manifest_of_another_shape_is_refused(pack, members, text):
    with pytest.raises(BundleError, match=r"bundle\.json"):
        Bundle.open(pack(members | {"bundle.json": text}))


def test_a_newer_schema_says_to_update(pack, members):
    with pytest.raises(BundleError, match=rf"schema {SCHEMA + 1}.*update"):
        Bundle.open(pack(manifest_of(members, schema=SCHEMA + 1)))


def test_what_encoder_and_decoder_share_cannot_be_changed_unnoticed(pack, members):
    coding = json.loads(members["bundle.json"])["coding"]
    coding["quantiser"]["chroma_ratio"] = 0.75
    with pytest.raises(BundleError, match="coding digest"):
        Bundle.open(pack(manifest_of(members, coding=coding)))


@pytest.mark.parametrize("field", ["coding", "coding_digest", "graphs"])
def test_a_missing_field_is_refused(pack, members, field):
    manifest = json.loads(members["bundle.json"])
    del manifest[field]
    with pytest.raises(BundleError):
        Bundle.open(pack(members | {"bundle.json": json.dumps(manifest).encode()}))


@pytest.mark.parametrize("field", ["codec", "layout", "tile_log2", "entropy_sha256", "quantiser"])
@pytest.mark.parametrize("value", [None, [], -1, {}], ids=repr)
def test_a_field_of_another_type_is_refused_when_the_codec_opens(make_bundle, field, value):
    path = make_bundle(lambda manifest: manifest["coding"].update({field: value}))
    with pytest.raises(BundleError):
        Codec.load(path)


@pytest.mark.parametrize("field", ["codec", "layout", "tile_log2", "entropy_sha256", "quantiser"])
def test_coding_without_a_field_is_refused_when_the_codec_opens(make_bundle, field):
    with pytest.raises(BundleError):
        Codec.load(make_bundle(lambda manifest: manifest["coding"].pop(field)))


@pytest.mark.parametrize(
    "graphs", [[], {}, {"analysis": []}, {"analysis": {"fp32": "analysis.onnx"}}], ids=repr
)
def test_graphs_of_another_shape_are_refused_when_the_codec_opens(make_bundle, graphs):
    with pytest.raises(BundleError):
        Codec.load(make_bundle(lambda manifest: manifest.update(graphs=graphs)))


def test_coding_that_is_no_object_is_refused(make_bundle):
    with pytest.raises(BundleError, match="coding is not an object"):
        Bundle.open(make_bundle(lambda manifest: manifest.update(coding=[])))


@pytest.mark.parametrize("kind", ["luma", "chroma"])
@pytest.mark.parametrize(
    "damage",
    [
        lambda fields: fields["lengths"].pop(),
        lambda fields: fields["escapes"].pop(),
        lambda fields: fields["lengths"][0].__setitem__(0, 300),
        lambda fields: fields["lengths"][0].__setitem__(0, -1),
        lambda fields: fields["lengths"].__setitem__(0, [1, 1, 1]),
        lambda fields: fields["escapes"].__setitem__(0, 60000),
        lambda fields: fields["last_weights"].pop(),
        lambda fields: fields["last_weights"].__setitem__(0, 0.5),
        lambda fields: fields["mean_weights"].pop(),
        lambda fields: (fields["mean_weights"].pop(), fields["magnitude_weights"].pop()),
        lambda fields: fields["mean_weights"][0].pop(),
        lambda fields: fields["flag_thresholds"].__setitem__(0, 1 << 40),
        lambda fields: fields.pop("mean_thresholds"),
        lambda fields: fields.update(lengths=None),
    ],
)
def test_coding_tables_that_do_not_fit_are_refused(make_bundle, kind, damage):
    with pytest.raises(BundleError, match="coding tables are damaged"):
        Codec.load(make_bundle(change_entropy=lambda entropy: damage(entropy[kind])))


@pytest.mark.parametrize("name", ["analysis", "synthesis"])
def test_a_precision_that_is_not_there_says_what_is(shipped, name):
    with pytest.raises(BundleError, match=rf"no int4 {name} graph; it holds: .*synthesis fp32"):
        Bundle.open(shipped).graph(name, "int4")


def test_a_graph_that_is_not_there_is_refused(shipped):
    with pytest.raises(BundleError, match="no fp32 hyper graph"):
        Bundle.open(shipped).graph("hyper")


@pytest.mark.parametrize("path", ["missing.bundle", "missing/a.bundle", "n" * 300, "a\0b"])
def test_a_missing_bundle_is_named(tmp_path, path):
    with pytest.raises(BundleError, match="there is no bundle"):
        Bundle.open(tmp_path / path)


def test_an_empty_folder_is_no_bundle(tmp_path):
    with pytest.raises(BundleError, match="not a farlook bundle"):
        Bundle.open(tmp_path)


def test_bundles_are_found_by_codec_and_by_path(shipped, folder, members):
    assert find_bundle("block8-paper").path == shipped
    assert find_bundle(shipped).path == shipped
    assert find_bundle(str(folder(members))).codec == "block8-paper"


@pytest.mark.parametrize("name", ["block9", "missing.bundle", "n" * 5000, "a\0b"])
def test_an_unknown_codec_lists_those_there_are(monkeypatch, tmp_path, name):
    monkeypatch.chdir(tmp_path)
    with pytest.raises(UnknownCodecError, match=r"farlook ships: .*block8-paper"):
        find_bundle(name)


def test_a_bundle_of_an_unknown_codec_is_refused(make_bundle):
    with pytest.raises(UnknownCodecError, match="'block99'"):
        Codec.load(make_bundle(lambda manifest: manifest["coding"].update(codec="block99")))


def test_a_bundle_of_an_unknown_layout_says_to_update(make_bundle):
    with pytest.raises(BundleError, match=r"needs the layout 'spiral'.*update"):
        Codec.load(make_bundle(lambda manifest: manifest["coding"].update(layout="spiral")))


def test_every_shipped_bundle_has_the_name_of_its_codec():
    assert "block8-paper" in shipped_bundles()
    for name, path in shipped_bundles().items():
        assert Bundle.open(path).codec == name


def test_the_coding_digest_does_not_depend_on_the_order_of_fields():
    assert coding_digest({"a": 1, "b": [1, 2]}) == coding_digest({"b": [1, 2], "a": 1})
    assert coding_digest({"a": 1}) != coding_digest({"a": 2})


@pytest.mark.parametrize("name", ["/dev/zero", "../bundle.json", "a/b.onnx"])
def test_members_are_plain_names_within_the_bundle(make_bundle, name):
    def change(manifest):
        manifest["graphs"]["analysis"]["fp32"]["file"] = name

    with pytest.raises(BundleError, match="plain name"):
        Bundle.open(make_bundle(change)).graph("analysis")


def test_an_endless_member_is_refused(tmp_path, members):
    for name, data in members.items():
        (tmp_path / name).write_bytes(data)
    (tmp_path / "entropy.json").unlink()
    (tmp_path / "entropy.json").symlink_to("/dev/zero")
    with pytest.raises(BundleError, match="larger than"):
        Bundle.open(tmp_path).entropy()


def test_an_endless_number_is_no_tile_size(make_bundle):
    def change(manifest):
        manifest["coding"]["tile_log2"] = float("inf")

    with pytest.raises(BundleError):
        Bundle.open(make_bundle(change))


@pytest.fixture
def block8_members():
    """The members of block8's bundle: name to bytes."""
    with zipfile.ZipFile(shipped_bundles()["block8"]) as archive:
        return {name: archive.read(name) for name in archive.namelist()}


def test_a_bundle_of_tables_has_neither_graphs_nor_entropy_tables(pack, block8_members):
    bundle = Bundle.open(pack(block8_members))
    assert (bundle.codec, bundle.layout) == ("block8", "block8")
    assert bundle.tables() == block8_members["tables.bin"]
    assert bundle.graphs == {}
    with pytest.raises(BundleError, match="no fp32 analysis graph; it holds: none"):
        bundle.graph("analysis")
    with pytest.raises(BundleError, match=r"has no entropy\.json"):
        bundle.entropy()


def test_a_bundle_of_networks_has_no_tables(shipped):
    with pytest.raises(BundleError, match=r"bundle of networks: it has no tables\.bin"):
        Bundle.open(shipped).tables()


@pytest.mark.parametrize("damage", [None, b"", b"B8T2 and more"], ids=["missing", "empty", "others"])
def test_damaged_tables_are_refused(pack, block8_members, damage):
    changed = {
        name: data for name, data in (block8_members | {"tables.bin": damage}).items() if data is not None
    }
    bundle = Bundle.open(pack(changed))
    with pytest.raises(BundleError, match=r"tables\.bin"):
        bundle.tables()


def test_a_manifest_of_tables_without_their_digest_is_refused(pack, block8_members):
    manifest = json.loads(block8_members["bundle.json"])
    del manifest["coding"]["tables_sha256"]
    manifest["coding_digest"] = coding_digest(manifest["coding"]).hex()
    with pytest.raises(BundleError, match="lacks a field"):
        Bundle.open(pack(block8_members | {"bundle.json": json.dumps(manifest).encode()}))


def test_a_bundle_of_tables_is_written_as_it_is_read(tmp_path):
    arguments = {
        "coding": {"codec": "block8", "layout": "block8"},
        "tables": b"tables",
        "training": {"seed": 1},
    }
    manifest = write_tables_bundle(tmp_path / "a.bundle", **arguments)
    bundle = Bundle.open(tmp_path / "a.bundle")
    assert bundle.manifest == manifest
    assert bundle.tables() == b"tables"
    assert manifest["training"] == {"seed": 1}
    write_tables_bundle(tmp_path / "b.bundle", **arguments)
    assert (tmp_path / "a.bundle").read_bytes() == (tmp_path / "b.bundle").read_bytes()
