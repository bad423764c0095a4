"""Who is pushed, and with what text."""

import json

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from lanying.push import decision
from lanying.push.decision import ConversationSettings, Letter, Recipient, decide, within

BOB = Recipient(7, badge=2)
FRIEND = ConversationSettings()
HELLO = Letter("TEXT", "hello", "Alice")
NOON = 12


def group(**modes):
    return ConversationSettings(group=True, **modes)


def saying(letter=HELLO, **config):
    return Letter(letter.content_type, letter.content, letter.sender_name, json.dumps(config), letter.from_admin)


def but(recipient=BOB, **changes):
    return msgspec.structs.replace(recipient, **changes)


def test_the_plain_case():
    found = decide(BOB, FRIEND, HELLO, NOON)
    assert (found.title, found.body, found.badge, found.silent) == ("Alice", "hello", 3, False)
    assert (found.loc_key, found.loc_args, found.ios, found.android) == ("", [], {}, {})


@pytest.mark.parametrize(
    ("recipient", "conversation", "letter"),
    [
        (but(no_push=True), FRIEND, HELLO),
        (but(no_push_start_hour=12, no_push_end_hour=13), FRIEND, HELLO),
        (but(no_push_start_hour=22, no_push_end_hour=13), FRIEND, HELLO),
        (BOB, ConversationSettings(muted=True), HELLO),
        (BOB, group(mute_mode=decision.MUTE_BLOCK), HELLO),
        (BOB, group(push_mode=decision.PUSH_NONE), saying(mentionAll=True)),
        (BOB, group(push_mode=decision.PUSH_ADMIN), saying(mentionList=[7])),
        (BOB, group(push_mode=decision.PUSH_MENTION), HELLO),
        (BOB, group(push_mode=decision.PUSH_MENTION), saying(mentionList=[8])),
        (BOB, group(push_mode=decision.PUSH_MENTION), Letter("TEXT", "x", "Al", from_admin=True)),
        (BOB, group(push_mode=decision.PUSH_ADMIN_OR_MENTION), HELLO),
        (BOB, FRIEND, Letter("COMMAND", "x", "Alice")),
    ],
)
def test_nothing_is_pushed(recipient, conversation, letter):
    assert decide(recipient, conversation, letter, NOON) is None


@pytest.mark.parametrize(
    ("recipient", "conversation", "letter"),
    [
        (but(no_push_start_hour=13, no_push_end_hour=12), FRIEND, HELLO),
        (but(no_push_start_hour=12, no_push_end_hour=12), FRIEND, HELLO),
        (BOB, group(), HELLO),
        (BOB, group(push_mode=decision.PUSH_ADMIN), Letter("TEXT", "x", "Al", from_admin=True)),
        (BOB, group(push_mode=decision.PUSH_MENTION), saying(mentionList=[8, 7])),
        (BOB, group(push_mode=decision.PUSH_MENTION), saying(mentionList=["7"])),
        (BOB, group(push_mode=decision.PUSH_MENTION), saying(mentionAll=True)),
        (BOB, group(push_mode=decision.PUSH_ADMIN_OR_MENTION), saying(mentionAll=True)),
        (BOB, group(push_mode=decision.PUSH_ADMIN_OR_MENTION), Letter("TEXT", "x", "Al", from_admin=True)),
    ],
)
def test_something_is_pushed(recipient, conversation, letter):
    found = decide(recipient, conversation, letter, NOON)
    assert found is not None
    assert not found.silent


@pytest.mark.parametrize(
    ("recipient", "conversation", "letter"),
    [
        (but(no_sounds=True), FRIEND, HELLO),
        (but(silence_start_time=11, silence_end_time=13), FRIEND, HELLO),
        (BOB, group(mute_mode=decision.MUTE_ALERT), HELLO),
        (BOB, FRIEND, saying(silence=True)),
    ],
)
def test_it_makes_no_sound(recipient, conversation, letter):
    assert decide(recipient, conversation, letter, NOON).silent


def test_config_has_the_last_word_about_texts():
    letter = saying(
        title="T", pushMessage="P", badge=9, pushMessageLocKey="k", pushMessageLocArgs=["a", 1], ios={"sound": "s"}
    )
    found = decide(BOB, FRIEND, letter, NOON)
    assert (found.title, found.body, found.badge) == ("T", "P", 9)
    assert (found.loc_key, found.loc_args, found.ios) == ("k", ["a", "1"], {"sound": "s"})
    assert decide(BOB, FRIEND, saying(senderNickname="Ally"), NOON).title == "Ally"
    assert decide(BOB, FRIEND, saying(android='{"channel_id": "c"}'), NOON).android == {"channel_id": "c"}
    assert decide(BOB, FRIEND, saying(show_begin_time=5, show_end_time=9), NOON).show_end_time == 9


def test_details_are_hidden_whatever_the_message_wants():
    said = saying(title="T", pushMessage="P", pushMessageLocKey="k", ios={"subtitle": "S", "sound": "s"})
    found = decide(but(no_push_detail=True), FRIEND, said, NOON)
    assert (found.title, found.body, found.loc_key) == ("Alice", decision.HIDDEN, "")
    assert found.ios == {"subtitle": "", "sound": "s"}


@pytest.mark.parametrize(
    ("kind", "body"), [*decision.PLACEHOLDERS.items(), ("TEXT", decision.HIDDEN), ("SOMETHING_NEW", decision.HIDDEN)]
)
def test_content_without_text_has_a_placeholder(kind, body):
    assert decide(BOB, FRIEND, Letter(kind, "", "Alice"), NOON).body == body


def test_texts_have_a_longest_length():
    found = decide(BOB, FRIEND, Letter("TEXT", "x" * 5000, "A" * 500), NOON)
    assert (len(found.title), len(found.body)) == (decision.TITLE_CHARS, decision.BODY_CHARS)


@given(st.integers(0, 23), st.integers(0, 23), st.integers(0, 23))
def test_a_span_and_the_span_from_its_end_to_its_start_share_no_hour(hour, start, end):
    assert within(hour, start, end) + within(hour, end, start) == (start != end)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers(-(1 << 63), (1 << 63) - 1) | st.floats(allow_nan=False) | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=6,
)
KEYS = ("title", "pushMessage", "pushMessageLocKey", "pushMessageLocArgs", "senderNickname", "badge", "silence")
MORE = ("show_begin_time", "show_end_time", "ios", "android", "mentionAll", "mentionList")


@given(st.dictionaries(st.sampled_from(KEYS + MORE), JSON).map(json.dumps) | st.text(), st.booleans())
def test_any_config_is_survived(config, hidden):
    letter = Letter("TEXT", "hello", "Alice", config)
    for conversation in (FRIEND, group(push_mode=decision.PUSH_MENTION)):
        found = decide(but(no_push_detail=hidden), conversation, letter, NOON)
        if found is not None:
            assert found.body
            assert isinstance(found.badge, int)
            msgspec.json.encode(found)


# --- what a back end orders -------------------------------------------------------------------------------------------------


def test_an_order_is_pushed_as_it_is_written():
    push = decision.order(BOB, {"title": "Sale", "body": "today", "ext": {"page": 3}}, NOON)
    assert push == decision.Push("Sale", "today", badge=3, ext={"page": 3})


@pytest.mark.parametrize(("badge", "shown"), [("5", 5), ("+4", 6), ("0", 0)])
def test_an_order_sets_the_badge_or_adds_to_it(badge, shown):
    assert decision.order(BOB, {"title": "x", "badge": badge}, NOON).badge == shown


def test_the_blocks_of_platforms_go_along():
    push = decision.order(BOB, {"title": "x", "android": {"sound": "a"}, "huawei": {"sound": "h"}}, NOON)
    assert (push.android, push.vendors, push.ios) == ({"sound": "a"}, {"huawei": {"sound": "h"}}, {})


def test_a_command_is_for_the_app_alone():
    push = decision.order(BOB, {"type": "cmd"}, NOON)
    assert push.data_only and push.silent


def test_nobody_is_told_anything_who_wants_no_pushes_now():
    assert decision.order(but(no_push=True), {"title": "x"}, NOON) is None
    assert decision.order(but(no_push_start_hour=12, no_push_end_hour=13), {"title": "x"}, NOON) is None
    quiet = but(silence_start_time=12, silence_end_time=13)
    assert decision.order(quiet, {"title": "x"}, NOON).silent
