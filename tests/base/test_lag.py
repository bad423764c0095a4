"""How late a loop is."""

import asyncio
import time

from lanying.base.histogram import quantile
from lanying.base.lag import Lag
from lanying.testing.poll import until


def test_a_loop_that_was_held_up_is_late(monkeypatch):
    monkeypatch.setattr("lanying.base.lag.SAMPLE_S", 0.01)
    loop = asyncio.new_event_loop()
    lag = Lag(loop)
    lag.start()

    def late():
        loop.call_soon(time.sleep, 0.05)
        loop.call_soon(loop.call_later, 0.02, loop.stop)
        loop.run_forever()
        return (quantile(lag.figures(), "lag_seconds", 0.99) or 0) > 0.02

    until("it was seen", late)
    loop.close()
