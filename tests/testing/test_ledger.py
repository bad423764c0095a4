"""The checker finds every broken promise, and none where there is none."""

from __future__ import annotations

import pytest

from lanying.client import Message
from lanying.testing.ledger import Inbox, Ledger

ANN, BEA, GROUP = 1, 2, 90


def message(mid: int, text: str, peer: int = ANN, sender: int = ANN) -> Message:
    made: Message = object.__new__(Message)
    for name, value in (("mid", mid), ("text", text), ("peer", peer), ("sender", sender)):
        object.__setattr__(made, name, value)
    return made


class Story:
    """Ann's phone writes to Bea, who has two devices."""

    def __init__(self) -> None:
        self.ledger = Ledger()
        self.phone = self.ledger.open(ANN, "phone")
        self.desk, self.tablet = self.ledger.open(BEA, "desk"), self.ledger.open(BEA, "tablet")

    def send(self, *shown: Inbox, mid: int = 0, to: int = BEA) -> tuple[int, str]:
        text = self.ledger.next_text("phone", to)
        mid = mid or self.ledger.sent * 10
        self.ledger.acknowledged(mid, text, ANN, to, "phone")
        for inbox in shown:
            inbox.add(message(mid, text, ANN if to == BEA else to))
        return mid, text

    def wrong(self) -> dict[str, int]:
        account = self.ledger.account()
        return {what: len(found) for what in account.WRONG if (found := getattr(account, what))}


def test_a_promise_that_is_kept_is_no_problem() -> None:
    story = Story()
    for _ in range(3):
        story.send(story.desk, story.tablet)
    account = story.ledger.account()
    assert (account.sent, account.acknowledged, account.received, account.problems()) == (3, 3, 6, [])
    story.ledger.verify()


def test_a_send_that_was_cut_off_is_no_promise() -> None:
    story = Story()
    story.ledger.next_text("phone", BEA)
    assert story.wrong() == {} and story.ledger.account().sent == 1


def test_what_one_device_was_not_shown_is_lost() -> None:
    story = Story()
    story.send(story.desk)
    assert story.wrong() == {"lost": 1} and [*story.ledger.missing()] == ["phone>2 1 on tablet"]
    with pytest.raises(AssertionError, match=r"lost: .*phone>2 1 on tablet.*, 1 in all"):
        story.ledger.verify()


def test_the_device_that_wrote_need_not_be_shown_it_and_its_users_others_do() -> None:
    story = Story()
    story.ledger.open(ANN, "laptop")
    story.send(story.desk, story.tablet)
    assert [*story.ledger.missing()] == ["phone>2 1 on laptop"]


def test_a_text_under_two_ids_is_duplicated() -> None:
    story = Story()
    _, text = story.send(story.desk, story.tablet)
    story.desk.add(message(99, text))
    assert story.wrong()["duplicated"] == 1


def test_a_senders_order_counts_on_each_device() -> None:
    story = Story()
    first, second = story.send(), story.send()
    for one in (second, first):
        story.desk.add(message(*one))
        story.tablet.add(message(*one))
    assert story.wrong() == {"reordered": 2}


def test_devices_of_a_user_agree() -> None:
    story = Story()
    one, other = (10, "phone>2 1"), (20, "laptop>2 1")
    for inbox, order in ((story.desk, (one, other)), (story.tablet, (other, one))):
        for item in order:
            inbox.add(message(*item))
    assert story.wrong() == {"disagreeing": 1}


def test_a_group_has_one_order_for_everybody() -> None:
    story = Story()
    story.ledger.groups[GROUP] = {ANN, BEA}
    story.desk.add(message(20, "phone>90 1", GROUP))
    story.desk.add(message(10, "other>90 1", GROUP))
    assert story.wrong() == {"disagreeing": 1}
    story.ledger.acknowledged(20, "phone>90 1", ANN, GROUP, "phone")
    assert story.wrong() == {"lost": 1, "disagreeing": 1}, "the tablet of a member was not shown it"


def test_refusals_count_unless_the_test_takes_away_what_is_needed() -> None:
    story = Story()
    story.ledger.refused.append("no room")
    assert story.wrong() == {"refused": 1}
    story.ledger.may_refuse = True
    assert story.wrong() == {}


def test_what_somebody_else_writes_is_no_matter_of_the_promise() -> None:
    story = Story()
    for mid in (30, 20):
        story.desk.add(message(mid, "anything", 77, sender=77))
    assert story.wrong() == {}
