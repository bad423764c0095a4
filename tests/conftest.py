"""Fixtures shared by all tests."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from lanying.testing.cluster import Cluster


@pytest.fixture(scope="session")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Cluster]:
    """A two-shard server for tests that leave its processes alone."""
    backups = tmp_path_factory.mktemp("backups")
    with Cluster(tmp_path_factory.mktemp("cluster"), shards=2, storage_backup_path=backups) as server:
        yield server
