"""The fork server: it has imported what the other processes share, and forks each of them on demand.

``python -m lanying.supervisor.fork_server MODULE…`` with a sequenced-packet socket as descriptor 0. It says ``ready`` when the modules
are imported, then answers each :class:`ForkOrder` with a :class:`Birth`. It ends when the supervisor closes the socket or dies.

A child shares the memory of what was imported for as long as neither writes to it. So nothing else happens here: no thread, no loop,
no ZeroMQ, no database, no setting and no key is read. The interpreter's collector never looks at what was imported.

A child is forked twice, and the process between ends at once: then the supervisor adopts it, is its parent, learns how it ended
and takes it along when it dies. The end of the fork server means nothing to it.
"""

from __future__ import annotations

import fcntl
import gc
import importlib
import os
import socket
import sys
from typing import Final

import msgspec
from setproctitle import setproctitle

from lanying.base import log_file
from lanying.supervisor import kinship

READY: Final = b"ready"
ORDER_BYTES: Final = 4096
MAX_DESCRIPTORS: Final = 16
FIRST_OWN: Final = 3
"""A child's first descriptor behind the standard ones."""
_OUT_OF_THE_WAY: Final = 64


class ForkOrder(msgspec.Struct, frozen=True):
    """What to fork, sent with its descriptors: its standard input, its standard output and error, then what it gets as 3, 4 and so on.

    :ivar module: its ``main`` is called in the child, what it returns is the exit code
    :ivar title: of the process, as ``ps`` shows it
    """

    module: str
    title: str


class Birth(msgspec.Struct, frozen=True):
    """The answer: the child's process id, or the error number of what did not work."""

    pid: int = 0
    error: int = 0


def main() -> int:
    """Run the fork server, and then, in each child, that."""
    gc.disable()
    gc.freeze()
    supervisor = os.getppid()
    kinship.die_with(supervisor)
    log_file.reopen_on_hangup()
    setproctitle("lanying: fork server")
    control = socket.socket(fileno=os.dup(0))
    for module in sys.argv[1:]:
        importlib.import_module(module)
    gc.freeze()
    control.send(READY)
    order = _serve(control, supervisor)
    if order is None:
        return 0
    gc.enable()
    setproctitle(order.title)
    sys.argv = [order.module]
    code: int = importlib.import_module(order.module).main()
    return code


def _serve(control: socket.socket, supervisor: int) -> ForkOrder | None:
    """Fork what is ordered. The order, in the child; None when the supervisor has no more."""
    while True:
        text, descriptors, _, _ = socket.recv_fds(control, ORDER_BYTES, MAX_DESCRIPTORS)
        if not text:
            return None
        order = msgspec.json.decode(text, type=ForkOrder)
        birth = _fork(supervisor)
        if birth is None:
            control.close()
            _take(descriptors)
            return order
        for descriptor in descriptors:
            os.close(descriptor)
        control.send(msgspec.json.encode(birth))


def _fork(supervisor: int) -> Birth | None:
    """A child of the supervisor; None in the child."""
    reading, writing = os.pipe()
    try:
        between = os.fork()
    except OSError as error:
        os.close(reading)
        os.close(writing)
        return Birth(error=error.errno or 0)
    if not between:
        between = os.getpid()
        try:
            pid = os.fork()
        except OSError as error:
            _end(writing, Birth(error=error.errno or 0))
        if pid:
            _end(writing, Birth(pid))
        os.close(reading)
        os.close(writing)
        os.setsid()
        kinship.await_adoption(between)
        kinship.die_with(supervisor)
        return None
    os.close(writing)
    os.waitpid(between, 0)  # from now on the supervisor has the child
    with open(reading, "rb") as pipe:
        return msgspec.json.decode(pipe.read(), type=Birth)


def _end(writing: int, birth: Birth) -> None:
    os.write(writing, msgspec.json.encode(birth))
    os._exit(0)


def _take(descriptors: list[int]) -> None:
    """Put the received descriptors where they belong, and close the numbers they came with."""
    moved = [fcntl.fcntl(descriptor, fcntl.F_DUPFD_CLOEXEC, _OUT_OF_THE_WAY) for descriptor in descriptors]
    for descriptor in descriptors:
        os.close(descriptor)
    standard_input, standard_error, *own = moved
    os.dup2(standard_input, 0)
    os.dup2(standard_error, 1)
    os.dup2(standard_error, 2)
    for number, descriptor in enumerate(own, FIRST_OWN):
        os.dup2(descriptor, number, inheritable=False)
    for descriptor in moved:
        os.close(descriptor)


if __name__ == "__main__":
    sys.exit(main())
