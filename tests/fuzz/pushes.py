"""Stored messages as pushes: what is to be pushed of a message is decided whatever its author wrote."""

from __future__ import annotations

import msgspec
from google.protobuf.message import DecodeError

from lanying.protocol.schema.xsync_pb2 import MessageBody, Meta
from lanying.push import decision, letters
from lanying.push.decision import ConversationSettings, Push, Recipient
from tests.fuzz.source import Source
from tests.fuzz.target import Found, Target

_KEYS = (
    *("title", "pushMessage", "pushMessageLocKey", "pushMessageLocArgs", "senderNickname", "mentionList", "mentionAll"),
    *("silence", "badge", "show_begin_time", "show_end_time", "ios", "android"),
)
_VALUES = (
    *("1", "true", '"x"', "[]", '[1,7,"7",null,{"a":[]}]', "{}", "null", "1e400", "-1", '"{}"', '"{\\"a\\":1}"'),
    *(
        "9" * 5000,
        "[" + "9" * 5000 + "]",
        "[1.5e300]",
        '"' + "a" * 5000 + '"',
        "[" * 30 + "]" * 30,
        "[" * 40 + "]" * 40,
    ),
)


class Pushes(Target):
    """Config of a message by keys and values that mean something, its receiver's settings, and the hour."""

    unit = "pushes"

    def seeds(self) -> list[bytes]:
        return [bytes(range(start, start + 60)) for start in range(0, 190, 10)]

    def judge(self, data: bytes) -> None:
        self.units += 1
        source = Source(data)
        body = MessageBody(content=source.text(), attachment=source.text(), ext=source.text())
        body.config = config(source)
        body.ctype = source.byte() % 12  # type: ignore[assignment]
        meta = Meta(payload=source.chunk() if source.byte() > 240 else body.SerializeToString())
        try:
            letter = letters.letter(meta.SerializeToString(), source.text(), source.byte() % 2 == 1)
        except DecodeError:
            return
        recipient = Recipient(
            uid=7, no_push=source.byte() % 5 == 0, no_push_start_hour=source.byte(), no_push_end_hour=source.byte()
        )
        conversation = ConversationSettings(
            group=source.byte() % 2 == 1, push_mode=source.byte() % 4, mute_mode=source.byte() % 4
        )
        push = decision.decide(recipient, conversation, letter, source.byte() % 24)
        if isinstance(push, Push):
            msgspec.json.encode(push)
            if max(map(len, (push.title, push.body, *push.loc_args))) > 1 << 13:
                raise Found(f"{len(push.title)} and {len(push.body)} characters of text")


def config(source: Source) -> str:
    if source.byte() % 4 == 0:
        return source.text()
    pairs = [f'"{source.pick(_KEYS)}":{source.pick(_VALUES)}' for _ in range(source.byte() % 6)]
    return "{" + ",".join(pairs) + "}"
