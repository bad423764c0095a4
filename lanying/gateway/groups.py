"""Groups: there are none yet, and clients need to hear that at every login."""

from __future__ import annotations

from typing import Final

from lanying.gateway.endpoint import GET, POST, Endpoint, Visit


async def joined(visit: Visit) -> object:
    """Ids of the caller's groups."""
    return []


async def details(visit: Visit) -> object:
    """Details of existing groups."""
    visit.params.entities("group_list")
    return []


ENDPOINTS: Final = (
    Endpoint(GET, "/group/user_joined", joined),
    Endpoint(POST, "/group/info/batch", details),
)
