"""Parents that end: who gets their children, and who goes along."""

from __future__ import annotations

import os
import signal
import time

from lanying.supervisor import kinship


def _grandchild(*, then: str) -> tuple[int, int]:
    """A child whose child does one thing; their process ids. The child ends."""
    reading, writing = os.pipe()
    between = os.fork()
    if not between:
        parent = os.getpid()
        pid = os.fork()
        if not pid:
            if then == "dies along":
                kinship.die_with(parent)
            else:
                kinship.await_adoption(parent)
            os.write(writing, str(os.getpid()).encode())
            time.sleep(60)
            os._exit(0)
        if then == "dies along":
            os.close(writing)
            time.sleep(60)
        os._exit(0)
    os.close(writing)
    pid = int(os.read(reading, 100))
    os.close(reading)
    return between, pid


def test_who_adopts_is_the_parent_and_does_not_for_good() -> None:
    with kinship.adopting():
        between, pid = _grandchild(then="waits")
    os.waitpid(between, 0)
    os.kill(pid, signal.SIGKILL)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL
    between, pid = _grandchild(then="waits")
    os.waitpid(between, 0)
    os.kill(pid, signal.SIGKILL)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        return
    raise AssertionError("it was adopted")


def test_who_is_to_die_with_its_parent_does() -> None:
    between, pid = _grandchild(then="dies along")
    with kinship.adopting():
        os.kill(between, signal.SIGKILL)
        os.waitpid(between, 0)
        assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == -signal.SIGKILL


def test_a_parent_that_is_gone_already_ends_at_once() -> None:
    pid = os.fork()
    if not pid:
        kinship.die_with(0)
        os._exit(0)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 1
