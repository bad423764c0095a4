"""Clients of other servers against recorded conversations; a peer that is not installed is left out with a reason."""

from __future__ import annotations

import pytest

from bench.bed import Common
from bench.client import CLOSED, READY, Client, Member, Route, Setting
from bench.host import Target
from bench.peers.hosts import PEERS, Mosquitto, PeerError
from bench.peers.mqtt import MqttClient
from bench.peers.turns import Standing, missing
from bench.peers.xmpp import XmppClient
from bench.results import Run
from bench.scenarios import chat
from bench.tables import standing_rows
from bench.tally import Tally

MARKER = b"LBtest"


def client(kind: type[Client]) -> Client:
    member = Member(0, 1, "secret", (Route(2, 5),))
    return kind(Tally(), member, Setting("h", 1, MARKER, 1, size=40, protocol=""))


def feed(client: Client, data: bytes, step: int) -> bytes:
    """Pieces of ``step`` bytes; what the client answers."""
    for at in range(0, len(data), step):
        client.feed(data[at : at + step], 10)
    found = b"".join(client.out)
    client.out.clear()
    return found


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_an_xmpp_stream_from_greeting_to_acknowledgement(step: int) -> None:
    one = client(XmppClient)
    assert isinstance(one, XmppClient) and one.hello("h").startswith(b"<?xml")
    head = b"<?xml version='1.0'?><stream:stream id='1' from='localhost' xmlns='jabber:client' version='1.0'>"
    mechanisms = b"<stream:features><mechanisms><mechanism>PLAIN</mechanism></mechanisms></stream:features>"
    assert b"AHUxAHNlY3JldA==" in feed(one, head + mechanisms, step)
    assert b"<stream:stream" in feed(one, b"<success xmlns='urn:ietf:params:xml:ns:xmpp-sasl'/>", step)
    assert b"<enable" in feed(one, head + b"<stream:features><bind/></stream:features>", step)
    bound = b"<iq type='result' id='b'><bind><jid>u1@localhost/bench</jid></bind></iq>"
    assert feed(one, bound + b"<enabled xmlns='urn:xmpp:sm:3'/>", step) == b"<presence/>" and one.state == READY
    one.send(0, 7, b"")
    one.send(0, 8, b"")
    sent = b"".join(one.out)
    one.out.clear()
    assert sent.count(b"to='u2@localhost'") == 2 and sent.count(b"<r ") == 2
    feed(one, b"<presence from='u1@localhost/bench'/><a h='2' xmlns='urn:xmpp:sm:3'/>", step)
    assert one.tally.acknowledged == 1 and len(one.waiting) == 1
    feed(one, b"<a xmlns='urn:xmpp:sm:3' h='3'/>", step)
    assert one.tally.acknowledged == 2
    body = MARKER + b"%08x%08x%016x" % (9, 0, 1) + b"xx"
    message = b"<message from='u2@localhost/b'><body>" + body + b"</body><stanza-id id='1'/></message>"
    assert feed(one, message + b"<r xmlns='urn:xmpp:sm:3'/>", step) == b"<a xmlns='urn:xmpp:sm:3' h='2'/>"
    assert one.tally.received == 1 and one.expected == {9: 1}
    feed(one, b"</stream:stream>", step)
    assert one.state == CLOSED and "closed by the server" in one.tally.errors


@pytest.mark.parametrize("step", [1, 7, 10_000])
def test_an_mqtt_session(step: int) -> None:
    one = client(MqttClient)
    assert one.hello("h")[:1] == b"\x10"
    assert feed(one, b"\x20\x02\x00\x00", step)[:1] == b"\x82"
    feed(one, b"\x90\x03\x00\x01\x01", step)
    assert one.state == READY
    one.send(0, 7, b"")
    one.send(0, 8, b"")
    packets = b"".join(one.out)
    one.out.clear()
    assert packets.count(b"u/2") == 2 and packets[0] == 0x32
    feed(one, b"\x40\x02\x00\x02\x40\x02\x00\x01\x40\x02\x00\x09", step)
    assert (one.tally.acknowledged, one.tally.unknown_acknowledgements) == (2, 1)
    publication = b"\x00\x03u/1\x01\x02" + MARKER + b"%08x%08x%016x" % (9, 0, 1) + b"x" * 200
    data = b"\x32" + bytes((len(publication) & 127 | 128, len(publication) >> 7)) + publication
    assert feed(one, data, step) == b"\x40\x02\x01\x02" and one.tally.received == 1
    refused = client(MqttClient)
    feed(refused, b"\x20\x02\x00\x05", step)
    assert refused.state == CLOSED and "login refused: 05" in refused.tally.errors


def test_what_is_not_installed_is_left_out_with_a_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PATH", "/nowhere")
    assert set(missing(list(PEERS))) == set(PEERS)
    assert missing(["prosody"]) == {"prosody": "not installed: apt install prosody"}
    with pytest.raises(PeerError, match="apt install mosquitto"), Mosquitto(Target(), 2):
        pass


@pytest.mark.skipif(not Mosquitto.installed(), reason="mosquitto is not installed: apt install mosquitto")
def test_a_real_peer_under_the_same_load() -> None:
    common = Common(Target(), host=Mosquitto, transport="mqtt", workers=1)
    run = chat(common, lambda what, done, total: None, users=10, rate=50, duration=1, warm=0.2, pairing="any")
    assert run.verdict is not None and run.verdict.good and run.verdict.received == run.verdict.sent > 20
    assert run.figures["cpu_us_per_message"] >= 0 and str(run.settings["system"]).startswith("mosquitto")


def test_ratios_are_to_ours_at_the_same_rate() -> None:
    def standing(system: str, rate: float, *costs: float) -> Standing:
        runs = [Run("chat", {"system": system}, figures={"cpu_us_per_message": cost}) for cost in costs]
        return Standing(system, rate, runs)

    rows = standing_rows([standing("lanying", 0, 50), standing("x", 0, 90, 110), standing("lanying", 9, 10)])
    assert [(rate, cells[2]) for rate, cells in rows] == [
        ("saturated", "1.00 ×"),
        ("saturated", "2.00 ×"),
        ("9/s", "1.00 ×"),
    ]
