"""The shards as one request sees them: the caller's token is checked by the call that is made anyhow.

A token's signature is judged in the gateway, its revocation by the shard of its user. Most requests ask that shard something:
the question takes the token along, and one call does instead of two. A question for another shard waits for the check, and
whatever asks nothing is checked before it is answered, so nothing is done or said for a dead token.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from lanying.base.errors import CallError
from lanying.base.ids import slot_of
from lanying.base.refusals import Refusal
from lanying.bus.messages import Checked, CheckToken, Request, encode
from lanying.bus.shards import Shards, ask
from lanying.cluster.shardmap import ShardMap

_MAY_BE_OF_THE_TOKEN: Final = (
    Refusal.TOKEN_REJECTED,
    Refusal.PERMISSION_DENIED,
    Refusal.UNAVAILABLE,
    Refusal.SERVER_FAILED,
)


class FirstCall:
    """A port to the shards that checks ``token`` on the way. :raises CallError: from any call, 402 or 10010 for the token"""

    def __init__(self, shards: Shards, token: CheckToken) -> None:
        self._shards = shards
        self._token = token
        self._checked = False
        self._refused: CallError | None = None

    @property
    def map(self) -> ShardMap:
        """Who owns which id."""
        return self._shards.map

    async def call(self, shard: int, request: Request[object], slots: Sequence[int] = ()) -> bytes:
        """As :meth:`lanying.bus.shards.Shards.call`. Of calls made at once each takes the token along or waits for it."""
        if self._checked or slot_of(self._token.uid) not in slots:
            await self.check()
            return await self._shards.call(shard, request, slots)
        token = self._token
        try:
            checked = Checked(token.app, token.uid, token.epoch, encode(request))
            answer = await self._shards.call(shard, checked, slots)
        except CallError as error:
            self._checked = error.refusal not in _MAY_BE_OF_THE_TOKEN
            raise
        self._checked = True
        return answer

    async def check(self) -> None:
        """Check the token if no call has done it; what was found bad stays bad."""
        if self._refused is not None:
            raise self._refused
        if not self._checked:
            try:
                await ask(self._shards, self._token.uid, self._token)
            except CallError as error:
                self._refused = error
                raise
            self._checked = True
