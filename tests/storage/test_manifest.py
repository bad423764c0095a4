"""The manifest of a backup: written last, and good only as a whole."""

import hashlib

import msgspec
import pytest

from lanying.base.errors import BackupError
from lanying.storage import manifest
from lanying.storage.manifest import Manifest, ManifestEntry, hash_file, load, object_path

HASH = "ab" * 32


def made(*paths):
    return Manifest(1, "0.1.0", "app", 2, 3, [ManifestEntry(path, 10, HASH) for path in paths])


def test_what_was_saved_is_loaded_with_its_seal(tmp_path):
    saved = made("shard-0/000012.sst", "cold/shard-0/x")
    saved.save(tmp_path)
    found = load(tmp_path)
    assert msgspec.structs.replace(found, seal="") == saved
    assert found.size == 20 and found.has_cold and not made("shard-0/cold").has_cold


def test_without_a_manifest_there_is_no_backup(tmp_path):
    with pytest.raises(BackupError, match="lanying-cluster backup"):
        load(tmp_path)
    with pytest.raises(BackupError, match="no backup"):
        load(tmp_path / "gone")


@pytest.mark.parametrize(
    ("old", "new"), [("000012", "000013"), ('"size": 10', '"size": 11'), ('"files"', '"flies"'), ("{", "[")]
)
def test_a_changed_manifest_is_damaged(tmp_path, old, new):
    made("shard-0/000012.sst").save(tmp_path)
    file = tmp_path / manifest.FILE_NAME
    text = file.read_text()
    assert old in text
    file.write_text(text.replace(old, new))
    with pytest.raises(BackupError, match="use another backup"):
        load(tmp_path)


@pytest.mark.parametrize("path", ["/etc/passwd", "../x", "shard-0/../../x"])
def test_a_path_that_leads_out_is_damage(tmp_path, path):
    made(path).save(tmp_path)
    with pytest.raises(BackupError, match="damaged"):
        load(tmp_path)


def test_a_newer_format_is_refused_with_the_remedy(tmp_path):
    msgspec.structs.replace(made(), format=2).save(tmp_path)
    with pytest.raises(BackupError, match=r"format 2.*upgrade lanying"):
        load(tmp_path)


def test_a_hash_is_that_of_the_first_bytes(tmp_path):
    file = tmp_path / "file"
    file.write_bytes(b"abcdef")
    assert hash_file(file, 3) == hashlib.sha256(b"abc").hexdigest()
    with pytest.raises(BackupError, match="shorter than 7 bytes"):
        hash_file(file, 7)
    assert object_path(tmp_path, HASH) == tmp_path / "objects" / "ab" / HASH
