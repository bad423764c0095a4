"""What travels with a client socket: MessagePack arrays ``[tag, field, …]``, carried by :mod:`lanying.bus.handoff.wire`.

A new field goes to the end with a default: during a restart an old router talks to a new shard.
"""

from __future__ import annotations

import msgspec


class Login(msgspec.Struct, frozen=True, array_like=True, tag=3, kw_only=True):
    """A client whose token is good. The shard still checks what only it knows: epoch, ban, number of devices.

    :ivar kind: transport of the connection, ``protocol.connection`` (SOCKETIO or XSYNC)
    :ivar app: app id of the token
    :ivar uid: user of the token, equal to the one in the login frame
    :ivar epoch: revocation epoch of the token
    :ivar guid: ``device_guid``, what a device is recognised by
    :ivar os_type: ``Provision.OsType``
    :ivar info: ``device_info``
    :ivar address: IP address of the client, without port
    :ivar leftover: bytes read behind the login frame, to be fed to the codec before the socket is read
    :ivar expires: end of the token, seconds since 1970, 0 for never
    """

    kind: int
    app: str
    uid: int
    epoch: int
    guid: str
    os_type: int
    info: str
    address: str
    leftover: bytes
    notifier: str = ""
    device_token: str = ""
    expires: int = 0


class Visitor(msgspec.Struct, frozen=True, array_like=True, tag=2):
    """An HTTP client for the gateway.

    :ivar address: IP address of the client, without port
    :ivar first_bytes: everything read so far, from the first byte of the request on
    :ivar secure: a trusted proxy said that the client came over TLS
    """

    address: str
    first_bytes: bytes
    secure: bool = False


class Tunnelled(msgspec.Struct, frozen=True, array_like=True, tag=4):
    """For the router, from the port for TLS.

    :ivar address: IP address of the client, without port
    :ivar secure: the client came over TLS, and the socket has what is inside: it is one end of a pair, or the kernel decrypts
    :ivar first: what was read of that already, before what the socket has
    """

    address: str
    secure: bool
    first: bytes = b""


encode = msgspec.msgpack.Encoder().encode
decode_login = msgspec.msgpack.Decoder(Login).decode
decode_visitor = msgspec.msgpack.Decoder(Visitor).decode
decode_tunnelled = msgspec.msgpack.Decoder(Tunnelled).decode
