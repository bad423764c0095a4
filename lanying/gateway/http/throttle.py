"""How often somebody may do something, guess a password for example: a bucket per key. Pure: ``now`` is an argument."""

from __future__ import annotations

from collections import OrderedDict


class Guesses:
    """Counts attempts by key: ``most`` at once, and as many again over ``window_s``.

    An attempt is taken before it is judged, so parallel guesses count, and given back if right.

    :param keys: keys remembered; beyond that the one used longest ago is forgotten
    """

    def __init__(self, most: float, keys: int, window_s: float = 60.0) -> None:
        self._most = most
        self._keys = keys
        self._window_s = window_s
        self._used: OrderedDict[object, tuple[float, float]] = OrderedDict()

    def take(self, key: object, now: float) -> bool:
        """Use one attempt; False: none left."""
        used = self._level(key, now)
        if used > self._most - 1:
            return False
        self._used[key] = (used + 1, now)
        self._used.move_to_end(key)
        if len(self._used) > self._keys:
            self._used.popitem(last=False)
        return True

    def give_back(self, key: object, now: float) -> None:
        """The attempt was right."""
        used = self._level(key, now) - 1
        if used > 0:
            self._used[key] = (used, now)
        else:
            self._used.pop(key, None)

    def _level(self, key: object, now: float) -> float:
        used, at = self._used.get(key, (0.0, now))
        return max(0.0, used - (now - at) * self._most / self._window_s)
