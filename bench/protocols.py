"""Which protocol a generator's devices speak."""

from __future__ import annotations

from collections.abc import Callable
from typing import Final

from bench.client import Client, Member, Setting
from bench.peers.mqtt import MqttClient
from bench.peers.xmpp import XmppClient
from bench.tally import Tally
from bench.wire import Device

PROTOCOLS: Final[dict[str, Callable[[Tally, Member, Setting], Client]]] = {
    "xsync": Device,
    "socketio": Device,
    "xmpp": XmppClient,
    "mqtt": MqttClient,
}


def client(tally: Tally, member: Member, setting: Setting) -> Client:
    """A device of ``member``."""
    return PROTOCOLS[setting.protocol](tally, member, setting)
