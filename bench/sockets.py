"""The sockets of a worker: one epoll over bare descriptors, one read and one joined write per device and turn."""

from __future__ import annotations

import errno
import os
import select
import socket
import ssl
from collections import deque
from typing import Final

from bench.client import CLOSED, CONNECTING, READY, Client, Setting
from bench.orders import now_us
from bench.secure import Secure, trusting
from bench.tally import Tally

IP_BIND_ADDRESS_NO_PORT: Final = 24
"""Linux: choose the port at ``connect``, so that ports are counted per pair of addresses."""
READ_BYTES: Final = 32768
EVENTS: Final = 512
"""Sockets per turn: few enough that answers do not wait for long reads."""


class Sockets:
    """Connections of one worker's devices.

    :ivar dirty: devices that may owe their socket something; whoever calls a device puts it here
    :ivar online: devices that are logged in
    :ivar finished: devices whose login has ended, well or not, or that were disconnected
    :ivar unread: whether a device asks for what is pending once logged in
    :ivar resume: whether a device takes up the TLS session of its last connection; ``resumed``: how many have
    """

    def __init__(self, number: int, setting: Setting, tally: Tally) -> None:
        self._epoll = select.epoll()
        self._setting = setting
        self._tally = tally
        self._sockets: dict[int, Client] = {}
        self._context = trusting(setting.authority) if setting.tls else None
        self._secure: dict[int, Secure] = {}
        self._sessions: dict[Client, ssl.SSLSession | None] = {}
        self._beats: deque[tuple[int, Client, int]] = deque()
        self._addresses = [f"127.{1 + i // 250}.{number % 250}.{1 + i % 250}" for i in range(setting.addresses)]
        self.dirty: dict[Client, None] = {}
        self.online: set[Client] = set()
        self.finished: list[Client] = []
        self.unread = True
        self.resume = False
        self.resumed = 0

    def turn(self, until: int) -> None:
        """Wait for sockets, but not beyond ``until`` (microseconds), serve those that are ready and write."""
        if self.dirty:
            self.flush()
        wait = until - now_us()
        if wait > 5_000:
            events = self._epoll.poll(wait / 1e6 - 0.001, EVENTS)
        elif wait > 30:
            # epoll counts in milliseconds, select in microseconds.
            select.select((self._epoll,), (), (), wait / 1e6)
            events = self._epoll.poll(0, EVENTS)
        else:
            events = self._epoll.poll(0, EVENTS)
        sockets = self._sockets
        dirty = self.dirty
        for fd, event in events:
            device = sockets.get(fd)
            if device is None:
                continue
            if event & select.EPOLLOUT:
                self._writable(device)
                if device.fd < 0:
                    continue
            if event & ~select.EPOLLOUT:
                try:
                    data = os.read(fd, READ_BYTES)
                except BlockingIOError:
                    continue
                except OSError as error:
                    self._lost(device, errno.errorcode.get(error.errno or 0, "?"))
                    continue
                if not data:
                    self._lost(device, "end of stream")
                    continue
                if self._context is not None:
                    data = self._decrypt(device, data)
                    if not data:
                        continue
                before = device.state
                device.feed(data, now_us())
                if device.out:
                    dirty[device] = None
                if device.state != before:
                    self._changed(device)
        if dirty:
            self.flush()

    def flush(self) -> None:
        """Write what devices owe."""
        for device in list(self.dirty):  # a failed write closes its device
            out = device.out
            if out:
                data = out[0] if len(out) == 1 else b"".join(out)
                out.clear()
                self._write(device, data)
        self.dirty.clear()

    def _write(self, device: Client, data: bytes) -> None:
        """Plain bytes of a device."""
        if device.fd < 0:
            return
        if self._context is not None:
            secure = self._secure[device.fd]
            secure.send(data)
            data = secure.pending()
        self._write_out(device, data)

    def _write_out(self, device: Client, data: bytes) -> None:
        """Bytes as they go to the network."""
        if device.unsent:
            device.unsent += data
            return
        try:
            sent = os.write(device.fd, data)
        except BlockingIOError:
            sent = 0
        except OSError as error:
            self._lost(device, errno.errorcode.get(error.errno or 0, "?"))
            return
        if sent < len(data):
            device.unsent = data[sent:]
            self._epoll.modify(device.fd, select.EPOLLIN | select.EPOLLOUT)

    def _writable(self, device: Client) -> None:
        self._epoll.modify(device.fd, select.EPOLLIN)
        if device.state != CONNECTING or device.fd in self._secure:
            data, device.unsent = device.unsent, b""
            self._write_out(device, data)
        elif self._context is None:
            self._greet(device)
        else:
            session = self._sessions.get(device) if self.resume else None
            secure = self._secure[device.fd] = Secure(self._context, self._setting.host, session)
            self._write_out(device, secure.pending())

    def _greet(self, device: Client) -> None:
        self._write(device, device.hello(f"{self._setting.host}:{self._setting.port}"))

    def _decrypt(self, device: Client, data: bytes) -> bytes:
        """The plain bytes that are complete by now; handshakes go on."""
        secure = self._secure[device.fd]
        opened = secure.open
        try:
            plain = secure.receive(data)
        except ssl.SSLError as error:
            self._lost(device, f"TLS: {error.reason or error}")
            return b""
        if answer := secure.pending():
            self._write_out(device, answer)
        if secure.open and not opened and device.fd >= 0:
            self.resumed += secure.resumed
            self._greet(device)
        return plain

    def _changed(self, device: Client) -> None:
        if device.state == READY:
            self.online.add(device)
            self.finished.append(device)
            self._beats.append((now_us() + device.beat_us, device, device.fd))
            device.ready(self.unread)
            if device.out:
                self.dirty[device] = None
        elif device.state == CLOSED:
            self._lost(device, "refused")

    def connect(self, device: Client) -> None:
        """Start a connection."""
        setting = self._setting
        sock = socket.socket(socket.AF_INET, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        sock.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
        if setting.host.startswith("127.") and self._addresses:
            sock.setsockopt(socket.IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT, 1)
            sock.bind((self._addresses[device.index % len(self._addresses)], 0))
        result = sock.connect_ex((setting.host, setting.port))
        device.fd = sock.detach()
        device.rest = device.unsent = b""
        device.out.clear()
        self._sockets[device.fd] = device
        self._epoll.register(device.fd, select.EPOLLIN | select.EPOLLOUT)
        device.state = CONNECTING
        if result not in (0, errno.EINPROGRESS):
            self._lost(device, errno.errorcode.get(result, "?"))

    def _lost(self, device: Client, why: str) -> None:
        self._tally.error(f"connection lost: {why}")
        self.close(device)

    def close(self, device: Client, expected: bool = False) -> None:
        """Close a connection; ``expected``: because we want to."""
        if device.fd < 0:
            return
        if not expected:
            self._tally.disconnected += 1
            self.finished.append(device)
        self.online.discard(device)
        secure = self._secure.pop(device.fd, None)
        if secure is not None and secure.open:
            self._sessions[device] = secure.session
        self._epoll.unregister(device.fd)
        os.close(device.fd)
        del self._sockets[device.fd]
        device.fd = -1
        device.state = CLOSED
        device.out.clear()
        self.dirty.pop(device, None)

    def beat(self) -> None:
        """Heartbeats that are due."""
        now = now_us()
        beats = self._beats
        while beats and beats[0][0] <= now:
            due, device, fd = beats.popleft()
            if device.fd == fd and device.state == READY:
                device.beat()
                self.dirty[device] = None
                beats.append((due + device.beat_us, device, fd))
