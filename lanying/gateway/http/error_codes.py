"""REST codes that are also the HTTP status."""

from __future__ import annotations

from typing import Final

from lanying.base.refusals import Refusal

_ALSO_STATUS: Final = (
    Refusal.NOT_OFFERED,
    Refusal.WRONG_METHOD,
    Refusal.BODY_TOO_SLOW,
    Refusal.BODY_TOO_LARGE,
    Refusal.SERVER_FAILED,
)
HTTP_STATUS: Final[dict[int, int]] = {refusal.code: refusal.code for refusal in _ALSO_STATUS}
"""Where the gateway itself refuses; everything else is HTTP 200 (xsync rule 3), 429 and 503 too: the web SDK loses the code of an
answer with another status."""
