"""A group on one shard and on three."""

from __future__ import annotations

import pytest

from tests.shard.groups.world import World


@pytest.fixture(params=[1, 3], ids=["one shard", "three shards"])
def world(request: pytest.FixtureRequest) -> World:
    return World(request.param)
